"""The error of the mean over filters falls as N^(−1/2)."""

from __future__ import annotations

import functools
import math

import numpy as np

from proofs_checks.claim import Bench, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.studies.estimation import EstimationError
from proofs_checks.studies.shelf import strongest_patch
from theorylab import analytic
from theorylab.charts import CurveFigure, Line, Points

COUNTS = (4, 16, 64, 256, 1024)


def run(bench: Bench) -> Outcome:
    """Measure the root-mean-square error at five filter counts for the patch of the picture with the most energy."""
    patch = strongest_patch(bench.x, bench.grid)
    measured = bench.study("estimation error", EstimationError(patch, COUNTS), 1200, block=50)
    logs = np.log(COUNTS) - np.mean(np.log(COUNTS))

    def slope(mean: dict[str, float]) -> float:
        errors = np.array([0.5 * math.log(mean[f"squared_{n}"]) for n in COUNTS])
        return float(logs @ errors / (logs @ logs))

    def rms(n: int, mean: dict[str, float]) -> float:
        return math.sqrt(mean[f"squared_{n}"])

    name = "slope of log(rms error) on log N"
    rate = bench.judge(
        name, "rate", *measured.estimate(slope), -0.5, Wrong("1/N", -1.0), share=measured.share
    )
    size = bench.moment(
        "rms error at N = 256",
        measured,
        functools.partial(rms, 256),
        analytic.estimation_error(patch.size, 256),
        Wrong("no mask: √(p/N)", math.sqrt(patch.size / 256)),
    )
    points = Points.of("one patch", COUNTS, [measured.estimate(functools.partial(rms, n)) for n in COUNTS])
    smooth = np.geomspace(COUNTS[0], COUNTS[-1], 50).astype(int)
    law = np.array([analytic.estimation_error(patch.size, int(n)) for n in smooth])
    figure = CurveFigure(
        "error-rate",
        f"Root-mean-square error of the mean of N masked filters of {patch.size} taps, with 95 % intervals.",
        "filters N",
        "rms error (units of c)",
        (Line("one patch", smooth.astype(float), law),),
        (points,),
        x_scale="log",
        y_scale="log",
        title="The error of the mean falls as N^(−1/2)",
    )
    return Outcome(
        f"The error falls with slope {rate.estimate:.4f} and is {size.estimate:.4f} c at N = 256.",
        (Evidence.of(rate),),
        (rate, size),
        rate.name,
        (figure,),
    )


CLAIM = Claim(
    id="error-rate",
    order=50,
    section="3.1.1",
    statement="An error ε in the mean over filters needs at most a number of filters of order p/ε², up to factors that grow "
    "slower than any power: the error falls as N^(−1/2) or faster.",
    exact_law="E‖(1/N) Σ_i w̃_i − E w̃‖² = c² (p/2 − 1/(2π))/N for every N: no hidden factor.",
    formula=(
        r"\mathrm{E}\,\|\bar{w} - \mathrm{E}\,\tilde{w}\|^2 = \dfrac{c^2}{N} \left(\dfrac{p}{2} -"
        r" \dfrac{1}{2\pi}\right)",
        r"\bar{w} = \dfrac{1}{N} \sum_{i=1}^{N}\, \tilde{w}_i,\quad \tilde{w}_i = w_i\,\mathbf{1}(w_i"
        r" \cdot y > 0)",
    ),
    proof="The terms are independent, so the expected squared error of their mean is the variance of one over N. One "
    "term has E‖w̃‖² = c² p/2, the trace of the half-space's second moment, and a mean of squared norm c²/(2π).",
    n_checks=2,
    run=run,
    margins=(
        Margin(
            "slope of the logarithm of the error on that of N",
            high=-0.45,
            why="the paper gives an upper bound, and hides slow factors, for which a tenth of the exponent is left",
        ),
    ),
    authors="The bound is from the literature and is only needed as an upper bound.",
)
