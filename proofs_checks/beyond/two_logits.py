"""What depth does to the difference between two logits' maps: fully connected networks."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Outcome, Wrong
from proofs_checks.judge import extrapolated
from proofs_checks.studies.depth import Distances, Stack, apart, dense
from proofs_checks.studies.shelf import small_crop
from proofs_checks.studies.three_layers import unit
from theorylab import Rule
from theorylab.analytic import depth_profile, infinite_depth_class_distance
from theorylab.charts import CurveFigure, Line, Points
from theorylab.model.rules import PAPER
from theorylab.montecarlo import Measurement

HIDDEN, HALF = 9, 4
"""Layers below the readout: of the whole network, and of its upper part."""
REPLICATES = {64: 960, 256: 560}
"""By the number of units, the same in every layer; the picture has as many entries."""
COPIES = 8
"""Networks of two logits each in a replicate."""


def study(bench: Bench, units: int) -> Measurement:
    """Measure distances at every layer."""
    crop = unit(np.resize(small_crop(bench.x, 16), (units, 1, 1)))
    stack = Stack(crop, dense([units] * (HIDDEN + 1)), COPIES, logits=2)
    name = f"dense depth, two logits of three rules, {units} units"
    return bench.study(name, Distances(stack, PAPER), REPLICATES[units], block=4)


def run(bench: Bench) -> Outcome:
    """Measure the distance of two logits under all three rules, at every depth."""
    studies = {units: study(bench, units) for units in REPLICATES}
    # The distance below 1, 2, … layers; with equal widths it does not depend on the width.
    law = {
        rule: [record.class_distance for record in depth_profile([1] * (HIDDEN + 1), rule)] for rule in PAPER
    }
    deconvnet, guided = law[Rule.DECONVNET], law[Rule.GUIDED]
    first, second = deconvnet[:2]

    def compare(rule: Rule, layers: int, wrong: Sequence[Wrong]) -> Check:
        name = f"{rule.value}: distance of two logits below {layers} layers"
        estimator = functools.partial(apart, rule, HIDDEN - layers)
        return bench.limit(name, studies, estimator, law[rule][layers - 1], wrong)

    checks = (
        compare(Rule.SALIENCY, HIDDEN, [Wrong("as DeconvNet", deconvnet[-1])]),
        *(
            compare(
                Rule.DECONVNET,
                layers,
                (
                    Wrong("as one over the root of the depth", first / math.sqrt(layers)),
                    Wrong(
                        "a fixed factor a layer, that of the second", first * (second / first) ** (layers - 1)
                    ),
                ),
            )
            for layers in (HALF, HIDDEN)
        ),
        compare(Rule.GUIDED, HALF, (_halved(guided[0], HALF), Wrong("as DeconvNet", deconvnet[HALF - 1]))),
        bench.limit(
            f"guided: factor by which the distance falls, the geometric mean of layers 2 to {HIDDEN}",
            studies,
            factor,
            (guided[-1] / guided[0]) ** (1 / (HIDDEN - 1)),
            (
                Wrong("every gate passes half of the difference's energy: √½", math.sqrt(0.5)),
                Wrong("as DeconvNet", (deconvnet[-1] / first) ** (1 / (HIDDEN - 1))),
            ),
        ),
    )
    limits = {rule: infinite_depth_class_distance(rule) for rule in (Rule.GUIDED, Rule.DECONVNET)}
    return Outcome(
        f"Below {HIDDEN} layers the maps of two logits are {checks[0].estimate:.3f} apart under saliency, as two independent "
        f"noises are, {checks[2].estimate:.3f} under DeconvNet, whose distance falls like "
        f"{limits[Rule.DECONVNET].coefficient / math.pi:.0f}π over the depth, and under guided backpropagation "
        f"{checks[4].estimate:.3f} times as far as one layer above; the limit is {limits[Rule.GUIDED].factor:.4f}.",
        (),
        checks,
        checks[2].name,
        (_figure(studies, law),),
    )


def factor(mean: Mapping[str, float]) -> float:
    """Return the mean factor a layer of guided backpropagation's distance."""
    return math.pow(apart(Rule.GUIDED, 0, mean) / apart(Rule.GUIDED, HIDDEN - 1, mean), 1 / (HIDDEN - 1))


