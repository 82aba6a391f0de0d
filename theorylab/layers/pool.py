"""Max-pooling: the first maximum of each window, and the adjoint that sends a gradient back to it."""

from __future__ import annotations

import math

import numpy as np

from theorylab.layers.shapes import fitted
from theorylab.model.pooling import MaxPool


def check_winners(
    gradient: np.ndarray, winners: np.ndarray, input_shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Return both as arrays, and the plane ``(H, W)``; raise a ValueError unless they fit each other and the input."""
    gradient, winners = fitted(gradient, "gradient", "B", "C", "H'", "W'"), np.asarray(winners)
    lead, plane = tuple(input_shape[:-2]), tuple(input_shape[-2:])
    if len(plane) < 2 or len(lead) > 2 or lead != gradient.shape[2 - len(lead) : 2]:
        raise ValueError(f"input_shape: {tuple(input_shape)} does not fit a gradient of {gradient.shape}")
    if winners.shape != gradient.shape or winners.dtype.kind != "i":
        raise ValueError(
            f"winners: expected integers of shape {gradient.shape}, got {winners.dtype} of {winners.shape}"
        )
    distinct = once(winners)
    if distinct.size and not (distinct.min() >= 0 and distinct.max() < math.prod(plane)):
        raise ValueError(f"winners: an index lies outside the plane {plane}")
    return gradient, winners, (plane[0], plane[1])


def once(winners: np.ndarray) -> np.ndarray:
    """Return a single image of winners that were broadcast along the batch; return other winners as they are."""
    return winners[:1] if winners.shape[0] and winners.strides[0] == 0 else winners


def forward(x: np.ndarray, pool: MaxPool) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest entry of every window, and its position.

    Parameters
    ----------
    x : array, (B, C, H, W)
    pool : MaxPool

    Returns
    -------
    values : array, (B, C, H', W'), of the dtype of `x`
    winners : int64 array, (B, C, H', W')
        Flat index in the plane ``H×W`` of the first maximum of the window in row-major order.  In a window of zeros
        the first entry wins; in a window with a NaN, the first NaN.

    Raises
    ------
    ValueError
        If `x` does not have four axes or no window fits.

    Notes
    -----
    After a ReLU, a window whose units are all closed is a window of zeros.  Under DeconvNet, which has no gate, its
    first entry still receives the gradient of the window.

    Examples
    --------
    >>> values, winners = forward(np.array([[[[1.0, 2.0, 0.0, 0.0], [2.0, 1.0, 0.0, 0.0]]]]), MaxPool(2))
    >>> values.ravel(), winners.ravel()
    (array([2., 0.]), array([1, 2]))
    """
    x = fitted(x, "x", "B", "C", "H", "W")
    batch, channels, *plane = x.shape
    windows = pool.windows((plane[0], plane[1]))
    flat = x.reshape(batch, channels, -1)
    values = np.zeros((batch, channels, len(windows)), dtype=x.dtype)
    winners = np.full(values.shape, -1, dtype=np.int64)
    # Compare one entry of all windows at a time, because copies of overlapping windows would be large.
    for index in windows.T:
        entry = flat[..., index]
        better = (winners < 0) | (entry > values) | (np.isnan(entry) & ~np.isnan(values))
        better &= index >= 0
        np.copyto(values, entry, where=better)
        np.copyto(winners, index, where=better)
    shape = (batch, channels, *pool.output_shape((plane[0], plane[1])))
    return values.reshape(shape), winners.reshape(shape)


def backward(gradient: np.ndarray, winners: np.ndarray, input_shape: tuple[int, ...]) -> np.ndarray:
    """Send each gradient to the winner of its window: the adjoint of `forward` with the winners held fixed.

    Parameters
    ----------
    gradient : array, (B, C, H', W')
        With respect to the values.
    winners : integer array, (B, C, H', W')
        From `forward`.
    input_shape : (B, C, H, W), (C, H, W) or (H, W)

    Returns
    -------
    array, (B, C, H, W), of the dtype of `gradient`
        An entry that won several overlapping windows receives their sum.

    Raises
    ------
    ValueError
        If the shapes do not fit each other or a winner lies outside the plane.

    Notes
    -----
    The paper's Eq. 6 writes one readout weight to each winner, which equals this function for disjoint windows only.

    Examples
    --------
    >>> backward(np.array([[[[10.0, 20.0]]]]), np.array([[[[1, 1]]]]), (1, 3))
    array([[[[ 0., 30.,  0.]]]])
    """
    gradient, winners, (height, width) = check_winners(gradient, winners, input_shape)
    planes = gradient.shape[0] * gradient.shape[1]
    result = np.zeros((planes, height * width), dtype=gradient.dtype)
    plane = np.arange(planes)[:, None]
    np.add.at(result, (plane, winners.reshape(planes, -1)), gradient.reshape(planes, -1))
    return result.reshape(*gradient.shape[:2], height, width)
