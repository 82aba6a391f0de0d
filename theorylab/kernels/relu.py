"""Compiled twins of :mod:`theorylab.layers.relu`, equal to them bit by bit (but for the sign of zeros)."""

from __future__ import annotations

import numpy as np

from theorylab.kernels import _threads
from theorylab.kernels._policy import compiled
from theorylab.kernels.three_layer import select
from theorylab.rules import Rule

_PIECE = 2**17  # entries at a time


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
    flat, result = y.reshape(-1), out.reshape(-1)
    _threads.run(
        lambda i: _forward(flat[i * _PIECE : (i + 1) * _PIECE], result[i * _PIECE : (i + 1) * _PIECE]),
        -(-y.size // _PIECE),
    )
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
    gradient = np.asarray(gradient)
    return backward_into(gradient, y, rule, np.empty(gradient.shape, gradient.dtype))


def backward_into(gradient: np.ndarray, y: np.ndarray, rule: Rule | str, out: np.ndarray) -> np.ndarray:
    """:func:`backward` into an array at hand, which may be `gradient` itself.

    Parameters
    ----------
    gradient, y, rule
        As of :func:`backward`.
    out : array, of the shape and dtype of `gradient`
        C-contiguous; overwritten.

    Returns
    -------
    array
        `out`.

    Raises
    ------
    ValueError
        As :func:`backward`, and if `out` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> gradient = np.array([-1.0, 2.0])
    >>> backward_into(gradient, np.array([3.0, 3.0]), "guided", gradient) is gradient
    True
    >>> gradient
    array([0., 2.])
    """
    rule = Rule(rule)
    if out.shape != gradient.shape or out.dtype != gradient.dtype or not out.flags.c_contiguous:
        raise ValueError(
            f"out: expected a C-contiguous {gradient.shape} of {gradient.dtype}, got {out.shape} of {out.dtype}"
        )
    gradient, y = np.ascontiguousarray(gradient), np.asarray(y)
    # One image behind all gradients is read again for each, not copied.
    if not (gradient.ndim and y.shape == (1, *gradient.shape[1:])):
        y = np.broadcast_to(y, gradient.shape)
    y = np.ascontiguousarray(y)
    flags = rule.rectifies_gradient, rule.masks_by_activation
    mask, flat, result = y.reshape(-1), gradient.reshape(-1), out.reshape(-1)
    per_image = -(-y.size // _PIECE)

    def piece(number: int) -> None:
        image, part = divmod(number, per_image)
        start, stop = part * _PIECE, min((part + 1) * _PIECE, y.size)
        own = slice(image * y.size + start, image * y.size + stop)
        select(mask[start:stop], flat[own], *flags, result[own])

    _threads.run(piece, per_image * (gradient.size // max(1, y.size)))
    return out
