"""The units: activation functions.  Rules differ in the backward pass of units, and nowhere else."""

from __future__ import annotations

import numpy as np

from theorylab.model.rules import Rule
from theorylab.model.units import RELU, Unit


def forward(y: np.ndarray, unit: Unit = RELU) -> np.ndarray:
    """Return ``φ(y)``, element by element: ``max(y, 0)`` for the ReLU.

    Parameters
    ----------
    y : array, any shape
    unit : Unit, default ReLU()

    Returns
    -------
    array of the shape and dtype of `y`

    Notes
    -----
    ``g`` of Eq. 2 for the true gradient.

    Examples
    --------
    >>> import numpy as np
    >>> forward(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return unit.forward(y)


def backward(gradient: np.ndarray, y: np.ndarray, rule: Rule | str, unit: Unit = RELU) -> np.ndarray:
    """Return the gradient, or modified gradient, with respect to the input of the unit.

    Parameters
    ----------
    gradient : array
        With respect to the output.
    y : array, broadcastable to `gradient`
        The input of the forward pass.
    rule : Rule or its name
    unit : Unit, default ReLU()

    Returns
    -------
    array of the shape and dtype of `gradient`

    Raises
    ------
    ValueError
        If the rule is unknown.

    Notes
    -----
    Eq. 1; :class:`theorylab.model.rules.Rule` states the rules.

    Examples
    --------
    >>> import numpy as np
    >>> backward(np.array([-1.0, 2.0]), np.array([3.0, -3.0]), "saliency")
    array([-1.,  0.])
    """
    return Rule(rule).backward(gradient, y, unit)
