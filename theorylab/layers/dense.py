"""The fully connected layer: a matrix, and its gradient."""

from __future__ import annotations

import numpy as np

from theorylab._products import product
from theorylab.layers.shapes import fitted


def forward(x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """Return ``x Wᵀ + b`` for a batch of rows.

    Parameters
    ----------
    x : array, (B, n_in)
    weights : array, (n_out, n_in)
    bias : array, (n_out,), optional

    Returns
    -------
    array, (B, n_out), of the common dtype of the arguments

    Raises
    ------
    ValueError
        If the shapes do not fit each other.

    Notes
    -----
    The readout of the network of Eq. 4: row ``k`` of `weights` is ``V_{·k}``.

    Examples
    --------
    >>> import numpy as np
    >>> forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, -6.0]]), np.array([0.0, 1.0]))
    array([[11., -6.]])
    """
    weights = fitted(weights, "weights", "n_out", "n_in")
    x = fitted(x, "x", "B", weights.shape[1])
    result = product(x, weights.T)
    return result if bias is None else result + fitted(bias, "bias", len(weights))


def backward_input(gradient: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the gradient with respect to the input: the adjoint of `forward` in ``x``.

    Parameters
    ----------
    gradient : array, (B, n_out)
        With respect to the output.
    weights : array, (n_out, n_in)

    Returns
    -------
    array, (B, n_in)

    Raises
    ------
    ValueError
        If the shapes do not fit each other.

    Notes
    -----
    ``R W`` is the gradient ``R`` of Eq. 1 for the ReLU below.

    Examples
    --------
    >>> import numpy as np
    >>> backward_input(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, -6.0]]))
    array([[13., -8.]])
    """
    weights = fitted(weights, "weights", "n_out", "n_in")
    return product(fitted(gradient, "gradient", "B", len(weights)), weights)
