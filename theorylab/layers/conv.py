"""Convolution (the cross-correlation of neural networks): patches times filters, and its gradient."""

from __future__ import annotations

import numpy as np

from theorylab.model.patches import PatchGrid


def check_batch(x: np.ndarray, grid: PatchGrid, name: str = "x") -> np.ndarray:
    """Return `x` as an array; raise a ValueError unless its shape is ``(B, C, H, W)`` of the grid."""
    x = np.asarray(x)
    if x.ndim != 4 or x.shape[1:] != grid.input_shape:
        raise ValueError(f"{name}: expected (B, {', '.join(map(str, grid.input_shape))}), got {x.shape}")
    return x


def check_weights(weights: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Return `weights` as an array; raise a ValueError unless its shape is ``(N, C, kh, kw)`` of the grid."""
    weights = np.asarray(weights)
    expected = (grid.input_shape[0], *grid.kernel)
    if weights.ndim != 4 or weights.shape[1:] != expected:
        raise ValueError(f"weights: expected (N, {', '.join(map(str, expected))}), got {weights.shape}")
    return weights


def check_bias(bias: np.ndarray, n_outputs: int) -> np.ndarray:
    """Return `bias` as an array; raise a ValueError unless its shape is ``(N,)``."""
    bias = np.asarray(bias)
    if bias.shape != (n_outputs,):
        raise ValueError(f"bias: expected ({n_outputs},), got {bias.shape}")
    return bias


def check_gradient(gradient: np.ndarray, grid: PatchGrid, n_filters: int | None = None) -> np.ndarray:
    """Return `gradient` as an array; raise a ValueError unless its shape is ``(B, N, H', W')`` of the grid."""
    gradient = np.asarray(gradient)
    if (
        gradient.ndim != 4
        or gradient.shape[2:] != grid.output_shape
        or (n_filters is not None and gradient.shape[1] != n_filters)
    ):
        expected = ("N" if n_filters is None else n_filters, *grid.output_shape)
        raise ValueError(f"gradient: expected (B, {', '.join(map(str, expected))}), got {gradient.shape}")
    return gradient


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
    x, weights = check_batch(x, grid), check_weights(weights, grid)
    # (N, p) @ (B, p, J): the output is contiguous with filters first, so it needs no transposition.
    result: np.ndarray = weights.reshape(len(weights), -1) @ grid.extract(x).swapaxes(-1, -2)
    if bias is not None:
        result = result + check_bias(bias, len(weights))[:, None]
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
    weights = check_weights(weights, grid)
    gradient = check_gradient(gradient, grid, len(weights))
    columns = gradient.reshape(*gradient.shape[:2], grid.n_patches)
    return grid.fold(columns.swapaxes(-1, -2) @ weights.reshape(len(weights), -1))
