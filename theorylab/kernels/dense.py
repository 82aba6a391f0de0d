"""Twins of the slow functions of :mod:`theorylab.layers.dense`: each thread reads a block of the matrix."""

from __future__ import annotations

import numpy as np

from theorylab._products import product
from theorylab.kernels import _threads
from theorylab.layers.shapes import fitted

_BLOCK_BYTES = 4 * 2**20  # size of a block of the matrix
_BLOCK = 64  # least number of its rows or columns


def _blocks(size: int, bytes_each: int) -> list[slice]:
    step = max(_BLOCK, _BLOCK_BYTES // max(1, bytes_each))
    return [slice(start, start + step) for start in range(0, size, step)]


def forward(x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """Return ``x Wᵀ + b`` for a batch of rows: ``(B, n_in)`` to ``(B, n_out)``.

    Parameters, result, errors: as the specification, :func:`theorylab.layers.dense.forward`.

    Examples
    --------
    >>> import numpy as np
    >>> forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, -6.0]]), np.array([0.0, 1.0]))
    array([[11., -6.]])
    """
    weights = fitted(weights, "weights", "n_out", "n_in")
    x = fitted(x, "x", "B", weights.shape[1])
    result = np.empty((len(x), len(weights)), np.result_type(x, weights))
    blocks = _blocks(len(weights), weights.shape[1] * weights.itemsize)

    def piece(number: int) -> None:
        product(x, weights[blocks[number]].T, out=result[:, blocks[number]])

    _threads.run(piece, len(blocks))
    return result if bias is None else result + fitted(bias, "bias", len(weights))


def backward_input(gradient: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the gradient with respect to the input: ``(B, n_out)`` to ``(B, n_in)``.

    Parameters, result, errors: as the specification, :func:`theorylab.layers.dense.backward_input`.

    Examples
    --------
    >>> import numpy as np
    >>> backward_input(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, -6.0]]))
    array([[13., -8.]])
    """
    weights = fitted(weights, "weights", "n_out", "n_in")
    gradient = fitted(gradient, "gradient", "B", len(weights))
    result = np.empty((len(gradient), weights.shape[1]), np.result_type(gradient, weights))
    blocks = _blocks(weights.shape[1], len(weights) * weights.itemsize)

    def piece(number: int) -> None:
        product(gradient, weights[:, blocks[number]], out=result[:, blocks[number]])

    _threads.run(piece, len(blocks))
    return result
