"""How the size of a gradient scatters in deep networks of finite width."""

from __future__ import annotations

import dataclasses

import numpy as np

from proofs_checks.claim import EPSILON, Bench, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.studies import shelf
from proofs_checks.studies.depth import Stack, dense
from proofs_checks.studies.three_layers import unit
from theorylab import Rule, montecarlo
from theorylab.analytic import depth_profile, gradient_fourth_moment
from theorylab.montecarlo import Measurement

SIDE = 3
LAYERS = {45: 3, 90: 6}
"""Hidden layers by their units: of both, the widths' reciprocals add up to 1/15."""
NETWORKS = {45: 10_000, 90: 4_500}
COPIES = 16


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of a logit's gradient: ``square``, ‖∇‖², ``fourth``, its square, and ``log``, ``log square``, those of its logarithm."""

    stack: Stack

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        *_, (_, _, gradients) = self.stack.descend(rng, size, (Rule.SALIENCY,))
        square = (gradients[Rule.SALIENCY].astype(np.float64) ** 2).sum(axis=(-3, -2, -1))
        square /= self.stack.layers[-1].n_filters  # what the readout has
        log = np.log(square)
        return montecarlo.measurement(
            {
                name: value.mean(axis=1)
                for name, value in (
                    ("square", square),
                    ("fourth", square**2),
                    ("log", log),
                    ("log square", log**2),
                )
            }
        )


def ratio(mean: dict[str, float]) -> float:
    """Return E‖∇‖⁴/(E‖∇‖²)²."""
    return mean["fourth"] / mean["square"] ** 2


def log_variance(mean: dict[str, float]) -> float:
    """Return the variance of ln ‖∇‖²."""
    return mean["log square"] - mean["log"] ** 2


def run(bench: Bench) -> Outcome:
    """Measure the fourth moment of gradients of two networks of unlike depth and width."""
    entries = 3 * SIDE**2
    crop = unit(np.resize(shelf.small_crop(bench.x, SIDE), (entries, 1, 1)))
    widths = {n: [entries, *[n] * layers] for n, layers in LAYERS.items()}
    studies = {
        n: bench.study(
            f"sizes of gradients, {LAYERS[n]} layers of {n}",
            Sizes(Stack(crop, dense(sizes), COPIES)),
            NETWORKS[n],
            block=100,
        )
        for n, sizes in widths.items()
    }
    deep = max(LAYERS)
    checks = [
        bench.ratio(
            f"E‖∇‖⁴/(E‖∇‖²)², {LAYERS[n]} layers of {n} units",
            measured,
            ratio,
            gradient_fourth_moment(widths[n]),
            (
                Wrong("all units open", (1 + 2 / entries) * (1 + 2 / n) ** LAYERS[n]),
                Wrong("as of infinite width", 1.0),
            ),
        )
        for n, measured in studies.items()
    ]
    size = bench.moment(
        f"E‖∇‖² under {LAYERS[deep]} layers, over that of the readout",
        studies[deep],
        "square",
        entries * depth_profile(widths[deep], Rule.SALIENCY)[-1].beta ** 2 / deep,
        Wrong("halved by each layer of ReLUs", 0.5 ** LAYERS[deep]),
    )
    leading = 2 / entries + 5 * LAYERS[deep] / deep
    scattered = studies[deep].estimate(lambda mean: log_variance(mean) / leading)
    return Outcome(
        f"Six layers of 90 units and three of 45 scatter alike: E‖∇‖⁴/(E‖∇‖²)² is {checks[1].estimate:.3f} and "
        f"{checks[0].estimate:.3f}. The variance of ln ‖∇‖² is {scattered[0]:.3f} times 2/n₀ + 5 Σ 1/n.",
        (Evidence(*scattered),),
        (*checks, size),
        checks[1].name,
    )


CLAIM = Claim(
    id="finite-width",
    order=65,
    section="Hanin and Nica 2020, arXiv 1812.05994",
    statement="In a deep ReLU network with He's random weights the squared size of a gradient is nearly log-normal, with a "
    "variance of its logarithm of about 5 times the sum of the widths' reciprocals (up to errors of higher order): whether "
    "gradients explode or vanish depends on that sum, and not on depth or width alone.",
    exact_law="‖∇‖² is a constant times χ²(n₀) ∏ S_l, all independent, S_l the sum of the squares of about half of n_l "
    "standard normals, at every width: E‖∇‖⁴/(E‖∇‖²)² = (1 + 2/n₀) ∏ (1 + 5/n_l).",
    formula=(
        r"\|\nabla\|^2 = c^2\, \chi^2_{n_0} \prod_{l=1}^{L} S_l,\quad S_l = \sum_{i=1}^{n_l} D_i\, g_i^2",
        r"D_i \in \{0, 1\} \text{ fair},\quad g_i \sim \mathcal{N}(0, 1)",
        r"\dfrac{\mathrm{E}\|\nabla\|^4}{(\mathrm{E}\|\nabla\|^2)^2} = \left(1 + \dfrac{2}{n_0}\right) \prod_{l=1}^{L} \left(1 +"
        r" \dfrac{5}{n_l}\right)",
    ),
    proof="Of a unit's weights its gate sees the sign of the pre-activation alone. The Gaussian weights above the unit can "
    "take that sign over without a change of their law, layer by layer from the input up. The gradient has therefore the law "
    "of a product of Gaussian matrices with fair gates that are independent of them.\n\nA Gaussian matrix turns a fixed "
    "vector into its length times a vector of standard normals. Multiplying from the readout down, each layer contributes the "
    "sum S of the squares that its gates leave, E S = n/2 and E S² = n(n + 5)/4, and the last one a χ² of n₀ degrees of "
    "freedom.",
    n_checks=3,
    run=run,
    margins=(
        Margin(
            "variance of ln ‖∇‖² over 2/n₀ + 5 Σ 1/n, six layers of 90 units",
            low=1 - EPSILON,
            high=1 + EPSILON,
            why="to leading order, within a tenth",
        ),
    ),
    authors="The law at finite width is theirs for the product; that the moments are products is part of the proof.",
)
