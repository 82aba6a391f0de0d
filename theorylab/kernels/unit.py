"""Compiled twins of :mod:`theorylab.layers.unit`, equal to them bit by bit (but for the sign of zeros)."""

from __future__ import annotations

import numpy as np

from theorylab._compiled import Array, compiled
from theorylab.kernels import _threads
from theorylab.kernels.three_layer import constants, select
from theorylab.model.rules import Rule
from theorylab.model.units import RELU, Unit

_PIECE = 2**17  # number of entries in a piece


@compiled
def _forward(y: Array, slope: np.floating, out: Array) -> None:
    zero = y.dtype.type(0)
    for i in range(y.size):
        # The test is y < 0, not y > 0, so that NaN stays NaN.
        out[i] = (zero if slope == 0 else y[i] * slope) if y[i] < zero else y[i]


def forward(y: np.ndarray, unit: Unit = RELU) -> np.ndarray:
    """Return ``φ(y)``, element by element: ``max(y, 0)`` for the ReLU.

    Parameters, result: as the specification, :func:`theorylab.layers.unit.forward` (``g`` of Eq. 2).

    Examples
    --------
    >>> import numpy as np
    >>> forward(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    y = np.ascontiguousarray(y)
    out = np.empty_like(y)
    flat, result, slope = y.reshape(-1), out.reshape(-1), y.dtype.type(unit.slope)
    _threads.run(
        lambda i: _forward(flat[i * _PIECE : (i + 1) * _PIECE], slope, result[i * _PIECE : (i + 1) * _PIECE]),
        -(-y.size // _PIECE),
    )
    return out


def backward(gradient: np.ndarray, y: np.ndarray, rule: Rule | str, unit: Unit = RELU) -> np.ndarray:
    """Return the gradient, or modified gradient, with respect to the input of the unit.

    Parameters, result, errors: as the specification, :func:`theorylab.layers.unit.backward` (Eq. 1).

    Examples
    --------
    >>> import numpy as np
    >>> backward(np.array([-1.0, 2.0]), np.array([3.0, -3.0]), "saliency")
    array([-1.,  0.])
    """
    gradient = np.asarray(gradient)
    return backward_into(gradient, y, rule, np.empty(gradient.shape, gradient.dtype), unit)


def backward_into(
    gradient: np.ndarray, y: np.ndarray, rule: Rule | str, out: np.ndarray, unit: Unit = RELU
) -> np.ndarray:
    """Write the result of :func:`backward` to `out`, which may be `gradient` itself.

    Parameters
    ----------
    gradient, y, rule, unit
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
    # If all gradients belong to one image, `y` is read for each gradient, not copied.
    if not (gradient.ndim and y.shape == (1, *gradient.shape[1:])):
        y = np.broadcast_to(y, gradient.shape)
    y = np.ascontiguousarray(y)
    numbers = constants(rule, unit, gradient.dtype)
    mask, flat, result = y.reshape(-1), gradient.reshape(-1), out.reshape(-1)
    per_image = -(-y.size // _PIECE)

    def piece(number: int) -> None:
        image, part = divmod(number, per_image)
        start, stop = part * _PIECE, min((part + 1) * _PIECE, y.size)
        entries = slice(image * y.size + start, image * y.size + stop)
        select(mask[start:stop], flat[entries], *numbers, result[entries])

    _threads.run(piece, per_image * (gradient.size // max(1, y.size)))
    return out
