"""Whether the trained convolutions or the trained dense layers make the guided map."""

from __future__ import annotations

import math

import numpy as np

from proofs_checks.claim import EPSILON, Bench, Check, Claim, Evidence, Margin, Outcome
from proofs_checks.studies import shelf, trained_laws, trained_maps
from proofs_checks.studies.trained_maps import HIDDEN
from theorylab import Rule, analytic

CROPS = 12
REPLICATES = 1200


@trained_maps.one_thread
def run(bench: Bench) -> Outcome:
    """Compare the trained map with those of random dense layers and of random convolutions."""
    measured = trained_maps.randomised(bench)
    check = _handed_down(bench)
    apart = trained_maps.logit_maps(bench)
    logits = 1 - apart.estimate(lambda mean: mean["trained guided"] ** 2 / 2)[0]
    compared = {"random dense layers": "dense", "random convolutions": "convolutions"}
    return Outcome(
        f"{trained_maps.network_words(bench.subject)}, the guided map of the predicted class has a mean cosine to the "
        f"one with {trained_maps.words(measured, compared)}. It is not the same map with random dense layers, only "
        f"about as near to it as another logit's (cosine near {logits:.2f}).",
        (Evidence(*measured.estimate(lambda mean: mean["dense"] - mean["convolutions"])),),
        (check,),
        check.name,
    )


def _handed_down(bench: Bench) -> Check:
    """Check the alignment with the trained features of the gradient below random dense layers."""
    net = bench.classifier.network
    rng = np.random.default_rng(bench.seed_of("features for guided backpropagation"))
    features = trained_laws.features(net, "flatten", CROPS, rng)
    simulate = trained_laws.DenseMaps(trained_laws.dense_part(net), features, (Rule.GUIDED,))
    measured = bench.study("guided, random dense layers on trained features", simulate, REPLICATES, block=50)
    units, size = net.parameters[f"{HIDDEN}.weight"].shape
    grid = trained_laws.one_patch(size)
    row = features[0].reshape(grid.input_shape)
    return bench.ratio(
        "guided: cosine to the features of what random dense layers hand down",
        measured,
        lambda mean: mean["guided toward"] / math.sqrt(mean["guided energy"]),
        analytic.expected_cosine(row, grid, Rule.GUIDED, units),
        shelf.unrectified(row, grid, units),
    )


CLAIM = Claim(
    id="figure9-dense",
    order=300,
    section="4.5, Figure 9",
    statement="The trained weights of the convolutions, and not those of the dense layers, make the guided map of a "
    "trained network: it is much the same with random dense layers and different with random convolutions.",
    exact_law="Random Gaussian dense layers hand the trained convolutions a gradient whose cosine to the trained "
    "features is 1/√(1 + tr Cov/‖E S‖²), that of a three-layer network with one patch; it depends on the sizes alone.",
    formula=(
        r"\dfrac{\mathrm{E}\langle S, o\rangle}{\sqrt{\mathrm{E}\|S\|^2}\;\|o\|} = \dfrac{1}{\sqrt{1 +"
        r" \mathrm{tr\,Cov}\,S\,/\,\|\mathrm{E}\,S\|^2}}",
        r"o \text{ the features},\quad S \text{ the gradient handed to them}",
    ),
    proof="Given the features o of the trained convolutions, the two random dense layers are a three-layer fully "
    "connected network with the image o: E S = N m₀ c/√(2π) o/‖o‖, and its covariance is the sum over N hidden units "
    "of that of h(V) w 1(w·o > 0). Both scale alike with the weights, and the norm of o enters neither.",
    n_checks=1,
    run=run,
    trained=("convolutions", "dense"),
    margins=(
        Margin(
            "cosine to the trained map with random dense layers, less that with random convolutions",
            low=EPSILON,
        ),
    ),
    authors="Figure 9 shows VGG-16 on ImageNet, where the map hardly changes when the dense layers are random.",
)
