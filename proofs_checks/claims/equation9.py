"""Whether the maps of the units of a trained network's first dense layer are nearly equal."""

from __future__ import annotations

import functools
import math

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Evidence, MapFigure, MapPanel, Margin, Outcome, Wrong
from proofs_checks.referee import ALIKE, ALIKE_WHY
from proofs_checks.studies import trained_laws, trained_maps
from proofs_checks.studies.three_layers import inner, logit_distance, unit
from proofs_checks.studies.trained_maps import HIDDEN, RECTIFIED, UnitMaps
from theorylab import analytic, training
from theorylab.model.rules import PAPER, Rule
from theorylab.networks import GraphNetwork

UNITS = 8
REPLICATES = 120
HEADS = 200
CROPS = 12
SUMS = 3
"""Crops on which the sum over all units is formed."""


@trained_maps.one_thread
def run(bench: Bench) -> Outcome:
    """Measure cosines of units' maps, the sum that Eq. 9 starts from, and the law of random dense layers."""
    measured = bench.study("trained, units", UnitMaps(classifier, UNITS), REPLICATES, block=5)
    logits = trained_maps.logit_maps(bench)
    distances = _distances(bench)
    sums, alike = _sums(bench)
    trained = {rule.value: f"trained {rule.value}" for rule in reversed(PAPER)}
    random = {rule.value: f"random {rule.value}" for rule in reversed(PAPER)}
    return Outcome(
        f"{trained_maps.network_words(bench.subject)}, two units' maps have a mean cosine of "
        f"{trained_maps.words(measured, trained)}. With random weights they "
        f"are {trained_maps.words(measured, random)}: it is not training that makes them alike. Two logits' maps are "
        f"{trained_maps.words(logits, trained)} apart. The sum over units is exact for saliency; for guided "
        f"backpropagation and DeconvNet, whose backward passes are not additive, it is another map: cosine to the true "
        f"one {alike[Rule.GUIDED]:.2f} and {alike[Rule.DECONVNET]:.2f}. The normaliser has to be the sum of the units' "
        f"weights; its reciprocal, as printed, would leave the square of that sum as a factor.",
        tuple(Evidence(*measured.estimate(f"trained {rule.value}")) for rule in RECTIFIED),
        (*distances, sums),
        distances[0].name,
        (_figure(bench),),
    )


def _distances(bench: Bench) -> list[Check]:
    """Check the distances of two logits' maps below random dense layers, at the trained convolutions."""
    net = bench.classifier.network
    nodes = trained_laws.dense_part(net)
    rng = np.random.default_rng(bench.seed_of("features under random dense layers"))
    features = trained_laws.features(net, "flatten", CROPS, rng)
    simulate = trained_laws.DenseMaps(nodes, features, PAPER)
    measured = bench.study("random dense layers on trained features", simulate, HEADS, block=10)
    units = net.parameters[f"{HIDDEN}.bias"].size
    grid = trained_laws.one_patch(features.shape[1])
    image = features[0].reshape(grid.input_shape)
    noise = Wrong("two independent noises: √2", math.sqrt(2))
    deconvnet = Wrong("the law of DeconvNet: √(2 − 2/π)", math.sqrt(2 - 2 / math.pi))

    return [
        bench.ratio(
            f"{rule.value}: distance of two logits under random dense layers",
            measured,
            functools.partial(logit_distance, prefix=f"{rule.value} "),
            analytic.class_distance(image, grid, rule, units),
            deconvnet if rule is Rule.SALIENCY else noise,
        )
        for rule in reversed(PAPER)
    ]


