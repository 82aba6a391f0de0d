"""What the closed forms say at a point: the curves, and the maps against which a simulation measures."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from theorylab import analytic
from theorylab.convergence.design import Point
from theorylab.convergence.quantities import NO_LAW, Law
from theorylab.rules import Rule

_ZERO = Law(0.0, "exact")
_ORTHOGONAL = Law(math.sqrt(2), "exact")


@dataclasses.dataclass(frozen=True)
class RuleLaws:
    """One rule at one geometry without or with pooling, for every number of filters.

    The mean map and the covariance of a map are both ``N`` times those of one filter, and so is the fourth cumulant.

    Attributes
    ----------
    mean : array, (C, H, W)
        Of one filter.
    noise : float or None
        Trace of one filter's covariance.
    noise_error : float
        Of an estimate; 0 where the noise is exact.
    lost : float or None
        What ``E⟨S, S'⟩`` of two logits lacks of ``E‖S‖²``, for one filter.
    toward : float
        Cosine of the mean map and the image; 0 where the mean is zero.
    variances, cumulants : array or None
        Of the entries that one patch holds, for one filter.
    """

    mean: np.ndarray
    noise: float | None
    noise_error: float
    lost: float | None
    toward: float
    variances: np.ndarray | None
    cumulants: np.ndarray | None

    def at(self, n_filters: int) -> dict[str, Law]:
        """Every quantity's law with this many filters.

        Notes
        -----
        With ``M = ‖E S‖²`` and ``T`` the noise of one filter, ``E‖S‖² = N² M + N T``: the cosines are ``1`` and
        ``cos(E S, x)`` over ``√(1 + T/(N M))``, the distance ``√(2 lost/(N M + T))``.
        """
        n, signal = float(n_filters), float((self.mean**2).sum())
        kind = "estimate" if self.noise_error else "exact"
        laws = {"cosine_input": _ZERO, "cosine_mean": _ZERO} if signal == 0 else {}
        if self.noise is None:
            # Saliency behind large windows: whatever the noise, two logits' maps are uncorrelated.
            return {**laws, "class_distance": _ORTHOGONAL}
        if signal:
            ratio = self.noise / (n * signal)
            cosine = 1 / math.sqrt(1 + ratio)
            error = cosine**3 / 2 * self.noise_error / (n * signal)
            laws["cosine_mean"] = Law(cosine, kind, error)
            laws["cosine_input"] = Law(self.toward * cosine, kind, abs(self.toward) * error)
        if self.lost is not None:
            distance = math.sqrt(2 * self.lost / (n * signal + self.noise))
            laws["class_distance"] = Law(distance, "exact")
        laws["variance"] = Law(n * self.noise / self.mean.size, kind, n * self.noise_error / self.mean.size)
        if self.variances is not None and self.cumulants is not None and self.variances.any():
            second = n * self.variances.mean()
            fourth = (3 * n**2 * self.variances**2 + n * self.cumulants).mean()
            laws["kurtosis"] = Law(float(fourth / second**2 - 3), "exact")
        return laws


@dataclasses.dataclass(frozen=True)
class Prediction:
    """All that is predicted at one point.

    Attributes
    ----------
    laws : dict
        By rule, then by quantity.
    targets : dict
        By rule: the direction of the mean map, norm 1.
    entries : int array
        Flat indices of the entries that one patch alone holds.
    centres : dict
        By rule: the exact means of these entries, where they are known.
    """

    laws: dict[Rule, dict[str, Law]]
    targets: dict[Rule, np.ndarray]
    entries: np.ndarray
    centres: dict[Rule, np.ndarray]


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

    def rule_laws(self, point: Point, rule: Rule) -> RuleLaws:
        """One rule's laws at a point of one convolution, whatever its number of filters."""
        key = (dataclasses.replace(point, n_filters=1), rule)
        if key not in self._known:
            self._known[key] = self._pooled(point, rule) if point.pool > 1 else self._shallow(point, rule)
        return self._known[key]

    def at(self, point: Point) -> Prediction:
        """Every law at one point."""
        entries = self._entries(point)
        if point.depth > 1:
            return self._deep(point, entries)
        found = {rule: self.rule_laws(point, rule) for rule in self.rules}
        own = {rule: one.mean for rule, one in found.items() if one.mean.any()}
        corrected = own.get(Rule.GUIDED)
        if corrected is None:
            pool = point.max_pool
            corrected = analytic.mean_map(self.x, point.grid(self.x.shape), Rule.GUIDED, 1, pool=pool)
        means = {rule: own.get(rule, corrected) for rule in self.rules}
        return Prediction(
            {rule: one.at(point.n_filters) for rule, one in found.items()},
            {rule: mean / np.linalg.norm(mean) for rule, mean in means.items()},
            entries,
            {rule: point.n_filters * one.mean.ravel()[entries] for rule, one in found.items()},
        )

    def _entries(self, point: Point) -> np.ndarray:
        grid = point.grid(self.x.shape)
        alone = (grid.coverage == 1) & (analytic.active_coverage(self.x, grid) == 1)
        return np.flatnonzero(alone)

    def _shallow(self, point: Point, rule: Rule) -> RuleLaws:
        x, grid = self.x, point.grid(self.x.shape)
        mean, variance = (f(x, grid, rule, 1) for f in (analytic.mean_map, analytic.variance_map))
        energy = float((mean**2).sum() + variance.sum())
        lost = energy - analytic.expected_class_product(x, grid, rule, 1)
        cumulants = analytic.fourth_cumulant_map(x, grid, rule, 1)
        entries = self._entries(point)
        return RuleLaws(
            mean,
            float(variance.sum()),
            0.0,
            lost,
            _cosine(mean, x),
            variance.ravel()[entries],
            cumulants.ravel()[entries],
        )

    def _pooled(self, point: Point, rule: Rule) -> RuleLaws:
        x, grid, pool = self.x, point.grid(self.x.shape), point.max_pool
        assert pool is not None
        if rule is Rule.SALIENCY:
            # Closed up to four positions a window; beyond, the laws that need no variance remain.
            noise = (
                float(analytic.pooled_variance_map(x, grid, rule, 1, pool=pool).sum())
                if point.pool == 2
                else None
            )
            return RuleLaws(np.zeros(x.shape), noise, 0.0, noise, 0.0, None, None)
        mean = analytic.pooled_mean_map(x, grid, rule, 1, pool=pool)
        cosine, error = analytic.pooled_expected_cosine(
            x, grid, rule, 1, pool=pool, target="mean", unit_mean=mean
        )
        signal = float((mean**2).sum())
        return RuleLaws(
            mean,
            signal * (cosine**-2.0 - 1),
            signal * 2 * error / cosine**3,
            None,
            _cosine(mean, x),
            None,
            None,
        )

    def _deep(self, point: Point, entries: np.ndarray) -> Prediction:
        """Laws of depth: saliency and DeconvNet have exact first and second moments, guided backpropagation limits."""
        laws: dict[Rule, dict[str, Law]] = {}
        targets: dict[Rule, np.ndarray] = {}
        centres: dict[Rule, np.ndarray] = {}
        guided = analytic.depth_maps(self.x, point.layers, Rule.GUIDED)[-1]
        assert guided.mean_map is not None
        assert guided.variance_map is not None
        target = guided.mean_map / np.linalg.norm(guided.mean_map)
        for rule in self.rules:
            targets[rule] = target
            if rule is Rule.GUIDED:
                energy = (guided.mean_map**2).sum() + guided.variance_map.sum()
                laws[rule] = {
                    "cosine_input": Law(float(guided.alignment), "limit"),
                    "cosine_mean": Law(float(np.linalg.norm(guided.mean_map) / math.sqrt(energy)), "limit"),
                    "variance": Law(float(guided.variance_map.mean()), "limit"),
                }
                continue
            bottom = analytic.depth_maps(self.x, point.layers, rule)[-1]
            assert bottom.variance_map is not None
            laws[rule] = {
                "cosine_input": _ZERO,
                "cosine_mean": _ZERO,
                "class_distance": _ORTHOGONAL if rule is Rule.SALIENCY else NO_LAW,
                "variance": Law(float(bottom.variance_map.mean()), "exact"),
            }
            centres[rule] = np.zeros(entries.size)
        return Prediction(laws, targets, entries, centres)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b))) if a.any() else 0.0
