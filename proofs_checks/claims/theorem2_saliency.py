"""Theorem 2 for saliency: noise, white up to coverage."""

from __future__ import annotations

import functools

from proofs_checks.claim import EPSILON, Bench, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.referee import GEOMETRY, MEAN_WHY
from proofs_checks.results import SMALL_WHY
from proofs_checks.studies import shelf
from proofs_checks.studies.noise import decorrelation, unseen, zero_mean_check
from theorylab import Rule, analytic, law
from theorylab.charts import MapFigure, MapPanel
from theorylab.model import models


def run(bench: Bench) -> Outcome:
    """Measure mean, variance by coverage, and correlation at three lags."""
    x, grid = bench.x, bench.grid
    measured = shelf.saliency_noise(bench)
    known = law(models.three_layer(grid, shelf.PAPER_FILTERS), x, Rule.SALIENCY)
    variance = analytic.variance_map(x, grid, Rule.SALIENCY, shelf.PAPER_FILTERS)
    often = grid.coverage > grid.coverage.mean()
    squares = variance**2
    held = grid.coverage
    ratio = float(held[often].mean() / held[~often].mean())
    total, dense = known.energy, float(variance[often].sum())
    guided = analytic.expected_cosine(x, grid, Rule.GUIDED, shelf.PAPER_FILTERS, target="mean")
    zero_mean = zero_mean_check(bench, measured, guided)
    energy = bench.moment(
        "energy of the map",
        measured,
        "energy",
        total,
        (
            Wrong("borders forgotten: all entries as in the interior", total * shelf.interior_coverage(grid)),
            Wrong("no forward mask: twice that", 2 * total),
        ),
    )
    half, small = shelf.half_empty(bench)
    without, counting_zeros = (
        shelf.HALF_FILTERS / 2 * float(counted.sum())
        for counted in (analytic.active_coverage(half, small), small.coverage)
    )
    empty = bench.moment(
        "energy of the map of a crop whose left half is zero",
        shelf.half_empty_energy(bench),
        "energy",
        without,
        Wrong("patches of zeros counted", counting_zeros),
    )
    coverage = bench.ratio(
        "variance of much-covered over little-covered entries",
        measured,
        lambda mean: mean["dense"] / mean["sparse"] * (~often).sum() / max(1, often.sum()),
        dense / (total - dense) * (~often).sum() / max(1, often.sum()),
        Wrong("coverage squared", float(squares[often].mean() / squares[~often].mean())),
    )
    white = [
        bench.ratio(
            f"1 − correlation at lag {lag}",
            measured,
            functools.partial(decorrelation, i),
            1.0,
            Wrong("the stamp of DeconvNet: 1 − 1/π", 1 - 0.3183),
        )
        for i, lag in enumerate(shelf.LAGS)
    ]
    figure = MapFigure(
        "theorem2-saliency",
        "One network's saliency is noise, and the mean over networks shrinks to nothing; all that is left of the "
        "geometry is the variance, which follows coverage. Both variances are on one scale; the measured one scatters, being "
        f"that of {measured.replicates} networks.",
        (
            MapPanel("input x", x),
            MapPanel("predicted variance", variance, "variance"),
            MapPanel("measured variance", measured.maps["map"].variance, "variance"),
            MapPanel("measured mean (predicted 0)", measured.maps["map"].mean),
        ),
        title="A saliency map is noise: its mean is 0, its variance follows coverage",
    )
    return Outcome(
        f"Mean zero ({unseen(zero_mean)})"
        f" and uncorrelated, as stated; but the variance follows coverage: {coverage.estimate:.2f} times larger "
        "where more patches than average hold a pixel, at every N. White after division by √coverage.",
        (
            Evidence(1 - zero_mean.estimate, *zero_mean.measured[1:]),
            *(Evidence(1 - check.estimate, *check.measured[1:]) for check in white),
            Evidence(coverage.estimate / ratio, coverage.standard_error / ratio, coverage.replicates),
        ),
        (zero_mean, energy, empty, coverage, *white),
        coverage.name,
        (figure,),
    )


CLAIM = Claim(
    id="theorem2-saliency",
    order=80,
    shares="filters",
    section="3.1.2 Thm 2",
    statement="With sufficiently many filters the saliency map of any logit of a random three-layer network is approximately "
    "Gaussian noise with independent entries of one variance, N(0, I) up to scale.",
    exact_law="E S = 0 and Cov S = N v c²/2 Σ_j D_jᵀD_j for every N: uncorrelated, with variance proportional to the number "
    "of patches that hold the entry (those of zeros left out). N(0, I) only where coverage is constant.",
    formula=(
        r"\mathrm{E}\,S = 0",
        r"\mathrm{Cov}\,S = \dfrac{N v c^2}{2} \sum_{j:\,y_j \neq 0}\, D_j^{\mathrm{T}} D_j,\quad v ="
        r" \mathrm{E}\,V^2",
    ),
    proof="S = Σ_j D_jᵀ Σ_i V_ij w_i 1_ij with E V_ij = 0, so E S = 0; and E[V_ij V_ij'] = 0 for j ≠ j', so patches add "
    "without cross terms although they share filters.\n\n"
    "Each gives v E[w wᵀ 1(w·y_j>0)] = v c²/2 I, put back at its place: Σ_j D_jᵀD_j is diagonal and counts patches.",
    n_checks=7,
    run=run,
    margins=(
        Margin("share of a map's energy that lies in the mean map", high=EPSILON**2, why=MEAN_WHY),
        *(Margin(f"correlation of entries at lag {lag}", low=-EPSILON, high=EPSILON) for lag in shelf.LAGS),
        Margin(
            "variance of much-covered over little-covered entries, over the same ratio of coverage",
            low=1 - EPSILON,
            high=1 + EPSILON,
            why=f"{SMALL_WHY}; {GEOMETRY}",
        ),
    ),
    authors="Padding and strides were set aside; apart from them the map is the white noise that was stated.",
)
