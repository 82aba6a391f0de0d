"""The quantities of a study: what is measured of a network, and what is formed from the means."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from theorylab import stats
from theorylab.model.rules import Rule
from theorylab.montecarlo import Measurement

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


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One quantity of one rule at one point.

    Attributes
    ----------
    measured, standard_error, low, high : float or None
        The estimate and its 95 % interval (Student's t, delta method); None where it is not measured.
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
            "measured": self.measured,
            "standard_error": self.standard_error,
            "low": self.low,
            "high": self.high,
            "predicted": self.law.value,
            "law": self.law.kind,
            "predicted_error": self.law.error if self.law.value is not None else None,
        }


def numbers_of(
    maps: np.ndarray,
    rules: Sequence[Rule],
    image: np.ndarray,
    targets: Sequence[np.ndarray],
    entries: np.ndarray,
    centres: Mapping[Rule, np.ndarray],
) -> dict[str, float]:
    """Return what is kept of one network, from its maps of two logits, (rules, 2, C, H, W).

    Parameters
    ----------
    image : array, (C, H, W), norm 1
    targets : sequence of such arrays, one a rule
    entries : int array
        Flat indices of the entries whose kurtosis is measured.
    centres : mapping
        The exact means of these entries, for the rules for which they are known.

    Returns
    -------
    dict
        For each rule ``toward`` ⟨S, x⟩, ``along`` ⟨S, t⟩ and ``energy`` ‖S‖², averaged over the two logits, ``classes``
        ⟨S, S'⟩, and ``second`` and ``fourth``, powers of the deviations.
    """
    numbers: dict[str, float] = {}
    for rule, pair, target in zip(rules, maps, targets, strict=True):
        flat = pair.reshape(len(pair), -1).astype(np.float64)
        gram = flat @ flat.T
        numbers[f"{rule.value} toward"] = float((flat @ image.ravel()).mean())
        numbers[f"{rule.value} along"] = float((flat @ target.ravel()).mean())
        numbers[f"{rule.value} energy"] = float(np.trace(gram) / len(flat))
        numbers[f"{rule.value} classes"] = float(gram[0, 1])
        if rule in centres and entries.size:
            squares = (flat[:, entries] - centres[rule]) ** 2
            numbers[f"{rule.value} second"] = float(squares.mean())
            numbers[f"{rule.value} fourth"] = float((squares**2).mean())
    return numbers


def compare(measured: Measurement, rule: Rule, laws: Mapping[str, Law], size: int) -> dict[str, Comparison]:
    """All quantities of one rule from the means of :func:`numbers_of`, beside their laws; `size` is a map's entries."""
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
        value, error = statistics.estimate(estimator)
        low, high = stats.interval(value, error, measured.replicates - 1, confidence=CONFIDENCE)
        comparisons[quantity] = Comparison(value, error, low, high, law)
    return comparisons


def narrow_enough(comparisons: Mapping[str, Comparison], precision: float) -> bool:
    """Whether every interval is as narrow as asked, relative to its estimate.

    What is 0 by an exact law has no relative width, and a fourth moment takes a hundred times the networks of a second:
    neither is waited for.
    """
    return all(
        comparison.narrow <= precision
        for quantity, comparison in comparisons.items()
        if quantity != "kurtosis" and comparison.law.value != 0
    )
