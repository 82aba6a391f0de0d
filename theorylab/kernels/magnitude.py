"""The largest magnitude of each row, by all threads: what range checks ask of every tensor."""

from __future__ import annotations

import numpy as np

from theorylab.kernels import _threads
from theorylab.kernels._policy import compiled

_PIECE = 2**18  # entries at a time


@compiled
def _largest(bits, mask):
    result = bits[0] & mask
    for i in range(bits.size):
        result = max(result, bits[i] & mask)
    return result


def largest(rows: np.ndarray) -> np.ndarray:
    """Largest magnitude of each row.

    Parameters
    ----------
    rows : float32 or float64 array, (B, ...)

    Returns
    -------
    array, (B,), of the dtype of `rows`
        0 for an empty row; infinity or NaN, not always the first of them, if there is one.

    Notes
    -----
    Without their signs, floating numbers are in the order of their bits read as integers, infinity and NaN last: unlike a
    maximum of floating numbers, that of integers may be taken in any order, by vector instructions and threads.

    Examples
    --------
    >>> largest(np.array([[1.0, -3.0], [0.0, np.inf]]))
    array([ 3., inf])
    """
    kind = np.dtype(f"i{rows.dtype.itemsize}")
    mask = kind.type(np.iinfo(kind).max)  # all bits but that of the sign
    bits = np.ascontiguousarray(rows).reshape(len(rows), -1).view(kind)
    per_row = -(-bits.shape[1] // _PIECE)
    found = np.zeros((len(rows), max(1, per_row)), kind)

    def piece(number: int) -> None:
        row, part = divmod(number, per_row)
        found[row, part] = _largest(bits[row, part * _PIECE : (part + 1) * _PIECE], mask)

    _threads.run(piece, len(rows) * per_row)
    return found.max(axis=1).view(rows.dtype)
