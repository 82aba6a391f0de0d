"""Convolution (the cross-correlation of neural networks): patches times filters, and its gradient."""

from __future__ import annotations

import numpy as np

from theorylab._products import product
from theorylab.layers.shapes import fitted
from theorylab.model.patches import PatchGrid


def forward(
    x: np.ndarray, weights: np.ndarray, grid: PatchGrid, bias: np.ndarray | None = None
) -> np.ndarray:
    """Return the inner product of every filter with every patch.

    Parameters
    ----------
    x : array, (B, C, H, W)
    weights : array, (N, C, kh, kw)
    grid : PatchGrid
        Position of the patches.
    bias : array, (N,), optional
        Added to every output of its filter.

    Returns
    -------
    array, (B, N, H', W')
        ``w_i · y_j``, of the common dtype of the arguments.

    Raises
    ------
    ValueError
        If a shape does not fit the grid.

    Notes
    -----
    The first layer of the network of Eq. 4, before the ReLU.

    Examples
    --------
    >>> import numpy as np
    >>> grid = PatchGrid((1, 2, 3), kernel=2)
    >>> forward(np.arange(6.0).reshape(1, 1, 2, 3), np.ones((1, 1, 2, 2)), grid)
    array([[[[ 8., 12.]]]])
    """
    x = fitted(x, "x", "B", *grid.input_shape)
    weights = fitted(weights, "weights", "N", grid.input_shape[0], *grid.kernel)
    # (N, p) @ (B, p, J): the output is contiguous with filters first, so it needs no transposition.
    result = product(weights.reshape(len(weights), -1), grid.extract(x).swapaxes(-1, -2))
    if bias is not None:
        result = result + fitted(bias, "bias", len(weights))[:, None]
    return result.reshape(len(x), len(weights), *grid.output_shape)


def backward_input(gradient: np.ndarray, weights: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Return the gradient with respect to the image: the adjoint of `forward` in ``x``.

    Parameters
    ----------
    gradient : array, (B, N, H', W')
        With respect to the output.
    weights : array, (N, C, kh, kw)
    grid : PatchGrid

    Returns
    -------
    array, (B, C, H, W)
        ``Σ_j D_jᵀ Σ_i R_ij w_i``.

    Raises
    ------
    ValueError
        If a shape does not fit the grid.

    Notes
    -----
    Eq. 4 is this function applied to the gradient below the ReLU.

    Examples
    --------
    >>> import numpy as np
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> backward_input(np.array([[[[1.0, 10.0]]]]), np.array([[[[2.0, 3.0]]]]), grid)
    array([[[[ 2., 23., 30.]]]])
    """
    weights = fitted(weights, "weights", "N", grid.input_shape[0], *grid.kernel)
    gradient = fitted(gradient, "gradient", "B", len(weights), *grid.output_shape)
    columns = gradient.reshape(*gradient.shape[:2], grid.n_patches)
    return grid.fold(product(columns.swapaxes(-1, -2), weights.reshape(len(weights), -1)))
