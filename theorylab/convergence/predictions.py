"""What the closed forms say at a point: the curves, and the maps against which a simulation measures."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from theorylab import analytic, estimates
from theorylab.analytic.nolaw import NoLaw
from theorylab.analytic.of_stack import law
from theorylab.analytic.three_layer import MapLaw
from theorylab.convergence.design import Point
from theorylab.convergence.results import NO_LAW, Comparison, Law, compare
from theorylab.model.laws import Gaussian
from theorylab.model.rules import Rule
from theorylab.montecarlo import Measurement

REFERENCE = Rule.GUIDED
"""Its mean map is the direction for rules that have no mean map."""

_ZERO = Law(0.0, "exact")
_ORTHOGONAL = Law(math.sqrt(2), "exact")


@dataclasses.dataclass(frozen=True)
class RuleLaws:
    """One rule's laws at one geometry: of a deep network, or with one convolution for every number of filters.

    With one convolution all is of one filter: mean map and covariance are both ``N`` times those, and so is the fourth
    cumulant.
    """

    mean: np.ndarray  # (C, H, W)
    noise: float | None  # trace of the covariance
    kind: str = "exact"  # of what depends on the noise
    noise_error: float = 0.0  # of an estimate; 0 where the noise is exact
    lost: float | None = None  # what E⟨S, S'⟩ of two logits lacks of E‖S‖²
    kurtosis: tuple[float, float] | None = None  # of infinitely many filters, and N times what N add to it

    def at(self, n_filters: int, x: np.ndarray) -> dict[str, Law]:
        """Every quantity's law with this many filters, 1 for a deep network, on the picture `x`.

        Notes
        -----
        With ``M = ‖E S‖²`` and ``T`` the noise of one filter, ``E‖S‖² = N² M + N T``: the cosines are ``1`` and
        ``cos(E S, x)`` over ``√(1 + T/(N M))``, the distance ``√(2 lost/(N M + T))``.
        """
        n, signal = float(n_filters), float((self.mean**2).sum())
        laws = {"cosine_input": _ZERO, "cosine_mean": _ZERO, "class_distance": NO_LAW} if signal == 0 else {}
        if self.noise is None:
            # No mean and large windows: whatever the noise, two logits' maps are uncorrelated.
            return {**laws, "class_distance": _ORTHOGONAL}
        if signal:
            toward = float((self.mean * x).sum() / (np.linalg.norm(self.mean) * np.linalg.norm(x)))
            ratio = self.noise / (n * signal)
            cosine = 1 / math.sqrt(1 + ratio)
            error = cosine**3 / 2 * self.noise_error / (n * signal)
            laws["cosine_mean"] = Law(cosine, self.kind, error)
            laws["cosine_input"] = Law(toward * cosine, self.kind, abs(toward) * error)
        if self.lost is not None:
            distance = math.sqrt(2 * self.lost / (n * signal + self.noise))
            laws["class_distance"] = Law(distance, "exact")
        laws["variance"] = Law(
            n * self.noise / self.mean.size, self.kind, n * self.noise_error / self.mean.size
        )
        if self.kurtosis is not None:
            laws["kurtosis"] = Law(self.kurtosis[0] + self.kurtosis[1] / n, "exact")
        return laws


@dataclasses.dataclass(frozen=True)
class Prediction:
    """All that is predicted at one point, by rule."""

    laws: dict[Rule, dict[str, Law]]  # by quantity; left out where there is none
    targets: dict[Rule, np.ndarray]  # the direction of the mean map, norm 1
    entries: np.ndarray  # flat indices of those that one patch alone holds
    centres: dict[Rule, np.ndarray]  # the exact means of these entries, where they are known

    def compared(self, measured: Measurement, *, anytime: bool) -> dict[Rule, dict[str, Comparison]]:
        """Every quantity of every rule, from the means that :class:`~theorylab.convergence.run.Maps` measured."""
        return {
            rule: compare(measured, rule, laws, self.targets[rule].size, anytime=anytime)
            for rule, laws in self.laws.items()
        }


class Predictor:
    """Predictions for one picture; what points share is computed once.

    Examples
    --------
    >>> x = np.arange(1.0, 82.0).reshape(1, 9, 9)
    >>> predictor = Predictor(x, (Rule.GUIDED,))
    >>> law = predictor.at(Point(64, 3, 2)).laws[Rule.GUIDED]["cosine_input"]
    >>> abs(law.value - analytic.expected_cosine(x, Point(64, 3, 2).grid(x.shape), "guided", 64)) < 1e-12
    True
    """

    def __init__(self, x: np.ndarray, rules: tuple[Rule, ...]) -> None:
        self.x = np.asarray(x, dtype=np.float64)
        self.rules = rules
        self._known: dict[tuple[Point, Rule], RuleLaws] = {}

    def at(self, point: Point) -> Prediction:
        """Every law at one point."""
        entries = np.flatnonzero(self._alone(point))
        n = point.n_filters if point.depth == 1 else 1
        known = {rule: self.rule_laws(point, rule) for rule in self.rules}
        reference = known[REFERENCE].mean if REFERENCE in known else self._law(point, REFERENCE).mean
        directions = {rule: laws.mean if laws.mean.any() else reference for rule, laws in known.items()}
        return Prediction(
            {rule: laws.at(n, self.x) for rule, laws in known.items()},
            {rule: mean / np.linalg.norm(mean) for rule, mean in directions.items()},
            entries,
            {rule: n * laws.mean.ravel()[entries] for rule, laws in known.items() if laws.kind != "limit"},
        )

    def rule_laws(self, point: Point, rule: Rule) -> RuleLaws:
        """One rule's laws at a point; with one convolution whatever its number of filters."""
        key = (point if point.depth > 1 else dataclasses.replace(point, n_filters=1), rule)
        if key not in self._known:
            self._known[key] = self._laws_of(*key)
        return self._known[key]

    def _alone(self, point: Point) -> np.ndarray:
        """Which entries a single patch holds, one that is not zero: (C, H, W)."""
        grid = point.grid(self.x.shape)
        return np.asarray((grid.coverage == 1) & (analytic.active_coverage(self.x, grid) == 1))

    def _law(self, point: Point, rule: Rule) -> MapLaw:
        """Return the law of a map, of one filter at points of one convolution."""
        one = point if point.depth > 1 else dataclasses.replace(point, n_filters=1)
        return law(one.stack(self.x.shape), self.x, rule)

    def _laws_of(self, point: Point, rule: Rule) -> RuleLaws:
        x, grid, known = self.x, point.grid(self.x.shape), self._law(point, rule)
        mean = known.mean
        if point.depth > 1:  # exact where the mean is zero, limits where it is not
            noise = float(known.variance.sum())
            # Maps that are linear in the readout are uncorrelated, as the readouts are.
            uncorrelated = not mean.any() and rule.mean(Gaussian()) == 0
            kind = "limit" if mean.any() else "exact"
            return RuleLaws(mean, noise, kind, lost=noise if uncorrelated else None)
        if point.max_pool is None:
            variance, alone, kurtosis = analytic.variance_map(x, grid, rule, 1), self._alone(point), None
            lost = float((mean**2).sum() + variance.sum()) - analytic.expected_class_product(x, grid, rule, 1)
            if variance[alone].any():
                square = variance[alone].mean() ** 2
                cumulants = analytic.fourth_cumulant_map(x, grid, rule, 1)[alone]
                kurtosis = (
                    float(3 * (variance[alone] ** 2).mean() / square - 3),
                    float(cumulants.mean() / square),
                )
            return RuleLaws(mean, float(variance.sum()), lost=lost, kurtosis=kurtosis)
        if mean.any():
            assert point.max_pool is not None
            # Large windows are integrated once more, for the error of the integrals.
            exact = mean if math.prod(point.max_pool.size) <= 4 else None
            cosine, error = estimates.pooled_expected_cosine(
                x, grid, rule, 1, pool=point.max_pool, target="mean", unit_mean=exact
            )
            signal = float((mean**2).sum())
            return RuleLaws(mean, signal * (cosine**-2.0 - 1), "estimate", signal * 2 * error / cosine**3)
        try:
            pooled = float(known.variance.sum())
        except NoLaw:  # large windows: the laws that need no variance remain
            return RuleLaws(mean, None)
        return RuleLaws(mean, pooled, lost=pooled)
