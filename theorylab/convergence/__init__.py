"""Measured against predicted, as curves: the one room of the package that sees simulations and closed forms at once."""

from theorylab.convergence.design import OVER, Design, Point
from theorylab.convergence.quantities import QUANTITIES, Comparison
from theorylab.convergence.results import Convergence, PointResult
from theorylab.convergence.run import FEWEST, study

__all__ = [
    "FEWEST",
    "OVER",
    "QUANTITIES",
    "Comparison",
    "Convergence",
    "Design",
    "Point",
    "PointResult",
    "study",
]
