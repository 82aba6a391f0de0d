"""Theorem 2's Gaussian law is a limit, approached at rate 1/N."""

from __future__ import annotations

import dataclasses

import numpy as np

from proofs_checks.claim import EPSILON, Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.studies.shelf import strongest_patch
from proofs_checks.studies.three_layers import unit
from theorylab import PatchGrid, Rule, analytic, montecarlo
from theorylab.charts import CurveFigure, Line, Points
from theorylab.montecarlo import Measurement

ONE_FILTER = 15.0
"""Excess kurtosis of one filter's term: derived in the proof below."""

REPLICATES = {2: 500_000, 4: 400_000, 8: 800_000, 16: 480_000}
BLOCK = 5000
QUOTED = 8
GUIDED_FILTERS, GUIDED_REPLICATES = 4, 3_000_000


@dataclasses.dataclass(frozen=True)
class Kurtosis:
    """Second and fourth moments of a map's entry held by one patch, pooled over the patch's entries."""

    patch: np.ndarray
    n_filters: int
    rule: Rule

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        w = rng.standard_normal((size, self.n_filters, self.patch.size), dtype=np.float32)
        readout = rng.standard_normal((size, self.n_filters), dtype=np.float32)
        signal = self.rule.backward(readout, w @ self.patch.astype(np.float32))
        entries = np.einsum("sn,snp->sp", signal, w).astype(np.float64)
        return montecarlo.measurement(
            {"second": (entries**2).mean(axis=1), "fourth": (entries**4).mean(axis=1)}
        )


@dataclasses.dataclass(frozen=True)
class Differences:
    """Second and fourth moments of the difference of two networks' guided maps, pooled over a patch's entries.

    The mean cancels, and fourth cumulants add: there is no mean to estimate.
    """

    patch: np.ndarray
    n_filters: int

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        maps = []
        for _ in range(2):
            w = rng.standard_normal((size, self.n_filters, self.patch.size), dtype=np.float32)
            readout = rng.standard_normal((size, self.n_filters), dtype=np.float32)
            signal = Rule.GUIDED.backward(readout, w @ self.patch.astype(np.float32))
            maps.append(np.einsum("sn,snp->sp", signal, w).astype(np.float64))
        squares = (maps[0] - maps[1]) ** 2
        return montecarlo.measurement({"second": squares.mean(axis=1), "fourth": (squares**2).mean(axis=1)})


def excess(mean: dict[str, float]) -> float:
    """Return the excess kurtosis from pooled moments; the mean is exactly 0."""
    return mean["fourth"] / mean["second"] ** 2 - 3


def run(bench: Bench) -> Outcome:
    """Measure the excess kurtosis at four filter counts and its slope, for both rules, on a 3×3 patch."""
    patch = unit(strongest_patch(bench.x))
    checks: list[Check] = []
    # Of a product of two normals E V⁴ E w⁴ = 9 and E V² E w² = 1.
    product = Wrong("no ReLU: 6/N", 6 / QUOTED)
    points: list[Points] = []
    for rule in (Rule.SALIENCY, Rule.DECONVNET):
        studies = {
            n: bench.study(
                f"kurtosis, {rule.value}, {n} filters", Kurtosis(patch, n, rule), count, block=BLOCK
            )
            for n, count in REPLICATES.items()
        }
        excess_name = f"{rule.value}: excess kurtosis, N = {QUOTED}"
        slope_name = f"{rule.value}: slope of log(excess kurtosis) on log N"
        checks += [
            bench.moment(excess_name, studies[QUOTED], excess, ONE_FILTER / QUOTED, product),
            bench.slope(slope_name, studies, excess, -1.0, Wrong("N^(−1/2)", -0.5)),
        ]
        points.append(Points.of(rule.title, studies, [study.estimate(excess) for study in studies.values()]))
    checks.append(_guided(bench))
    counts = np.array([min(REPLICATES), max(REPLICATES)], dtype=float)
    figure = CurveFigure(
        "gaussianity",
        "Excess kurtosis of an entry of the map against the number of filters, with 95 % intervals: 15/N, never 0.",
        "filters N",
        "excess kurtosis",
        (Line("exact law 15/N", counts, ONE_FILTER / counts),),
        tuple(points),
        x_scale="log",
        y_scale="log",
        title="Gaussian in the limit alone: the excess kurtosis is 15/N",
    )
    return Outcome(
        f"Excess kurtosis {checks[0].estimate:.3f} at N = {QUOTED} (15/N = {ONE_FILTER / QUOTED:.3f}), falling with slope "
        f"{checks[1].estimate:.3f} (saliency) and {checks[3].estimate:.3f} (DeconvNet).",
        tuple(Evidence.of(check, ONE_FILTER / EPSILON) for check in checks[:4:2]),
        tuple(checks),
        checks[1].name,
        (figure,),
    )