def _sums(bench: Bench) -> tuple[Check, dict[Rule, float]]:
    """Compare a logit's map with the sum over the units of the first dense layer, in float64, rule by rule.

    Returns the check for saliency and, for the others, the mean cosine of the two sides.
    """
    rng = np.random.default_rng(bench.seed_of("sums over units"))
    weights = {name: array.astype(np.float64) for name, array in bench.classifier.network.parameters.items()}
    net = GraphNetwork(bench.classifier.network.nodes, weights)
    below = trained_maps.up_to(net, HIDDEN)
    relu = next(node.name for node in net.nodes if node.inputs == (HIDDEN,))
    whole: dict[Rule, list[np.ndarray]] = {rule: [] for rule in PAPER}
    summed: dict[Rule, list[np.ndarray]] = {rule: [] for rule in PAPER}
    positive = []
    for crop in training.crops("test", SUMS, seed=rng)[0]:
        seed = np.eye(net.n_logits)[[int(rng.integers(net.n_logits))]]
        trace, unit_trace = net.forward(crop), below.forward(crop)
        arriving = net.layer_gradients(trace, seed, PAPER, [relu])[relu][0][:, 0]
        units = below.backward(unit_trace, np.eye(below.n_logits), PAPER)
        for rule, map_, gradient, maps in zip(
            PAPER, net.backward(trace, seed, PAPER)[:, 0], arriving, units, strict=True
        ):
            # Pass the unit's ReLU, because the logit reads the unit's activation, not its input.
            through = rule.backward(gradient, unit_trace.logits)
            whole[rule].append(map_)
            summed[rule].append(np.tensordot(through, maps, axes=1))
            if rule is Rule.SALIENCY:
                positive.append(np.tensordot(np.maximum(through, 0), maps, axes=1))
    check = bench.identity(
        "saliency: map = sum over the units' maps",
        whole[Rule.SALIENCY],
        summed[Rule.SALIENCY],
        "only the units with a positive weight",
        positive,
    )
    alike = {
        rule: float(
            np.mean([inner(unit(a), unit(b)) for a, b in zip(whole[rule], summed[rule], strict=True)])
        )
        for rule in RECTIFIED
    }
    return check, alike


def _figure(bench: Bench) -> MapFigure:
    rng = np.random.default_rng(bench.seed_of("figure of units"))
    net = bench.classifier.network
    crop = training.crops("test", 1, seed=rng)[0][0]
    below = trained_maps.up_to(net, HIDDEN)
    units = rng.choice(below.n_logits, 3, replace=False)
    seeds = np.eye(below.n_logits)[units]
    maps = below.backward(below.forward(crop), seeds, PAPER)
    panels = [MapPanel("crop", crop)]
    # Four in a row: the crop and three guided maps, one saliency map and three of DeconvNet.
    by_rule = dict(zip(PAPER, maps.astype(np.float64), strict=True))
    for rule, count in ((Rule.GUIDED, 3), (Rule.SALIENCY, 1), (Rule.DECONVNET, 3)):
        panels += [
            MapPanel(f"{rule.value}: unit {unit}", map_)
            for unit, map_ in zip(units[:count], by_rule[rule], strict=False)
        ]
    return MapFigure(
        "equation9",
        "A test crop and maps of three units of the first dense layer of the trained classifier.",
        tuple(panels),
    )


CLAIM = Claim(
    id="equation9",
    order=250,
    section="3.2.3, Eq. 9",
    statement="In a trained network the maps of the units of the first dense layer are nearly equal for guided "
    "backpropagation and DeconvNet, so that every logit shows one map, the filtering by the convolutions.",
    exact_law="Under Gaussian dense layers on the trained convolutions, what reaches the flattened features o is the "
    "map of a three-layer network with the one patch o: distance of two logits √(2 − 2 E⟨S, S'⟩/E‖S‖²), whatever o. "
    "For saliency, and for it alone, a logit's map is the sum S_k = Σ_m V̂_mk ∂o_m/∂x over the units.",
    formula=(
        r"\text{random dense layers: } d = \sqrt{2 - 2\,\dfrac{\mathrm{E}\langle S_a,"
        r" S_b\rangle}{\mathrm{E}\|S\|^2}}",
        r"\text{saliency alone: } S_k = \sum_m\, \hat{V}_{mk}\, \dfrac{\partial o_m}{\partial x}",
    ),
    proof="The features o depend on the trained weights only, so given o the two dense layers are a random three-layer "
    "fully connected network: Lemma 1 with one patch y = o and as many filters as hidden units. E⟨S, S'⟩ and E‖S‖² "
    "follow from half-space moments, depend on ‖o‖ by a factor they share, and their quotient on nothing but the "
    "sizes.\n\nThe sum over units is the chain rule at the first dense layer, and the chain rule needs the backward "
    "pass below to be linear. That of saliency is: each ReLU multiplies by its mask. Those of guided backpropagation "
    "and DeconvNet apply max(·, 0) to sums over all units, and max(a + b, 0) is not max(a, 0) + max(b, 0).",
    n_checks=4,
    run=run,
    trained=("convolutions", "dense"),
    margins=tuple(
        Margin(f"{rule.value}: mean cosine of two units' maps", low=ALIKE, why=ALIKE_WHY)
        for rule in RECTIFIED
    ),
    authors="This was said of VGG-16 on ImageNet.",
)
