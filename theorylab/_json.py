"""Results as JSON: standard types alone, every number finite."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Convert a value to types of JSON: arrays to lists, dataclasses to dicts, NaN and infinity to None.

    Examples
    --------
    >>> plain({"a": [math.nan, np.float32(1.5)], 2: np.arange(2), "b": (np.True_, None)})
    {'a': [None, 1.5], '2': [0, 1], 'b': [True, None]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def text(value: Any) -> str:
    """Return the content of a JSON file, in ASCII: it can be written in every encoding, and holds every file's name.

    Examples
    --------
    >>> print(text({"cosine": math.inf}), end="")
    {
      "cosine": null
    }
    """
    return f"{json.dumps(plain(value), indent=2, allow_nan=False)}\n"
