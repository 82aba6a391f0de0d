"""Units: the activation functions, each given by its slope below 0.  Imports NumPy and argument checks.

``φ(y) = y`` above 0 and ``slope·y`` below; the gate ``φ'(y)`` is 1 for ``y > 0`` and ``slope`` elsewhere, also at
``y = 0``.  Such units are positively homogeneous: ``φ(t y) = t φ(y)`` for ``t > 0``.  The laws that factor a scale out of
a layer rely on this, and so do the powers of two that scale gradients in deep networks.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Final

import numpy as np

from theorylab import _validation


@_validation.checked
@dataclasses.dataclass(frozen=True)
class Unit:
    """An activation function that is linear on both sides of 0: :class:`ReLU` or :class:`LeakyReLU`.

    Attributes
    ----------
    slope : float
        Slope below 0; the slope above is 1.
    homogeneous : bool
        Whether ``φ(t y) = t φ(y)`` for ``t > 0``.
    """

    slope: float
    homogeneous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check `slope`."""
        object.__setattr__(self, "slope", _validation.finite_number(self.slope, "slope"))

    def forward(self, y: np.ndarray) -> np.ndarray:
        """Return ``φ(y)``, element by element, in the dtype of `y`."""
        y = np.asarray(y)
        if self.slope == 0:
            return np.asarray(np.maximum(y, 0))
        return np.where(y > 0, y, y * y.dtype.type(self.slope))


@_validation.checked
class ReLU(Unit):
    """The unit ``φ(y) = max(y, 0)`` of Eq. 2; its gate is closed at 0.

    Examples
    --------
    >>> ReLU().forward(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __init__(self) -> None:
        super().__init__(0.0)

    def __repr__(self) -> str:
        """Return the call that gives this unit."""
        return "ReLU()"


@_validation.checked
class LeakyReLU(Unit):
    """The unit ``φ(y) = y`` above 0 and ``slope·y`` below.

    Parameters
    ----------
    slope : float
        Any finite number; 0 gives the ReLU, 1 a linear unit.

    Raises
    ------
    TypeError, ValueError
        If `slope` is not a finite number.

    Examples
    --------
    >>> LeakyReLU(0.2).forward(np.array([-1.0, 2.0]))
    array([-0.2,  2. ])
    """


RELU: Final = ReLU()
"""The unit of the paper."""
