"""Convolutions of 3×3 with stride 1 by Winograd's minimal filtering: a quarter of the multiplications.

A tile of 4 × 4 outputs needs 6 × 6 inputs.  The method reads inputs and filter as polynomials, evaluates both at 0, ±3/4,
±3/2 and infinity in both directions, multiplies the values, sums over the channels, and interpolates the outputs.  Rounding
errors of single precision are twice those of a plain sum; with the usual points 0, ±1 and ±2 they would be four times.

Source: Winograd (1980); Lavin and Gray (2016) for convolutions; points found by trial, as in Barabasz et al. (2020).
"""

from __future__ import annotations

import itertools

import numpy as np

from theorylab._compiled import Array, compiled
from theorylab._products import product
from theorylab.kernels import _threads

TILE = 4  # outputs of a tile in each direction
_POINTS = 36

_A, _B = 0.75, 1.5
_A2, _B2 = _A * _A, _B * _B
# Factors of the filter's values: the inverse product of a point's distances to the other points.
_F0, _FA, _FB = 1 / (_A2 * _B2), 1 / (2 * _A2 * (_A2 - _B2)), 1 / (2 * _B2 * (_B2 - _A2))

_BLOCK = 64  # number of output channels whose filters are evaluated together
_FEW_FILTERS = 256  # up to this number, every piece of a few tiles may read the values of all filters again
_TILE_BYTES = 2**20  # evaluated inputs in such a piece,
_FEW_TILES = 112  # which has at least so many tiles: a narrower product is slow
_CHUNK_TILES = 320  # tiles in a chunk of `filter_by_filter`: enough to pay for evaluating the filters again


# The layout of arrays lets each of the three transforms below run over long contiguous rows, in both directions.


@compiled
def _input_values(x: Array, v: Array) -> None:
    """Evaluate the polynomials with the coefficients `x` (6, n) at the six points: `v` (6, n)."""
    kind = v.dtype.type
    a, b, a2, b2 = kind(_A), kind(_B), kind(_A2), kind(_B2)
    total, product = kind(_A2 + _B2), kind(_A2 * _B2)
    for s in range(v.shape[1]):
        even_a, odd_a = x[4, s] - b2 * x[2, s], a * (x[3, s] - b2 * x[1, s])
        even_b, odd_b = x[4, s] - a2 * x[2, s], b * (x[3, s] - a2 * x[1, s])
        v[0, s] = (x[4, s] - total * x[2, s]) + product * x[0, s]
        v[1, s] = even_a + odd_a
        v[2, s] = even_a - odd_a
        v[3, s] = even_b + odd_b
        v[4, s] = even_b - odd_b
        v[5, s] = (x[5, s] - total * x[3, s]) + product * x[1, s]


@compiled
def _filter_values(g: Array, v: Array) -> None:
    """Evaluate the polynomials with the coefficients `g` (3, n) at the six points, times their factors: `v` (6, n)."""
    kind = v.dtype.type
    a, b, a2, b2 = kind(_A), kind(_B), kind(_A2), kind(_B2)
    f0, fa, fb = kind(_F0), kind(_FA), kind(_FB)
    for s in range(v.shape[1]):
        even_a, odd_a = g[0, s] + a2 * g[2, s], a * g[1, s]
        even_b, odd_b = g[0, s] + b2 * g[2, s], b * g[1, s]
        v[0, s] = f0 * g[0, s]
        v[1, s] = fa * (even_a + odd_a)
        v[2, s] = fa * (even_a - odd_a)
        v[3, s] = fb * (even_b + odd_b)
        v[4, s] = fb * (even_b - odd_b)
        v[5, s] = g[2, s]


@compiled
def _outputs(m: Array, y: Array) -> None:
    """Interpolate the polynomials with the six values `m` (6, n): four coefficients `y` (4, n)."""
    kind = y.dtype.type
    a, b, a2, b2 = kind(_A), kind(_B), kind(_A2), kind(_B2)
    a3, b3 = kind(_A * _A2), kind(_B * _B2)
    for s in range(y.shape[1]):
        even_a, odd_a = m[1, s] + m[2, s], m[1, s] - m[2, s]
        even_b, odd_b = m[3, s] + m[4, s], m[3, s] - m[4, s]
        y[0, s] = m[0, s] + (even_a + even_b)
        y[1, s] = a * odd_a + b * odd_b
        y[2, s] = a2 * even_a + b2 * even_b
        y[3, s] = a3 * odd_a + (b3 * odd_b + m[5, s])


