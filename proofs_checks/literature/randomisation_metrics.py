"""What metrics of randomisation say of maps that know nothing: their null values."""

from __future__ import annotations

import dataclasses

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Outcome, Wrong
from proofs_checks.studies.gated import Gated
from proofs_checks.studies.shelf import small_crop
from theorylab import PatchGrid, Rule, law
from theorylab.analytic.three_layer import MapLaw
from theorylab.model import models
from theorylab.model.rules import PAPER

SIDE, KERNEL, STRIDE, FILTERS = 24, 5, 2, 64


@dataclasses.dataclass(frozen=True)
class OfRules:
    """What units hand on, by the rule."""

    patches: np.ndarray

    def __call__(
        self, w: np.ndarray, readouts: np.ndarray, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return signals by the name of the rule; nothing is drawn."""
        gate = self.patches @ w > 0
        return {rule.value: rule.h(readouts) * (gate if rule.gate else 1.0) for rule in PAPER}


def common(known: MapLaw) -> float:
    """Return ``‖E S‖²/E‖S‖²``."""
    return known.expected_cosine("mean") ** 2 if known.mean.any() else 0.0


def run(bench: Bench) -> Outcome:
    """Measure the overlap of maps of independent networks, and of two logits of one."""
    crop = small_crop(bench.x, SIDE)
    grid = PatchGrid(crop.shape, min(KERNEL, *crop.shape[1:]), stride=STRIDE)
    stack = models.three_layer(grid, FILTERS)
    laws = {rule: law(stack, crop, rule) for rule in PAPER}
    simulate = Gated(crop, grid, FILTERS, OfRules(grid.extract(crop)), {rule.value: crop for rule in PAPER})
    measured = bench.study("randomised networks", simulate, 800, block=8)
    guided, deconvnet = laws[Rule.GUIDED], laws[Rule.DECONVNET]
    logits = {rule: 1 - known.class_distance**2 / 2 for rule, known in laws.items()}
    apart = Wrong("independent networks have nothing in common", 1.0)

    def between(rule: Rule, wrong: Wrong) -> Check:
        return bench.ratio(
            f"{rule.value}: 1 − overlap of two independent networks' maps",
            measured,
            lambda m: 1 - m[f"{rule.value} halves"] / m[f"{rule.value} energy"],
            1 - common(laws[rule]),
            wrong,
        )

    def between_logits(rule: Rule, wrong: Wrong) -> Check:
        return bench.ratio(
            f"{rule.value}: 1 − overlap of two logits' maps",
            measured,
            lambda m: 1 - m[f"{rule.value} classes"] / m[f"{rule.value} energy"],
            1 - logits[rule],
            wrong,
        )

    as_guided = Wrong("as guided backpropagation's", 1 - common(guided))
    weights = [between(rule, apart if rule is Rule.GUIDED else as_guided) for rule in PAPER]
    classes = [
        between_logits(Rule.SALIENCY, Wrong("as DeconvNet's", 1 - logits[Rule.DECONVNET])),
        between_logits(Rule.DECONVNET, Wrong("as of independent networks", 1 - common(deconvnet))),
        between_logits(Rule.GUIDED, Wrong("as of independent networks", 1 - common(guided))),
    ]
    wide = models.three_layer(grid, 16 * FILTERS)
    of_guided = weights[PAPER.index(Rule.GUIDED)]
    return Outcome(
        f"Of fresh networks the maps of guided backpropagation overlap by {1 - of_guided.estimate:.3f} with {FILTERS} filters, "
        f"and by {common(law(wide, crop, Rule.GUIDED)):.3f} with {16 * FILTERS}; those of saliency and DeconvNet by 0, "
        f"but two logits of DeconvNet overlap by {1 - classes[1].estimate:.3f}. A similarity is read against these values: "
        "a low one may be noise, and says by itself nothing of what a map explains.",
        (),
        (*weights, *classes),
        of_guided.name,
    )


CLAIM = Claim(
    id="randomisation-metrics",
    order=45,
    section="Adebayo et al. 2018, arXiv:1810.03292; Hedström et al. 2024, arXiv:2405.02383",
    statement="The less a map resembles the one after the network's weights have been drawn anew (MPRT), or the map of another "
    "logit (random logit), the better does the method do in the test; such similarities are confounded by noise in the maps, "
    "for which smoothed and entropy-based forms of the test are proposed.",
    exact_law="Independent random networks have the expected overlap ‖E S‖²/E‖S‖², 0 for saliency and DeconvNet; two logits of "
    "one network E⟨S, S'⟩/E‖S‖², 0 for saliency, 1/π for DeconvNet with a Gaussian readout; for guided backpropagation both "
    "tend to 1 as N grows, up to O(1/N).",
    formula=(
        r"\dfrac{\mathrm{E}\,\langle S_1, S_2\rangle}{\mathrm{E}\,\|S\|^2} = \dfrac{\|\mathrm{E}\,S\|^2}{\mathrm{E}\,\|S\|^2},"
        r"\quad S_1, S_2 \text{ of independent networks}",
        r"\mathrm{two\ logits,\ DeconvNet:}\quad \dfrac{\mathrm{E}\,\langle S_k, S_{k'}\rangle}{\mathrm{E}\,\|S\|^2} ="
        r" \dfrac{m_0^2}{m_2} = \dfrac{1}{\pi}",
    ),
    proof="Maps of independent networks are independent: E⟨S₁, S₂⟩ = ‖E S‖², whatever the rule. A map is a sum over N filters, "
    "so ‖E S‖² grows as N² and the noise about it as N.\n\n"
    "Two logits of one network share the filters: of E⟨S, S'⟩ only the terms of equal filters and positions differ from E‖S‖², "
    "in which E[h]² stands for E[h²]. Saliency has E[h] = 0. DeconvNet has no gate, so that only terms of equal positions are "
    "left, and the ratio is m₀²/m₂, 1/π for normal readouts.",
    n_checks=6,
    run=run,
    margins=(),
    authors="A low similarity is necessary and not sufficient; that noise lowers it is what we say ourselves.",
)
