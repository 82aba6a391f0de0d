"""Whether a random ResNet-50 shows what the three-layer network shows."""

from __future__ import annotations

import functools

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Evidence, Outcome, Wrong
from proofs_checks.studies import shelf
from proofs_checks.studies.alignment import (
    MARGINS,
    PREDICTED,
    alignment_figure,
    guided_checks,
    likeness,
    mean_alignment,
)
from proofs_checks.studies.architectures import (
    ArchitectureMaps,
    read_by_blocks,
    resnet50,
    resnet50_without_pool,
)
from proofs_checks.studies.three_layers import inner
from theorylab import networks
from theorylab.analytic import depth_maps, infinite_depth_alignment
from theorylab.analytic.tolerances import tolerance
from theorylab.charts import MapFigure, MapPanel
from theorylab.display import unit_norm
from theorylab.model import models
from theorylab.model.rules import PAPER, Rule
from theorylab.montecarlo import Measurement

SIDE = 48
FIGURE_SIDE = 112
"""Side in pixels of the picture for the maps of one network in the figure; larger than the study's."""
REPLICATES = 24
FEW_REPLICATES = 16
"""Replicates of the network with its max-pool, for the figure and the finding."""
TOLERANCE = 0.005
"""For the effect of finite widths: the narrowest layers have 64 filters."""


def run(bench: Bench) -> Outcome:
    """Measure alignments through sixteen residual blocks, the direction of the mean map, and one identity."""
    x = shelf.thumbnail(bench.x, SIDE)
    stem, _, *stages, _ = models.resnet50(input_shape=x.shape).layers  # without its pools
    layers = [stem, *stages]
    law = {rule: depth_maps(x, layers, rule) for rule in PREDICTED}
    means = {Rule.GUIDED: np.asarray(law[Rule.GUIDED][-1].mean_map)}
    watched = read_by_blocks(resnet50_without_pool(x.shape))
    bare = bench.study(
        "random ResNet-50, no max-pool",
        ArchitectureMaps(x, resnet50_without_pool, PREDICTED, watched, means),
        REPLICATES,
        block=2,
    )
    simulate = ArchitectureMaps(x, resnet50, PAPER, logits=True)
    whole = bench.study("random ResNet-50", simulate, FEW_REPLICATES, block=2)
    hidden = len(watched) - 1
    alignment, tilt = guided_checks(
        bench,
        bare,
        law[Rule.GUIDED],
        x,
        "what the blocks read",
        (
            Wrong("no skips: the limit of deep dense networks, 0.456", infinite_depth_alignment()),
            Wrong("the picture's", law[Rule.GUIDED][-1].alignment),
        ),
        TOLERANCE,
    )
    deconvnet = float(np.mean([record.alignment for record in law[Rule.DECONVNET][:hidden]]))
    inside, error, _ = bare.estimate(functools.partial(mean_alignment, Rule.DECONVNET, hidden))
    return Outcome(
        f"Cosine to x, structural similarity to x as shown, and cosine of two logits' maps: {likeness(whole)}. Without the "
        f"max-pool DeconvNet's cosine to x is {bare.estimate('deconvnet toward')[0]:.2f} (law "
        f"{law[Rule.DECONVNET][-1].alignment:.2f}), though it aligns with what the blocks read, {inside:.3f} ± {error:.3f} (law "
        f"{deconvnet:.3f}): what skips a block is positive, as those activations are. How far off the law of wide layers without "
        f"the max-pool may be, as measured on unlike pictures: {tolerance(x.shape, layers, Rule.GUIDED).words}.",
        tuple(Evidence(*whole.estimate(f"{rule.value} toward")) for rule in (*PREDICTED, Rule.SALIENCY)),
        (alignment, tilt, _homogeneity(bench, x)),
        alignment.name,
        (
            _maps(bench, means[Rule.GUIDED], bare),
            alignment_figure(
                "depth-resnet50-alignment",
                "Alignment of the modified gradient with what each bottleneck of a random ResNet-50 without max-pool reads; 0 is "
                "the picture. Points with 95 % intervals.",
                law,
                bare,
            ),
        ),
    )


