"""Average pooling, over fixed windows or to a fixed output size, and its adjoint.

Both kinds are separable: every output is a mean over rows of means over columns.  So a layer is two small
matrices, ``A x Bᵀ``, and its backward pass is ``Aᵀ R B``, the exact adjoint.
"""

from __future__ import annotations

import numpy as np

from theorylab import _validation
from theorylab.layers.pool import check_planes
from theorylab.model.pooling import MaxPool

Pair = int | tuple[int, int]


def _windows(extent: int, size: int, stride: int, padding: int, include_padding: bool) -> np.ndarray:
    """``(H', H)``: row ``i`` averages window ``i`` of one axis."""
    count = (extent + 2 * padding - size) // stride + 1
    distance = np.arange(extent) - (np.arange(count)[:, None] * stride - padding)
    inside = ((distance >= 0) & (distance < size)).astype(np.float64)
    # A window holds at least one position: the padding is at most half the size.
    return np.asarray(inside / (size if include_padding else inside.sum(axis=1, keepdims=True)))


def _matrices(
    plane: tuple[int, int], size: Pair, stride: Pair | None, padding: Pair, include_padding: bool
) -> tuple[np.ndarray, np.ndarray]:
    geometry = MaxPool(size, stride, padding)  # has the same windows and makes the same checks
    geometry.output_shape(plane)
    rows, columns = (
        _windows(*axis, include_padding)
        for axis in zip(plane, geometry.size, geometry.stride, geometry.padding, strict=True)
    )
    return rows, columns


def _adaptive(extent: int, count: int) -> np.ndarray:
    """``(count, H)``: window ``i`` is ``[⌊iH/n⌋, ⌈(i+1)H/n⌉)``; windows overlap where H/n is no integer."""
    window, position = np.arange(count)[:, None], np.arange(extent)
    inside = (position >= window * extent // count) & (position < -(-(window + 1) * extent // count))
    return np.asarray(inside / inside.sum(axis=1, keepdims=True))


def _check_gradient(gradient: np.ndarray, plane: tuple[int, int]) -> np.ndarray:
    gradient = np.asarray(gradient)
    if gradient.ndim != 4 or gradient.shape[2:] != plane:
        raise ValueError(f"gradient: expected (B, C, {plane[0]}, {plane[1]}), got {gradient.shape}")
    return gradient


def _apply(rows: np.ndarray, x: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return ``rows x columns`` for every plane of `x`, in the floating dtype of `x`."""
    dtype = np.result_type(x.dtype, np.float32)
    result: np.ndarray = (
        np.ascontiguousarray(rows, dtype=dtype) @ x @ np.ascontiguousarray(columns, dtype=dtype)
    )
    return result


def forward(
    x: np.ndarray, size: Pair, stride: Pair | None = None, padding: Pair = 0, *, include_padding: bool = True
) -> np.ndarray:
    """Take the mean of every window, as PyTorch's ``avg_pool2d`` with ``ceil_mode=False``.

    Parameters
    ----------
    x : float array, (B, C, H, W)
    size : int or (vertical, horizontal)
    stride : int or (vertical, horizontal), optional
        `size` if not given.
    padding : int or (vertical, horizontal), default 0
        Zeros added on each side; at most half the size.
    include_padding : bool, default True
        Whether the divisor of a sum counts the zeros.

    Returns
    -------
    array, (B, C, H', W'), of the dtype of `x`

    Raises
    ------
    TypeError, ValueError
        If `x` does not have four axes, a size is not a positive integer or no window fits.

    Notes
    -----
    A linear layer: every rule of Eq. 1 passes through it as the true gradient does.

    Examples
    --------
    >>> forward(np.array([[[[1.0, 3.0, 5.0, 7.0]]]]), (1, 2))
    array([[[[2., 6.]]]])
    """
    x = check_planes(x)
    rows, columns = _matrices((x.shape[2], x.shape[3]), size, stride, padding, include_padding)
    return _apply(rows, x, columns.T)


def backward(
    gradient: np.ndarray,
    plane: tuple[int, int],
    size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    *,
    include_padding: bool = True,
) -> np.ndarray:
    """Return the gradient with respect to the input: the adjoint of `forward`.

    Parameters
    ----------
    gradient : float array, (B, C, H', W')
        With respect to the output.
    plane : (H, W)
        Plane of the input.
    size, stride, padding, include_padding
        As for `forward`.

    Returns
    -------
    array, (B, C, H, W), of the dtype of `gradient`

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit each other or no window fits.

    Notes
    -----
    Every entry of a window receives an equal share of the gradient of the window.

    Examples
    --------
    >>> backward(np.array([[[[2.0, 6.0]]]]), (1, 5), (1, 2))
    array([[[[1., 1., 3., 3., 0.]]]])
    """
    extents = _validation.pair(tuple(plane), "plane", 1)
    rows, columns = _matrices(extents, size, stride, padding, include_padding)
    return _apply(rows.T, _check_gradient(gradient, (len(rows), len(columns))), columns)


def adaptive_forward(x: np.ndarray, output_shape: Pair) -> np.ndarray:
    """Take the mean of windows that divide the plane into a given number, as PyTorch's ``adaptive_avg_pool2d``.

    Parameters
    ----------
    x : float array, (B, C, H, W)
    output_shape : int or (H', W')

    Returns
    -------
    array, (B, C, H', W'), of the dtype of `x`
        With more outputs than inputs, entries repeat; with equal numbers, the result equals `x`.

    Raises
    ------
    TypeError, ValueError
        If `x` does not have four axes or the output shape is not of positive integers.

    Notes
    -----
    A linear layer: every rule of Eq. 1 passes through it as the true gradient does.

    Examples
    --------
    >>> adaptive_forward(np.array([[[[1.0, 3.0, 5.0]]]]), (1, 2))
    array([[[[2., 4.]]]])
    """
    x = check_planes(x)
    counts = _validation.pair(output_shape, "output_shape", 1)
    rows, columns = (_adaptive(*axis) for axis in zip(x.shape[2:], counts, strict=True))
    return _apply(rows, x, columns.T)


def adaptive_backward(gradient: np.ndarray, plane: tuple[int, int]) -> np.ndarray:
    """Return the gradient with respect to the input: the adjoint of `adaptive_forward`.

    Parameters
    ----------
    gradient : float array, (B, C, H', W')
        With respect to the output.
    plane : (H, W)
        Plane of the input.

    Returns
    -------
    array, (B, C, H, W), of the dtype of `gradient`

    Raises
    ------
    TypeError, ValueError
        If `gradient` does not have four axes or the plane is not of positive integers.

    Notes
    -----
    Every entry of a window receives an equal share of the gradient of the window.

    Examples
    --------
    >>> adaptive_backward(np.array([[[[2.0, 4.0]]]]), (1, 3))
    array([[[[1., 3., 2.]]]])
    """
    gradient = np.asarray(gradient)
    if gradient.ndim != 4:
        raise ValueError(f"gradient: expected (B, C, H', W'), got {gradient.shape}")
    extents = _validation.pair(tuple(plane), "plane", 1)
    rows, columns = (_adaptive(*axis) for axis in zip(extents, gradient.shape[2:], strict=True))
    return _apply(rows.T, gradient, columns)