def _guided(bench: Bench) -> Check:
    """Check the fourth cumulant where the filter's mean enters: guided backpropagation on the picture's strongest pixel."""
    pixel = unit(strongest_patch(bench.x, PatchGrid(bench.x.shape, 1))).reshape(-1, 1, 1)
    grid = PatchGrid(pixel.shape, 1)
    cumulants = analytic.fourth_cumulant_map(pixel, grid, Rule.GUIDED, GUIDED_FILTERS)
    variances = analytic.variance_map(pixel, grid, Rule.GUIDED, GUIDED_FILTERS)
    # Of two independent maps cumulants add, of every order.
    fourth, second = 2 * cumulants + 12 * variances**2, 2 * variances
    simulate = Differences(pixel.ravel(), GUIDED_FILTERS)
    return bench.moment(
        f"guided: excess kurtosis of two networks' difference, one pixel, N = {GUIDED_FILTERS}",
        bench.study("kurtosis, guided", simulate, GUIDED_REPLICATES, block=BLOCK),
        excess,
        float(fourth.mean() / second.mean() ** 2) - 3,
        Wrong("as for the other rules: 15/N, half of it for a difference", ONE_FILTER / GUIDED_FILTERS / 2),
    )


CLAIM = Claim(
    id="gaussianity",
    order=100,
    section="3.1.2 Thm 2",
    statement="With sufficiently many filters the entries of saliency and DeconvNet maps are approximately Gaussian.",
    exact_law="Excess kurtosis 15/N for an entry held by one patch, both rules, Gaussian weights, every N: the limit is "
    "Gaussian and is approached at rate 1/N.",
    formula=(
        r"\dfrac{\mathrm{E}\,S_t^4}{(\mathrm{E}\,S_t^2)^2} - 3 = \dfrac{15}{N} \quad \text{where one"
        r" patch holds } t",
    ),
    proof="The entry is a sum of N independent terms of mean 0. Fourth cumulants add and variances add, so the excess "
    "kurtosis of the sum is that of one term over N.\n\n"
    "Saliency: the term is V w 1(w·y>0). E[V⁴] = 3 and, by the symmetry w → −w, E[w⁴ 1] = 3/2, so the fourth moment is 9/2; "
    "the variance is 1/2; 4.5/0.25 − 3 = 15. DeconvNet: max(V,0) w has the same two moments with the halves exchanged.\n\n"
    "Guided backpropagation's term max(V,0) w 1(w·y>0) has odd moments too, by the part of w along the patch; its fourth "
    "cumulant over N is checked on the difference of two networks, in which the means cancel.",
    n_checks=5,
    run=run,
    margins=tuple(
        Margin(f"{rule.value}: excess kurtosis of an entry at N = {QUOTED}", low=-EPSILON, high=EPSILON)
        for rule in (Rule.SALIENCY, Rule.DECONVNET)
    ),
    authors="Sufficiently many filters were assumed.",
)
