"""Whether the trained convolutions or the trained dense layers make the guided map."""

from __future__ import annotations

import math

import numpy as np

from proofs_checks.claim import EPSILON, Bench, Check, Claim, Evidence, Margin, Outcome
from proofs_checks.studies import partly_trained, shelf, trained_laws, trained_maps
from proofs_checks.studies.partly_trained import BUT, NONE, UP_TO
from theorylab import Rule, analytic
from theorylab.charts import MapFigure

UNITS = 128
"""Hidden units of the random dense layers whose gradient has a law."""
REPLICATES = 1200
MOSTLY = math.sqrt(0.5)
"""The least cosine, 45 degrees, of two maps that count as much the same: half of the energy of one is the other's."""


WORDS = "Guided maps with trained weights up to a layer, and random ones behind it."


@trained_maps.one_thread
def run(bench: Bench) -> Outcome:
    """Compare the trained map with those of random dense layers and of random convolutions."""
    subject = bench.subject
    dense = f"{UP_TO} {trained_maps.layers_of(subject.trained)[False][-1]}"
    same, maps = bench.remember(_one_draw)
    checks = (same, _handed_down(bench))
    measured = partly_trained.randomised(bench)
    compared = {
        "random dense layers": dense,
        "random convolutions": "convolutions",
        "both": f"{UP_TO} {NONE}",
    }
    to_input = {
        "all trained": "trained input",
        "random dense layers": f"{dense} input",
        "all random": f"{UP_TO} {NONE} input",
    }
    return Outcome(
        f"{trained_maps.network_words(subject)}, the guided map of the predicted class has a mean cosine to the "
        f"one with {trained_maps.words(measured, compared)}. Its cosine to the picture is "
        f"{trained_maps.words(measured, to_input)}.{partly_trained.words(subject)}",
        (
            Evidence(*measured.estimate(dense)),
            Evidence(*measured.estimate(lambda mean: mean[dense] - mean["convolutions"])),
        ),
        checks,
        checks[0].name,
        (maps, partly_trained.curve(bench, "figure9-dense-curve", UP_TO, WORDS)),
    )


def _one_draw(bench: Bench) -> tuple[Check, MapFigure]:
    """Check that the size of a dense layer does not matter, and show maps, both with one draw of random layers."""
    subject = bench.subject
    layers = trained_maps.layers_of(subject.trained)
    drawn = subject.draw(np.random.default_rng(bench.seed_of("another draw of the dense layers")))
    check = partly_trained.same_map(
        bench,
        "cosine of the guided maps before and after a dense layer is multiplied = 1",
        layers[True],
        "the cosines after the layer is drawn anew",
        lambda layer: partly_trained.mixed(subject, drawn, BUT, layer),
    )
    marked = dict.fromkeys([NONE, *partly_trained.three(subject), layers[False][-1]])
    return check, partly_trained.panels(bench, drawn, "figure9-dense", UP_TO, list(marked), WORDS)


def _handed_down(bench: Bench) -> Check:
    """Check the alignment with the trained features of the gradient below random dense layers."""
    features = trained_laws.below_dense(bench)
    simulate = trained_laws.DenseMaps(features, UNITS, (Rule.GUIDED,))
    measured = bench.study("guided, random dense layers on trained features", simulate, REPLICATES, block=50)
    grid = trained_laws.one_patch(features[0].size)
    row = features[0].reshape(grid.input_shape)
    return bench.ratio(
        "guided: cosine to the features of what random dense layers hand down",
        measured,
        lambda mean: mean["guided toward"] / math.sqrt(mean["guided energy"]),
        analytic.expected_cosine(row, grid, Rule.GUIDED, UNITS),
        shelf.unrectified(row, grid, UNITS),
    )


CLAIM = Claim(
    id="figure9-dense",
    order=300,
    shares="random layers",
    section="4.5, Figure 9",
    statement="The trained weights of the convolutions, and not those of the dense layers, make the guided map of a "
    "trained network: it is much the same with random dense layers and different with random convolutions.",
    exact_law="A dense layer multiplied by a positive number, and the biases behind it with it, leaves the map as it is up "
    "to its scale. Random Gaussian dense layers hand the trained convolutions a gradient whose cosine to the trained "
    "features is 1/√(1 + tr Cov/‖E S‖²), that of a three-layer network with one patch; it depends on the sizes alone.",
    formula=(
        r"\cos(S, S') = 1 \text{ for } S' \text{ behind a layer } c\,W,\; c > 0",
        r"\dfrac{\mathrm{E}\langle S, o\rangle}{\sqrt{\mathrm{E}\|S\|^2}\;\|o\|} = \dfrac{1}{\sqrt{1 +"
        r" \mathrm{tr\,Cov}\,S\,/\,\|\mathrm{E}\,S\|^2}}",
        r"o \text{ the features},\quad S \text{ the gradient handed to them}",
    ),
    proof="ReLUs, max-pools and every rule are positively homogeneous: what lies behind the layer is multiplied alike, so "
    "no mask and no winner changes, and the gradient below it is multiplied once.\n\n"
    "Given the features o of the trained convolutions, two random dense layers are a three-layer fully connected network "
    "with the image o: E S = N m₀ c/√(2π) o/‖o‖, and its covariance is the sum over N hidden units of that of h(V) w "
    "1(w·o > 0). Both scale alike with the weights, and the norm of o enters neither.",
    n_checks=2,
    run=run,
    trained=("convolutions", "dense"),
    margins=(
        Margin(
            "cosine to the trained map with random dense layers",
            low=MOSTLY,
            why="much the same: half of its energy is the trained map's",
        ),
        Margin(
            "cosine to the trained map with random dense layers, less that with random convolutions",
            low=EPSILON,
        ),
    ),
    authors="Figure 9 shows VGG-16 on ImageNet, where the map hardly changes when the dense layers are random.",
)
