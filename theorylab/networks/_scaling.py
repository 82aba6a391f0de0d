"""Gradients with a power of two beside them, one per row: range without a change of any digit.

The backward pass is positively homogeneous whatever the rule: ``h`` and the masks commute with a positive factor,
and all else is linear.  A power of two changes the exponents of floating numbers and nothing else.  So a row
may be brought back into range at any layer, and the map is the same to the last bit.
"""

from __future__ import annotations

import numpy as np

from theorylab.kernels import magnitude

# A row is rescaled when the binary exponent of its largest entry leaves ±32: float32 then has 2⁹⁵ left for what
# one layer may add, and as much below.
_SLACK = 32
# Exponent of a row of zeros: below every other, so that a zero never decides the scale of a sum.
_ZERO = -(2**20)


def _shift(gradient: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    if not exponents.any():
        return gradient
    # Beyond ±4096 every number of either dtype is 0 or infinite anyway; C's ldexp takes an int.
    clipped = np.clip(exponents, -4096, 4096).astype(np.int32)
    shifted: np.ndarray = np.ldexp(gradient, clipped.reshape(-1, *[1] * (gradient.ndim - 1)))
    return shifted


def rescale(
    gradient: np.ndarray, exponents: np.ndarray, slack: int = _SLACK
) -> tuple[np.ndarray, np.ndarray]:
    """Bring every row of the gradients ``gradient · 2**exponents``, (B, ...) and (B,), into range.

    Rows whose largest binary exponent lies within ±`slack` stay as they are.  A ValueError if an entry is not finite:
    then it is too late.

    Examples
    --------
    >>> rescale(np.array([[2.0**40, 2.0], [0.0, 0.0], [1.0, 3.0]]), np.array([0, 7, 1]))[1].tolist()
    [41, -1048576, 1]
    """
    largest = magnitude.largest(gradient)
    if not np.isfinite(largest).all():
        raise ValueError(f"the gradient leaves the range of {gradient.dtype}")
    excess = np.frexp(largest)[1].astype(np.int64)
    excess[np.abs(excess) <= slack] = 0
    return _shift(gradient, -excess), np.where(largest > 0, exponents + excess, _ZERO)


def add(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Add two gradients, each ``(array, exponents)``, in the scale of the larger one of each row.

    Examples
    --------
    >>> add((np.array([[1.0]]), np.array([3])), (np.array([[4.0]]), np.array([0])))
    (array([[1.5]]), array([3]))
    """
    exponents = np.maximum(first[1], second[1])
    return _shift(first[0], first[1] - exponents) + _shift(second[0], second[1] - exponents), exponents


def undo(gradient: np.ndarray, exponents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``gradient · 2**exponents`` as far as the dtype can hold a row, and the exponents left.

    The largest entry stays finite, and so far above the smallest normal number that an entry as small as its
    rounding error is still exact.

    Examples
    --------
    >>> rows, left = undo(np.ones((3, 1), np.float32), np.array([5, 200, -200]))
    >>> [int(np.log2(row)) for row in rows.ravel()], left.tolist()
    ([5, 127, -103], [0, 73, -97])
    """
    information = np.finfo(gradient.dtype)
    lowest = int(information.minexp) + 1 + int(information.nmant)
    largest = magnitude.largest(gradient)
    binary = np.frexp(largest)[1].astype(np.int64)
    possible = np.clip(exponents, lowest - binary, int(information.maxexp) - binary)
    possible = np.where(largest > 0, possible, 0)
    return _shift(gradient, possible), np.where(largest > 0, exponents - possible, 0)
