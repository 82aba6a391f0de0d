"""Max-pools whose windows overlap, such as ResNet-50's first, in a three-layer network."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Outcome, Wrong
from proofs_checks.studies.pooled import RULES, PooledRecovery
from proofs_checks.studies.shelf import shrunk
from proofs_checks.studies.three_layers import inner, unit
from theorylab import Gaussian, MaxPool, PatchGrid, Rule, analytic, law, montecarlo
from theorylab.charts import MapFigure, MapPanel
from theorylab.estimates import pooled_expected_cosine
from theorylab.model import models
from theorylab.montecarlo import Measurement
from theorylab.sampling import MapSampler

SIDE = 48
POOL, DISJOINT = MaxPool(3, 2, 1), (MaxPool(3), MaxPool(2))
FILTERS = 256
POINTS = 2048
"""Eight times as many, mirrored, for windows that overlap: the maps err by less than a hundredth of their norm."""
REPLICATES, SALIENCY_REPLICATES = 200, 400
DRAWS = 512
"""Filters over which the energy of one map is averaged."""


@dataclasses.dataclass(frozen=True)
class Spread:
    """Saliency behind the pool: the map's ``energy``, per filter, and how much of it lies in a `half` of the pixels."""

    x: np.ndarray
    grid: PatchGrid
    half: np.ndarray

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        sampler = MapSampler(self.x, self.grid, FILTERS, law=Gaussian(1.0), pool=POOL, dtype=np.float32)
        numbers = np.zeros((2, size))
        for i in range(size):
            squares = sampler.draw(rng, [Rule.SALIENCY])[0, 0, 0].astype(np.float64) ** 2 / FILTERS
            numbers[:, i] = squares.sum(), squares[self.half].sum()
        return montecarlo.measurement(dict(zip(("energy", "half"), numbers, strict=True)))


def small(picture: np.ndarray) -> tuple[np.ndarray, PatchGrid]:
    """Return the picture in 48×48 pixels, with the paper's patches."""
    x = unit(shrunk(picture, SIDE))
    return x, PatchGrid(x.shape, min(7, *x.shape[1:]), stride=2)


def means(picture: np.ndarray, pool: MaxPool) -> tuple[np.ndarray, ...]:
    """Return predicted mean maps of one filter of the rules of `PooledRecovery` on the small picture."""
    x, grid = small(picture)
    return tuple(analytic.pooled_mean_map(x, grid, rule, 1, pool=pool, points=POINTS) for rule in RULES)


def run(bench: Bench) -> Outcome:
    """Measure size, direction and cosine to the picture of both mean maps, one map's cosine, and saliency's energy."""
    x, grid = small(bench.x)
    predicted = bench.once(means, POOL)
    simulate = PooledRecovery(x, grid, predicted, POOL, FILTERS)
    study = bench.study("overlapping max-pool", simulate, REPLICATES, block=4)
    checks = [check for rule in RULES for check in _of_mean(bench, study, rule)]
    cosines = dict(zip(RULES, checks[2::3], strict=True))
    value, unsure = pooled_expected_cosine(
        x, grid, Rule.GUIDED, FILTERS, pool=POOL, unit_mean=predicted[0], draws=DRAWS
    )
    toward, error, count = study.estimate(lambda m: m["guided toward"] / math.sqrt(m["guided energy"]))
    single = bench.judge(
        f"guided: cosine of one map and x, N = {FILTERS}",
        "ratio",
        toward,
        math.hypot(error, unsure),
        count,
        value,
        (
            Wrong("the mean map's, without noise", inner(unit(predicted[0]), x)),
            Wrong("Eq. 7: as without pooling", analytic.expected_cosine(x, grid, Rule.GUIDED, FILTERS)),
        ),
        share=study.share,
    )
    guided, deconvnet = (cosines[rule].estimate for rule in RULES)
    apart = inner(unit(bench.once(means, DISJOINT[0])[0]), x)
    figure = MapFigure(
        "overlapping-pools",
        f"The picture in {SIDE}×{SIDE} pixels behind a max-pool of 3×3 at stride 2: predicted mean maps, and the measured means "
        f"of {study.replicates} networks of {FILTERS} filters.",
        (
            MapPanel("input x", x),
            *(
                MapPanel(f"{rule.title}, {what}", map_, rule.value)
                for rule, mean in zip(RULES, predicted, strict=True)
                for what, map_ in (("predicted", mean), ("measured", study.maps[rule.value].mean))
            ),
        ),
        title="Where windows overlap, too, the law predicts the mean maps",
    )
    return Outcome(
        f"Windows that overlap leave guided backpropagation's mean map at a cosine of {guided:.3f} to x ({apart:.3f} "
        f"behind disjoint windows of that size), DeconvNet's at {deconvnet:.3f}. A patch that wins k windows counts √k times.",
        (),
        (*checks, single, *_saliency(bench)),
        cosines[Rule.GUIDED].name,
        (figure,),
    )


