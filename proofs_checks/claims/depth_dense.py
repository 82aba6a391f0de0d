"""Whether depth changes what guided backpropagation recovers: fully connected networks, layer by layer."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from proofs_checks.claim import EPSILON, Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.judge import extrapolated
from proofs_checks.results import SMALL_WHY
from proofs_checks.studies import shelf
from proofs_checks.studies.depth import Distances, Stack, apart, cosine, dense
from proofs_checks.studies.three_layers import unit
from theorylab import Rule, montecarlo
from theorylab.analytic import depth_profile, infinite_depth_alignment, infinite_depth_class_distance
from theorylab.charts import CurveFigure, Line, Points
from theorylab.montecarlo import Measurement

HIDDEN = 9
"""Hidden layers: from the eighth below the readout on, the limit of infinite depth is reached to 1e-4 of itself."""
SIDES = {64: 4, 256: 8}
"""Units of every hidden layer: side of the crop, so that units and entries of the input grow alike."""
REPLICATES = {64: 480, 256: 400}
PAIRED = {64: 2400, 256: 1600}
NOISE_WIDTH, NOISE_REPLICATES = 64, 160
COPIES = 16
PAIRS = 8
"""Networks with two logits each."""
ZERO_MEAN = (Rule.SALIENCY, Rule.DECONVNET)


@dataclasses.dataclass(frozen=True)
class Alignments:
    """Cosines of ``V̂^(l)`` and ``o^(l)`` in deep networks: ``<rule> <l>``, 0 is the input."""

    stack: Stack
    rules: tuple[Rule, ...]

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        return montecarlo.measurement(
            {
                f"{rule.value} {layer}": cosine(gradient, output).mean(axis=1)
                for layer, output, gradients in self.stack.descend(rng, size, self.rules)
                for rule, gradient in gradients.items()
            }
        )


def shrinks(mean: dict[str, float]) -> float:
    """Return by which factor the distance falls from ``V̂^(2)`` to ``V̂^(1)``."""
    return apart(Rule.GUIDED, 1, mean) / apart(Rule.GUIDED, 2, mean)


def widths(units: int) -> list[int]:
    """Return the number of entries of the input and of units of the hidden layers."""
    return [3 * SIDES[units] ** 2, *[units] * HIDDEN]


def study(bench: Bench, units: int, rules: tuple[Rule, ...], replicates: int) -> Measurement:
    """Measure alignments at every layer, on a crop of the picture; the law depends only on its number of entries."""
    sizes = widths(units)
    # A picture smaller than the crop is repeated.
    crop = unit(np.resize(shelf.small_crop(bench.x, SIDES[units]), (sizes[0], 1, 1)))
    stack = Stack(crop, dense(sizes), COPIES)
    name = f"dense depth, {' and '.join(rule.value for rule in rules)}, {units} units"
    return bench.study(name, Alignments(stack, rules), replicates, block=4)


def two_logits(bench: Bench, units: int, replicates: int) -> Measurement:
    """Measure how far apart two logits are at every layer, on the same crop."""
    sizes = widths(units)
    crop = unit(np.resize(shelf.small_crop(bench.x, SIDES[units]), (sizes[0], 1, 1)))
    stack = Stack(crop, dense(sizes), PAIRS, logits=2)
    return bench.study(
        f"dense depth, two logits, {units} units", Distances(stack, (Rule.GUIDED,)), replicates, block=4
    )


def noise(rule: Rule, mean: dict[str, float]) -> float:
    """Return one minus the alignment, averaged over the layers: 1 where nothing is recovered at any depth."""
    return 1 - sum(mean[f"{rule.value} {layer}"] for layer in range(HIDDEN)) / HIDDEN


def run(bench: Bench) -> Outcome:
    """Measure alignments of guided backpropagation from the readout down to the input, and of the two others."""
    guided = {units: study(bench, units, (Rule.GUIDED,), count) for units, count in REPLICATES.items()}
    others = study(bench, NOISE_WIDTH, ZERO_MEAN, NOISE_REPLICATES)
    law = {record.layer: record.alignment for record in depth_profile(widths(max(SIDES)), Rule.GUIDED)}
    (shallow,) = depth_profile(widths(max(SIDES))[:2], Rule.GUIDED)
    pairs = {units: two_logits(bench, units, count) for units, count in PAIRED.items()}
    profile = {
        record.layer: record.class_distance for record in depth_profile(widths(max(SIDES)), Rule.GUIDED)
    }
    factor = infinite_depth_class_distance(Rule.GUIDED).factor
    classes = (
        bench.limit(
            f"guided: distance of two logits at the input below {HIDDEN} layers",
            pairs,
            functools.partial(apart, Rule.GUIDED, 0),
            profile[0],
            Wrong("as one layer below the readout", profile[HIDDEN - 1]),
        ),
        bench.limit(
            f"guided: factor by which it falls, {HIDDEN - 2} to {HIDDEN - 1} below the readout: the limit of infinite depth",
            pairs,
            shrinks,
            factor,
            Wrong("as for DeconvNet, whose distance falls like one over the depth", 1.0),
            # As far as the law itself still is from its limit there.
            tolerance=abs(profile[1] / profile[2] / factor - 1),
        ),
    )
    top = Wrong("the three-layer law at every depth", law[HIDDEN - 1])
    deeper = Wrong("as one layer deeper", law[HIDDEN - 2])

    def compare(what: str, layer: int, expected: float, wrong: Wrong) -> Check:
        name = f"guided: alignment with {what}"
        return bench.limit(name, guided, f"{Rule.GUIDED.value} {layer}", expected, wrong)

    upper = [
        compare(f"o^({layer}), {HIDDEN - layer} below the readout", layer, law[layer], wrong)
        for layer, wrong in zip(range(HIDDEN - 1, HIDDEN - 4, -1), (deeper, top, top), strict=True)
    ]
    bottom = compare(
        f"o^(1), {HIDDEN - 1} below the readout: the limit of infinite depth",
        1,
        infinite_depth_alignment(),
        top,
    )
    recovered = compare(
        f"the input below {HIDDEN} layers", 0, law[0], Wrong("the three-layer law", shallow.alignment)
    )
    as_guided = Wrong("as guided backpropagation", 1 - sum(law.values()) / HIDDEN)
    none = [
        bench.ratio(
            f"{rule.value}: 1 − alignment, mean over the layers",
            others,
            functools.partial(noise, rule),
            1.0,
            as_guided,
        )
        for rule in ZERO_MEAN
    ]
    return Outcome(
        f"Guided backpropagation recovers the input better under {HIDDEN} layers than under one: alignment "
        f"{recovered.estimate:.3f} for {shallow.alignment:.3f}. It also recovers every hidden layer, from "
        f"{upper[0].estimate:.3f} at the top to {bottom.estimate:.3f} (limit {infinite_depth_alignment():.3f}); saliency and "
        f"DeconvNet recover none, at any depth. Two logits of guided backpropagation are {classes[0].estimate:.3f} apart at the "
        f"input; every further layer multiplies that by {factor:.3f}.",
        (
            Evidence(recovered.estimate - shallow.alignment, *recovered.measured[1:]),
            *(Evidence(*others.estimate(f"{rule.value} 0")) for rule in ZERO_MEAN),
        ),
        (*upper, bottom, recovered, *none, *classes),
        recovered.name,
        (_figure(guided, others, law),),
    )


def _figure(guided: dict[int, Measurement], others: Measurement, law: dict[int, float]) -> CurveFigure:
    """Draw the alignment against the layers between it and the readout."""
    below = np.arange(1, HIDDEN + 1)
    lines = [Line(Rule.GUIDED.title, below.astype(float), np.array([law[HIDDEN - int(i)] for i in below]))]
    lines += [Line(rule.title, below.astype(float), np.zeros(HIDDEN)) for rule in ZERO_MEAN]
    ends = below[[0, -1]].astype(float)
    lines.append(Line("infinite depth, equal widths", ends, np.full(2, infinite_depth_alignment())))
    points = []
    for rule in (Rule.GUIDED, *ZERO_MEAN):
        names = [f"{rule.value} {HIDDEN - i}" for i in below.tolist()]
        estimates = [
            extrapolated(guided, name) if rule is Rule.GUIDED else others.estimate(name) for name in names
        ]
        points.append(Points.of(rule.title, below, estimates))
    return CurveFigure(
        "depth-dense",
        f"Alignment of what a rule hands to a layer with that layer's output, in dense networks of {HIDDEN} hidden layers; "
        f"the last point is the input, which has {widths(max(SIDES))[0] / max(SIDES):.2f} entries for each unit. Points: "
        "simulated, in the limit of wide layers, with 95 % intervals.",
        "layers below the readout",
        "alignment",
        tuple(lines),
        tuple(points),
        title="Guided backpropagation recovers every layer, the other rules none",
    )


CLAIM = Claim(
    id="depth-dense",
    order=210,
    section="3.2.2 and 4.2",
    statement="The behaviour of the three rules barely changes with depth in a random network: guided backpropagation recovers "
    "the input, saliency and DeconvNet, without pooling, do not.",
    exact_law="V̂^(l) = α o^(l) + β ξ in the limit of wide layers; alignment ρ/√(1+ρ²), ρ = √(n_l/n_(l−1)) K₁(ψ)/(2√(π K₂(ψ))), "
    "cot ψ' = √2 ρ from the readout (ψ = π/2) down: for equal widths 1/√(1+π²) = 0.303 at the top, 0.456 far below. Saliency and "
    "DeconvNet: α = 0 for every width.",
    formula=(
        r"\hat{V}{}^{(l)} = \alpha\, o^{(l)} + \beta\,\xi,\quad \text{alignment } \dfrac{\rho}{\sqrt{1 +"
        r" \rho^2}}",
        r"\rho = \sqrt{\dfrac{n_l}{n_{l-1}}}\; \dfrac{K_1(\psi)}{2 \sqrt{\pi K_2(\psi)}},\quad"
        r" \cot\psi_{\text{next}} = \sqrt{2}\,\rho",
        r"K_1 = (\pi - \psi)\,\cos\psi + \sin\psi,\quad K_2 = \dfrac{\pi - \psi}{2} + \dfrac{\sin"
        r" 2\psi}{4}",
        r"\text{readout: } \psi = \pi/2;\quad \text{saliency, DeconvNet: } \alpha = 0",
    ),
    proof="A unit's weights are w = z o/‖o‖² + w⊥. The gradient that its ReLU hands on depends on them through z alone, so the "
    "sum over units is a multiple of o plus Gaussian noise. With guided backpropagation V̂ = α σ(z) + β ξ and z are positively "
    "correlated as soon as α > 0: E[z σ(V̂) 1(z>0)] is more than E[z 1(z>0)] E[σ(V̂)], and each layer passes more on.\n\n"
    "Up to scale K₁ = (π−ψ) cos ψ + sin ψ is E[z T] and K₂ = (π−ψ)/2 + sin(2ψ)/4 is E[T²] for T = σ(V̂) 1(z>0), "
    "tan ψ = β/(α s). The recursion in ψ is a contraction: it has one limit, whatever the layers above are.\n\n"
    "At a finite width n the mean alignment errs by O(1/n). The check needs no tolerance: it extrapolates two widths, "
    "n = 64 and 4n, to (4A(4n) − A(n))/3, which has no such term. Saliency and DeconvNet have α = 0 at every width.\n\n"
    "Two logits share α o and the part of the noise that both hand on. What each has alone, of variance δ², a layer multiplies "
    "by E[Var T] over E[T²], the variance given all that is shared. For small δ this is P(z > 0, V̂ > 0) δ²: far below the "
    "readout the distance falls by √λ = 0.734 a layer, λ = sin²ψ (π−ψ)/[(π−ψ) + ½ sin 2ψ].",
    n_checks=9,
    run=run,
    margins=(
        Margin(
            f"alignment of guided backpropagation with the input under {HIDDEN} layers, less that under one",
            low=-EPSILON,
            why=f"{SMALL_WHY}; a better recovery is the same behaviour",
        ),
        *(
            Margin(f"{rule.value}: alignment with the input", low=-EPSILON, high=EPSILON)
            for rule in ZERO_MEAN
        ),
    ),
    authors="Depth makes the recovery better, not worse; the behaviour is the same.",
)
