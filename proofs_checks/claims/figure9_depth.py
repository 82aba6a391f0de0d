"""Whether earlier convolutions of a trained network matter more for the guided map."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, CurveFigure, Evidence, Margin, Outcome, Points, Wrong
from proofs_checks.studies import shelf, trained_laws, trained_maps
from theorylab import PatchGrid
from theorylab.networks.nodes import Conv

CROPS = 12
LAYERS = 10
"""Draws of a layer in a replicate."""
REPLICATES = {0: 2200, 1: 1100, 2: 700}
"""By convolution: few filters scatter more."""


@trained_maps.one_thread
def run(bench: Bench) -> Outcome:
    """Measure the guided map with one layer at a time drawn anew, and the energy above that layer."""
    net = classifier.network
    measured = trained_maps.randomised(bench)
    layers = trained_maps.layers_of(net)
    convolutions = layers[False]
    checks = tuple(
        _energy(bench, node, REPLICATES[convolutions.index(node.name)])
        for node in net.nodes
        if isinstance(node, Conv)
    )
    names = [*convolutions, *layers[True]]
    figure = CurveFigure(
        "figure9-depth",
        "Cosine of the guided map of the trained classifier with that after one layer was drawn anew: the three "
        "convolutions, then the two dense layers. Means over test crops with 95 % intervals.",
        "layer drawn anew",
        "cosine to the trained map",
        (),
        (Points.of("guided", range(1, len(names) + 1), map(measured.estimate, names)),),
    )
    cosines = trained_maps.words(measured, dict(zip(names, names, strict=True)))
    return Outcome(
        f"{trained_maps.network_words(bench.subject)}, the guided map of the predicted class has a mean cosine to the "
        f"one with a single random layer of {cosines}.",
        tuple(
            Evidence(*measured.estimate(functools.partial(_gained, *pair)))
            for pair in itertools.pairwise(convolutions)
        ),
        checks,
        checks[0].name,
        (figure,),
    )


def _gained(earlier: str, later: str, mean: dict[str, float]) -> float:
    return mean[later] - mean[earlier]


def _energy(bench: Bench, node: Conv, replicates: int) -> Check:
    net = bench.classifier.network
    rng = np.random.default_rng(bench.seed_of(f"inputs of {node.name}"))
    inputs = trained_laws.features(net, node.source, CROPS, rng)
    simulate = trained_laws.FreshLayer(node, inputs, LAYERS)
    return bench.moment(
        f"energy behind {node.name} drawn anew, over its law",
        bench.study(f"fresh {node.name}", simulate, replicates, block=10),
        "energy",
        1.0,
        (
            # Every entry in as many patches as one of the interior, though the border is padded.
            Wrong("the border forgotten", _interior(node, inputs)),
            Wrong("the ReLU forgotten", 2.0),
        ),
    )


def _interior(node: Conv, inputs: np.ndarray) -> float:
    channels, height, width = inputs.shape[1:]
    grid = PatchGrid((channels, height, width), node.kernel, node.stride, node.padding)
    squares = inputs**2
    everywhere = squares.mean(axis=(1, 2, 3)) * grid.coverage.sum() * shelf.interior_coverage(grid)
    return float((everywhere / (grid.coverage * squares).sum(axis=(1, 2, 3))).mean())


CLAIM = Claim(
    id="figure9-depth",
    order=310,
    section="4.5, Figure 9",
    statement="Of the convolutions of a trained network the earlier ones matter more for the guided map: drawing an "
    "earlier one anew changes it more.",
    exact_law="A convolution drawn anew within the trained network passes on activations of energy E‖o‖² = N c²/2 Σ_j "
    "‖y_j‖², y_j the patches that the trained layers below give it: the same at every depth with c² = 2 over the "
    "fan-in, so it is not their size that tells the layers apart.",
    proof="Given its patches, w_i·y_j is normal with variance c²‖y_j‖², and its positive half has the second moment "
    "c²‖y_j‖²/2, whatever the joint law over positions and filters. Sum over N filters and all positions.",
    n_checks=3,
    run=run,
    trained=("convolutions",),
    margins=tuple(
        Margin(
            f"cosine with a random convolution {n + 1}, less that with a random convolution {n}",
            low=0.0,
            why="later convolutions matter less",
        )
        for n in (1, 2)
    ),
    authors="Figure 9 shows VGG-16 on ImageNet.",
    formula=(r"\mathrm{E}\,\|o\|^2 = \dfrac{N c^2}{2} \sum_j\, \|y_j\|^2",),
)
