"""The largest magnitude of each row, on all threads: range checks need it for every tensor."""

from __future__ import annotations

import numpy as np

from theorylab._compiled import Array, compiled
from theorylab.kernels import _threads

_PIECE = 2**18  # number of entries in a piece


@compiled
def _largest(bits: Array, mask: np.integer) -> np.integer:
    result: np.integer = bits[0] & mask
    for i in range(bits.size):
        result = max(result, bits[i] & mask)
    return result


def largest(rows: np.ndarray) -> np.ndarray:
    """Return the largest magnitude of each row.

    Parameters
    ----------
    rows : float32 or float64 array, (B, ...)

    Returns
    -------
    array, (B,), of the dtype of `rows`
        0 for an empty row.  If a row holds infinities or NaNs, the result is one of them, not always the first.

    Notes
    -----
    Floating numbers without sign have the order of their bits read as integers, with infinity and NaN at the end.  The
    maximum of integers, unlike that of floating numbers, may be taken in any order, so vector instructions and threads
    can take it.

    Examples
    --------
    >>> largest(np.array([[1.0, -3.0], [0.0, np.inf]]))
    array([ 3., inf])
    """
    kind = np.dtype(f"i{rows.dtype.itemsize}")
    mask = kind.type(np.iinfo(kind).max)  # all bits except the sign
    bits = np.ascontiguousarray(rows).reshape(len(rows), -1).view(kind)
    per_row = -(-bits.shape[1] // _PIECE)
    largest_of_part = np.zeros((len(rows), max(1, per_row)), kind)

    def piece(number: int) -> None:
        row, part = divmod(number, per_row)
        largest_of_part[row, part] = _largest(bits[row, part * _PIECE : (part + 1) * _PIECE], mask)

    _threads.run(piece, len(rows) * per_row)
    return np.asarray(largest_of_part.max(axis=1).view(rows.dtype))
