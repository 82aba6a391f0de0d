"""Whether the map of a logit depends on the logit."""

from __future__ import annotations

import math

import numpy as np

from proofs_checks.claim import QUARTER, Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.referee import QUARTER_WHY
from proofs_checks.studies import shelf
from proofs_checks.studies.three_layers import logit_distance
from theorylab import analytic, law
from theorylab.charts import CurveFigure, Line, Points
from theorylab.model import models
from theorylab.model.rules import PAPER, Rule

NEAR = math.sqrt(2 - 2 * QUARTER)
"""The distance of two maps whose cosine is that of an error of a quarter."""


def run(bench: Bench) -> Outcome:
    """Measure distances between two logits' maps for the three rules."""
    x, grid = bench.x, bench.grid
    counts = shelf.FILTER_COUNTS[1:]
    white = Wrong("two independent noises: √2", math.sqrt(2))
    guided = {
        n: bench.ratio(
            f"guided: distance between two logits, N = {n}",
            shelf.recovery(bench, n),
            logit_distance,
            analytic.class_distance(x, grid, Rule.GUIDED, n),
            white,
        )
        for n in counts
    }
    saliency = bench.ratio(
        "saliency: distance between two logits",
        shelf.saliency_noise(bench),
        logit_distance,
        law(models.three_layer(grid, shelf.PAPER_FILTERS), x, Rule.SALIENCY).class_distance,
        Wrong("the law of DeconvNet: √(2 − 2/π)", math.sqrt(2 - 2 / math.pi)),
    )
    crop, small = shelf.small_picture(bench)
    deconvnet = bench.ratio(
        "deconvnet: distance between two logits",
        shelf.deconvnet_noise(bench),
        logit_distance,
        analytic.class_distance(crop, small, Rule.DECONVNET, shelf.CROP_FILTERS),
        white,
    )
    energy = analytic.expected_energy(x, grid, Rule.GUIDED, shelf.PAPER_FILTERS)
    common = bench.ratio(
        f"guided: share of the energy common to two logits, N = {shelf.PAPER_FILTERS}",
        shelf.recovery(bench, shelf.PAPER_FILTERS),
        lambda mean: mean["classes"] / mean["energy"],
        analytic.expected_class_product(x, grid, Rule.GUIDED, shelf.PAPER_FILTERS) / energy,
        Wrong(
            "the mean map alone",
            analytic.expected_cosine(x, grid, Rule.GUIDED, shelf.PAPER_FILTERS, target="mean") ** 2,
        ),
    )
    paper = guided[shelf.PAPER_FILTERS]
    most = guided[counts[-1]]
    return Outcome(
        f"Two logits' guided maps are {paper.estimate:.3f} apart at N = 256, far from 0, and "
        f"{guided[1024].estimate:.3f} at N = 1024; saliency {saliency.estimate:.3f}, DeconvNet {deconvnet.estimate:.3f} at "
        "every N.",
        (Evidence.of(most, shelf.filters_for_distance(x, grid, NEAR)),),
        (*guided.values(), common, saliency, deconvnet),
        paper.name,
        (_figure(bench, guided),),
    )


def _figure(bench: Bench, guided: dict[int, Check]) -> CurveFigure:
    """Draw the distance against the number of filters."""
    smooth = np.unique(np.geomspace(16, 4096, 40).astype(int))
    return CurveFigure(
        "class-distance",
        "l2 distance between the unit-norm maps of two logits of one network against the number of filters.",
        "filters N",
        "distance between two logits",
        tuple(
            Line(rule.title, smooth.astype(float), shelf.distance_curve(bench.x, bench.grid, rule, smooth))
            for rule in PAPER
        ),
        (Points.of(Rule.GUIDED.title, guided, [check.measured for check in guided.values()]),),
        x_scale="log",
        title="Two logits' maps approach each other under guided backpropagation alone",
    )


CLAIM = Claim(
    id="class-insensitivity",
    order=70,
    shares="filters",
    section="3.1.1",
    statement="With sufficiently many filters guided backpropagation recovers the input regardless of the class label: the maps"
    " of two logits agree.",
    exact_law="Distance √(2 − 2 E⟨S,S'⟩/E‖S‖²): it falls to 0 as N^(−1/2) for guided backpropagation, is √2 for saliency and "
    "√(2 − 2 m₀²/m₂) = √(2 − 2/π) = 1.168 for DeconvNet at every N.",
    formula=(
        r"d = \sqrt{2 - 2\,\dfrac{\mathrm{E}\langle S_a, S_b\rangle}{\mathrm{E}\|S\|^2}}",
        r"\text{saliency: } d = \sqrt{2}",
        r"\text{DeconvNet: } d = \sqrt{2 - 2 m_0^2/m_2} = \sqrt{2 - 2/\pi} = 1.168",
        r"\text{guided: } d \propto N^{-1/2} \text{ as } N \to \infty",
    ),
    proof="Two logits of one network share the filters; their readouts are independent. So E⟨S,S'⟩ is E‖S‖² with "
    "E[h(V)h(V')] = E[h]² in place of E[h²] wherever a unit meets itself.\n\n"
    "Saliency: E[h] = 0 and nothing is left. DeconvNet: every term of E‖S‖² is a unit meeting itself, so the ratio is m₀²/m₂. "
    "Guided: the mean map, of energy N², is common to both, and what is lost is of order N.",
    n_checks=6,
    run=run,
    margins=(
        Margin(
            f"distance between two logits' guided maps of {shelf.MOST} filters", high=NEAR, why=QUARTER_WHY
        ),
    ),
    authors="Sufficiently many filters were assumed.",
)
