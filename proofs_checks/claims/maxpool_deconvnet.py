"""Whether max-pooling turns DeconvNet into guided backpropagation."""

from __future__ import annotations

import math

import numpy as np

from proofs_checks.claim import Bench, Claim, Evidence, Margin, Outcome, Undecidable, Wrong
from proofs_checks.studies import pooled, pooled_chart
from proofs_checks.studies.three_layers import inner, unit
from theorylab.charts import MapFigure, MapPanel


def run(bench: Bench) -> Outcome:
    """Measure DeconvNet's mean map behind 2×2 windows: size, shape, and angle to guided backpropagation's."""
    x = bench.x
    guided, mean = pooled.predicted_means(bench)
    if not mean.any():
        raise Undecidable("the law of DeconvNet's mean map is 0 on it, which has no direction")
    measured = pooled.pooled_recovery(bench)
    without_zeros = Wrong("without the windows of zeros: guided's", float(np.linalg.norm(guided)))
    size = bench.moment(
        "size of the mean map, per filter",
        measured,
        "deconvnet along",
        float(np.linalg.norm(mean)),
        without_zeros,
    )
    agreement = inner(unit(mean), unit(guided))
    shape = bench.ratio(
        "share of the mean map's energy along the prediction",
        measured,
        lambda m: m["deconvnet halves_along"] / m["deconvnet halves"],
        1.0,
        Wrong("the law without the windows of zeros", agreement**2),
    )
    same = bench.ratio(
        "cosine of the mean maps of DeconvNet and guided",
        measured,
        lambda m: m["cross"] / math.sqrt(m["deconvnet halves"] * m["guided halves"]),
        agreement,
        Wrong("Eq. 7: the form of guided backpropagation, 1", 1.0),
    )
    toward, error, _ = measured.estimate(lambda m: m["deconvnet toward"] / math.sqrt(m["deconvnet halves"]))
    figure = MapFigure(
        "maxpool-deconvnet",
        "DeconvNet behind 2×2 max-pooling: predicted and measured mean map; and what the windows of zeros add, the "
        "texture, which is the difference to guided backpropagation's mean map and has a scale of its own.",
        (
            MapPanel("without windows of zeros", guided, "mean"),
            MapPanel("windows of zeros alone", mean - guided),
            MapPanel("predicted", mean, "mean"),
            MapPanel("measured", measured.maps["deconvnet"].mean, "mean"),
        ),
        title="DeconvNet behind a max-pool: windows of zeros add a texture",
    )
    return Outcome(
        f"DeconvNet's mean map has cosine {same.estimate:.3f} to guided backpropagation's and {toward:.3f} ± {error:.3f} to x "
        f"(predicted {inner(unit(mean), x):.3f}): windows of zeros send a negative copy of the picture to their first entry.",
        (Evidence.of(same),),
        (size, shape, same),
        same.name,
        (figure, pooled_chart.against_guided(bench), pooled_chart.against_prediction(bench)),
    )


CLAIM = Claim(
    id="maxpool-deconvnet",
    order=160,
    shares="max-pool",
    section="3.2.1",
    statement="With max-pooling DeconvNet approximately has, with high probability, the form of guided backpropagation, and "
    "behaves like it; but it never recovers the input perfectly, and texture-like artifacts appear.",
    exact_law="E S = guided backpropagation's mean map + N m₀ c Σ_windows D_1ᵀ E[w 1(w·y_m ≤ 0 for all m)], "
    "D_1 the first position of the window: a negative copy of the picture, with the period of the windows.",
    formula=(
        r"\mathrm{E}\,S = \mathrm{E}\,S_{\text{guided}} + N m_0 c \sum_\omega\,"
        r" D_{1(\omega)}^{\mathrm{T}}\, \mathrm{E}[w\,\mathbf{1}_\omega],\quad w \sim \mathcal{N}(0, I)",
        r"\mathbf{1}_\omega = \mathbf{1}(w \cdot y_m \leq 0 \text{ for all } m \in \omega)",
        r"1(\omega) \text{ the first position of the window } \omega",
    ),
    proof="DeconvNet has no forward mask: the chosen unit passes its readout on even where it is zero. A window whose units are "
    "all closed chooses its first entry, and the filter's mean on that event points away from all the window's patches. "
    "All other windows contribute what they contribute to guided backpropagation.",
    n_checks=3,
    run=run,
    margins=(
        Margin(
            "cosine of the mean maps of DeconvNet and guided backpropagation",
            low=math.sqrt(0.5),
            why="most of the energy is common; the paper itself expects artifacts and no perfect recovery",
        ),
    ),
    authors="The form is that of guided backpropagation, and the artifacts were predicted.",
)
