"""Twins of the functions of :mod:`theorylab.layers.conv` that maps need, in pieces that fit a processor's cache.

Filters of 3×3 at stride 1 go through :mod:`theorylab.kernels.winograd` where that is faster; all others are products of
filters with columns of patches, for a few rows of patches or a few channels at a time.  Shapes alone determine the pieces,
and one BLAS thread multiplies each, so the numbers do not depend on the number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab._products import product
from theorylab.kernels import _threads, winograd
from theorylab.kernels.columns import gather, scatter
from theorylab.layers.shapes import fitted
from theorylab.model.patches import PatchGrid

_PIECE_BYTES = 2**20  # columns that one thread cuts and multiplies alone
_CHUNK_BYTES = 16 * 2**20  # columns that all threads cut together, if there would be too few pieces
_NARROW = 128  # a product with fewer columns is slow
_FILTERS = 128  # number of filters that one thread multiplies with such a chunk


def forward(
    x: np.ndarray, weights: np.ndarray, grid: PatchGrid, bias: np.ndarray | None = None
) -> np.ndarray:
    """Return the inner product of every filter with every patch: ``(B, C, H, W)`` to ``(B, N, H', W')``.

    Parameters, result, errors: as the specification, :func:`theorylab.layers.conv.forward` (Eq. 4).

    Examples
    --------
    >>> import numpy as np
    >>> grid = PatchGrid((1, 2, 3), kernel=2)
    >>> forward(np.arange(6.0).reshape(1, 1, 2, 3), np.ones((1, 1, 2, 2)), grid)
    array([[[[ 8., 12.]]]])
    """
    x = fitted(x, "x", "B", *grid.input_shape)
    weights = fitted(weights, "weights", "N", grid.input_shape[0], *grid.kernel)
    dtype = np.result_type(x, weights) if bias is None else np.result_type(x, weights, bias)
    start = (
        np.zeros(len(weights), dtype) if bias is None else fitted(bias, "bias", len(weights)).astype(dtype)
    )
    x, weights = (np.ascontiguousarray(array, dtype=dtype) for array in (x, weights))
    out = np.empty((len(x), len(weights), *grid.output_shape), dtype)
    if _by_winograd(grid, x.shape[1], out):
        winograd.convolve(x, weights, grid.padding[0], start, False, out)
    else:
        _multiply_columns(x, weights.reshape(len(weights), -1), grid, start, out)
    return out


def _by_winograd(grid: PatchGrid, n_inputs: int, out: np.ndarray) -> bool:
    """Tell whether :mod:`theorylab.kernels.winograd` takes filters of this size, stride and padding, and is faster."""
    fits = grid.kernel == (3, 3) and grid.stride == (1, 1) and grid.padding[0] == grid.padding[1] <= 2
    tiles = len(out) * winograd.n_tiles(out.shape[2]) * winograd.n_tiles(out.shape[3])
    return fits and winograd.worth_it(n_inputs, out.shape[1], tiles)


def _row_chunks(grid: PatchGrid, per_patch: int, limit: int) -> list[tuple[int, int]]:
    """Split the rows of patches, of `per_patch` bytes each patch, into chunks of at most `limit` bytes (or one row)."""
    rows, columns = grid.output_shape
    step = min(rows, max(1, limit // (per_patch * columns)))
    return [(first, min(rows, first + step)) for first in range(0, rows, step)]


def _multiply_columns(
    x: np.ndarray, matrix: np.ndarray, grid: PatchGrid, bias: np.ndarray, out: np.ndarray
) -> None:
    """Convolve by products of filters with columns.

    The plan: if there are enough pieces of rows for all threads, each wide enough for a fast product, a thread cuts the
    columns of a piece and multiplies them by all filters.  Otherwise all threads cut the columns of a larger chunk
    together, each some channels of it, and then multiply it together, each by some filters.
    """
    channels, width, area = grid.input_shape[0], grid.output_shape[1], math.prod(grid.kernel)
    flat = out.reshape(*out.shape[:2], -1)

    def columns_of(image: int, first: int, last: int, groups: list[slice]) -> np.ndarray:
        """Cut the columns of rows of patches, a group of channels at a time."""
        if grid.kernel == (1, 1) and grid.stride == (1, 1) and grid.padding == (0, 0):
            columns: np.ndarray = x[image].reshape(channels, -1)[:, first * width : last * width]  # no copy
            return columns
        columns = _threads.workspace("columns", (grid.patch_size, (last - first) * width), out.dtype)

        def cut(number: int) -> None:
            group = groups[number]
            taps = columns[group.start * area : group.stop * area]
            gather(x[image, group], grid.kernel, grid.stride, grid.padding, first, last, width, taps)

        _threads.run(cut, len(groups))
        return columns

    def multiply(image: int, first: int, last: int, columns: np.ndarray, filters: slice) -> None:
        outputs = flat[image, filters, first * width : last * width]
        product(matrix[filters], columns, out=outputs)
        outputs += bias[filters, None]

    both = (grid.patch_size + len(matrix)) * out.itemsize  # the column and the outputs of a patch
    small = [(b, *rows) for b in range(len(x)) for rows in _row_chunks(grid, both, _PIECE_BYTES)]
    widest = max(last - first for _, first, last in small)
    if len(small) >= 4 and (widest == grid.output_shape[0] or widest * width >= _NARROW):

        def piece(number: int) -> None:
            multiply(*small[number], columns_of(*small[number], [slice(0, channels)]), slice(None))

        _threads.run(piece, len(small))
        return

    blocks = [slice(start, start + _FILTERS) for start in range(0, len(matrix), _FILTERS)]
    group = max(1, channels // 16)
    groups = [slice(start, min(channels, start + group)) for start in range(0, channels, group)]

    def chunk(image: int, first: int, last: int) -> None:
        columns = columns_of(image, first, last, groups)
        _threads.run(lambda number: multiply(image, first, last, columns, blocks[number]), len(blocks))

    with _threads.single_blas():
        for image in range(len(x)):
            for first, last in _row_chunks(grid, grid.patch_size * out.itemsize, _CHUNK_BYTES):
                chunk(image, first, last)


def backward_input(gradient: np.ndarray, weights: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Return the gradient with respect to the image: ``(B, N, H', W')`` to ``(B, C, H, W)``.

    Parameters, result, errors: as the specification, :func:`theorylab.layers.conv.backward_input` (Eq. 4).

    Examples
    --------
    >>> import numpy as np
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> backward_input(np.array([[[[1.0, 10.0]]]]), np.array([[[[2.0, 3.0]]]]), grid)
    array([[[[ 2., 23., 30.]]]])
    """
    weights = fitted(weights, "weights", "N", grid.input_shape[0], *grid.kernel)
    gradient = fitted(gradient, "gradient", "B", len(weights), *grid.output_shape)
    dtype = np.result_type(gradient, weights)
    gradient, weights = (np.ascontiguousarray(array, dtype=dtype) for array in (gradient, weights))
    channels = grid.input_shape[0]
    out = np.empty((len(gradient), *grid.input_shape), dtype)
    if _by_winograd(grid, len(weights), out):
        winograd.convolve(gradient, weights, 2 - grid.padding[0], np.zeros(channels, dtype), True, out)
        return out
    rows, columns = grid.output_shape
    area = math.prod(grid.kernel)
    matrix = weights.reshape(len(weights), -1)
    flat = gradient.reshape(*gradient.shape[:2], -1)
    # A thread takes a block of channels: it multiplies their rows of columns and adds them to the image.
    block = max(1, min(_PIECE_BYTES // (area * grid.n_patches * out.itemsize), channels // 4))
    per_image = -(-channels // block)

    def piece(number: int) -> None:
        image, start = number // per_image, number % per_image * block
        planes = out[image, start : start + block]
        shape = (len(planes) * area, grid.n_patches)
        products = _threads.workspace("columns", shape, dtype)
        product(matrix[:, start * area : start * area + shape[0]].T, flat[image], out=products)
        planes[:] = 0
        scatter(products, grid.kernel, grid.stride, grid.padding, rows, columns, planes)

    _threads.run(piece, len(out) * per_image)
    return out
