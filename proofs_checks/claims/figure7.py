"""How far apart the maps of two logits are, rule by rule, in a trained and in a random network."""

from __future__ import annotations

import functools
import math

import joblib
import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.studies import trained_laws, trained_maps
from proofs_checks.studies.trained_maps import KINDS
from theorylab import NoLaw, subjects
from theorylab.charts import CurveFigure, Line, Points
from theorylab.model.rules import PAPER, Rule
from theorylab.montecarlo import Measurement

CROPS = 18
LOGITS = 12
REPLICATES, OF_PACKAGED = 24, 700
"""Draws of a readout; so many more for the package's classifiers, which take little time and may have few features."""
LAW_PICTURES, LAW_PHOTOGRAPHS = 3, 1
"""Pictures of the small classifier and of a large network for which the distances are predicted: they differ by some percent."""
BESIDE = {"trained": 0.12, "random": -0.12}
"""Where the two networks stand beside a rule's name."""

PAIRS = (
    *((kind, Rule.SALIENCY, rule) for kind in KINDS for rule in (Rule.DECONVNET, Rule.GUIDED)),
    (KINDS[0], Rule.DECONVNET, Rule.GUIDED),
)
"""The network and the two rules, the larger distance first; in the random network the paper does not order the last two."""


def _share(kind: str, larger: Rule, smaller: Rule, mean: dict[str, float]) -> float:
    # Not its reciprocal, which scatters as a small distance does.
    return mean[f"{kind} {smaller.value}"] / mean[f"{kind} {larger.value}"]


@trained_maps.one_thread
def run(bench: Bench) -> Outcome:
    """Order the three distances by paired intervals, and check saliency's law under a Gaussian readout."""
    measured = trained_maps.logit_maps(bench)
    check = _saliency(bench)
    numbers = {
        kind: trained_maps.words(measured, {rule.value: f"{kind} {rule.value}" for rule in PAPER})
        for kind in KINDS
    }
    dense = "" if bench.subject.trained_dense else " Trained are the convolutions, under random dense layers."
    return Outcome(
        f"{trained_maps.network_words(bench.subject)}, the mean distances are {numbers['trained']}; with random weights "
        f"{numbers['random']}, over {measured.replicates} pictures. Unrelated maps are √2 = {math.sqrt(2):.2f} apart.{dense}",
        tuple(Evidence(*measured.estimate(functools.partial(_share, *pair))) for pair in PAIRS),
        (check,),
        check.name,
        (_bars(bench, measured),),
    )


def _saliency(bench: Bench) -> Check:
    subject = bench.subject
    below = trained_maps.up_to(subject.trained, subject.features)
    simulate = trained_laws.GaussianReadouts(
        below, list(bench.crops("pictures under readouts", CROPS)), LOGITS
    )
    replicates = OF_PACKAGED if subject.source in subjects.PACKAGED else REPLICATES
    return bench.moment(
        "saliency: squared distance of two logits' unit maps, Gaussian readout on the trained convolutions",
        bench.study("Gaussian readouts on trained convolutions", simulate, replicates, block=2),
        "squared",
        2.0,
        Wrong("the law of DeconvNet: 2 − 2/π", 2 - 2 / math.pi),
    )


def _predicted(bench: Bench) -> tuple[dict[Rule, float], str]:
    """Return what is predicted for random weights, and a sentence about it."""
    known = {Rule.SALIENCY: math.sqrt(2)}
    images = list(
        bench.crops("pictures whose law is drawn", LAW_PHOTOGRAPHS if bench.pictures else LAW_PICTURES)
    )
    predict = functools.partial(trained_laws.random_distance, bench.subject.trained.nodes, images)
    try:
        # Half a minute each where the network is VGG-16.
        distances = joblib.Parallel(min(bench.jobs, 2))(map(joblib.delayed(predict), trained_maps.RECTIFIED))
        known |= dict(zip(trained_maps.RECTIFIED, distances, strict=True))
    except NoLaw as refusal:
        return known, f"Guided and DeconvNet: no law at {refusal.layer}."
    numbers = " and ".join(f"{known[rule]:.3f} for {rule.title}" for rule in trained_maps.RECTIFIED)
    return known, f"The limit of wide layers has {numbers}, on {len(images)} of the pictures."


def _bars(bench: Bench, measured: Measurement) -> CurveFigure:
    """Draw the distances of each rule, random and trained, beside the law of the random network."""
    predicted, words = bench.remember(_predicted)
    return CurveFigure(
        "figure7",
        f"Distance of the unit maps of two random logits: means with 95 % intervals over {measured.replicates} pictures. "
        f"{bench.subject.label}. Predicted for saliency with random weights: √2 in root mean square, exactly. {words}",
        "",
        "mean l2 distance",
        tuple(
            Line(
                f"random, predicted for {rule.title}", at + np.array([-0.3, 0.3]), np.full(2, predicted[rule])
            )
            for at, rule in enumerate(PAPER)
            if rule in predicted
        ),
        tuple(
            Points.of(
                kind,
                np.arange(len(PAPER)) + BESIDE[kind],
                [measured.estimate(f"{kind} {rule.value}") for rule in PAPER],
            )
            for kind in ("random", "trained")
        ),
        x_names=tuple(rule.title for rule in PAPER),
        title="How far apart the maps of two logits are, in random and in trained networks",
    )


CLAIM = Claim(
    id="figure7",
    order=280,
    shares="two logits",
    section="4.3, Figure 7",
    statement="Over many pictures, the mean l2 distance between the maps of two random logits is much larger for "
    "saliency than for DeconvNet and guided backpropagation, in random and in trained networks; in the trained one "
    "DeconvNet's is slightly larger than guided's.",
    exact_law="Under a Gaussian readout on the trained convolutions, E‖u_a − u_b‖² = 2 for the unit-norm saliency maps of any "
    "two logits, whatever the trained weights and the picture.",
    proof="With J the gradients of the units that the readout reads, the saliency map of a logit is its readout row times "
    "J. The rows of two logits are independent of each other and of J, and as likely as their negatives; a change of sign of "
    "one row changes that of its map u_a and of no other. So E⟨u_a, u_b⟩ = 0, and E‖u_a − u_b‖² = 1 + 1 − 0. The same holds for "
    "any two logits of a random network, whose rows are so too; by Jensen's inequality the mean distance is at most √2.",
    n_checks=1,
    run=run,
    trained=("convolutions", "dense"),
    margins=tuple(
        Margin(
            f"{kind} network: {smaller.value}'s distance over {larger.value}'s",
            high=0.8 if larger is Rule.SALIENCY else 1.0,
            why="much larger: at least a quarter" if larger is Rule.SALIENCY else "larger at all",
        )
        for kind, larger, smaller in PAIRS
    ),
    authors="Figure 7 is the mean over 10,000 pictures of ImageNet, whose thousand classes share dense layers of 4096 units.",
    formula=(r"\text{Gaussian readout, saliency: } \mathrm{E}\,\|u_a - u_b\|^2 = 2,\quad u = S/\|S\|",),
)
