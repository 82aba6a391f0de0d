"""Twins of what maps need of :mod:`theorylab.layers.conv`: the same convolutions in pieces that a processor's cache holds.

Filters of 3×3 at stride 1 go through :mod:`theorylab.kernels.winograd` where that is quicker; all others are products of
filters and columns of patches, a few rows of patches or a few channels at a time.  Pieces are cut by shapes alone, and each
is multiplied by one BLAS thread: the numbers do not depend on how many threads there are.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab.kernels import _threads, winograd
from theorylab.kernels.columns import gather, scatter
from theorylab.layers.conv import check_batch, check_bias, check_gradient, check_weights
from theorylab.patches import PatchGrid

_PIECE_BYTES = 2**20  # of columns that one thread cuts and multiplies alone
_CHUNK_BYTES = 16 * 2**20  # of columns that all threads cut together, where pieces would be too few
_NARROW = 128  # columns: products with fewer are slow
_FILTERS = 128  # at a time


def forward(
    x: np.ndarray, weights: np.ndarray, grid: PatchGrid, bias: np.ndarray | None = None
) -> np.ndarray:
    """Inner product of every filter with every patch: ``(B, C, H, W)`` to ``(B, N, H', W')``.

    Parameters, result, errors: as the specification, :func:`theorylab.layers.conv.forward` (Eq. 4).

    Examples
    --------
    >>> import numpy as np
    >>> grid = PatchGrid((1, 2, 3), kernel=2)
    >>> forward(np.arange(6.0).reshape(1, 1, 2, 3), np.ones((1, 1, 2, 2)), grid)
    array([[[[ 8., 12.]]]])
    """
    x, weights = check_batch(x, grid), check_weights(weights, grid)
    dtype = np.result_type(x, weights) if bias is None else np.result_type(x, weights, bias)
    start = np.zeros(len(weights), dtype) if bias is None else check_bias(bias, len(weights)).astype(dtype)
    x, weights = (np.ascontiguousarray(array, dtype=dtype) for array in (x, weights))
    out = np.empty((len(x), len(weights), *grid.output_shape), dtype)
    if _small_filters(grid) and winograd.worth_it(x.shape[1], len(weights), len(x) * _tiles(out)):
        winograd.convolve(x, weights, grid.padding[0], start, False, out)
    else:
        _multiply_columns(x, weights.reshape(len(weights), -1), grid, start, out)
    return out


def _small_filters(grid: PatchGrid) -> bool:
    """Whether these are the filters for which there is something better than columns."""
    return (
        grid.kernel == (3, 3)
        and grid.stride == (1, 1)
        and grid.padding[0] == grid.padding[1]
        and grid.padding[0] <= 2
    )


def _tiles(plane: np.ndarray) -> int:
    return winograd.n_tiles(plane.shape[-2]) * winograd.n_tiles(plane.shape[-1])


def _row_chunks(grid: PatchGrid, per_patch: int, limit: int) -> list[tuple[int, int]]:
    """Rows of patches, from and to, at most `limit` bytes at a time (or one row), of so many bytes a patch."""
    rows, columns = grid.output_shape
    step = min(rows, max(1, limit // (per_patch * columns)))
    return [(first, min(rows, first + step)) for first in range(0, rows, step)]


def _columns(
    image: np.ndarray, grid: PatchGrid, first: int, last: int, channels: slice, out: np.ndarray
) -> None:
    area = math.prod(grid.kernel)
    rows = out[channels.start * area : channels.stop * area]
    gather(image[channels], grid.kernel, grid.stride, grid.padding, first, last, grid.output_shape[1], rows)


def _multiply_columns(
    x: np.ndarray, matrix: np.ndarray, grid: PatchGrid, bias: np.ndarray, out: np.ndarray
) -> None:
    channels, width = grid.input_shape[0], grid.output_shape[1]
    whole = grid.kernel == (1, 1) and grid.stride == (1, 1) and grid.padding == (0, 0)
    flat = out.reshape(*out.shape[:2], -1)

    def product(image: int, first: int, last: int, columns: np.ndarray, filters: slice) -> None:
        part = flat[image, filters, first * width : last * width]
        np.matmul(matrix[filters], columns, out=part)
        part += bias[filters, None]

    both = (grid.patch_size + len(matrix)) * out.itemsize  # a patch's column and what the filters make of it
    small = [(b, *rows) for b in range(len(x)) for rows in _row_chunks(grid, both, _PIECE_BYTES)]
    widest = max(last - first for _, first, last in small)
    if len(small) >= 4 and (widest == grid.output_shape[0] or widest * width >= _NARROW):
        # Enough pieces for all threads, each wide enough for a quick product: every thread cuts its columns.
        def piece(number: int) -> None:
            image, first, last = small[number]
            if whole:
                columns = x[image].reshape(channels, -1)[:, first * width : last * width]
            else:
                shape = (grid.patch_size, (last - first) * width)
                columns = _threads.workspace("columns", shape, out.dtype)
                _columns(x[image], grid, first, last, slice(0, channels), columns)
            product(image, first, last, columns, slice(None))

        _threads.run(piece, len(small))
        return

    blocks = [slice(start, start + _FILTERS) for start in range(0, len(matrix), _FILTERS)]
    group = max(1, channels // 16)
    groups = [slice(start, min(channels, start + group)) for start in range(0, channels, group)]

    def chunk(image: int, first: int, last: int) -> None:
        if whole:
            columns = x[image].reshape(channels, -1)[:, first * width : last * width]
        else:
            shape = (grid.patch_size, (last - first) * width)
            columns = _threads.workspace("columns", shape, out.dtype)

            def cut(number: int) -> None:
                _columns(x[image], grid, first, last, groups[number], columns)

            _threads.run(cut, len(groups))

        def multiply(number: int) -> None:
            product(image, first, last, columns, blocks[number])

        _threads.run(multiply, len(blocks))

    with _threads.single_blas():
        for image in range(len(x)):
            for first, last in _row_chunks(grid, grid.patch_size * out.itemsize, _CHUNK_BYTES):
                chunk(image, first, last)


def backward_input(gradient: np.ndarray, weights: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Gradient with respect to the image: ``(B, N, H', W')`` to ``(B, C, H, W)``.

    Parameters, result, errors: as the specification, :func:`theorylab.layers.conv.backward_input` (Eq. 4).

    Examples
    --------
    >>> import numpy as np
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> backward_input(np.array([[[[1.0, 10.0]]]]), np.array([[[[2.0, 3.0]]]]), grid)
    array([[[[ 2., 23., 30.]]]])
    """
    weights = check_weights(weights, grid)
    gradient = check_gradient(gradient, grid, len(weights))
    dtype = np.result_type(gradient, weights)
    gradient, weights = (np.ascontiguousarray(array, dtype=dtype) for array in (gradient, weights))
    channels = grid.input_shape[0]
    out = np.empty((len(gradient), *grid.input_shape), dtype)
    if _small_filters(grid) and winograd.worth_it(len(weights), channels, len(out) * _tiles(out)):
        winograd.convolve(gradient, weights, 2 - grid.padding[0], np.zeros(channels, dtype), True, out)
        return out
    rows, columns = grid.output_shape
    area = math.prod(grid.kernel)
    matrix = weights.reshape(len(weights), -1)
    flat = gradient.reshape(*gradient.shape[:2], -1)
    block = min(
        max(1, _PIECE_BYTES // (area * grid.n_patches * out.itemsize)), max(1, channels // 4)
    )  # channels at a time
    per_image = -(-channels // block)

    def piece(number: int) -> None:
        image, start = number // per_image, number % per_image * block
        planes = out[image, start : start + block]
        shape = (len(planes) * area, grid.n_patches)
        products = _threads.workspace("columns", shape, dtype)
        np.matmul(matrix[:, start * area : start * area + shape[0]].T, flat[image], out=products)
        planes[:] = 0
        scatter(products, grid.kernel, grid.stride, grid.padding, rows, columns, planes)

    _threads.run(piece, len(out) * per_image)
    return out
