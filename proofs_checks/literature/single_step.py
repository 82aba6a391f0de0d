"""How near a random network's decision boundary is, and whether one gradient step crosses it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy import special

from proofs_checks.claim import Bench, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.rows import PerDraw
from proofs_checks.studies import shelf

SIDE = 6
LOGITS = 64
NETWORKS = {64: 9000, 256: 5500}
"""By their number of units."""
STEP = 2.0
"""Length of the step, in units of ‖x‖/√d."""


@dataclasses.dataclass(frozen=True)
class Steps(PerDraw):
    """Of logits ``f`` of networks of one hidden layer, as means over logits.

    ``square`` and ``distance``: |f|/(‖∇f‖ ‖x‖), the distance to ``f = 0`` to first order, squared and as it is; ``flipped``:
    whether a step of STEP ‖x‖/√d along ∓∇f turns the sign of ``f``.
    """

    x: np.ndarray
    units: int

    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        x = self.x.ravel()
        w = rng.standard_normal((self.units, x.size))
        readout = rng.standard_normal((LOGITS, self.units))
        z = w @ x
        logits = readout @ np.maximum(z, 0)
        gradients = (readout * (z > 0)) @ w
        sizes = np.linalg.norm(gradients, axis=1)
        steps = STEP / math.sqrt(x.size) * (np.sign(logits) / sizes)[:, None] * gradients
        after = (readout * np.maximum((x - steps) @ w.T, 0)).sum(axis=1)
        distances = np.abs(logits) / sizes
        return {
            "square": float((distances**2).mean()),
            "distance": float(distances.mean()),
            "flipped": float((after * logits < 0).mean()),
        }


def run(bench: Bench) -> Outcome:
    """Measure distances to the boundary, and how many logits one step flips."""
    crop = shelf.small_crop(bench.x, SIDE)
    d = crop.size
    studies = {
        n: bench.study(f"single steps, {n} units", Steps(crop, n), count, block=50)
        for n, count in NETWORKS.items()
    }
    mean = math.exp(special.gammaln(d / 2) - special.gammaln((d + 1) / 2)) / math.sqrt(math.pi)
    square = bench.limit(
        "mean squared distance over ‖x‖², many units",
        studies,
        "square",
        1 / d,
        Wrong("closed units count in the gradient", 1 / (2 * d)),
    )
    distance = bench.limit(
        "mean distance over ‖x‖, many units",
        studies,
        "distance",
        mean,
        Wrong("always the root of the mean square", 1 / math.sqrt(d)),
    )
    most = max(NETWORKS)
    flipped = studies[most].estimate("flipped")
    return Outcome(
        f"The boundary is {distance.estimate:.3f} ‖x‖ away on average, to first order, in {d} dimensions. A step of {STEP:g} "
        f"‖x‖/√d flips {flipped[0]:.1%} of the logits of {most} units; to first order it would be "
        f"{special.betainc(0.5, (d - 1) / 2, STEP**2 / d):.1%}.",
        (Evidence(*flipped, share=True),),
        (square, distance),
        distance.name,
    )


CLAIM = Claim(
    id="single-step",
    order=70,
    section="Bubeck, Cherapanamjeri, Gidel and Tachet des Combes 2021, arXiv 2104.03863",
    statement="In a two-layer ReLU network with Gaussian weights, of a number of units that is neither too small nor too "
    "large for the dimension, a single gradient step of a length much below that of the input, of the order ‖x‖/√d, changes "
    "the sign of the output with high probability.",
    exact_law="To first order the boundary f = 0 is at |f|/‖∇f‖ = ‖x‖ |cos(∇f, x)|; with many units the square of that cosine "
    "has the law Beta(1/2, (d−1)/2), as for a random direction: mean square 1/d.",
    formula=(
        r"\dfrac{|f|}{\|\nabla f\|} = \|x\|\, |\cos(\nabla f, x)|",
        r"\cos^2 \sim \text{Beta}\left(\dfrac{1}{2}, \dfrac{d-1}{2}\right),\quad \mathrm{E}\,\cos^2 = \dfrac{1}{d}",
    ),
    proof="A bias-free ReLU network is positively homogeneous, so f = ⟨∇f, x⟩ (Euler).\n\nThe gradient is the sum of V_i w_i "
    "over the open units. Given pre-activations and readout its part across x is Gaussian and isotropic, of variance Σ V_i² "
    "over open units; the part along x is f/‖x‖. With many units both have the variance N/2 in each direction, and f tends to "
    "a normal variable: the gradient's direction is uniform. The checks extrapolate N and 4N to infinity.",
    n_checks=2,
    run=run,
    margins=(
        Margin(
            f"share of logits that a step of {STEP:g} ‖x‖/√d flips, {max(NETWORKS)} units",
            low=0.9,
            why="with high probability: nine times in ten",
        ),
    ),
    authors="The proof gives the probability for large d, with constants that it does not need to know.",
)
