"""The gap of guided backpropagation against the number of filters."""

from __future__ import annotations

import math

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.referee import GEOMETRY, TENTH_WHY
from proofs_checks.studies import shelf
from theorylab import Rule, analytic
from theorylab.charts import CurveFigure, Line, Points
from theorylab.montecarlo import Measurement


def noise_over_signal(mean: dict[str, float]) -> float:
    """Return ``tr Cov/‖E S‖²`` from means: the energy across the mean map over the energy along it."""
    return mean["energy"] / mean["along"] ** 2 - 1


def run(bench: Bench) -> Outcome:
    """Measure the cosine to the picture at four filter counts, the noise's size and shape, and its rate."""
    x, grid = bench.x, bench.grid
    measured = {n: shelf.recovery(bench, n) for n in shelf.FILTER_COUNTS}
    limit = float(
        analytic.expected_cosine(x, grid, Rule.GUIDED, 1)
        / analytic.expected_cosine(x, grid, Rule.GUIDED, 1, target="mean")
    )
    cosines = {
        n: bench.ratio(
            f"cosine of the map and x, N = {n}",
            study,
            lambda mean: mean["toward"] / math.sqrt(mean["energy"]),
            analytic.expected_cosine(x, grid, Rule.GUIDED, n),
            Wrong("a quarter of the filters", analytic.expected_cosine(x, grid, Rule.GUIDED, n // 4)),
        )
        for n, study in measured.items()
    }
    few = shelf.FEWEST
    _, variance = shelf.predicted(bench, few)
    # The wrong law is saliency's variance map: no backward ReLU, and no mean to subtract.
    wrong = analytic.variance_map(x, grid, Rule.SALIENCY, few)
    noise = bench.moment(
        f"energy around the mean map, N = {few}",
        measured[few],
        lambda m: m["energy"] - m["along"] ** 2 + _spread_of_along(measured[few]),
        float(variance.sum()),
        Wrong("no backward ReLU", float(wrong.sum())),
    )
    shape = bench.moment(
        f"measured on predicted variance map, N = {few}",
        measured[few],
        lambda m: m["weighted"] / float((variance**2).sum()),
        1.0,
        Wrong("no backward ReLU", float((wrong * variance).sum() / (variance**2).sum())),
    )
    slower = Wrong("N^(−1/2)", -0.5)
    rate = bench.slope(
        "rate of noise/signal in N (slope on log axes)", measured, noise_over_signal, -1.0, slower
    )
    return Outcome(
        f"Noise over signal falls as N^({rate.estimate:.2f}); the cosine to x is {cosines[256].estimate:.3f} at "
        f"N = 256, {cosines[1024].estimate:.3f} at N = 1024, and ends at {limit:.3f}, not at 1.",
        # What more filters cannot mend: the angle between the mean map and x.
        (Evidence(*measured[shelf.MOST].estimate(lambda m: m["covered"] / math.sqrt(m["halves"]))),),
        (*cosines.values(), noise, shape, rate),
        cosines[256].name,
        (_figure(bench, cosines, limit),),
    )


def _spread_of_along(study: Measurement) -> float:
    """Return the variance of the estimated mean of ⟨S, m⟩, the bias of its square."""
    along = study.statistics.names.index("along")
    return float(study.statistics.covariance[along, along] / study.replicates)


def _figure(bench: Bench, cosines: dict[int, Check], limit: float) -> CurveFigure:
    counts = np.unique(np.geomspace(4, 4096, 60).astype(int))
    curve = shelf.cosine_curve(bench.x, bench.grid, counts)
    return CurveFigure(
        "recovery-rate",
        "Cosine of a guided-backpropagation map and the picture against the number of filters: exact law and measured "
        "points with 95 % intervals. The flat line is the limit cos(x⊙κ, x).",
        "filters N",
        "cosine to the input",
        (
            Line("guided backpropagation", counts.astype(float), curve),
            Line("limit", counts[[0, -1]].astype(float), np.full(2, limit)),
        ),
        (Points.of("guided backpropagation", cosines, [check.measured for check in cosines.values()]),),
        x_scale="log",
        title=f"More filters lead to a cosine of {limit:.3f} to the picture",
    )


CLAIM = Claim(
    id="recovery-rate",
    order=40,
    shares="filters",
    section="3.2.1",
    statement="For guided backpropagation the gap to the input can be made arbitrarily small by taking more filters, "
    "leading to perfect recovery.",
    exact_law="cos = cos(x⊙κ, x)/√(1 + tr Cov/‖E S‖²) with tr Cov/‖E S‖² ∝ 1/N exactly: the noise vanishes, the "
    "distortion by κ stays.",
    formula=(
        r"\dfrac{\mathrm{E}\langle S, x\rangle}{\sqrt{\mathrm{E}\|S\|^2}\;\|x\|} = \dfrac{\cos(x \odot"
        r" \kappa,\, x)}{\sqrt{1 + \mathrm{tr\,Cov}\,S\,/\,\|\mathrm{E}\,S\|^2}}",
        r"\dfrac{\mathrm{tr\,Cov}\,S}{\|\mathrm{E}\,S\|^2} = \dfrac{a}{N},\quad a \text{ a constant of"
        r" the picture}",
    ),
    proof="The map is a sum of N independent terms, one a filter: its mean and its covariance both grow as N, so noise over "
    "signal is 1/N times a constant of the picture.\n\n"
    "The covariance of one filter's term is Σ_jj' D_jᵀ [e_jj' c² M_jj' − m₀² c²/(2π) û_j û_j'ᵀ] D_j': the filter is shared by "
    "all patches, the readouts are not. M is the second moment of w on the wedge where both w·y_j and w·y_j' are positive. "
    "The trace asks only for overlapping patches.",
    n_checks=7,
    run=run,
    margins=(
        Margin("cosine of the mean map and x times coverage", low=0.995, why=f"{TENTH_WHY}; {GEOMETRY}"),
    ),
    authors="The gap that was meant is that of the average over filters, and this one does vanish.",
)