@compiled
def evaluate_inputs(images: Array, first: int, pad: int, rows: int, start: int, out: Array) -> None:
    """Evaluate the tiles of ``len(out)`` channels from `start` on: `out` (C, 36, R, S).

    The numbers of the rows of tiles run through all images, `rows` in each; `first` is the number of the first of R.
    """
    height, width = images.shape[2], images.shape[3]
    count, columns = out.shape[2], out.shape[3]
    x = np.zeros((6, count, TILE * columns + 2), out.dtype)
    v = np.empty(x.shape, out.dtype)
    z = np.empty((6, 6, count, columns), out.dtype)
    stop = min(width, x.shape[2] - pad)
    before = np.uint64(pad)  # a signed index might count from the end, and would prevent vector instructions
    for c in range(len(out)):
        for r in range(count):
            image, top = (first + r) // rows, TILE * ((first + r) % rows) - pad
            for i in range(max(0, -top), min(6, height - top)):
                for s in range(stop):
                    x[i, r, before + np.uint64(s)] = images[image, start + c, top + i, s]
        _input_values(x.reshape(6, -1), v.reshape(6, -1))
        for k in range(6):
            for i in range(6):
                for r in range(count):
                    for s in range(columns):
                        z[k, i, r, s] = v[i, r, TILE * s + k]
        _input_values(z.reshape(6, -1), out[c].reshape(6, -1))


