"""Compiled twins of :mod:`theorylab.layers.relu`, equal to them bit by bit (but for the sign of zeros)."""

from __future__ import annotations

import numpy as np

from theorylab.kernels._policy import compiled
from theorylab.kernels.three_layer import select
from theorylab.rules import Rule


@compiled
def _forward(y, out):
    zero = y.dtype.type(0)
    for i in range(y.size):
        # "below 0 gives 0", and not "above 0 stays": NaN must stay NaN.
        out[i] = zero if y[i] < zero else y[i]


def forward(y: np.ndarray) -> np.ndarray:
    """``max(y, 0)``, element by element.

    Parameters
    ----------
    y : float array, any shape

    Returns
    -------
    array of the shape and dtype of `y`

    Notes
    -----
    Specification: :func:`theorylab.layers.relu.forward`; ``g`` of Eq. 2.

    Examples
    --------
    >>> import numpy as np
    >>> forward(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    y = np.ascontiguousarray(y)
    out = np.empty_like(y)
    _forward(y.reshape(-1), out.reshape(-1))
    return out


def backward(gradient: np.ndarray, y: np.ndarray, rule: Rule | str) -> np.ndarray:
    """The gradient, or modified gradient, with respect to the rectifier's input.

    Parameters
    ----------
    gradient : float array
        With respect to the output.
    y : array, broadcastable to `gradient`
        The input of the forward pass.
    rule : Rule or its value

    Returns
    -------
    array of the shape and dtype of `gradient`

    Raises
    ------
    ValueError
        If the rule is unknown or the shapes do not fit.

    Notes
    -----
    Specification: :func:`theorylab.layers.relu.backward`; Eq. 1.

    Examples
    --------
    >>> import numpy as np
    >>> backward(np.array([-1.0, 2.0]), np.array([3.0, -3.0]), "saliency")
    array([-1.,  0.])
    """
    rule = Rule(rule)
    gradient = np.ascontiguousarray(gradient)
    y = np.ascontiguousarray(np.broadcast_to(y, gradient.shape))
    out = np.empty_like(gradient)
    select(
        y.reshape(-1),
        gradient.reshape(-1),
        rule.rectifies_gradient,
        rule.masks_by_activation,
        out.reshape(-1),
    )
    return out
