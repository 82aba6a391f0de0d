"""Compiled twins of :mod:`theorylab.layers.pool`, equal to them bit by bit."""

from __future__ import annotations

import numpy as np

from theorylab._compiled import Array, Pair, compiled
from theorylab.kernels import _threads
from theorylab.layers.pool import check_winners, once
from theorylab.layers.shapes import fitted
from theorylab.model.pooling import MaxPool

_PLANES = 8  # number of planes in a piece


@compiled
def _clip(start: int, size: int, extent: int) -> tuple[int, int]:
    """Return the first and one past the last offset of a window that lie inside ``[0, extent)``."""
    return max(0, -start), min(size, extent - start)


@compiled
def _forward(
    x: Array, size: Pair, stride: Pair, padding: Pair, rows: int, columns: int, values: Array, winners: Array
) -> None:
    height, width = x.shape[1], x.shape[2]
    for plane in range(x.shape[0]):
        for row in range(rows):
            top = row * stride[0] - padding[0]
            first_row, last_row = _clip(top, size[0], height)
            for column in range(columns):
                left = column * stride[1] - padding[1]
                first_column, last_column = _clip(left, size[1], width)
                winner = (top + first_row) * width + left + first_column
                best = x[plane, top + first_row, left + first_column]
                for i in range(top + first_row, top + last_row):
                    for k in range(left + first_column, left + last_column):
                        entry = x[plane, i, k]
                        # The second clause lets the first NaN win, as it does in the specification.
                        if entry > best or (entry != entry and best == best):
                            best = entry
                            winner = i * width + k
                values[plane, row * columns + column] = best
                winners[plane, row * columns + column] = winner


@compiled
def _backward(gradient: Array, winners: Array, out: Array) -> None:
    for plane in range(gradient.shape[0]):
        for j in range(gradient.shape[1]):
            out[plane, winners[plane, j]] += gradient[plane, j]


def forward(x: np.ndarray, pool: MaxPool) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest entry of every window and its flat index: ``(B, C, H, W)`` to twice ``(B, C, H', W')``.

    Parameters, result, errors: as the specification, :func:`theorylab.layers.pool.forward`.

    Examples
    --------
    >>> values, winners = forward(np.array([[[[1.0, 2.0, 0.0, 0.0], [2.0, 1.0, 0.0, 0.0]]]]), MaxPool(2))
    >>> values.ravel(), winners.ravel()
    (array([2., 0.]), array([1, 2]))
    """
    x = fitted(x, "x", "B", "C", "H", "W")
    batch, channels, height, width = x.shape
    rows, columns = pool.output_shape((height, width))
    planes = np.ascontiguousarray(x).reshape(batch * channels, height, width)
    values = np.empty((batch * channels, rows * columns), dtype=x.dtype)
    winners = np.empty(values.shape, dtype=np.int64)

    def piece(number: int) -> None:
        part = slice(number * _PLANES, (number + 1) * _PLANES)
        _forward(
            planes[part], pool.size, pool.stride, pool.padding, rows, columns, values[part], winners[part]
        )

    _threads.run(piece, -(-len(planes) // _PLANES))
    shape = (batch, channels, rows, columns)
    return values.reshape(shape), winners.reshape(shape)


def backward(gradient: np.ndarray, winners: np.ndarray, input_shape: tuple[int, ...]) -> np.ndarray:
    """Send each gradient to the winner of its window and add where windows overlap: ``(B, C, H, W)``.

    Parameters, result, errors: as the specification, :func:`theorylab.layers.pool.backward`.

    Examples
    --------
    >>> backward(np.array([[[[10.0, 20.0]]]]), np.array([[[[1, 1]]]]), (1, 3))
    array([[[[ 0., 30.,  0.]]]])
    """
    gradient, winners, (height, width) = check_winners(gradient, winners, input_shape)
    planes = gradient.shape[0] * gradient.shape[1]
    n_windows = gradient.shape[2] * gradient.shape[3]
    out = np.zeros((planes, height * width), dtype=gradient.dtype)
    flat = np.ascontiguousarray(gradient).reshape(planes, n_windows)
    # If many gradients belong to one image, its winners are stored once and read for each gradient.
    distinct = np.ascontiguousarray(once(winners)).reshape(-1, n_windows)
    if not out.size:
        return out.reshape(*gradient.shape[:2], height, width)

    per_image = -(-len(distinct) // _PLANES)

    def piece(number: int) -> None:
        image, part = divmod(number, per_image)
        shared = distinct[part * _PLANES : (part + 1) * _PLANES]
        start = image * len(distinct) + part * _PLANES
        same = slice(start, start + len(shared))
        _backward(flat[same], shared, out[same])

    _threads.run(piece, per_image * (planes // len(distinct)))
    return out.reshape(*gradient.shape[:2], height, width)
