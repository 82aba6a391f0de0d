"""Results as JSON: standard types alone, every number finite."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import hashlib
import importlib.metadata
import json
import math
import platform
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


LIBRARIES = ("numpy", "scipy", "numba", "scikit-image", "pillow")
"""What numbers and pictures depend on."""


def run() -> dict[str, Any]:
    """Return when and with what a document was made; two runs of the same numbers differ in nothing else.

    Examples
    --------
    >>> list(run())
    ['date', 'platform', 'python', 'libraries']
    """
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: importlib.metadata.distribution(name).version for name in LIBRARIES},
    }


def picture(x: np.ndarray, **about: Any) -> dict[str, Any]:
    """Return what tells a prepared picture from every other: its digest and shape, after `about`, such as its name.

    Examples
    --------
    >>> list(picture(np.zeros((3, 8, 8)), name="cat"))
    ['name', 'sha256', 'shape']
    """
    return {**about, "sha256": sha256(x), "shape": list(x.shape)}


def sha256(x: np.ndarray) -> str:
    """Return the digest of an array's numbers, the same on every machine."""
    return hashlib.sha256(np.ascontiguousarray(x, dtype="<f8").tobytes()).hexdigest()


def document(content: dict[str, Any]) -> str:
    """Return the text of a result, with :func:`run` last, apart from the numbers."""
    return text({**content, "run": run()})


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
