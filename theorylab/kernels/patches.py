"""A compiled twin of :meth:`theorylab.model.patches.PatchGrid.extract`, equal to it bit by bit."""

from __future__ import annotations

import numpy as np

from theorylab.kernels._policy import Array, Pair, compiled
from theorylab.model.patches import PatchGrid


@compiled
def clip(start: int, size: int, extent: int) -> tuple[int, int]:
    """Return the first and one past the last offset of a window that lie inside ``[0, extent)``."""
    return max(0, -start), min(size, extent - start)


@compiled
def gather(image: Array, top: int, left: int, kernel_rows: int, kernel_columns: int, patch: Array) -> None:
    """Copy one window of an image ``(C, H, W)`` into a patch ``(p,)``; padding reads as 0."""
    channels, height, width = image.shape
    first_row, last_row = clip(top, kernel_rows, height)
    first_column, last_column = clip(left, kernel_columns, width)
    if last_row - first_row < kernel_rows or last_column - first_column < kernel_columns:
        patch[:] = 0
    for c in range(channels):
        for i in range(first_row, last_row):
            start = (c * kernel_rows + i) * kernel_columns
            for k in range(first_column, last_column):
                patch[start + k] = image[c, top + i, left + k]


@compiled
def _extract(
    images: Array, kernel: Pair, stride: Pair, padding: Pair, rows: int, columns: int, patches: Array
) -> None:
    for b in range(images.shape[0]):
        for row in range(rows):
            for column in range(columns):
                gather(
                    images[b],
                    row * stride[0] - padding[0],
                    column * stride[1] - padding[1],
                    kernel[0],
                    kernel[1],
                    patches[b, row * columns + column],
                )


def extract(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Cut all patches out of an image (im2col).

    Parameters
    ----------
    x : float array, (..., C, H, W)
    grid : PatchGrid

    Returns
    -------
    array, (..., J, p), of the same dtype

    Raises
    ------
    ValueError
        If the last three axes are not the grid's.

    Notes
    -----
    Specification: :meth:`theorylab.model.patches.PatchGrid.extract`; the ``D_j`` of Eq. 4.

    Examples
    --------
    >>> import numpy as np
    >>> grid = PatchGrid((1, 2, 3), kernel=2)
    >>> extract(np.arange(6.0).reshape(1, 2, 3), grid)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.]])
    """
    x = np.asarray(x)
    if x.shape[-3:] != grid.input_shape:
        raise ValueError(f"extract: expected (..., {grid.input_shape}), got {x.shape}")
    images = np.ascontiguousarray(x).reshape(-1, *grid.input_shape)
    patches = np.empty((len(images), grid.n_patches, grid.patch_size), dtype=x.dtype)
    _extract(images, grid.kernel, grid.stride, grid.padding, *grid.output_shape, patches)
    return patches.reshape(*x.shape[:-3], grid.n_patches, grid.patch_size)