def _halved(first: float, layers: int) -> Wrong:
    return Wrong(
        "every gate passes half of the difference's energy: √½ a layer", first * 0.5 ** ((layers - 1) / 2)
    )


def _figure(studies: dict[int, Measurement], law: dict[Rule, list[float]]) -> CurveFigure:
    """Draw the distance against the layers below the readout."""
    below = np.arange(1, HIDDEN + 1)
    return CurveFigure(
        "two-logits",
        f"Distance between the unit-norm maps of two logits of one dense network against the layers below the readout, {HIDDEN} "
        "of equal width: law (lines), and simulated in the limit of wide layers, with 95 % intervals.",
        "layers below the readout",
        "distance of two logits",
        tuple(Line(rule.title, below.astype(float), np.array(law[rule])) for rule in PAPER),
        tuple(
            Points.of(
                rule.title,
                below,
                [extrapolated(studies, functools.partial(apart, rule, HIDDEN - int(i))) for i in below],
            )
            for rule in PAPER
        ),
        y_scale="log",
        title="Below many layers saliency alone keeps two logits apart",
    )


CLAIM = Claim(
    id="two-logits",
    order=40,
    section="beyond 3.1.1 and 3.2.2",
    statement="In a random network of dense layers, guided backpropagation's map depends on the logit less with every layer, "
    "by a fixed factor, DeconvNet's like one over the depth, and saliency's as much at every depth.",
    exact_law="V̂ = α o + β (√ρ η + √(1−ρ) ξ) for each of two logits in the limit of wide layers, with a ξ of its own: distance "
    "√(2 (1−ρ)/(R² + 1)), R the alignment's tangent, ρ' = E[T T']/E[T²] from ρ = 0 at the readout. Saliency: √2 at every depth. "
    "DeconvNet: ρ' = k(ρ), 1.168 below one layer, 3π/L below many. Guided: times √λ = 0.7343 a layer far below the "
    "readout, λ = 0.539.",
    formula=(
        r"d = \sqrt{\dfrac{2\,(1 - \rho)}{R^2 + 1}},\quad \rho_{\text{next}} = \dfrac{\mathrm{E}[T\,T']}{\mathrm{E}[T^2]},"
        r"\quad \rho_{\text{readout}} = 0",
        r"\text{saliency: } d = \sqrt{2}",
        r"\text{DeconvNet: } R = 0,\; \rho_{\text{next}} = \dfrac{\sqrt{1 - \rho^2} + (\pi - \arccos \rho)\,\rho}{\pi},"
        r"\quad d \to 3\pi/L",
        r"\text{guided: } d_{\text{next}}/d \to \sqrt{\lambda},\quad \lambda = \dfrac{\sin^2\psi\,(\pi - \psi)}"
        r"{(\pi - \psi) + \frac{1}{2} \sin 2\psi} = 0.539",
    ),
    proof="Given the pre-activations, what a layer hands on across its own activation is Gaussian with the covariance "
    "c² Σ_i T_i T'_i of two logits: so ρ' = E[T T']/E[T²], over z, what the two share, and what each has alone.\n\n"
    "Saliency is linear: E[T T'] = E[V̂ V̂']/2 keeps ρ = 0. Without a gate T and T' are rectified normals with correlation ρ, and "
    "1 − k(1 − ε) = ε − (2√2/3π) ε^(3/2) + …: d = √(2ε) loses d²/(3π) a layer, so 1/d grows by 1/(3π). With guided "
    "backpropagation's mean both are positive together, and by Price's theorem a small difference loses its energy by "
    "λ = β² P(z > 0, V̂ > 0)/E[T²], which tends to 0.539.\n\n"
    "At a finite width n the mean squared distance errs by O(1/n); two widths, n = 64 and 4n, are extrapolated to "
    "(4A(4n) − A(n))/3.",
    n_checks=5,
    run=run,
    margins=(),
    authors="The paper asks about classes behind one layer, and in trained networks.",
)
