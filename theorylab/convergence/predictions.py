"""What the closed forms say at a point: the curves, and the maps against which a simulation measures."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from theorylab import analytic, estimates
from theorylab.analytic.nolaw import NoLaw
from theorylab.convergence.design import Point
from theorylab.convergence.quantities import NO_LAW, Law
from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import Rule

REFERENCE = Rule.GUIDED
"""Its mean map is the direction for rules that have no mean map."""

_ZERO = Law(0.0, "exact")
_ORTHOGONAL = Law(math.sqrt(2), "exact")


@dataclasses.dataclass(frozen=True)
class RuleLaws:
    """One rule at one geometry without or with pooling, for every number of filters.

    All is of one filter: mean map and covariance are both ``N`` times those, and so is the fourth cumulant.
    """

    mean: np.ndarray  # (C, H, W)
    toward: float  # cosine of the mean map and the image; 0 where the mean is zero
    noise: float | None  # trace of the covariance
    noise_error: float = 0.0  # of an estimate; 0 where the noise is exact
    lost: float | None = None  # what E⟨S, S'⟩ of two logits lacks of E‖S‖²
    variances: np.ndarray | None = None  # of the entries that one patch holds, and their cumulants
    cumulants: np.ndarray | None = None

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
            # No mean and large windows: whatever the noise, two logits' maps are uncorrelated.
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
    """All that is predicted at one point, by rule."""

    laws: dict[Rule, dict[str, Law]]  # by quantity; left out where there is none
    targets: dict[Rule, np.ndarray]  # the direction of the mean map, norm 1
    entries: np.ndarray  # flat indices of those that one patch alone holds
    centres: dict[Rule, np.ndarray]  # the exact means of these entries, where they are known


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
        grid = point.grid(self.x.shape)
        entries = np.flatnonzero(self._alone(grid))
        laws, means, centres = {}, {}, {}
        for rule in self.rules:
            if point.depth > 1:
                laws[rule], means[rule] = self._deep(point, rule)
                exact = not means[rule].any()
            else:
                known, exact = self.rule_laws(point, rule), True
                laws[rule], means[rule] = known.at(point.n_filters), known.mean
            if exact:
                centres[rule] = point.n_filters * means[rule].ravel()[entries]
        reference = means[REFERENCE] if REFERENCE in means else self._mean(point, REFERENCE)
        directions = {rule: mean if mean.any() else reference for rule, mean in means.items()}
        targets = {rule: mean / np.linalg.norm(mean) for rule, mean in directions.items()}
        return Prediction(laws, targets, entries, centres)

    def rule_laws(self, point: Point, rule: Rule) -> RuleLaws:
        """One rule's laws at a point of one convolution, whatever its number of filters."""
        key = (dataclasses.replace(point, n_filters=1), rule)
        if key not in self._known:
            mean = self._mean(point, rule)
            laws_of = self._shallow if point.max_pool is None else self._pooled
            self._known[key] = laws_of(point, rule, mean, _cosine(mean, self.x))
        return self._known[key]

    def _alone(self, grid: PatchGrid) -> np.ndarray:
        """Which entries a single patch holds, one that is not zero: (C, H, W)."""
        return np.asarray((grid.coverage == 1) & (analytic.active_coverage(self.x, grid) == 1))

    def _mean(self, point: Point, rule: Rule) -> np.ndarray:
        """Return the mean map, of one filter at points of one convolution."""
        if point.depth > 1:
            return self._deep(point, rule)[1]
        return analytic.mean_map(self.x, point.grid(self.x.shape), rule, 1, pool=point.max_pool)

    def _shallow(self, point: Point, rule: Rule, mean: np.ndarray, toward: float) -> RuleLaws:
        x, grid = self.x, point.grid(self.x.shape)
        variance = analytic.variance_map(x, grid, rule, 1)
        energy = float((mean**2).sum() + variance.sum())
        lost = energy - analytic.expected_class_product(x, grid, rule, 1)
        alone = self._alone(grid)
        cumulants = analytic.fourth_cumulant_map(x, grid, rule, 1)[alone]
        return RuleLaws(mean, toward, float(variance.sum()), 0.0, lost, variance[alone], cumulants)

    def _pooled(self, point: Point, rule: Rule, mean: np.ndarray, toward: float) -> RuleLaws:
        x, grid, pool = self.x, point.grid(self.x.shape), point.max_pool
        assert pool is not None
        if not mean.any():
            try:
                noise = float(analytic.pooled_variance_map(x, grid, rule, 1, pool=pool).sum())
            except NoLaw:  # large windows: the laws that need no variance remain
                noise = None
            return RuleLaws(mean, toward, noise, lost=noise)
        # Large windows are integrated once more, for the error of the integrals.
        exact = mean if math.prod(pool.size) <= 4 else None
        cosine, error = estimates.pooled_expected_cosine(
            x, grid, rule, 1, pool=pool, target="mean", unit_mean=exact
        )
        signal = float((mean**2).sum())
        return RuleLaws(mean, toward, signal * (cosine**-2.0 - 1), signal * 2 * error / cosine**3)

    def _deep(self, point: Point, rule: Rule) -> tuple[dict[str, Law], np.ndarray]:
        """Laws of depth and the mean map: exact where the mean is zero, limits where it is not."""
        bottom = analytic.depth_maps(self.x, point.stack(self.x.shape).layers, rule)[-1]
        assert bottom.mean_map is not None
        assert bottom.variance_map is not None
        variance, signal = float(bottom.variance_map.mean()), float((bottom.mean_map**2).sum())
        if signal:
            cosine = math.sqrt(signal / (signal + float(bottom.variance_map.sum())))
            laws = {"cosine_input": bottom.alignment, "cosine_mean": cosine, "variance": variance}
            return {name: Law(value, "limit") for name, value in laws.items()}, bottom.mean_map
        return {
            "cosine_input": _ZERO,
            "cosine_mean": _ZERO,
            # Maps that are linear in the readout are uncorrelated, as the readouts are.
            "class_distance": _ORTHOGONAL if rule.mean(Gaussian()) == 0 else NO_LAW,
            "variance": Law(variance, "exact"),
        }, bottom.mean_map


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b))) if a.any() else 0.0
