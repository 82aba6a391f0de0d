"""Measured against predicted, as curves: simulations and closed forms meet here, as they do in figures and audits."""

from theorylab.convergence.design import OVER, Design, Point
from theorylab.convergence.results import QUANTITIES, Comparison, Convergence, PointResult
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
