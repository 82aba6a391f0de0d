"""The noise of guided backpropagation and DeconvNet behind a max-pool, and two logits of one network."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Outcome, Wrong
from proofs_checks.studies.pooled import RULES
from proofs_checks.studies.shelf import shrunk
from proofs_checks.studies.three_layers import inner, logit_distance, unit
from theorylab import Gaussian, MaxPool, PatchGrid, Rule, law, montecarlo
from theorylab.analytic.three_layer import MapLaw
from theorylab.charts import MapFigure, MapPanel
from theorylab.model import models
from theorylab.montecarlo import ArrayMoments, Measurement
from theorylab.sampling import MapSampler

SIDE, FILTERS = 16, 64
POOLS = {"2×2": MaxPool(2), "3×3 at stride 2": MaxPool(3, 2, 1)}
REPLICATES = 6500


@dataclasses.dataclass(frozen=True)
class Halves:
    """Maps of two logits from networks whose filters are drawn in two halves.

    Per rule: ``noise`` ‖S¹ − S²‖² of the halves, of expectation the sum of the variances of a map; ``where``, the same weighted
    by a pattern of norm 1; ``energy`` ‖S‖² and ``classes`` ⟨S, S'⟩.
    """

    x: np.ndarray
    grid: PatchGrid
    pool: MaxPool
    patterns: tuple[np.ndarray, ...]

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        sampler = MapSampler(self.x, self.grid, FILTERS, law=Gaussian(1.0), pool=self.pool, dtype=np.float32)
        moments = {rule.value: ArrayMoments.empty(self.grid.input_shape) for rule in RULES}
        rows = []
        for _ in range(size):
            drawn = sampler.draw(rng, RULES, n_readouts=2, groups=2).astype(np.float64)
            row: dict[str, float] = {}
            for rule, halves, pattern in zip(RULES, drawn, self.patterns, strict=True):
                name, maps = rule.value, halves.sum(axis=1)
                squares = ((halves[:, 0] - halves[:, 1]) ** 2).mean(axis=0)
                row |= {
                    f"{name} noise": squares.sum(),
                    f"{name} where": inner(squares, pattern),
                    f"{name} energy": inner(maps, maps) / 2,
                    f"{name} classes": inner(*maps),
                }
                moments[name].add(np.sqrt(squares))
            rows.append(row)
        return montecarlo.measurement(rows, moments)


def grey(picture: np.ndarray) -> tuple[np.ndarray, PatchGrid]:
    """Return the strongest channel of the picture in 16×16 pixels, with patches of 3×3."""
    channel = max(picture, key=np.linalg.norm)
    x = unit(shrunk(channel[None], SIDE))
    return x, PatchGrid(x.shape, min(3, *x.shape[1:]))


def predicted(picture: np.ndarray, pool: MaxPool | None, rule: Rule) -> MapLaw:
    """Return the law of one rule's map of that channel."""
    x, grid = grey(picture)
    return law(models.three_layer(grid, FILTERS, pool=pool), x, rule)


def alone(rule: Rule) -> Rule:
    """Return the rule of the same gate that is linear in the readout."""
    return Rule.SALIENCY if rule.gate else Rule.LINEAR


def run(bench: Bench) -> Outcome:
    """Measure how much noise there is and where, and how far apart two logits are, behind two kinds of windows."""
    found = {title: _of_pool(bench, title) for title in POOLS}
    checks = [check for of_pool, _ in found.values() for check in of_pool]
    guided, deconvnet = (checks[2 + 3 * n].estimate for n in range(2))
    _, measured = found["2×2"]
    laws = [bench.once(predicted, POOLS["2×2"], rule) for rule in RULES]
    figure = MapFigure(
        "pooled-noise",
        f"Behind a max-pool of 2×2: the standard deviation of each pixel, as predicted, and the mean deviation of "
        f"{measured.replicates} networks of {FILTERS} filters.",
        (
            MapPanel("input x", grey(bench.x)[0]),
            *(
                MapPanel(f"{rule.title}, {what}", unit(map_), rule.value)
                for rule, known in zip(RULES, laws, strict=True)
                for what, map_ in (
                    ("predicted", np.sqrt(known.variance)),
                    ("measured", measured.maps[rule.value].mean),
                )
            ),
        ),
        title="Behind a max-pool, too, the law predicts the noise of each pixel",
    )
    half = [
        known.variance.sum() / bench.once(predicted, POOLS["2×2"], alone(known.rule)).variance.sum()
        for known in laws
    ]
    return Outcome(
        f"Behind 2×2 windows a map's noise is {half[0]:.3f} (guided) and {half[1]:.3f} (DeconvNet) of that of the rule without "
        f"the backward ReLU; two logits of a network of {FILTERS} filters are {guided:.3f} and {deconvnet:.3f} apart.",
        (),
        tuple(checks),
        checks[0].name,
        (figure,),
    )


