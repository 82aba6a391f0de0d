"""Sums over windows of a grid, and their adjoint, without patch matrices.

A law that needs only inner products of patches needs only window sums of products of shifted images: cost is
``O(C H W)`` a pair of neighbours instead of ``O(J p)``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from theorylab.model.patches import PatchGrid


def scaled(x: np.ndarray) -> tuple[np.ndarray, int]:
    """Return `x` as float64 times a power of two, which brings its largest entry between ½ and 1, and the exponent of the power.

    There squares do not overflow, and no digit changes.  Patches whose norm is below 1e-145 of the largest entry count as zeros.
    """
    x = np.asarray(x, dtype=np.float64)
    exponent = -int(np.frexp(abs(x).max())[1])
    # The product is the same, and quick, where the factor is a number.
    return x * 2.0**exponent if abs(exponent) < 1000 else np.ldexp(x, exponent), exponent


def rescaled(value: np.ndarray, exponent: int) -> np.ndarray:
    """``value · 2^exponent``: infinite or 0 where that is beyond the numbers of double precision."""
    with np.errstate(over="ignore"):
        return np.asarray(np.ldexp(value, exponent))


def padded(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """`x` (C, H, W) as float64 with the grid's zero padding."""
    rows, columns = grid.padding
    return np.pad(np.asarray(x, dtype=np.float64), ((0, 0), (rows, rows), (columns, columns)))


def window_sums(plane: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Sum of a padded plane (H + 2P, W + 2P) over each window: (H', W').

    Direct sums, one axis after the other: running sums would lose the small norms of dark patches.
    """
    (rows, columns), (step_rows, step_columns) = grid.output_shape, grid.stride
    tall = np.zeros((rows, plane.shape[1]))
    for i in range(grid.kernel[0]):
        tall += plane[i : i + step_rows * (rows - 1) + 1 : step_rows]
    sums = np.zeros((rows, columns))
    for k in range(grid.kernel[1]):
        sums += tall[:, k : k + step_columns * (columns - 1) + 1 : step_columns]
    return sums


def spread(values: np.ndarray, grid: PatchGrid, rows: range, columns: range) -> np.ndarray:
    """Add value ``(i, k)`` to the pixels of the given rows and columns of window ``(i, k)``: (H + 2P, W + 2P)."""
    height = grid.input_shape[1] + 2 * grid.padding[0]
    width = grid.input_shape[2] + 2 * grid.padding[1]
    (h, w), (step_rows, step_columns) = values.shape, grid.stride
    wide = np.zeros((h, width))
    for k in columns:
        wide[:, k : k + step_columns * (w - 1) + 1 : step_columns] += values
    result = np.zeros((height, width))
    for i in rows:
        result[i : i + step_rows * (h - 1) + 1 : step_rows] += wide
    return result


def crop(plane: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Return a padded plane without its padding: (H, W)."""
    (pad_rows, pad_columns), (_, height, width) = grid.padding, grid.input_shape
    return plane[pad_rows : pad_rows + height, pad_columns : pad_columns + width]


def fold(values: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """``Σ_{j∋pos} values_j``: what the windows that hold a pixel add up to, (H, W)."""
    return crop(spread(values, grid, range(grid.kernel[0]), range(grid.kernel[1])), grid).copy()


def moved(plane: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """``plane[..., pos + shift]``, 0 where that lies outside.

    Examples
    --------
    >>> moved(np.array([[1.0, 2.0, 3.0]]), (0, 1))
    array([[2., 3., 0.]])
    """
    result = np.zeros_like(plane)
    to, of = [], []
    for step, size in zip(shift, plane.shape[-2:], strict=True):
        to.append(slice(max(0, -step), max(0, size - max(0, step))))
        of.append(slice(max(0, step), max(0, size - max(0, -step))))
    result[..., to[0], to[1]] = plane[..., of[0], of[1]]
    return result


def energies(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """``‖y_j‖²`` of every patch, (H', W'), of an image that is :func:`scaled`."""
    sums = window_sums((padded(x, grid) ** 2).sum(axis=0), grid)
    return np.where(sums < 1e-290, 0.0, sums)


def overlapping_offsets(grid: PatchGrid) -> Iterator[tuple[int, int]]:
    """Offsets between the positions of two different overlapping patches, one of each pair ``±offset``."""
    rows, columns = (
        min((size - 1) // step, count - 1)
        for size, step, count in zip(grid.kernel, grid.stride, grid.output_shape, strict=True)
    )
    for i in range(rows + 1):
        for k in range(-columns, columns + 1):
            if (i, k) > (0, 0):
                yield i, k
