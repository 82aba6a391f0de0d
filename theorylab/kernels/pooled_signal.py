"""Max-pooling in the layout of a Monte Carlo replicate: positions by filters."""

from __future__ import annotations

import numpy as np

from theorylab.kernels._policy import Array, compiled
from theorylab.model.units import RELU, Unit


@compiled
def select(activations: Array, windows: Array, slope: np.floating, values: Array, winners: Array) -> None:
    """Write the largest ``φ(a)`` of every window and filter, and the first position that has it."""
    zero = activations.dtype.type(0)
    for w in range(windows.shape[0]):
        for i in range(activations.shape[1]):
            best = zero
            winner = -1
            for m in range(windows.shape[1]):
                j = windows[w, m]
                if j >= 0:
                    value = activations[j, i]
                    if value < zero:
                        value = zero if slope == 0 else value * slope
                    if winner < 0 or value > best:
                        best = value
                        winner = j
            values[w, i] = best
            winners[w, i] = winner


def pool(activations: np.ndarray, windows: np.ndarray, unit: Unit = RELU) -> tuple[np.ndarray, np.ndarray]:
    """Return the pooled activations and their winners.

    Parameters
    ----------
    activations : array, (J, N)
        Input of the unit; its output will do for a ReLU.
    windows : int64 array, (n, size)
        From :meth:`theorylab.model.pooling.MaxPool.windows`.
    unit : Unit, default ReLU()

    Returns
    -------
    values : array, (n, N)
    winners : int64 array, (n, N)
        Position of the first maximum of ``φ(a)``; with a ReLU, the first position if no entry is positive.

    Notes
    -----
    Specification: :func:`theorylab.layers.pool.forward`.

    Examples
    --------
    >>> import numpy as np
    >>> values, winners = pool(np.array([[1.0, -1.0], [2.0, -2.0]]), np.array([[0, 1]]))
    >>> values, winners
    (array([[2., 0.]]), array([[1, 0]]))
    """
    values = np.empty((len(windows), activations.shape[1]), dtype=activations.dtype)
    winners = np.empty(values.shape, dtype=np.int64)
    select(activations, windows, activations.dtype.type(unit.slope), values, winners)
    return values, winners


@compiled
def unpool(readout: Array, winners: Array, out: Array) -> Array:
    """Send each readout weight back to the winner of its window, and add where windows overlap.

    Parameters
    ----------
    readout : array, (n, N)
    winners : int64 array, (n, N)
    out : array, (J, N)
        Overwritten.

    Returns
    -------
    array
        `out`.

    Notes
    -----
    Specification: :func:`theorylab.layers.pool.backward`.

    Examples
    --------
    >>> import numpy as np
    >>> unpool(np.array([[5.0]]), np.array([[1]]), np.empty((2, 1)))
    array([[0.],
           [5.]])
    """
    out[:] = 0
    for w in range(winners.shape[0]):
        for i in range(winners.shape[1]):
            out[winners[w, i], i] += readout[w, i]
    return out