def _of_pool(bench: Bench, title: str) -> tuple[list[Check], Measurement]:
    pool = POOLS[title]
    once = functools.partial(bench.once, predicted)
    laws = {rule: once(pool, rule) for rule in RULES}
    halved = {rule: once(pool, alone(rule)).variance / 2 for rule in RULES}
    patterns = {rule: unit(np.maximum(halved[rule] - laws[rule].variance, 0)) for rule in RULES}
    x, grid = grey(bench.x)
    study = bench.study(
        f"noise behind {title}", Halves(x, grid, pool, tuple(patterns.values())), REPLICATES, block=60
    )
    checks = []
    for rule, known in laws.items():
        plain, name = once(None, rule), f"{title}, {rule.value}"
        half = "half of that of the rule without the backward ReLU"
        checks += [
            bench.moment(
                f"{name}: noise of a map",
                study,
                f"{rule.value} noise",
                float(known.variance.sum()),
                (
                    Wrong(half, float(halved[rule].sum())),
                    Wrong("Eq. 7: as without pooling", float(plain.variance.sum())),
                ),
            ),
            bench.moment(
                f"{name}: noise where neighbouring windows meet",
                study,
                f"{rule.value} where",
                inner(known.variance, patterns[rule]),
                (
                    Wrong(half, inner(halved[rule], patterns[rule])),
                    Wrong("Eq. 7: as without pooling", inner(plain.variance, patterns[rule])),
                ),
            ),
            bench.ratio(
                f"{name}: distance between two logits",
                study,
                functools.partial(logit_distance, prefix=f"{rule.value} "),
                known.class_distance,
                (
                    Wrong("Eq. 7: as without pooling", plain.class_distance),
                    Wrong("two independent noises: √2", 2**0.5),
                ),
            ),
        ]
    return checks, study


CLAIM = Claim(
    id="pooled-noise",
    order=65,
    section="beyond 3.2.1",
    statement="Behind a max-pool the noise of guided backpropagation's and DeconvNet's maps is nearly half of that of the same "
    "rule without the backward ReLU, pixel by pixel, and the less it differs the larger the patches are; two logits of a network "
    "differ by what each patch alone receives.",
    exact_law="Var S = N c² {v₂ Σ_j D_jᵀ E[w² K_j] + m₀² (Σ_{j≠j'} E[w w' √(K_j K_j')] − (E F)²)}, F = Σ_j D_jᵀ w √K_j; "
    "‖S − S'‖² of two logits: 2 N c² (v₂ − m₀²) Σ_j E‖D_jᵀ w‖² K_j. K_j counts the windows that send patch j their readout "
    "weights, v₂ = E h(V)², m₀ = E h(V).",
    formula=(
        r"\mathrm{Var}\,S = N c^2 \left\{v_2 \sum_j D_j^{\mathrm{T}}\, \mathrm{E}[w^2 K_j] + m_0^2 \left(\mathrm{E}\,F^2 -"
        r" \sum_j D_j^{\mathrm{T}}\, \mathrm{E}[w^2 K_j] - (\mathrm{E}\,F)^2\right)\right\}",
        r"F = \sum_j D_j^{\mathrm{T}} w \sqrt{K_j},\quad v_2 = \mathrm{E}\,h(V)^2,\quad m_0 = \mathrm{E}\,h(V)",
        r"\mathrm{E}\|S - S'\|^2 = 2 N c^2 (v_2 - m_0^2) \sum_j \mathrm{E}\left[\|D_j^{\mathrm{T}} w\|^2 K_j\right]",
    ),
    proof="Given a filter the readout weights that come to different patches are independent, because each window has one "
    "winner; those of patch j add up to √K_j times one. So of the product of two patches m₀² √(K_j K_j') is left, of the square "
    "of one v₂ K_j, and of the product of two logits m₀² in both. The filters are independent, and their variances add.\n\n"
    "E[w² K_j] is the second moment of an orthant, as for saliency. The products of two patches need the orthants of two "
    "windows at once; they are integrated over filters from a quasi-random rule. They are small: two entries of a filter have "
    "mean 0, and what two wins tell about them is shared among all entries.",
    n_checks=12,
    run=run,
    margins=(),
    authors="Of the noise behind a max-pool only that it stays approximately what it was was said.",
)
