"""Proposition 1 for saliency: noise of mean zero, but not identically distributed."""

from __future__ import annotations

import functools
import math

import numpy as np

from proofs_checks.claim import EPSILON, Bench, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.referee import GEOMETRY, MEAN_WHY
from proofs_checks.results import SMALL_WHY
from proofs_checks.studies import proposition1 as shared
from proofs_checks.studies import shelf
from proofs_checks.studies.depth import Stack, stacked
from proofs_checks.studies.noise import decorrelation, unseen, zero_mean_check
from theorylab.analytic import depth_maps
from theorylab.charts import CurveFigure, Line
from theorylab.model.rules import PAPER, Rule

SIDE, FILTERS, STRIDES = 8, 8, (1, 2, 1)
REPLICATES, NETWORKS = 750, 8


def run(bench: Bench) -> Outcome:
    """Measure mean, correlation and variance at positions of a convolutional network, and tails in dense ones."""
    x = shelf.small_crop(bench.x, SIDE)
    stack = Stack(x, stacked(len(x), [FILTERS] * len(STRIDES), [3] * len(STRIDES), STRIDES))
    measured = bench.study(
        "Proposition 1, saliency",
        shared.Positions(stack, Rule.SALIENCY, (0, 0), NETWORKS),
        REPLICATES,
        block=12,
    )
    variance = next(r.beta**2 for r in depth_maps(x, stack.layers, Rule.SALIENCY) if r.layer == 1)
    coverage = stack.grids[1].coverage[0]
    often = coverage > coverage.mean()
    covered = float(variance[often].mean() / variance[~often].mean())
    zero_mean = zero_mean_check(bench, measured, shared.guided_alignment(stack))
    stamped = Wrong("the stamp of DeconvNet: 1 − 1/π", 1 - 1 / math.pi)
    white = bench.ratio(
        "1 − correlation between positions", measured, functools.partial(decorrelation, 1), 1.0, stamped
    )
    spread = bench.ratio(
        "variance at much-covered over little-covered positions",
        measured,
        lambda mean: mean["dense"] / mean["sparse"] * (~often).sum() / often.sum(),
        covered,
        Wrong("identically distributed: 1", 1.0),
    )
    tails = shared.tail_checks(bench, Rule.SALIENCY)
    counts = np.array([min(shared.WIDTHS), max(shared.WIDTHS)], dtype=float)
    figure = CurveFigure(
        "proposition1-saliency",
        "Excess kurtosis of an entry of V̂^(1) under one hidden layer of n units, with 95 % intervals: 15/n for saliency and "
        "DeconvNet, 33/n across o^(1) for guided backpropagation. All are Gaussian in the limit.",
        "units n",
        "excess kurtosis",
        tuple(Line(rule.title, counts, kurtosis / counts) for rule, kurtosis in shared.ONE_LAYER.items()),
        tuple(shared.tail_points(bench, rule) for rule in PAPER),
        x_scale="log",
        y_scale="log",
        title="Gaussian in the limit alone: the excess kurtosis falls as 1/n",
    )
    return Outcome(
        f"Mean zero ({unseen(zero_mean)})"
        f" and uncorrelated at every width, Gaussian in the limit (slope {tails[-1].estimate:.3f}); but not "
        f"identically distributed: below a layer of stride 2 the variance is {spread.estimate:.2f} times larger where more "
        "patches than average hold a position, at every width. In dense networks the proposition holds in the limit.",
        (
            Evidence(1 - zero_mean.estimate, *zero_mean.measured[1:]),
            Evidence(1 - white.estimate, *white.measured[1:]),
            Evidence(spread.estimate / covered, spread.standard_error / covered, spread.replicates),
            Evidence.of(tails[1], shared.gaussian_from(Rule.SALIENCY), "n"),
        ),
        (zero_mean, white, spread, *tails),
        spread.name,
        (figure,),
    )


CLAIM = Claim(
    id="proposition1-saliency",
    order=180,
    shares="tails",
    section="3.2.2 Prop. 1",
    statement="In a random deep network every entry of the gradient that saliency hands to the first hidden layer can "
    "approximately be taken as independent, identically distributed, Gaussian, of mean zero.",
    exact_law="E V̂^(1) = 0 and Cov V̂^(1) = diag(β²) for every width, β² counting the patches that hold a position, layer by "
    "layer; excess kurtosis 3(Π_l (1 + 5/n_l) − 1) over the layers above, in dense networks, for every width.",
    formula=(
        r"\mathrm{E}\,\hat{V}{}^{(1)} = 0,\quad \mathrm{Cov}\,\hat{V}{}^{(1)} = \mathrm{diag}(\beta^2)",
        r"\beta_t^2 = \dfrac{c^2 n}{2} \sum_{j \ni t}\, \beta_j^2 \quad \text{layer by layer, from the"
        r" readout down}",
        r"\text{dense: excess kurtosis } 3\left[\,\prod_l \left(1 + \dfrac{5}{n_l}\right) - 1\right]",
    ),
    proof="The readout has mean 0 and nothing else depends on it: E V̂ = 0. For a fixed vector u, ⟨V̂, u⟩ is the logit's "
    "derivative along u. Its tangent t passes a layer as t' = 1(z>0) w·t, and w and −w are equally likely: whatever is even in w "
    "does not know the mask. So E t'² = c²/2 Σ t² over the patch, for every u: the quadratic form E⟨V̂, u⟩² is diagonal, a sum "
    "over patches.\n\n"
    "In a dense layer ‖t'‖² = c² ‖t‖² Σ_i b_i g_i², b_i fair coins, g_i standard normals, all independent and of t too: mean "
    "n/2, variance 5n/4. Given the tangent the readout makes ⟨V̂, u⟩ normal; so its kurtosis is 3 E‖t‖⁴/(E‖t‖²)², and each layer "
    "gives a factor 1 + 5/n. The squares of two entries share the same norm: they are correlated by O(1/n).",
    n_checks=6,
    run=run,
    margins=(
        Margin("share of the gradient's energy that lies in its mean", high=EPSILON**2, why=MEAN_WHY),
        Margin("correlation between positions", low=-EPSILON, high=EPSILON),
        Margin(
            "variance at much-covered over little-covered positions, over what coverage makes of it",
            low=1 - EPSILON,
            high=1 + EPSILON,
            why=f"{SMALL_WHY}; {GEOMETRY}",
        ),
        Margin(
            f"excess kurtosis of an entry under two layers of n = {shared.QUOTED}", low=-EPSILON, high=EPSILON
        ),
    ),
    authors="An approximation was meant, for wide layers, with strides and borders set aside.",
)
