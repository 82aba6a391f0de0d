"""Compiled twins of :mod:`theorylab.layers.conv`: direct loops over windows, no im2col matrix and no BLAS.

They hold one patch at a time and add in a fixed order, so their numbers depend on no library's thread count.
"""

from __future__ import annotations

import numpy as np

from theorylab.kernels._policy import compiled
from theorylab.kernels.patches import gather, scatter
from theorylab.layers.conv import check_batch, check_bias, check_gradient, check_weights
from theorylab.patches import PatchGrid

# In every kernel below the innermost loop adds a multiple of one vector to another: it has no running sum, so
# the compiler may use vector instructions without changing the order of any addition.


@compiled
def _forward(x, weights, bias, kernel_size, stride, padding, rows, columns, out):
    size, n_filters = weights.shape  # transposed: (p, N)
    patch = np.empty(size, x.dtype)
    sums = np.empty(n_filters, out.dtype)
    for b in range(x.shape[0]):
        for j in range(rows * columns):
            top = j // columns * stride[0] - padding[0]
            left = j % columns * stride[1] - padding[1]
            gather(x[b], top, left, kernel_size[0], kernel_size[1], patch)
            sums[:] = bias
            for q in range(size):
                value = patch[q]
                for n in range(n_filters):
                    sums[n] += value * weights[q, n]
            for n in range(n_filters):
                out[b, n, j] = sums[n]


@compiled
def _backward_patch(gradient, weights, j, patch):
    patch[:] = 0
    for n in range(weights.shape[0]):
        value = gradient[n, j]
        for q in range(weights.shape[1]):
            patch[q] += value * weights[n, q]


@compiled
def _backward_input(gradient, weights, kernel_size, stride, padding, rows, columns, out):
    patch = np.empty(weights.shape[1], out.dtype)
    for b in range(gradient.shape[0]):
        for j in range(rows * columns - 1, -1, -1):
            top = j // columns * stride[0] - padding[0]
            left = j % columns * stride[1] - padding[1]
            _backward_patch(gradient[b], weights, j, patch)
            scatter(patch, out[b], top, left, kernel_size[0], kernel_size[1])


@compiled
def _backward_weights(gradient, x, kernel_size, stride, padding, rows, columns, out):
    patch = np.empty(out.shape[1], x.dtype)
    for b in range(gradient.shape[0]):
        for j in range(rows * columns):
            top = j // columns * stride[0] - padding[0]
            left = j % columns * stride[1] - padding[1]
            gather(x[b], top, left, kernel_size[0], kernel_size[1], patch)
            for n in range(out.shape[0]):
                value = gradient[b, n, j]
                for q in range(out.shape[1]):
                    out[n, q] += value * patch[q]


@compiled
def _backward_bias(gradient, out):
    for b in range(gradient.shape[0]):
        for n in range(gradient.shape[1]):
            for j in range(gradient.shape[2]):
                out[n] += gradient[b, n, j]


def _geometry(
    grid: PatchGrid,
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], int, int]:
    return (grid.kernel, grid.stride, grid.padding, *grid.output_shape)


def _flat(gradient: np.ndarray) -> np.ndarray:
    batch, n_filters, rows, columns = gradient.shape
    return np.ascontiguousarray(gradient).reshape(batch, n_filters, rows * columns)


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
    transposed = np.ascontiguousarray(weights.reshape(len(weights), -1).T)
    out = np.empty((len(x), len(weights), grid.n_patches), dtype)
    _forward(np.ascontiguousarray(x), transposed, start, *_geometry(grid), out)
    return out.reshape(len(x), len(weights), *grid.output_shape)


def backward_patches(gradient: np.ndarray, weights: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Gradient with respect to every patch: ``(B, N, H', W')`` to ``(B, J, p)``.

    Parameters, result, errors: as the specification, :func:`theorylab.layers.conv.backward_patches` (Eq. 4).

    Examples
    --------
    >>> import numpy as np
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> backward_patches(np.array([[[[1.0, 10.0]]]]), np.array([[[[2.0, 3.0]]]]), grid)
    array([[[ 2.,  3.],
            [20., 30.]]])
    """
    weights = check_weights(weights, grid)
    gradient = check_gradient(gradient, grid, len(weights))
    flat, matrix = _flat(gradient), np.ascontiguousarray(weights).reshape(len(weights), -1)
    out = np.empty((len(gradient), grid.n_patches, grid.patch_size), np.result_type(gradient, weights))
    _backward_patches(flat, matrix, out)
    return out


@compiled
def _backward_patches(gradient, weights, out):
    for b in range(gradient.shape[0]):
        for j in range(gradient.shape[2]):
            _backward_patch(gradient[b], weights, j, out[b, j])


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
    out = np.zeros((len(gradient), *grid.input_shape), np.result_type(gradient, weights))
    matrix = np.ascontiguousarray(weights).reshape(len(weights), -1)
    _backward_input(_flat(gradient), matrix, *_geometry(grid), out)
    return out


def backward_weights(gradient: np.ndarray, x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Gradient with respect to the filters, summed over the batch: ``(N, C, kh, kw)``.

    Parameters, result, errors: as the specification, :func:`theorylab.layers.conv.backward_weights`.

    Examples
    --------
    >>> import numpy as np
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> backward_weights(np.array([[[[1.0, 10.0]]]]), np.array([[[[2.0, 3.0, 4.0]]]]), grid)
    array([[[[32., 43.]]]])
    """
    x, gradient = check_batch(x, grid), check_gradient(gradient, grid)
    if len(gradient) != len(x):
        raise ValueError(f"gradient: batch of {len(gradient)} for {len(x)} images")
    out = np.zeros((gradient.shape[1], grid.patch_size), np.result_type(gradient, x))
    _backward_weights(_flat(gradient), np.ascontiguousarray(x), *_geometry(grid), out)
    return out.reshape(-1, grid.input_shape[0], *grid.kernel)


def backward_bias(gradient: np.ndarray) -> np.ndarray:
    """Gradient with respect to the bias: ``(B, N, H', W')`` to ``(N,)``.

    Parameters, result, errors: as the specification, :func:`theorylab.layers.conv.backward_bias`.

    Examples
    --------
    >>> import numpy as np
    >>> backward_bias(np.ones((2, 3, 4, 5)))
    array([40., 40., 40.])
    """
    gradient = np.asarray(gradient)
    if gradient.ndim != 4:
        raise ValueError(f"gradient: expected (B, N, H', W'), got {gradient.shape}")
    out = np.zeros(gradient.shape[1], gradient.dtype)
    _backward_bias(_flat(gradient), out)
    return out
