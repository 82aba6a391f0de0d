"""Proposition 1 for guided backpropagation: the gradient of the first hidden layer has a mean, the layer itself."""

from __future__ import annotations

import functools
import math

import numpy as np

from proofs_checks.claim import EPSILON, Bench, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.referee import MEAN_WHY
from proofs_checks.studies import proposition1 as shared
from theorylab.analytic import depth_profile
from theorylab.charts import CurveFigure, Line, Points
from theorylab.model.rules import Rule

N = shared.QUOTED


def alignment(mean: dict[str, float]) -> float:
    """Return the alignment, from the mean along ``o^(1)`` and the variance of the entries across it."""
    return mean["guided along"] / math.sqrt(mean["guided along"] ** 2 + shared.FIRST * mean["guided second"])


def run(bench: Bench) -> Outcome:
    """Measure the mean along o^(1), and variance and tails across it, in the smallest deep network."""
    measured = shared.tails(bench, N)
    (law, _) = depth_profile([1, shared.FIRST, N], Rule.GUIDED)
    equal = Wrong("as for equal widths: 1/√(1 + π²)", 1 / math.sqrt(1 + math.pi**2))
    mean = bench.ratio(
        f"alignment with o^(1) under one layer of n = {N}", measured, alignment, law.alignment, equal
    )
    variance = bench.moment(
        f"variance of an entry across o^(1), n = {N}",
        measured,
        "guided second",
        law.beta**2,
        Wrong("as saliency's: twice that", 2 * law.beta**2),
    )
    tail = bench.moment(
        f"excess kurtosis of an entry across o^(1), n = {N}",
        measured,
        functools.partial(shared.excess, Rule.GUIDED),
        shared.ONE_LAYER[Rule.GUIDED] / N,
        Wrong("as saliency's: 15/n", shared.ONE_LAYER[Rule.SALIENCY] / N),
    )
    slope = shared.slope_check(bench, Rule.GUIDED)
    return Outcome(
        f"Around its mean the gradient is Gaussian in the limit (slope {slope.estimate:.3f}), but the mean is not zero: it is a "
        f"multiple of o^(1), with alignment {mean.estimate:.3f}, and does not fade as the widths grow.",
        (
            Evidence(*measured.estimate(lambda m: alignment(m) ** 2)),
            Evidence.of(tail, shared.ONE_LAYER[Rule.GUIDED] / EPSILON, "n"),
        ),
        (mean, variance, tail, slope),
        mean.name,
        (_figure(bench),),
    )


def _figure(bench: Bench) -> CurveFigure:
    """Draw the alignment against the width of the layer above."""
    counts = np.unique(np.geomspace(min(shared.WIDTHS), 256, 40).astype(int))
    law = [depth_profile([1, shared.FIRST, int(n)], Rule.GUIDED)[0].alignment for n in counts]
    estimates = [shared.tails(bench, n).estimate(alignment) for n in shared.WIDTHS]
    ends = counts[[0, -1]].astype(float)
    return CurveFigure(
        "proposition1-guided",
        "Alignment of what guided backpropagation hands to the first hidden layer with that layer's output, against the "
        f"units of the layer above ({shared.FIRST} in the first): measured points with 95 % intervals.",
        "units n of the layer above",
        "alignment with o^(1)",
        (
            Line("guided backpropagation", counts.astype(float), np.array(law)),
            Line("Proposition 1", ends, np.zeros(2)),
        ),
        (Points.of("guided backpropagation", shared.WIDTHS, estimates),),
        x_scale="log",
        title="Guided backpropagation aligns with the layer; Proposition 1 leaves no alignment",
    )


CLAIM = Claim(
    id="proposition1-guided",
    order=200,
    shares="tails",
    section="3.2.2 Prop. 1",
    statement="In a random deep network every entry of the gradient that guided backpropagation hands to the first hidden layer"
    " can approximately be taken as independent, identically distributed, Gaussian, of mean zero.",
    exact_law="E[V̂^(1) | o^(1)] = α o^(1), α ‖o^(1)‖ = n c/(2π) under one layer of n units, for every width; alignment "
    "1/√(1 + π² n₁/n), which no width takes to 0 when all grow; across o^(1) variance n c²/4 and excess kurtosis 33/n.",
    formula=(
        r"\mathrm{E}[\hat{V}{}^{(1)} \mid o^{(1)}] = \alpha\, o^{(1)},\quad \alpha\,\|o^{(1)}\| ="
        r" \dfrac{n c}{2\pi}",
        r"\text{alignment } \dfrac{1}{\sqrt{1 + \pi^2 n_1/n}}",
        r"\text{across } o^{(1)}: \text{ variance } \dfrac{n c^2}{4},\quad \text{excess kurtosis }"
        r" \dfrac{33}{n}",
    ),
    proof="V̂ = Σ_i w_i T_i with T = σ(v) 1(z>0), v the readout and z = w·o. The part of w across o is independent of z and has "
    "mean 0; the part along it gives n E[z T]/‖o‖ = n c E[σ(g)]² = n c/(2π).\n\n"
    "Across o an entry is c Σ_i g_i T_i with g_i standard normal and independent of T_i: E T² = 1/4 and E T⁴ = 3/4, so the "
    "variance is n c²/4. Fourth cumulants add: the excess kurtosis is that of one term, 3 · (3/4)/(1/4)² − 3 = 33, over n.",
    n_checks=4,
    run=run,
    margins=(
        Margin("share of the gradient's energy that lies in its mean", high=EPSILON**2, why=MEAN_WHY),
        Margin(
            f"excess kurtosis of an entry across o^(1) under one layer of n = {N}", low=-EPSILON, high=EPSILON
        ),
    ),
    authors="A mean along o^(1) only helps guided backpropagation to recover the picture, which is what follows.",
)
