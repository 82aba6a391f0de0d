"""Whether the maps of the units of a trained network's first dense layer are nearly equal."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.referee import ALIKE, ALIKE_WHY
from proofs_checks.studies import trained_laws, trained_maps, units
from proofs_checks.studies.three_layers import logit_distance
from proofs_checks.studies.trained_maps import RECTIFIED
from theorylab import analytic
from theorylab.charts import CurveFigure, MapFigure, MapPanel, Points
from theorylab.model.rules import PAPER, Rule
from theorylab.montecarlo import Measurement

REPLICATES = 120
HEADS = 200
HEAD_UNITS = 128
"""Of random dense layers, whose law is exact at any size."""
SUMS, PHOTOGRAPHS = 2, 1
"""Pictures of the small classifier, and of a large network, on which the sum over groups of units is formed in float64."""


@trained_maps.one_thread
def run(bench: Bench) -> Outcome:
    """Measure cosines of units' maps, the sum that Eq. 9 starts from, and the laws of random dense layers."""
    study = units.UnitMaps(bench.subject)
    measured = bench.over_pictures("maps of units of fc1", study, REPLICATES, block=5)
    logits = trained_maps.logit_maps(bench)
    alike = bench.ratio(
        f"saliency: cosine of units made to be alike by {ALIKE}",
        measured,
        lambda mean: mean["alike"] / mean["alike energy"],
        ALIKE,
        (
            Wrong("the size of the common part in place of its energy: √0.9", math.sqrt(ALIKE)),
            Wrong("the square of the cosine: a share of energy", ALIKE**2),
        ),
    )
    checks = alike, _rectified(bench, measured), *_distances(bench), bench.remember(_sums)
    return Outcome(
        _finding(bench, measured, logits),
        tuple(Evidence(*measured.estimate(f"trained {rule.value}")) for rule in RECTIFIED),
        checks,
        alike.name,
        (bench.remember(_maps_figure), _stages_figure(bench, logits)),
    )


def _finding(bench: Bench, measured: Measurement, logits: Measurement) -> str:
    def of(what: str, rules: tuple[Rule, ...] = RECTIFIED) -> str:
        return trained_maps.words(measured, {rule.value: f"{what} {rule.value}" for rule in rules})

    subject, rules = bench.subject, tuple(reversed(PAPER))
    random = "" if subject.trained_dense else " of fc1, whose weights are random,"
    stages = "; ".join(
        f"{stage} {trained_maps.words(logits, {rule.value: f'trained {rule.value} at {stage}' for rule in rules})}"
        for stage in trained_maps.stages(subject.trained)
    )
    return (
        f"{trained_maps.network_words(subject)}, two units' maps{random} have a mean cosine of {of('trained', rules)}. With "
        f"Gaussian rows of fc1 on the same convolutions it is {of('dense')}, with random convolutions too {of('random')}. "
        f"Two logits' signals, each of norm 1, are apart at {stages}. A logit's map has a cosine to the normalised mean of "
        f"{units.UNITS} units' maps of {of('common')}. The sum over units is exact for saliency; guided backpropagation and "
        f"DeconvNet are not additive, and the sum of the maps of {units.GROUPS} groups of units has a cosine to the true one "
        f"of {of('sum')}. The normaliser has to be the sum of the units' weights; its reciprocal, as printed, would leave "
        f"the square of that sum as a factor."
    )


def _rectified(bench: Bench, measured: Measurement) -> Check:
    return bench.ratio(
        "deconvnet: cosine of two random units' signals behind the first ReLU on the way down",
        measured,
        lambda mean: mean["cross"] / mean["power"],
        1 / math.pi,
        (
            Wrong("the square of the mean over the variance, 1/(π − 1)", 1 / (math.pi - 1)),
            Wrong("the ReLU forgotten", 0.0),
        ),
    )


def _distances(bench: Bench) -> list[Check]:
    """Check the distances of two logits' maps below random dense layers, at the trained convolutions."""
    features = trained_laws.below_dense(bench)
    simulate = trained_laws.DenseMaps(features, HEAD_UNITS, PAPER)
    measured = bench.study("random dense layers on trained features", simulate, HEADS, block=10)
    grid = trained_laws.one_patch(features.shape[1])
    image = features[0].reshape(grid.input_shape)
    noise = Wrong("two independent noises: √2", math.sqrt(2))
    deconvnet = Wrong("the law of DeconvNet: √(2 − 2/π)", math.sqrt(2 - 2 / math.pi))

    return [
        bench.ratio(
            f"{rule.value}: distance of two logits under random dense layers",
            measured,
            functools.partial(logit_distance, prefix=f"{rule.value} "),
            analytic.class_distance(image, grid, rule, HEAD_UNITS),
            deconvnet if rule is Rule.SALIENCY else noise,
        )
        for rule in reversed(PAPER)
    ]


def _sums(bench: Bench) -> Check:
    """Check that a saliency map is the sum over groups of units, in float64."""
    rng = np.random.default_rng(bench.seed_of("sums over units"))
    crops = bench.crops("crops for sums over units", PHOTOGRAPHS if bench.pictures else SUMS)
    whole, summed, positive = zip(*(units.sums(bench.subject, crop, rng) for crop in crops), strict=True)
    return bench.identity(
        "saliency: map = sum over the units",
        list(whole),
        list(summed),
        "only the units with a positive weight",
        list(positive),
    )


