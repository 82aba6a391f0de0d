"""Whether max-pooling leaves guided backpropagation as it was."""

from __future__ import annotations

import math

import numpy as np

from proofs_checks.claim import QUARTER, Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.referee import QUARTER_WHY
from proofs_checks.studies import pooled, pooled_chart
from proofs_checks.studies.three_layers import inner, unit
from theorylab import MaxPool, Rule, analytic
from theorylab.charts import MapFigure, MapPanel
from theorylab.estimates import pooled_expected_cosine

POINTS = 4096
"""Of the integral over the orthants of 3×3 windows."""


def run(bench: Bench) -> Outcome:
    """Measure the size, shape and direction of the mean map behind 2×2 windows."""
    x = bench.x
    mean, deconvnet = pooled.predicted_means(bench)
    without = analytic.mean_map(x, bench.grid, Rule.GUIDED, 1)
    plain, unpooled = unit(without), float(np.linalg.norm(without))
    measured = pooled.pooled_recovery(bench)
    size = bench.moment(
        "size of the mean map, per filter",
        measured,
        "guided along",
        float(np.linalg.norm(mean)),
        (
            Wrong("DeconvNet's, windows of zeros included", float(np.linalg.norm(deconvnet))),
            Wrong("Eq. 7: as without pooling", unpooled),
        ),
    )
    shape = bench.ratio(
        "share of the mean map's energy along the prediction",
        measured,
        lambda m: m["guided halves_along"] / m["guided halves"],
        1.0,
        Wrong("Eq. 7: the mean map is x⊙κ", inner(plain, unit(mean)) ** 2),
    )
    before = inner(plain, x)
    direction = bench.ratio(
        "cosine of the mean map and x",
        measured,
        lambda m: m["guided toward"] / math.sqrt(m["guided halves"]),
        inner(unit(mean), x),
        Wrong("Eq. 7: as without pooling", before),
    )
    three = _three(bench)
    same = measured.estimate(lambda m: m["guided unpooled"] / math.sqrt(m["guided halves"]))
    figure = MapFigure(
        "maxpool-guided",
        "Guided backpropagation behind 2×2 max-pooling: the predicted mean map, and the measured mean of "
        f"{measured.replicates} networks of {pooled.FILTERS} filters; beside it the mean map without pooling, on "
        "a scale of its own.",
        (
            MapPanel("input x", x),
            MapPanel("without pooling", plain),
            MapPanel("predicted", mean, "mean"),
            MapPanel("measured", measured.maps["guided"].mean, "mean"),
        ),
        title="A max-pool changes the mean map of guided backpropagation, as predicted",
    )
    return Outcome(
        f"The mean map's cosine to x falls from {before:.3f} without pooling to {direction.estimate:.3f}: pooling favours the "
        "patch that stands out from its window, and the picture becomes an edge map. "
        f"Its cosine to the mean map without pooling is {same[0]:.3f}.",
        (Evidence(*same),),
        (size, shape, direction, *three),
        direction.name,
        (figure, pooled_chart.against_input(bench)),
    )


def _three(bench: Bench) -> tuple[Check, Check]:
    """Check size and cosine behind 3×3 windows, whose orthants are integrated, on the picture in 64×64 pixels."""
    setting = pooled_chart.setting(bench, *pooled_chart.CHECKED)
    x, grid, n, pool = setting.x, setting.grid, pooled_chart.FILTERS, MaxPool(setting.window)
    mean, unsure = analytic.pooled_mean_map_with_error(x, grid, Rule.GUIDED, 1, pool=pool, points=POINTS)
    smaller = analytic.pooled_mean_map(x, grid, Rule.GUIDED, 1, pool=pooled.POOL)
    length = float(np.linalg.norm(mean))
    along, error, count = setting.measured.estimate("guided along")
    size = bench.judge(
        "3×3 windows: size of the mean map, per filter",
        "moment",
        along,
        # The errors of neighbouring entries are correlated: at most their sum.
        math.hypot(error, float((abs(mean) * unsure).sum()) / length),
        count,
        length,
        Wrong("as for 2×2 windows", float(np.linalg.norm(smaller))),
        share=setting.measured.share,
    )
    value, spread = pooled_expected_cosine(x, grid, Rule.GUIDED, n, pool=pool, unit_mean=mean, draws=1024)
    toward, error, count = setting.measured.estimate(
        lambda m: m["guided toward"] / math.sqrt(m["guided energy"])
    )
    cosine = bench.judge(
        f"3×3 windows: cosine of the map and x, N = {n}",
        "ratio",
        toward,
        math.hypot(error, spread),
        count,
        value,
        (
            Wrong("the mean map's, without noise", inner(unit(mean), unit(x))),
            Wrong("Eq. 7: as without pooling", analytic.expected_cosine(x, grid, Rule.GUIDED, n)),
        ),
        share=setting.measured.share,
    )
    return size, cosine


CLAIM = Claim(
    id="maxpool-guided",
    order=150,
    shares="max-pool",
    section="3.2.1",
    statement="The behaviour of guided backpropagation remains the same with max-pooling: with high probability its map is "
    "approximately that of Lemma 1, up to scale.",
    exact_law="E S = N m₀ c Σ_j D_jᵀ E[w 1_j], 1_j: w·y_j > 0 and w·(y_j − y_m) > 0 for the other patches m of the window: "
    "a sum of boundary terms along y_j and along the differences y_j − y_m.",
    formula=(
        r"\mathrm{E}\,S = N m_0 c \sum_j\, D_j^{\mathrm{T}}\, \mathrm{E}[w\,\mathbf{1}_j],\quad w \sim"
        r" \mathcal{N}(0, I)",
        r"\mathbf{1}_j = \mathbf{1}\left(w \cdot y_j > 0,\; w \cdot (y_j - y_m) > 0 \text{ for all } m"
        r" \neq j\right)",
    ),
    proof="With disjoint windows a unit receives max(V, 0), of mean m₀, if it wins and is positive, an event of w alone. By the "
    "divergence theorem the mean of w on an intersection of half-spaces n_r·w > 0 is Σ_r n_r/‖n_r‖ (2π)^(−1/2) times the "
    "probability of the other conditions given n_r·w = 0: an orthant of one dimension less.",
    n_checks=5,
    run=run,
    margins=(Margin("cosine of the mean maps with and without pooling", low=QUARTER, why=QUARTER_WHY),),
    authors="It still recovers the picture and not the class, which is the behaviour that was meant.",
)
