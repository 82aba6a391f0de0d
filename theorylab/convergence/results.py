"""The results of a study, as plain data, and how they are formed from the means that were measured."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from theorylab import _json, _validation, stats
from theorylab.convergence.design import Design, Point
from theorylab.model.rules import Rule
from theorylab.montecarlo import Measurement, Undetermined

QUANTITIES: dict[str, str] = {
    "cosine_input": "cosine to the input",
    "cosine_mean": "cosine to the mean map",
    "class_distance": "distance of two logits' maps",
    "variance": "variance of an entry",
    "kurtosis": "excess kurtosis",
}
"""Every quantity and its words.

``cosine_mean`` is to the rule's predicted mean map, the corrected target ``x ⊙ κ`` of Theorem 1 for guided
backpropagation; where the mean is zero, to guided backpropagation's.  ``class_distance`` is between the unit-norm maps of two
logits of one network.  ``variance`` is averaged over the entries of the map.  ``kurtosis`` pools the entries that one patch
alone holds, about their exact mean.  All are formed from expectations: a ratio of means, never a mean of ratios.
"""

CONFIDENCE = 0.95
SIMULTANEOUS = 0.999
"""Confidence that all intervals of :attr:`Convergence.outside` hold their laws at once."""


@dataclasses.dataclass(frozen=True)
class Law:
    """What a closed form says.

    Attributes
    ----------
    value : float or None
        None where there is no law.
    kind : {"exact", "estimate", "limit"} or None
        ``"estimate"``: exact but for one integral, averaged over draws, with this `error`; ``"limit"``: of wide layers.
    error : float
    """

    value: float | None = None
    kind: str | None = None
    error: float = 0.0


NO_LAW = Law()


@_validation.checked
@dataclasses.dataclass(frozen=True)
class Comparison:
    """One quantity of one rule at one point.

    Attributes
    ----------
    measured, standard_error, low, high : float or None
        The estimate and its 95 % interval (Student's t, delta method; of a study that ends at a precision, one that holds
        at any end); None where it is not measured.
    law : Law
    """

    measured: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    law: Law

    @property
    def narrow(self) -> float:
        """Half width of the interval over the estimate; infinite if not measured."""
        if self.measured is None or self.high is None or self.measured == 0:
            return math.inf
        return (self.high - self.measured) / abs(self.measured)

    def to_json(self) -> dict[str, Any]:
        """Types of JSON; null where something is not known."""
        return {
            **{name: getattr(self, name) for name in ("measured", "standard_error", "low", "high")},
            "predicted": self.law.value,
            "law": self.law.kind,
            "predicted_error": self.law.error if self.law.value is not None else None,
        }


def compare(
    measured: Measurement, rule: Rule, laws: Mapping[str, Law], size: int, *, anytime: bool
) -> dict[str, Comparison]:
    """All quantities of one rule from the means that were measured, beside their laws; `size` is a map's entries.

    `anytime` asks for intervals that hold whenever the study ends.
    """
    statistics, name = measured.statistics, rule.value
    along = statistics.names.index(f"{name} along")
    # Squaring an estimated mean adds its variance, in expectation.
    spread = float(statistics.covariance[along, along]) / measured.replicates
    estimators = {
        "cosine_input": lambda m: m[f"{name} toward"] / math.sqrt(m[f"{name} energy"]),
        "cosine_mean": lambda m: m[f"{name} along"] / math.sqrt(m[f"{name} energy"]),
        "class_distance": lambda m: math.sqrt(max(0.0, 2 - 2 * m[f"{name} classes"] / m[f"{name} energy"])),
        "variance": lambda m: (m[f"{name} energy"] - m[f"{name} along"] ** 2 + spread) / size,
        "kurtosis": lambda m: m[f"{name} fourth"] / m[f"{name} second"] ** 2 - 3,
    }
    comparisons = {}
    for quantity, estimator in estimators.items():
        law = laws.get(quantity, NO_LAW)
        if quantity == "kurtosis" and f"{name} second" not in statistics.names:
            comparisons[quantity] = Comparison(None, None, None, None, law)
            continue
        try:
            value, error = statistics.estimate(estimator)
        except Undetermined:
            comparisons[quantity] = Comparison(None, None, None, None, law)
            continue
        if anytime:
            low, high = stats.anytime_interval(value, error, measured.replicates, confidence=CONFIDENCE)
        else:
            low, high = stats.interval(value, error, measured.replicates - 1, confidence=CONFIDENCE)
        comparisons[quantity] = Comparison(value, error, low, high, law)
    return comparisons


@_validation.checked
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

    def rows(self) -> list[dict[str, Any]]:
        """Return a record for each quantity of each rule at each point, with its interval and its law."""
        return [
            {
                **dataclasses.asdict(result.point),
                "replicates": result.replicates,
                "rule": rule.value,
                "quantity": quantity,
                **comparison.to_json(),
            }
            for result in self.points
            for rule, comparisons in result.rules.items()
            for quantity, comparison in comparisons.items()
        ]

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