def _homogeneity(bench: Bench, x: np.ndarray) -> Check:
    """Check that gradient times input is the logit, because a network without biases is homogeneous (Euler)."""
    small = np.ascontiguousarray(x[:, ::2, ::2])
    net = networks.resnet50(
        input_shape=small.shape,
        n_logits=6,
        init="fan-in",
        dtype=np.float64,
        seed=np.random.default_rng(bench.seed_of("homogeneity")),
    )
    trace = net.forward(small)
    saliency, guided = net.backward(trace, np.eye(6), [Rule.SALIENCY, Rule.GUIDED])
    products = [np.array([inner(map_, small) for map_ in maps]) for maps in (saliency, guided)]
    return bench.identity(
        "saliency: ⟨S, x⟩ is the logit",
        [products[0]],
        [trace.logits],
        "guided backpropagation's ⟨S, x⟩",
        [products[1]],
    )


def _maps(bench: Bench, mean: np.ndarray, bare: Measurement) -> MapFigure:
    x = shelf.thumbnail(bench.x, FIGURE_SIDE)
    simulate = ArchitectureMaps(x, resnet50, PAPER)
    single = simulate.single(np.random.default_rng(bench.seed_of("one random ResNet-50")))
    maps = bare.maps["guided"]
    return MapFigure(
        "depth-resnet50",
        f"A random ResNet-50: one network by the three rules, on the picture in {FIGURE_SIDE} pixels a side; and without its "
        f"max-pool, in {SIDE}, the map of guided backpropagation that the law predicts and the mean of simulated ones. All "
        "have norm 1.",
        (
            MapPanel("input x", x),
            MapPanel(f"no max-pool, {Rule.GUIDED.title}: predicted", unit_norm(mean), "mean"),
            MapPanel(f"no max-pool, {Rule.GUIDED.title}: mean of {maps.count}", unit_norm(maps.mean), "mean"),
            *(MapPanel(f"{rule.title}: one network", unit_norm(single[rule])) for rule in PAPER),
        ),
        title="A random ResNet-50: guided backpropagation shows the picture, as its law predicts without max-pool",
    )


CLAIM = Claim(
    id="depth-resnet50",
    order=240,
    section="4 and supplement",
    statement="A random ResNet behaves as the other networks: guided backpropagation and DeconvNet show the picture, saliency is "
    "noise.",
    exact_law="In one channel at one position a stage is a chain o_k = σ(o_(k−1) + g_k), g_k ~ N(0, c² ‖h_k‖²), and its gradient "
    "V̂_k = T_(k+1) + α_k o_k + β_k ξ_k with T_k = g'(·) h(V̂_k): all that a branch needs is E[g_k T_k] and E[T_k²]. Without "
    "max-pool it is exact for wide layers, and within 0.5 % in what is checked here.",
    formula=(
        r"o_k = \max(o_{k-1} + g_k,\, 0),\quad g_k \sim \mathcal{N}(0, c^2 \|h_k\|^2)",
        r"\hat{V}_k = T_{k+1} + \alpha_k o_k + \beta_k \xi_k,\quad T_k = g'(\cdot)\, h(\hat{V}_k)",
        r"\mathrm{E}[w T_k] = \dfrac{\mathrm{E}[g_k T_k]}{\|h_k\|^2}\, h_k",
    ),
    proof="The last convolution of a branch adds a normal g_k to what skips it, independent in every channel, as its filters "
    "are. "
    "The gradient behind the sum's ReLU, T_k, reaches the block's input twice: as it is, and through the branch. There "
    "E[w T_k] = c² h E[g_k T_k]/Var g_k, a multiple of the activations h under the last convolution, and the rest is the "
    "recursion of depth-conv. Both meet at o_(k−1), where the sum is no longer normal; the moments that the next block needs are "
    "integrals over the normals of the chain, eleven at most in ResNet-50.\n\n"
    "The 3×3 max-pool of the first layer has overlapping windows, whose gradients add: the recursion needs what noises at "
    "neighbouring positions share, and is no longer this short one. The network is checked "
    "without it and shown with it.",
    n_checks=3,
    run=run,
    margins=MARGINS,
    authors="The supplement shows it.",
)
