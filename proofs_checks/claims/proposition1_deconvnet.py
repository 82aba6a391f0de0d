"""Proposition 1 for DeconvNet: Gaussian entries that grow alike at all positions."""

from __future__ import annotations

import functools
import math

import numpy as np

from proofs_checks.claim import EPSILON, Bench, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.judge import extrapolated
from proofs_checks.referee import MEAN_WHY
from proofs_checks.studies import proposition1 as shared
from proofs_checks.studies.depth import Stack, stacked
from proofs_checks.studies.noise import correlation, unseen, zero_mean_check
from theorylab.analytic import deconvnet_correlation
from theorylab.charts import CurveFigure, Line, Points
from theorylab.model.rules import Rule
from theorylab.montecarlo import Measurement

SIDE, LAYERS = 9, 4
REPLICATES, NETWORKS = {8: 375, 32: 130}, 40


def run(bench: Bench) -> Outcome:
    """Measure mean and correlation between positions in a convolutional network, and tails in dense ones."""
    x = np.ones((3, SIDE, SIDE))  # without a forward mask any picture has the same law
    studies = {}
    for n, count in REPLICATES.items():
        stack = Stack(x, stacked(len(x), [n] * LAYERS, [3] * LAYERS, [1] * LAYERS))
        # Go one position further from the border per layer, so that every tap of every layer takes part.
        simulate = shared.Positions(stack, Rule.DECONVNET, tuple(range(LAYERS - 1, 0, -1)), NETWORKS)
        studies[n] = bench.study(f"Proposition 1, DeconvNet, {n} filters", simulate, count, block=1)
        if n == min(REPLICATES):
            guided = shared.guided_alignment(stack)
    narrow = studies[min(studies)]
    zero_mean = zero_mean_check(bench, narrow, guided)
    near = bench.ratio(
        f"correlation between positions, V̂^({LAYERS - 1}): one layer below the readout",
        narrow,
        functools.partial(correlation, LAYERS - 1),
        deconvnet_correlation(1),
        Wrong("under one layer more: 0.395", deconvnet_correlation(2)),
    )
    deep = bench.limit(
        f"correlation between positions, V̂^(1): {LAYERS - 1} layers below the readout",
        studies,
        functools.partial(correlation, 1),
        deconvnet_correlation(LAYERS - 1),
        Wrong("the stamp of one layer at every depth: 1/π", 1 / math.pi),
    )
    tails = shared.tail_checks(bench, Rule.DECONVNET)
    return Outcome(
        f"Mean zero ({unseen(zero_mean)})"
        f", and each entry Gaussian in the limit (slope {tails[-1].estimate:.3f}); but two positions of a channel are "
        f"correlated {near.estimate:.3f} one layer below the readout and {deep.estimate:.3f} three layers below it: "
        "the deeper, the more alike, and no number of filters changes that.",
        (
            Evidence(1 - zero_mean.estimate, *zero_mean.measured[1:]),
            Evidence.of(near),
            Evidence.of(deep),
            Evidence.of(tails[1], shared.gaussian_from(Rule.DECONVNET), "n"),
        ),
        (zero_mean, near, deep, *tails),
        deep.name,
        (_figure(studies),),
    )


def _figure(studies: dict[int, Measurement]) -> CurveFigure:
    """Draw the correlation against the number of layers passed."""
    passed = np.arange(1, 3 * LAYERS + 1)
    measured = passed[: LAYERS - 1]
    estimates = [extrapolated(studies, functools.partial(correlation, LAYERS - int(i))) for i in measured]
    return CurveFigure(
        "proposition1-deconvnet",
        "Correlation of DeconvNet's gradient between two positions of a channel, at any distance, against the convolutions "
        "that it has passed: 1/π, then the arc-cosine map, towards 1. Measured points, in the limit of many filters, with 95 % "
        "intervals.",
        "convolutions below the readout",
        "correlation",
        (Line("DeconvNet", passed.astype(float), np.array([deconvnet_correlation(int(i)) for i in passed])),),
        (Points.of("DeconvNet", measured, estimates),),
        title="Under DeconvNet each further layer makes the positions more correlated",
    )


CLAIM = Claim(
    id="proposition1-deconvnet",
    order=190,
    shares="tails",
    section="3.2.2 Prop. 1",
    statement="In a random deep network every entry of the gradient that DeconvNet hands to the first hidden layer can "
    "approximately be taken as independent, identically distributed, Gaussian, of mean zero.",
    exact_law="E V̂^(1) = 0; two positions of a channel, off the border, are correlated 1/π after one layer for every width, "
    "then in the limit of many filters ρ ↦ [√(1−ρ²) + (π − arccos ρ) ρ]/π per layer, at any distance; excess kurtosis "
    "3(Π_l (1 + 5/n_l) − 1) in dense networks, for every width.",
    formula=(
        r"\mathrm{E}\,\hat{V}{}^{(1)} = 0",
        r"\text{correlation of two positions: } \rho_1 = \dfrac{1}{\pi}",
        r"\rho_{l+1} = \dfrac{1}{\pi}\left[\sqrt{1 - \rho_l^2} + (\pi - \arccos\rho_l)\,\rho_l\right]"
        r" \quad \text{(many filters)}",
        r"\text{dense: excess kurtosis } 3\left[\,\prod_l \left(1 + \dfrac{5}{n_l}\right) - 1\right]",
    ),
    proof="No forward mask: V̂ is a network run from the readout down, V̂' = Σ w σ(V̂), independent of every activation. The last "
    "filters applied have mean 0: E V̂ = 0.\n\n"
    "Two positions are served by the same filters. Given the layer above they are normal with covariance c² Σ σ(V̂_s) σ(V̂_t); "
    "for normals of correlation ρ, E[σσ'] over E[σ²] is the stated map. The readout has ρ = 0 and gives 1/π exactly. Below "
    "that the covariance settles on its mean as filters are added; the check extrapolates two widths, n = 8 and 4n, to "
    "(4A(4n) − A(n))/3, which has no error O(1/n).\n\n"
    "In a dense layer, given the gradient T above, ‖σ(V̂)‖² = c² ‖T‖² Σ_i b_i g_i² as for saliency, now with b_i = 1(g_i > 0): "
    "the same factor 1 + 5/n for each layer.",
    n_checks=6,
    run=run,
    margins=(
        Margin("share of the gradient's energy that lies in its mean", high=EPSILON**2, why=MEAN_WHY),
        Margin("correlation between positions one layer below the readout", low=-EPSILON, high=EPSILON),
        Margin(
            f"correlation between positions {LAYERS - 1} layers below the readout", low=-EPSILON, high=EPSILON
        ),
        Margin(
            f"excess kurtosis of an entry under two layers of n = {shared.QUOTED}", low=-EPSILON, high=EPSILON
        ),
    ),
    authors="The proof treats the entries one by one, and their marginal law is as stated.",
)