def _maps_figure(bench: Bench) -> MapFigure:
    """Draw a picture, maps of two units, and the normalised mean of a few units' maps."""
    subject = bench.subject
    (crop,) = bench.crops("figure of units", 1)
    rng = np.random.default_rng(bench.seed_of("figure of units"))
    weights = units.fc1_weights(subject)
    chosen = rng.choice(len(weights), min(units.UNITS, len(weights)), replace=False)
    below = units.convolutions(subject)
    maps = below.backward(below.forward(crop), weights[chosen], PAPER)
    by_rule: Mapping[Rule, np.ndarray] = dict(
        zip(PAPER, subject.pulled_back(maps.astype(np.float64)), strict=True)
    )
    panels = []
    for rule, first in (
        (Rule.DECONVNET, MapPanel("picture", subject.shown(crop))),
        (Rule.GUIDED, MapPanel(f"{Rule.SALIENCY.title}: unit {chosen[0]}", by_rule[Rule.SALIENCY][0])),
    ):
        named = zip(chosen[:2], by_rule[rule], strict=False)
        mean = trained_maps.unit_rows(by_rule[rule]).mean(axis=0).reshape(crop.shape)
        panels += [first, *(MapPanel(f"{rule.title}: unit {unit}", map_) for unit, map_ in named)]
        panels.append(MapPanel(f"{rule.title}: F_conv", mean))
    return MapFigure(
        "equation9",
        f"A picture, maps of two units of fc1, and F_conv as the normalised mean of {len(chosen)} units' maps: "
        f"{subject.label}.",
        tuple(panels),
        title="Are the maps of two units one map, F_conv?",
    )


def _stages_figure(bench: Bench, logits: Measurement) -> CurveFigure:
    names = trained_maps.stages(bench.subject.trained)
    return CurveFigure(
        "equation9-stages",
        "Distance of two logits' signals of norm 1 on the way down, means over pictures with 95 % intervals: "
        f"{bench.subject.label}, and a random twin.",
        "",
        "distance of two logits",
        (),
        tuple(
            Points.of(
                f"{rule.title}, {kind}",
                range(len(names)),
                (logits.estimate(f"{kind} {rule.value} at {name}") for name in names),
            )
            for kind in trained_maps.KINDS
            for rule in PAPER
        ),
        x_names=tuple(names),
        title="Where on the way down two logits' signals become alike",
    )


CLAIM = Claim(
    id="equation9",
    order=250,
    shares="two logits",
    section="3.2.3, Eq. 9",
    statement="In the trained VGG-16 the maps of any two units of the first dense layer are almost the same for guided "
    "backpropagation and DeconvNet, so that every logit shows about one map, the filtering by the convolutions.",
    exact_law="Saliency maps of two units whose rows of weights are Gaussian with correlation ρ have the cosine ρ, on any "
    "picture and whatever the convolutions: the measurement of two units' maps has to find the margin where it is built in. "
    "Behind the first ReLU on the way down, DeconvNet's signals of two independent rows have the cosine 1/π. Under random "
    "dense layers two logits are √(2 − 2 E⟨S, S'⟩/E‖S‖²) apart at the features, whatever these are. For saliency, and for it "
    "alone, a logit's map is the sum S_k = Σ_m V̂_mk ∂o_m/∂x over the units. Cosines are ratios of expectations.",
    formula=(
        r"\text{saliency: } \dfrac{\mathrm{E}\langle S_m, S_{m'}\rangle}{\mathrm{E}\|S_m\|^2} = \rho",
        r"\text{DeconvNet, first ReLU: } \dfrac{\mathrm{E}[\max(w,0)\max(w',0)]}{\mathrm{E}[\max(w,0)^2]} = 1/\pi",
        r"\text{random dense layers: } d = \sqrt{2 - 2\,\dfrac{\mathrm{E}\langle S_a,"
        r" S_b\rangle}{\mathrm{E}\|S\|^2}}",
        r"\text{saliency alone: } S_k = \sum_m\, \hat{V}_{mk}\, \dfrac{\partial o_m}{\partial x}",
    ),
    proof="A unit's saliency map is J w, with its row w and a matrix J that the picture and the convolutions fix. For rows "
    "w = √ρ c + √(1−ρ) z with a common c and an own z, E[w w'ᵀ] = ρ E[w wᵀ] ∝ ρ I, so E⟨Jw, Jw'⟩ = ρ E‖Jw‖².\n\n"
    "Between the features and the last ReLU below them all layers are linear, so an entry of what arrives there is Gaussian, and "
    "independent in two units: E max(w,0)² = σ²/2 and (E max(w,0))² = σ²/(2π), for every entry.\n\n"
    "The features o depend on the convolutions only, so given o two random dense layers are a random three-layer "
    "fully connected network: Lemma 1 with one patch y = o and as many filters as hidden units. E⟨S, S'⟩ and E‖S‖² "
    "follow from half-space moments, depend on ‖o‖ by a factor they share, and their quotient on nothing but the "
    "sizes.\n\nThe sum over units is the chain rule at the first dense layer, and the chain rule needs the backward "
    "pass below to be linear. That of saliency is: each ReLU multiplies by its mask. Those of guided backpropagation "
    "and DeconvNet apply max(·, 0) to sums over all units, and max(a + b, 0) is not max(a, 0) + max(b, 0). Sums over groups of "
    "units are enough to see both.",
    n_checks=6,
    run=run,
    trained=("convolutions", "dense"),
    margins=tuple(
        Margin(f"{rule.value}: mean cosine of two units' maps", low=ALIKE, why=ALIKE_WHY)
        for rule in RECTIFIED
    ),
    authors="This was said of VGG-16 on ImageNet, of what its pictures show.",
)
