"""Whether a random VGG-16 shows what the three-layer network shows."""

from __future__ import annotations

import numpy as np

from proofs_checks.claim import Bench, Claim, Evidence, Outcome, Wrong
from proofs_checks.studies import shelf
from proofs_checks.studies.alignment import (
    MARGINS,
    PREDICTED,
    alignment_figure,
    guided_checks,
    likeness,
    map_panels,
)
from proofs_checks.studies.architectures import (
    ArchitectureMaps,
    cost_figure,
    read_by_convolutions,
    vgg16_convolutions,
)
from theorylab.analytic import depth_maps
from theorylab.analytic.tolerances import tolerance
from theorylab.charts import MapFigure
from theorylab.model import models
from theorylab.model.rules import PAPER, Rule
from theorylab.montecarlo import Measurement

SIDE = 48
REPLICATES = 28
TOLERANCE = 0.01
"""The law of stacked max-pools is approximate: see :mod:`theorylab.analytic.conv_depth`."""


def run(bench: Bench) -> Outcome:
    """Measure alignments through thirteen convolutions and five max-pools, and the direction of the mean map."""
    x = shelf.thumbnail(bench.x, SIDE)
    layers = models.vgg16(input_shape=x.shape).layers[:18]
    law = {rule: depth_maps(x, layers, rule) for rule in PREDICTED}
    means = {rule: np.asarray(records[-1].mean_map) for rule, records in law.items()}
    watched = read_by_convolutions(vgg16_convolutions(x.shape))
    simulate = ArchitectureMaps(x, vgg16_convolutions, PAPER, watched, means, logits=True)
    measured = bench.study("random VGG-16", simulate, REPLICATES, block=2)
    guided = [record.alignment for record in law[Rule.GUIDED]]
    alignment, tilt = guided_checks(
        bench,
        measured,
        law[Rule.GUIDED],
        ("x", "guided toward", x),
        "the twelve hidden layers",
        Wrong("the three-layer law at every depth", guided[0]),
        TOLERANCE,
    )
    first, _, pool, *_ = layers
    curve, cost = cost_figure("depth-vgg16-cost", simulate, Rule.GUIDED, measured)
    shallow = {rule: depth_maps(x, [first, pool], rule)[-1].alignment for rule in PREDICTED}
    return Outcome(
        f"Cosine to x, structural similarity to x as shown, and cosine of two logits' maps: {likeness(measured)}. The law has "
        f"{guided[-1]:.2f} and {law[Rule.DECONVNET][-1].alignment:.2f} for the first two cosines to x; a max-pool on the first "
        f"layer alone would have {shallow[Rule.GUIDED]:.2f} and {shallow[Rule.DECONVNET]:.2f}. How far off the law of wide "
        f"layers may be, as measured on unlike pictures: {tolerance(x.shape, layers, Rule.GUIDED).words}. "
        f"{cost}.",
        tuple(Evidence(*measured.estimate(f"{rule.value} toward")) for rule in (*PREDICTED, Rule.SALIENCY)),
        (alignment, tilt),
        alignment.name,
        (
            _maps(bench, simulate, measured),
            alignment_figure(
                "depth-vgg16-alignment",
                "Alignment of the modified gradient with the activations that each convolution of a random VGG-16 reads; 0 is "
                "the picture. Points with 95 % intervals.",
                law,
                measured,
            ),
            curve,
        ),
    )


def _maps(bench: Bench, simulate: ArchitectureMaps, measured: Measurement) -> MapFigure:
    x = simulate.x
    single = simulate.single(np.random.default_rng(bench.seed_of("one random VGG-16")))
    return MapFigure(
        "depth-vgg16",
        f"A random VGG-16 on the picture in {x.shape[1]}×{x.shape[2]} pixels: the map that the law predicts without running "
        "a network, the mean of simulated ones, and one of them. All have norm 1.",
        map_panels(x, simulate.means, measured, single),
        title="A law predicts what a random VGG-16 shows, without running one",
    )


CLAIM = Claim(
    id="depth-vgg16",
    order=230,
    section="3.2.2 and 4.2",
    statement="In a random VGG-16, with its depth and max-pooling, the three rules behave as in three layers: guided "
    "backpropagation and DeconvNet show the picture, saliency is noise.",
    exact_law="The recursion of depth-conv, with mixtures of shifted activations below each max-pool and the sizes of "
    "activations from the picture by arc-cosine kernels; approximate where pools stack: within 1 % in what is checked here.",
    formula=(
        r"\mathrm{E}\,\hat{V}_t = \sum_s\, a_s(t)\, o_{t+s},\quad T_j = \mathbf{1}(j \text{ wins})\,"
        r" h(\hat{V})",
        r"\mathrm{E}[w T_j] = c^2 \sum_m\, y_m \left(L^{-\mathrm{T}}\, \mathrm{E}[u T_j]\right)_m,\quad z"
        r" = L u",
        r"\mathrm{E}\langle o_s, o_t\rangle = \dfrac{n c^2}{2\pi} \sqrt{q_s q_t} \left[\sin\theta + (\pi"
        r" - \theta)\,\cos\theta\right]",
    ),
    proof="Behind a max-pool what unit j hands on, T_j = 1(j wins) h(V̂), depends on its filter through all patches of the "
    "window; with z = Lu, u normal, E[w T_j] = Σ_m y_m (L⁻ᵀ E[u T_j])_m c², a small integral per window. Folded back, patch m "
    "adds activations at its distance from j: the mean is a mixture of shifted activations, and stays one through the next "
    "convolutions by Stein's lemma, E[w T] = c² Σ_s y_(j+s) E[∂T/∂z_(j+s)].\n\n"
    "Inner products of activations at two positions follow the arc-cosine kernel from layer to layer, and a max-pool's from "
    "the largest of jointly normal numbers. The lowest pool integrates its window and the neighbours that it receives together. "
    "Above it, where windows are too many, two steps are approximate and measured: the part of a mixture across a pool's own "
    "activation counts as noise, and pooled activations more than two steps apart correlate like those below.",
    n_checks=2,
    run=run,
    margins=MARGINS,
    authors="Figure 6 shows it: the pictures of guided backpropagation and DeconvNet, and noise.",
)