@compiled
def evaluate_filters(weights: Array, start: int, adjoint: bool, out: Array) -> None:
    """Evaluate the filters of ``len(out)`` output channels from `start` on: `out` (N, 36, C).

    `weights` is (N, C, 9).  With `adjoint`, swap input and output channels and turn the filters by 180 degrees.
    """
    count, channels = out.shape[0], out.shape[2]
    g = np.empty((count, 3, 3, channels), out.dtype)
    if adjoint:
        for c in range(channels):
            for n in range(count):
                for q in range(9):
                    g[n, q // 3, q % 3, c] = weights[c, start + n, 8 - q]
    else:
        for n in range(count):
            for c in range(channels):
                for q in range(9):
                    g[n, q // 3, q % 3, c] = weights[start + n, c, q]
    v = np.empty((6, 3, channels), out.dtype)
    z = np.empty((3, 6, channels), out.dtype)
    for n in range(count):
        _filter_values(g[n].reshape(3, -1), v.reshape(6, -1))
        for k in range(3):
            for i in range(6):
                z[k, i] = v[i, k]
        _filter_values(z.reshape(3, -1), out[n].reshape(6, -1))


@compiled
def interpolate(m: Array, first: int, rows: int, bias: Array, start: int, out: Array) -> None:
    """Interpolate ``len(m)`` output channels from `start` on from sums of products `m` (N, 36, R, S)."""
    height, width = out.shape[2], out.shape[3]
    count, columns = m.shape[2], m.shape[3]
    whole = width // TILE
    h = np.empty((TILE, 6, count * columns), m.dtype)
    y = np.empty((TILE, TILE, count, columns), m.dtype)
    for n in range(len(m)):
        _outputs(m[n].reshape(6, -1), h.reshape(TILE, -1))
        for k in range(TILE):
            _outputs(h[k], y[k].reshape(TILE, -1))
        shift = bias[start + n]
        for r in range(count):
            image, top = (first + r) // rows, TILE * ((first + r) % rows)
            for i in range(min(TILE, height - top)):
                for s in range(whole):
                    out[image, start + n, top + i, TILE * s] = y[0, i, r, s] + shift
                    out[image, start + n, top + i, TILE * s + 1] = y[1, i, r, s] + shift
                    out[image, start + n, top + i, TILE * s + 2] = y[2, i, r, s] + shift
                    out[image, start + n, top + i, TILE * s + 3] = y[3, i, r, s] + shift
                for k in range(width - TILE * whole):
                    out[image, start + n, top + i, TILE * whole + k] = y[k, i, r, whole] + shift


def worth_it(n_inputs: int, n_outputs: int, n_tiles: int) -> bool:
    """Tell whether the products are large enough to pay for the evaluations; the bounds are measured.

    Examples
    --------
    >>> worth_it(64, 64, 3136), worth_it(3, 64, 3136)
    (True, False)
    """
    return min(n_inputs, n_outputs) >= 32 and n_tiles >= 40


def convolve(
    images: np.ndarray, weights: np.ndarray, pad: int, bias: np.ndarray, adjoint: bool, out: np.ndarray
) -> None:
    """Compute the cross-correlation of images with filters of 3×3 at stride 1, or its adjoint in the images.

    Parameters
    ----------
    images : array, (B, C, H, W), C-contiguous
        With `adjoint` the gradients (B, N, H', W').
    weights : array, (N, C, 3, 3), C-contiguous
    pad : int, 0 to 2
        Zeros around the images; ``2 - P`` for the adjoint of a convolution with padding P.
    bias : array, (number of output channels,)
    adjoint : bool
        Sum over the filters, turned by 180 degrees, instead of over the channels.
    out : array, (B, N or C, H + 2 pad - 2, W + 2 pad - 2), C-contiguous
        Overwritten.  All arrays have the same dtype.

    Notes
    -----
    The shapes alone determine the chunks of tiles and the blocks of outputs, so the numbers do not depend on the threads.

    Examples
    --------
    >>> out = np.empty((1, 1, 2, 2))
    >>> convolve(np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3)), 0, np.zeros(1), False, out)
    >>> np.allclose(out, 9)
    True
    """
    channels, n_outputs = images.shape[1], out.shape[1]
    rows, columns = n_tiles(out.shape[2]), n_tiles(out.shape[3])
    total = rows * len(images)  # number of rows of tiles in all images
    taps = weights.reshape(*weights.shape[:2], 9)
    blocks = [slice(start, min(start + _BLOCK, n_outputs)) for start in range(0, n_outputs, _BLOCK)]

    def filter_values(block: slice, filters: np.ndarray) -> None:
        evaluate_filters(taps, block.start, adjoint, filters)

    def input_values(first: int, channel: int, inputs: np.ndarray) -> None:
        evaluate_inputs(images, first, pad, rows, channel, inputs)

    def outputs(first: int, block: slice, filters: np.ndarray, inputs: np.ndarray) -> None:
        products = workspace("products", len(filters), *inputs.shape[1:])
        # At each of the 36 points, (N, C) times (C, T).  In memory the points are the middle axis, as the loops write it.
        product(
            filters.transpose(1, 0, 2),
            inputs.reshape(channels, _POINTS, -1).transpose(1, 0, 2),
            out=products.reshape(len(filters), _POINTS, -1).transpose(1, 0, 2),
        )
        interpolate(products, first, rows, bias, block.start, out)

    def workspace(name: str, *shape: int) -> np.ndarray:
        return _threads.workspace(f"winograd {name}", shape, out.dtype)

    def chunks(tiles: int) -> list[tuple[int, int]]:
        """Split the rows into chunks of similar size, at most `tiles` tiles (or one row): first row, number of rows."""
        number = -(-total // max(1, tiles // columns))
        bounds = [total * i // number for i in range(number + 1)]
        return [(start, stop - start) for start, stop in itertools.pairwise(bounds)]

    def tile_by_tile(parts: list[tuple[int, int]]) -> None:
        """Evaluate all filters; then each piece takes a few tiles from inputs to outputs, in the cache of its thread."""
        filters = workspace("filters", n_outputs, _POINTS, channels)
        _threads.run(lambda number: filter_values(blocks[number], filters[blocks[number]]), len(blocks))

        def piece(number: int) -> None:
            first, count = parts[number]
            inputs = workspace("inputs", channels, _POINTS, count, columns)
            input_values(first, 0, inputs)
            outputs(first, slice(0, n_outputs), filters, inputs)

        _threads.run(piece, len(parts))

    def filter_by_filter(first: int, count: int) -> None:
        """Evaluate the inputs of a chunk; then each piece evaluates a block of filters, in its cache, and applies it."""
        inputs = workspace("inputs", channels, _POINTS, count, columns)
        group = max(1, channels // 16)

        def share(number: int) -> None:
            start = number * group
            input_values(first, start, inputs[start : start + group])

        def piece(number: int) -> None:
            block = blocks[number]
            filters = workspace("filters", block.stop - block.start, _POINTS, channels)
            filter_values(block, filters)
            outputs(first, block, filters, inputs)

        _threads.run(share, -(-channels // group))
        _threads.run(piece, len(blocks))

    # The plan: with few filters and enough pieces of tiles for all threads, share out the tiles and evaluate each filter
    # once.  Otherwise share out the filters, and evaluate them once for each chunk of tiles.
    with _threads.single_blas():
        parts = chunks(max(_FEW_TILES, _TILE_BYTES // (_POINTS * channels * out.itemsize)))
        if n_outputs <= _FEW_FILTERS and len(parts) >= 4:
            tile_by_tile(parts)
        else:
            for first, count in chunks(_CHUNK_TILES):
                filter_by_filter(first, count)


def n_tiles(extent: int) -> int:
    """Count the tiles that cover `extent` outputs."""
    return -(-extent // TILE)
