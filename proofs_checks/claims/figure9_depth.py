"""Whether earlier convolutions of a trained network matter more for the guided map."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Evidence, Margin, Outcome, Undecidable, Wrong
from proofs_checks.studies import partly_trained, shelf, trained_laws, trained_maps
from proofs_checks.studies.partly_trained import BUT
from theorylab import PatchGrid
from theorylab.charts import MapFigure
from theorylab.networks.nodes import Conv

LAYERS = 4
"""Draws of a layer in a replicate."""
FILTERS = {"first": 400_000, "middle": 220_000, "last": 220_000}
"""Drawn for the law of a layer, in all: the energies of a filter on many patches, of a wide layer, scatter less."""
WINDOW = 16
"""Height and width of what the fresh layer reads, cut from the middle."""
PLACES = ("first", "middle", "last")
WORDS = "Guided maps of the trained network with one layer drawn anew."


@trained_maps.one_thread
def run(bench: Bench) -> Outcome:
    """Measure the guided map with one layer at a time drawn anew, and the energy above that layer."""
    subject = bench.subject
    net, titles, three = subject.trained, partly_trained.layers(subject), partly_trained.three(subject)
    if len(set(three)) < len(PLACES):
        raise Undecidable("it has fewer than three convolutions")
    same, maps = bench.remember(_one_draw)
    nodes = [node for node in net.nodes if isinstance(node, Conv) and node.name in three]
    checks = same, *_energies(bench, nodes)
    measured = partly_trained.randomised(bench)
    cosines, to_input = (
        trained_maps.words(measured, {title: f"{BUT} {name}{suffix}" for name, title in titles.items()})
        for suffix in ("", " input")
    )
    return Outcome(
        f"{trained_maps.network_words(subject)}, the guided map of the predicted class has a mean cosine to the "
        f"one with a single random layer of {cosines}. The cosines of the latter to the picture are {to_input}; the trained "
        f"map's is {trained_maps.words(measured, {'': 'trained input'}).strip()}.{partly_trained.words(subject)} The size of "
        "a fresh layer matters too, because the trained biases behind it do not grow with it.",
        tuple(
            Evidence(*measured.estimate(functools.partial(_gained, *pair)))
            for pair in itertools.pairwise(three)
        ),
        checks,
        checks[0].name,
        (maps, partly_trained.curve(bench, "figure9-depth-curve", BUT, WORDS)),
    )


def _one_draw(bench: Bench) -> tuple[Check, MapFigure]:
    """Check that the size of a convolution does not matter, and show maps with one draw of random layers."""
    subject, three = bench.subject, partly_trained.three(bench.subject)
    net = subject.trained
    check = partly_trained.same_map(
        bench,
        "cosine of the guided maps before and after a convolution is multiplied = 1",
        [name for name in three if partly_trained.can_be_multiplied(net, name)],
        "the cosines where the biases behind it stay as they are",
        lambda layer: partly_trained.multiplied(net, layer, partly_trained.FACTOR, biases=False),
    )
    drawn = subject.draw(np.random.default_rng(bench.seed_of("layers drawn anew")))
    return check, partly_trained.panels(bench, drawn, "figure9-depth", BUT, [*three, subject.hidden], WORDS)


def _gained(earlier: str, later: str, mean: dict[str, float]) -> float:
    return mean[f"{BUT} {later}"] - mean[f"{BUT} {earlier}"]


def _energies(bench: Bench, nodes: Sequence[Conv]) -> list[Check]:
    read = trained_laws.features(bench, *(node.source for node in nodes))
    return [
        _energy(bench, place, node, _middle(inputs))
        for place, node, inputs in zip(PLACES, nodes, read, strict=True)
    ]


def _energy(bench: Bench, place: str, node: Conv, inputs: np.ndarray) -> Check:
    simulate = trained_laws.FreshLayer(node, inputs, LAYERS)
    replicates = math.ceil(FILTERS[place] / (node.n_filters * LAYERS))
    title = bench.subject.layers()[node.name]
    return bench.moment(
        f"energy behind the {place} convolution ({title}) drawn anew, over its law",
        bench.study(f"fresh {place} convolution", simulate, replicates, block=10),
        "energy",
        1.0,
        (
            # Every entry in as many patches as one of the interior, though the border is padded.
            Wrong("the border forgotten", _interior(node, inputs)),
            Wrong("the ReLU forgotten", 2.0),
        ),
    )


def _middle(inputs: np.ndarray) -> np.ndarray:
    """Return the window in the middle of feature maps (..., H, W)."""
    top, left = (max(0, (extent - WINDOW) // 2) for extent in inputs.shape[-2:])
    return inputs[..., top : top + WINDOW, left : left + WINDOW]


def _interior(node: Conv, inputs: np.ndarray) -> float:
    channels, height, width = inputs.shape[1:]
    grid = PatchGrid((channels, height, width), node.kernel, node.stride, node.padding)
    squares = inputs**2
    everywhere = squares.mean(axis=(1, 2, 3)) * grid.coverage.sum() * shelf.interior_coverage(grid)
    return float((everywhere / (grid.coverage * squares).sum(axis=(1, 2, 3))).mean())


CLAIM = Claim(
    id="figure9-depth",
    order=310,
    shares="random layers",
    section="4.5, Figure 9",
    statement="Of the convolutions of a trained network the earlier ones matter more for the guided map: drawing an "
    "earlier one anew changes it more.",
    exact_law="A convolution multiplied by a positive number, and the biases behind it with it, leaves the map as it is up "
    "to its scale. Drawn anew, it passes on activations of energy E‖o‖² = N c²/2 Σ_j ‖y_j‖², y_j the patches that the "
    "trained layers below give it: the same at every depth with c² = 2 over the fan-in, so it is not their size that "
    "tells the layers apart.",
    proof="ReLUs, max-pools and every rule are positively homogeneous: what lies behind the layer is multiplied alike, so "
    "no mask and no winner changes, and the gradient below it is multiplied once.\n\n"
    "Given its patches, w_i·y_j is normal with variance c²‖y_j‖², and its positive half has the second moment c²‖y_j‖²/2, "
    "whatever the joint law over positions and filters. Sum over N filters and all positions.",
    n_checks=4,
    run=run,
    trained=("convolutions",),
    margins=tuple(
        Margin(
            f"cosine with the {later} convolution random, less that with the {earlier} one random",
            low=0.0,
            why="later convolutions matter less",
        )
        for earlier, later in itertools.pairwise(PLACES)
    ),
    authors="Figure 9 shows VGG-16 on ImageNet.",
    formula=(
        r"\cos(S, S') = 1 \text{ for } S' \text{ behind a layer } c\,W,\; c > 0",
        r"\mathrm{E}\,\|o\|^2 = \dfrac{N c^2}{2} \sum_j\, \|y_j\|^2",
    ),
)
