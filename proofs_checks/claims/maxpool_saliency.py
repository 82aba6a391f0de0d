"""Whether max-pooling leaves saliency as it was."""

from __future__ import annotations

import math

import numpy as np

from proofs_checks.claim import EPSILON, QUARTER, Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.referee import GEOMETRY, MEAN_WHY, QUARTER_WHY
from proofs_checks.studies import pooled
from proofs_checks.studies.noise import unseen, zero_mean_check
from proofs_checks.studies.three_layers import inner, unit
from theorylab import Rule, analytic
from theorylab.analytic import pooled_variance_map
from theorylab.charts import MapFigure, MapPanel
from theorylab.estimates import pooled_expected_cosine


def run(bench: Bench) -> Outcome:
    """Measure the mean and energy of the pooled saliency map at the paper's size."""
    n = pooled.SALIENCY_FILTERS
    measured = pooled.pooled_saliency(bench)
    variance = pooled_variance_map(bench.x, bench.grid, Rule.SALIENCY, n, pool=pooled.POOL)
    law = float(variance.sum())
    before = float(analytic.variance_map(bench.x, bench.grid, Rule.SALIENCY, n).sum())
    one = pooled.predicted_means(bench)[pooled.RULES.index(Rule.GUIDED)]
    guided, _ = pooled_expected_cosine(
        bench.x, bench.grid, Rule.GUIDED, n, pool=pooled.POOL, target="mean", unit_mean=one, draws=32
    )
    zero_mean = zero_mean_check(bench, measured, guided)
    unpooled = Wrong("Eq. 7: the law without pooling", before)
    energy = bench.moment(f"energy of the map, N = {n}", measured, "energy", law, unpooled)
    window = _window(bench)
    coverage = np.broadcast_to(bench.grid.coverage, variance.shape)
    even = bench.ratio(
        "cosine of the variance map and coverage",
        measured,
        lambda mean: mean["covered"] / math.sqrt(mean["squares"]),
        inner(unit(variance), unit(coverage)),
        (
            Wrong("the picture's squares times coverage", inner(unit(coverage * bench.x**2), unit(coverage))),
            Wrong("variance as coverage squared", inner(unit(coverage**2), unit(coverage))),
        ),
    )
    figure = MapFigure(
        "maxpool-saliency",
        f"Saliency behind 2×2 max-pooling, {measured.replicates} networks of {n} filters: variance and mean of the maps, "
        "each predicted and measured on one scale.",
        (
            MapPanel("predicted variance", variance, "variance"),
            MapPanel("measured variance", measured.maps["map"].variance, "variance"),
            MapPanel("predicted mean", np.zeros(bench.x.shape), "mean"),
            MapPanel("measured mean", measured.maps["map"].mean, "mean"),
        ),
        title="Behind a max-pool, too, saliency is noise of mean 0",
    )
    return Outcome(
        f"Noise with mean zero ({unseen(zero_mean)})"
        f", as without pooling, and with {energy.estimate / before:.2f} of the energy, which the paper's "
        "normalisation removes. It is no longer quite white, because which patch wins a window depends on the filter: the cosine "
        f"of its variance map and coverage is {even.estimate:.3f} instead of 1.",
        (Evidence(1 - zero_mean.estimate, *zero_mean.measured[1:]), Evidence.of(even)),
        (zero_mean, energy, window, even),
        energy.name,
        (figure,),
    )


def _window(bench: Bench) -> Check:
    """Check what the strongest patch of one window is sent, from the second moment of a filter on the event that it wins."""
    seen, grid = pooled.one_window(bench, pooled.POOL)
    patches, n = grid.extract(seen), pooled.SALIENCY_FILTERS
    shares = analytic.pooled_patch_variance(seen, grid, Rule.SALIENCY, n, pool=pooled.POOL).sum(axis=1)
    return bench.moment(
        "energy that the strongest patch of a window is sent",
        pooled.window_study(bench, pooled.POOL),
        "strongest",
        float(shares[pooled.strongest_of(patches)]),
        (
            Wrong("all patches of the window alike", float(shares.mean())),
            Wrong("Eq. 7: whenever its unit is positive", n * patches.shape[1] / 2),
        ),
    )


CLAIM = Claim(
    id="maxpool-saliency",
    order=140,
    shares="max-pool",
    section="3.2.1",
    statement="The behaviour of saliency remains the same with max-pooling: with high probability its map is approximately that"
    " of Lemma 1, up to scale, and so noise.",
    exact_law="E S = 0 and Cov S = N v c² Σ_j D_jᵀ E[w wᵀ 1_j] D_j, 1_j: patch j is its window's first maximum and positive. "
    "The mean stays zero; the variance does not stay.",
    formula=(
        r"\mathrm{E}\,S = 0",
        r"\mathrm{Cov}\,S = N v c^2 \sum_j\, D_j^{\mathrm{T}}\, \mathrm{E}[w w^{\mathrm{T}}"
        r" \mathbf{1}_j]\, D_j,\quad w \sim \mathcal{N}(0, I)",
        r"\mathbf{1}_j = 1 \text{ where } w \cdot y_j > 0",
        r"\text{and is the first maximum of its window}",
    ),
    proof="Readout weights of different windows are independent with mean zero, so E S = 0 and windows add without cross terms; "
    "within a window one unit wins. E[w wᵀ 1_j] is the second moment of a filter on an orthant, by the divergence theorem twice.",
    n_checks=4,
    run=run,
    margins=(
        Margin("share of a map's energy that lies in the mean map", high=EPSILON**2, why=MEAN_WHY),
        Margin("cosine of the variance map and coverage", low=QUARTER, why=f"{QUARTER_WHY}; {GEOMETRY}"),
    ),
    authors="Saliency is noise with and without pooling, as the figures show; its scale is normalised away.",
)
