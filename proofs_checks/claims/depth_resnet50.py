"""Whether a random ResNet-50 shows what the three-layer network shows."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Evidence, Outcome, Wrong
from proofs_checks.studies import shelf
from proofs_checks.studies.alignment import (
    MARGINS,
    PREDICTED,
    alignment_figure,
    guided_checks,
    likeness,
    map_panels,
    mean_alignment,
)
from proofs_checks.studies.architectures import (
    ArchitectureMaps,
    read_by_blocks,
    resnet50,
)
from proofs_checks.studies.three_layers import inner
from theorylab import networks
from theorylab.analytic import depth_maps, infinite_depth_alignment
from theorylab.analytic.tolerances import tolerance
from theorylab.charts import MapFigure
from theorylab.model import models
from theorylab.model.rules import PAPER, Rule
from theorylab.montecarlo import Measurement

SIDE = 48
FIGURE_SIDE = 112
"""Side in pixels of the picture for the maps of one network in the figure; larger than the study's."""
REPLICATES = 28
TOLERANCE = 0.005
"""For the effect of finite widths: the narrowest layers have 64 filters."""


def run(bench: Bench) -> Outcome:
    """Measure alignments through sixteen residual blocks, the direction of the mean map, and one identity."""
    x = shelf.thumbnail(bench.x, SIDE)
    layers = models.resnet50(input_shape=x.shape).layers
    law = {rule: depth_maps(x, layers, rule) for rule in PREDICTED}
    means = {rule: np.asarray(records[-1].mean_map) for rule, records in law.items()}
    watched = read_by_blocks(resnet50(x.shape))
    simulate = ArchitectureMaps(x, resnet50, PAPER, watched, means, logits=True)
    measured = bench.study("random ResNet-50", simulate, REPLICATES, block=2)
    hidden = len(watched) - 1
    stem, _, *stages = layers
    bare = depth_maps(x, [stem, *stages], Rule.GUIDED)
    alignment, tilt = guided_checks(
        bench,
        measured,
        law[Rule.GUIDED],
        ("DeconvNet's", "guided along deconvnet", means[Rule.DECONVNET]),
        "what the blocks read",
        (
            Wrong("no skips: the limit of deep dense networks, 0.456", infinite_depth_alignment()),
            Wrong("without the max-pool", float(np.mean([record.alignment for record in bare[:hidden]]))),
        ),
        TOLERANCE,
    )
    deconvnet = law[Rule.DECONVNET]
    below = float(np.mean([record.alignment for record in deconvnet[:hidden]]))
    inside, error, _ = measured.estimate(functools.partial(mean_alignment, Rule.DECONVNET, hidden))
    return Outcome(
        f"Cosine to x, structural similarity to x as shown, and cosine of two logits' maps: {likeness(measured)}. The law has "
        f"{law[Rule.GUIDED][-1].alignment:.2f} and {deconvnet[-1].alignment:.2f} for the first two cosines to x; without the "
        f"max-pool guided backpropagation's would be {bare[-1].alignment:.2f}. DeconvNet aligns with what the blocks read, "
        f"{inside:.3f} ± {error:.3f} (law {below:.3f}): what skips a block "
        "is positive, as those activations are. How far off the law of wide layers may be, as measured on unlike pictures: "
        f"{tolerance(x.shape, layers, Rule.GUIDED).words}.",
        tuple(Evidence(*measured.estimate(f"{rule.value} toward")) for rule in (*PREDICTED, Rule.SALIENCY)),
        (alignment, tilt, _homogeneity(bench, x)),
        alignment.name,
        (
            _maps(bench, means, measured),
            alignment_figure(
                "depth-resnet50-alignment",
                "Alignment of the modified gradient with what each bottleneck of a random ResNet-50 reads; 0 is the picture. "
                "Points with 95 % intervals.",
                law,
                measured,
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


def _maps(bench: Bench, means: Mapping[Rule, np.ndarray], measured: Measurement) -> MapFigure:
    x = shelf.thumbnail(bench.x, FIGURE_SIDE)
    single = ArchitectureMaps(x, resnet50, PAPER).single(
        np.random.default_rng(bench.seed_of("one random ResNet-50"))
    )
    return MapFigure(
        "depth-resnet50",
        f"A random ResNet-50: the maps that the law predicts and the means of simulated ones, on the picture in {SIDE} pixels a "
        f"side; and one network by the three rules, in {FIGURE_SIDE}. All have norm 1.",
        map_panels(x, means, measured, single),
        title="A law predicts what a random ResNet-50 shows, without running one",
    )


CLAIM = Claim(
    id="depth-resnet50",
    order=240,
    section="4 and supplement",
    statement="A random ResNet behaves as the other networks: guided backpropagation and DeconvNet show the picture, saliency is "
    "noise.",
    exact_law="In one channel at one position a stage is a chain o_k = σ(o_(k−1) + g_k), g_k ~ N(0, c² ‖h_k‖²), and its gradient "
    "V̂_k = T_(k+1) + α_k o_k + β_k ξ_k with T_k = g'(·) h(V̂_k): all that a branch needs is E[g_k T_k] and E[T_k²]. What "
    "the overlapping windows of the max-pool below share is integrated jointly. A limit of wide layers, within 0.5 % in what is "
    "checked here.",
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
    "The windows of the 3×3 max-pool behind the first layer overlap: a unit that wins several receives all their gradients, and "
    "these share noise, because the convolution above reads both. So two gradients at a distance have a covariance of their own, "
    "which the recursion carries down through the blocks' skips and filters, and the pool's windows are integrated together "
    "with their neighbours.",
    n_checks=3,
    run=run,
    margins=MARGINS,
    authors="The supplement shows it.",
)
