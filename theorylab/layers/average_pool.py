"""Average pooling, over fixed windows or to a fixed output size, and its adjoint.

Both kinds are separable: every output is a mean over rows of means over columns.  So a layer is two small matrices `rows`,
(H', H), and `columns`, (W', W): it is ``rows x columnsᵀ``, and its backward pass is the exact adjoint ``rowsᵀ R columns``.
"""

from __future__ import annotations

import numpy as np

from theorylab import _validation
from theorylab._products import product
from theorylab.layers.shapes import fitted
from theorylab.model.pooling import MaxPool

Pair = int | tuple[int, int]
Matrices = tuple[np.ndarray, np.ndarray]


def fixed(
    plane: tuple[int, int],
    size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    include_padding: bool = True,
) -> Matrices:
    """Return the matrices of means over windows of one size, as PyTorch's ``avg_pool2d`` with ``ceil_mode=False``.

    Parameters
    ----------
    plane : (H, W)
        Plane of the input.
    size : int or (vertical, horizontal)
    stride : int or (vertical, horizontal), optional
        `size` if not given.
    padding : int or (vertical, horizontal), default 0
        Zeros added on each side; at most half the size.
    include_padding : bool, default True
        Whether the divisor of a sum counts the zeros.

    Returns
    -------
    rows, columns : array, (H', H) and (W', W)

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer or no window fits.

    Examples
    --------
    >>> fixed((1, 5), (1, 2))[1]
    array([[0.5, 0.5, 0. , 0. , 0. ],
           [0. , 0. , 0.5, 0.5, 0. ]])
    """
    geometry = MaxPool(size, stride, padding)  # has the same windows and makes the same checks
    matrices = []
    for axis, count in enumerate(geometry.output_shape(plane)):
        starts = np.arange(count)[:, None] * geometry.stride[axis] - geometry.padding[axis]
        distance = np.arange(plane[axis]) - starts
        inside = ((distance >= 0) & (distance < geometry.size[axis])).astype(np.float64)
        # A window holds at least one position: the padding is at most half the size.
        matrices.append(
            inside / (geometry.size[axis] if include_padding else inside.sum(axis=1, keepdims=True))
        )
    return matrices[0], matrices[1]


def adaptive(plane: tuple[int, int], output_shape: Pair) -> Matrices:
    """Return the matrices of means over a given number of windows, as PyTorch's ``adaptive_avg_pool2d``.

    Parameters
    ----------
    plane : (H, W)
        Plane of the input.
    output_shape : int or (H', W')

    Returns
    -------
    rows, columns : array, (H', H) and (W', W)
        Window ``i`` of ``n`` is ``[⌊iH/n⌋, ⌈(i+1)H/n⌉)``: windows overlap where ``H/n`` is no integer.  With more
        outputs than inputs, entries repeat; equal numbers give identity matrices.

    Raises
    ------
    TypeError, ValueError
        If the output shape is not of positive integers.

    Examples
    --------
    >>> adaptive((1, 3), (1, 2))[1]
    array([[0.5, 0.5, 0. ],
           [0. , 0.5, 0.5]])
    """
    matrices = []
    for extent, count in zip(plane, _validation.pair(output_shape, "output_shape", 1), strict=True):
        window, position = np.arange(count)[:, None], np.arange(extent)
        inside = (position >= window * extent // count) & (position < -(-(window + 1) * extent // count))
        matrices.append(inside / inside.sum(axis=1, keepdims=True))
    return matrices[0], matrices[1]


def forward(x: np.ndarray, matrices: Matrices) -> np.ndarray:
    """Take the mean of every window.

    Parameters
    ----------
    x : float array, (B, C, H, W)
    matrices : rows, columns
        From :func:`fixed` or :func:`adaptive`.

    Returns
    -------
    array, (B, C, H', W'), of the dtype of `x`

    Raises
    ------
    ValueError
        If `x` does not have this shape.

    Notes
    -----
    A linear layer: every rule of Eq. 1 passes through it as the true gradient does.

    Examples
    --------
    >>> forward(np.array([[[[1.0, 3.0, 5.0]]]]), adaptive((1, 3), (1, 2)))
    array([[[[2., 4.]]]])
    """
    rows, columns = matrices
    return _apply(rows, fitted(x, "x", "B", "C", rows.shape[1], columns.shape[1]), columns.T)


def backward(gradient: np.ndarray, matrices: Matrices) -> np.ndarray:
    """Return the gradient with respect to the input: the adjoint of `forward`.

    Parameters
    ----------
    gradient : float array, (B, C, H', W')
        With respect to the output.
    matrices
        As for `forward`.

    Returns
    -------
    array, (B, C, H, W), of the dtype of `gradient`

    Raises
    ------
    ValueError
        If `gradient` does not have this shape.

    Notes
    -----
    Every entry of a window receives an equal share of the gradient of the window.

    Examples
    --------
    >>> backward(np.array([[[[2.0, 6.0]]]]), fixed((1, 5), (1, 2)))
    array([[[[1., 1., 3., 3., 0.]]]])
    """
    rows, columns = matrices
    return _apply(rows.T, fitted(gradient, "gradient", "B", "C", len(rows), len(columns)), columns)


def _apply(left: np.ndarray, x: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return ``left x right`` for every plane of `x`, in the floating dtype of `x`."""
    dtype = np.result_type(x.dtype, np.float32)
    return product(
        product(np.ascontiguousarray(left, dtype=dtype), x), np.ascontiguousarray(right, dtype=dtype)
    )
