"""The rectifier.  Its backward pass is the only place where the three rules differ."""

from __future__ import annotations

import numpy as np

from theorylab.rules import Rule


def forward(y: np.ndarray) -> np.ndarray:
    """``max(y, 0)``, element by element.

    Parameters
    ----------
    y : array, any shape

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
    return np.maximum(np.asarray(y), 0)


def backward(gradient: np.ndarray, y: np.ndarray, rule: Rule | str) -> np.ndarray:
    """The gradient, or modified gradient, with respect to the rectifier's input.

    Parameters
    ----------
    gradient : array
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
        If the rule is unknown.

    Notes
    -----
    Eq. 1; the rules themselves are stated in :class:`theorylab.rules.Rule`.

    Examples
    --------
    >>> import numpy as np
    >>> backward(np.array([-1.0, 2.0]), np.array([3.0, -3.0]), "saliency")
    array([-1.,  0.])
    """
    return Rule(rule).backward(gradient, y)
