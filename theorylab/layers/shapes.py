"""The check of shapes that all layers and their compiled twins share."""

from __future__ import annotations

import numpy as np


def fitted(array: np.ndarray, name: str, *sizes: int | str) -> np.ndarray:
    """Return `array` as an array; raise a ValueError unless it has axes of these sizes, of which letters stand for any.

    Examples
    --------
    >>> fitted(np.ones((2, 3)), "x", "B", 4)
    Traceback (most recent call last):
    ValueError: x: expected (B, 4), got (2, 3)
    """
    array = np.asarray(array)
    if array.ndim != len(sizes) or any(
        isinstance(size, int) and size != actual for size, actual in zip(sizes, array.shape, strict=True)
    ):
        expected = f"{sizes[0]}," if len(sizes) == 1 else ", ".join(map(str, sizes))
        raise ValueError(f"{name}: expected ({expected}), got {array.shape}")
    return array