def _of_mean(bench: Bench, study: Measurement, rule: Rule) -> tuple[Check, Check, Check]:
    """Check size, direction and cosine to the picture of a rule's mean map."""
    x, grid = small(bench.x)
    name, number = rule.value, RULES.index(rule)
    mean = bench.once(means, POOL)[number]
    others = {
        f"Eq. 7 behind disjoint windows of {pool.size[0]}×{pool.size[1]}": bench.once(means, pool)[number]
        for pool in DISJOINT
    } | {"Eq. 7: guided, as without pooling": analytic.mean_map(x, grid, Rule.GUIDED, 1)}

    def wrong(value: Callable[[np.ndarray], float]) -> tuple[Wrong, ...]:
        return tuple(Wrong(what, value(map_)) for what, map_ in others.items())

    size = bench.moment(
        f"{name}: size of the mean map, per filter",
        study,
        f"{name} along",
        float(np.linalg.norm(mean)),
        wrong(lambda other: float(np.linalg.norm(other))),
    )
    direction = bench.ratio(
        f"{name}: share of the mean map's energy along the prediction",
        study,
        lambda m: m[f"{name} halves_along"] / m[f"{name} halves"],
        1.0,
        wrong(lambda other: inner(unit(other), unit(mean)) ** 2),
    )
    cosine = bench.ratio(
        f"{name}: cosine of the mean map and x",
        study,
        lambda m: m[f"{name} toward"] / math.sqrt(m[f"{name} halves"]),
        inner(unit(mean), x),
        wrong(lambda other: inner(unit(other), x)),
    )
    return size, direction, cosine


def _saliency(bench: Bench) -> tuple[Check, Check]:
    """Check saliency's energy, and where it lies."""
    x, grid = small(bench.x)
    variances = {
        pool: law(models.three_layer(grid, 1, pool=pool), x, Rule.SALIENCY).variance
        for pool in (POOL, DISJOINT[0])
    }
    variance, apart = variances.values()
    coverage = np.broadcast_to(grid.coverage, x.shape)
    each = np.divide(variance, coverage, out=np.zeros(x.shape), where=coverage > 0)
    half = each > np.median(each)
    study = bench.study("overlapping max-pool, saliency", Spread(x, grid, half), SALIENCY_REPLICATES, block=8)
    energy = bench.moment(
        "saliency: energy of the map, per filter",
        study,
        "energy",
        float(variance.sum()),
        Wrong("as behind disjoint windows of 3×3", float(apart.sum())),
    )
    uneven = bench.ratio(
        "saliency: share of the energy in the half of the pixels with most variance for their coverage",
        study,
        lambda m: m["half"] / m["energy"],
        float(variance[half].sum() / variance.sum()),
        Wrong("white up to coverage", float(coverage[half].sum() / coverage.sum())),
    )
    return energy, uneven


CLAIM = Claim(
    id="overlapping-pools",
    order=60,
    section="beyond 3.2.1",
    statement="Behind a max-pool whose windows overlap, such as ResNet-50's first, guided backpropagation still draws an edge "
    "map and not the picture, DeconvNet draws one too, and saliency is noise.",
    exact_law="E S = N m₀ c Σ_j D_jᵀ E[w √K_j], K_j the number of windows that send their readout weights to patch j: those "
    "that it wins with a positive value; DeconvNet: also the all-zero ones that begin with it. Saliency: mean 0, "
    "Var S = N v c² Σ_j D_jᵀ E[w² K_j].",
    formula=(
        r"\mathrm{E}\,S = N m_0 c \sum_j\, D_j^{\mathrm{T}}\, \mathrm{E}\left[w\,\sqrt{K_j}\right],\quad w \sim"
        r" \mathcal{N}(0, I)",
        r"K_j = \mathbf{1}(w \cdot y_j > 0)\; \#\{\text{windows in which } w \cdot y_j \text{ is largest}\}",
        r"\mathrm{Var}\,S = N v c^2 \sum_j\, D_j^{\mathrm{T}}\, \mathrm{E}\left[w^2 K_j\right]\quad"
        r" \text{(saliency)}",
    ),
    proof="The sum of the K_j readout weights that come to a patch is normal, with K_j times the variance of one, and the "
    "backward ReLU of it has the mean √K_j m₀. Given the filter the sums of different patches are independent, because each "
    "window has one winner. K_j depends on w through the patches of the windows that hold j. With R an orthonormal basis of "
    "their span, u = Rᵀ w is standard normal and independent of the rest of w, so E[w √K_j] = R E[u √K_j], an integral over at "
    "most 25 normals for windows of 3×3 at stride 2.\n\n"
    "Saliency is linear in the readout weights: windows contribute without correlation, whether they share patches or not, "
    "each as if it were alone.",
    n_checks=9,
    run=run,
    margins=(),
    authors="Windows that overlap were not spoken of: with disjoint ones a patch receives one readout weight.",
)
