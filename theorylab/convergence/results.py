"""The results of a study, as plain data."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from theorylab import _json, stats
from theorylab.convergence.design import Design, Point
from theorylab.convergence.quantities import Comparison
from theorylab.model.rules import Rule

SIMULTANEOUS = 0.999
"""Confidence that all intervals of :attr:`Convergence.outside` hold their laws at once."""


@dataclasses.dataclass(frozen=True)
class PointResult:
    """One point: how many networks were drawn, and every quantity of every rule."""

    point: Point
    replicates: int
    precise: bool
    rules: dict[Rule, dict[str, Comparison]]


@dataclasses.dataclass(frozen=True)
class Curve:
    """What is predicted of one rule's quantity along the axis, where there is a law."""

    rule: Rule
    quantity: str
    law: str
    x: np.ndarray
    y: np.ndarray


@dataclasses.dataclass(frozen=True)
class Convergence:
    """A finished study."""

    design: Design
    points: tuple[PointResult, ...]
    curves: tuple[Curve, ...]

    def exact(self) -> list[tuple[PointResult, Rule, str, Comparison]]:
        """Every comparison of a measurement with an exact law."""
        return [
            (result, rule, quantity, comparison)
            for result in self.points
            for rule, comparisons in result.rules.items()
            for quantity, comparison in comparisons.items()
            if comparison.law.kind == "exact" and comparison.measured is not None
        ]

    def outside(self) -> list[tuple[PointResult, Rule, str, Comparison]]:
        """Comparisons whose exact law lies outside intervals that all hold at once with 99.9 % (Bonferroni)."""
        exact = self.exact()
        if not exact:
            return []
        level = stats.bonferroni(1 - SIMULTANEOUS, len(exact))
        return [entry for entry in exact if _p_value(entry[0], entry[3]) < level]

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``results.json``: standard types only, nothing of the time, the machine or the workers."""
        return {
            **self.design.to_json(),
            "results": [
                {
                    **dataclasses.asdict(result.point),
                    "replicates": result.replicates,
                    "stopped_by": "precision" if result.precise else "replicates",
                    "rules": {
                        rule.value: {name: comparison.to_json() for name, comparison in comparisons.items()}
                        for rule, comparisons in result.rules.items()
                    },
                }
                for result in self.points
            ],
            "curves": [
                {**vars(curve), "rule": curve.rule.value, "x": curve.x.tolist(), "y": curve.y.tolist()}
                for curve in self.curves
            ],
            "agreement": {
                "simultaneous_confidence": SIMULTANEOUS,
                "exact_laws": len(self.exact()),
                "outside": [
                    {"point": result.point.name, "rule": rule.value, "quantity": quantity}
                    for result, rule, quantity, _ in self.outside()
                ],
            },
        }

    def render(self) -> str:
        """``results.json`` as text; every number is finite, or null."""
        return _json.text(self.to_json())


def _p_value(result: PointResult, comparison: Comparison) -> float:
    measured, error, law = comparison.measured, comparison.standard_error, comparison.law.value
    assert measured is not None
    assert error is not None
    assert law is not None
    if error == 0:  # an identity, up to rounding
        return float(np.isclose(measured, law, rtol=1e-6))
    return stats.compare_p_value(measured, error, law, result.replicates - 1)
