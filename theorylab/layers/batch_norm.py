"""Batch normalisation at inference: a scale and a shift per channel, from running statistics."""

from __future__ import annotations

import numpy as np

from theorylab.layers.shapes import fitted


def _scale(weight: np.ndarray, variance: np.ndarray, eps: float) -> np.ndarray:
    spread = variance + variance.dtype.type(eps)
    if not (spread > 0).all():
        raise ValueError("variance: expected variance + eps above 0 in every channel")
    return np.asarray((weight / np.sqrt(spread))[:, None, None])


def forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    eps: float = 1e-5,
) -> np.ndarray:
    """Return ``(x − mean)/√(variance + eps) · weight + bias``, channel by channel.

    Parameters
    ----------
    x : array, (B, C, H, W)
    weight, bias, mean, variance : array, (C,)
        In the dtype of `x`; `mean` and `variance` are the running statistics.
    eps : float, default 1e-5

    Returns
    -------
    array, (B, C, H, W), of the common dtype of the arguments

    Raises
    ------
    ValueError
        If a shape does not fit or ``variance + eps`` is not positive.

    Notes
    -----
    An affine layer: every rule of Eq. 1 passes through it as the true gradient does.  A negative weight flips the signs
    of its channel before the ReLU above.

    Examples
    --------
    >>> unit = np.ones(1)
    >>> forward(np.array([[[[3.0, 5.0]]]]), 2 * unit, unit, 3 * unit, 4 * unit, eps=0.0)
    array([[[[1., 3.]]]])
    """
    x = fitted(x, "x", "B", "C", "H", "W")
    given = {"weight": weight, "bias": bias, "mean": mean, "variance": variance}
    weight, bias, mean, variance = (fitted(array, name, x.shape[1]) for name, array in given.items())
    return np.asarray((x - mean[:, None, None]) * _scale(weight, variance, eps) + bias[:, None, None])


def backward_input(
    gradient: np.ndarray, weight: np.ndarray, variance: np.ndarray, eps: float = 1e-5
) -> np.ndarray:
    """Return the gradient with respect to the input: the adjoint of the linear part of `forward`.

    Parameters
    ----------
    gradient : array, (B, C, H, W)
        With respect to the output.
    weight, variance : array, (C,)
    eps : float, default 1e-5

    Returns
    -------
    array, (B, C, H, W), of the common dtype of the arguments

    Raises
    ------
    ValueError
        If a shape does not fit or ``variance + eps`` is not positive.

    Notes
    -----
    The running statistics are constants, as at inference, so no gradient flows through them.  The gradient of Eq. 1 is
    multiplied by the scale of each channel.

    Examples
    --------
    >>> backward_input(np.array([[[[1.0, 2.0]]]]), 2 * np.ones(1), 4 * np.ones(1), eps=0.0)
    array([[[[1., 2.]]]])
    """
    gradient = fitted(gradient, "gradient", "B", "C", "H", "W")
    weight = fitted(weight, "weight", gradient.shape[1])
    variance = fitted(variance, "variance", gradient.shape[1])
    return np.asarray(gradient * _scale(weight, variance, eps))
