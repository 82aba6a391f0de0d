"""How far apart the maps of two logits are, rule by rule, in a trained and in a random network."""

from __future__ import annotations

import functools
import math

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.studies import trained_laws, trained_maps
from proofs_checks.studies.trained_maps import KINDS
from theorylab.model.rules import PAPER, Rule

CROPS = 8
REPLICATES = 1600
PAIRS = (
    *((kind, Rule.SALIENCY, rule) for kind in KINDS for rule in (Rule.DECONVNET, Rule.GUIDED)),
    (KINDS[0], Rule.DECONVNET, Rule.GUIDED),
)
"""The network and the two rules, the larger distance first; in the random network the paper does not order the last two."""


def _times(kind: str, larger: Rule, smaller: Rule, mean: dict[str, float]) -> float:
    return mean[f"{kind} {larger.value}"] / mean[f"{kind} {smaller.value}"]


@trained_maps.one_thread
def run(bench: Bench) -> Outcome:
    """Order the three distances by paired intervals, and check saliency's law under a Gaussian readout."""
    measured = trained_maps.logit_maps(bench)
    check = _saliency(bench)
    numbers = {
        kind: trained_maps.words(measured, {rule.value: f"{kind} {rule.value}" for rule in PAPER})
        for kind in KINDS
    }
    return Outcome(
        f"{trained_maps.network_words(bench.subject)}, the mean distances are {numbers['trained']}; with random weights "
        f"{numbers['random']}. Unrelated maps are √2 = {math.sqrt(2):.2f} apart.",
        tuple(Evidence(*measured.estimate(functools.partial(_times, *pair))) for pair in PAIRS),
        (check,),
        check.name,
    )


def _saliency(bench: Bench) -> Check:
    net = bench.classifier.network
    readout = net.nodes[-1]
    below = trained_maps.up_to(net, readout.inputs[0])
    rng = np.random.default_rng(bench.seed_of("units below the readout"))
    grams = []
    for crop in trained_laws.features(net, net.nodes[0].name, CROPS, rng):
        trace = below.forward(crop)
        units = below.backward(trace, np.eye(below.n_logits), [Rule.SALIENCY])[0]
        rows = units.reshape(len(units), -1).astype(np.float64)
        grams.append(rows @ rows.T)
    simulate = trained_laws.GaussianReadouts(np.array(grams), net.n_logits)
    measured = bench.study("Gaussian readouts on trained units", simulate, REPLICATES, block=50)
    return bench.ratio(
        "saliency: squared distance over energy, Gaussian readout on the trained rest",
        measured,
        lambda mean: 2 - 2 * mean["classes"] / mean["energy"],
        2.0,
        Wrong("the law of DeconvNet: 2 − 2/π", 2 - 2 / math.pi),
    )


CLAIM = Claim(
    id="figure7",
    order=280,
    section="4.3, Figure 7",
    statement="Over many pictures, the mean l2 distance between the maps of two random logits is much larger for "
    "saliency than for DeconvNet and guided backpropagation, in random and in trained networks; in the trained one "
    "DeconvNet's is slightly larger than guided's.",
    exact_law="Under a Gaussian readout on a trained network, E‖S_a − S_b‖² = 2 E‖S‖² for the saliency maps of any two "
    "logits, whatever the trained weights and the picture.",
    proof="With J the gradients of the units below the readout, the saliency map of a logit is its readout row times "
    "J. The rows of two logits are independent of each other and of J, with mean zero, so E⟨S_a, S_b⟩ = 0, and E‖S_a − "
    "S_b‖² = E‖S_a‖² + E‖S_b‖².",
    n_checks=1,
    run=run,
    trained=("convolutions", "dense"),
    margins=tuple(
        Margin(
            f"{kind} network: {larger.value}'s distance over {smaller.value}'s",
            low=1.25 if larger is Rule.SALIENCY else 1.0,
            why="much larger: at least a quarter" if larger is Rule.SALIENCY else "larger at all",
        )
        for kind, larger, smaller in PAIRS
    ),
    authors="Figure 7 is the mean over 10,000 pictures of ImageNet.",
    formula=(r"\text{Gaussian readout, saliency: } \mathrm{E}\,\|S_a - S_b\|^2 = 2\,\mathrm{E}\,\|S\|^2",),
)
