"""How fast relevance propagation forgets which logit it explains."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from proofs_checks.claim import Bench, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.referee import TENTH_WHY
from proofs_checks.rows import PerDraw
from proofs_checks.studies import shelf
from theorylab.analytic import relevance_collapse, relevance_cosine
from theorylab.charts import CurveFigure, Line, Points
from theorylab.montecarlo import Measurement

SIDE = 8
LOGITS = 24
NETWORKS = {256: 800, 1024: 320}
"""Of two hidden layers of so many units."""
CHAINS = {64: 1200, 256: 400}
"""Of three matrices of so many columns."""


def apart(relevances: np.ndarray) -> float:
    """Return the mean of one minus the cosine, over all pairs of rows."""
    units = relevances / np.linalg.norm(relevances, axis=1, keepdims=True)
    centred = (units - units.mean(axis=0)).astype(np.float64)
    return float((centred**2).sum() / (len(units) - 1))


def descend(
    x: np.ndarray, weights: list[np.ndarray], readout: np.ndarray, ones: np.ndarray
) -> list[np.ndarray]:
    """Return the relevances of a ReLU network's logits, rows of `ones` over them, from its last hidden layer down to the input.

    ``weights`` are (units, inputs).  Each is propagated by the positive parts of ``a w``, as α1β0 has it.
    """
    outputs = [x]
    for w in weights:
        outputs.append(np.maximum(w @ outputs[-1], 0))
    found, relevance = [], ones
    for w, a in zip((readout, *reversed(weights)), reversed(outputs), strict=True):
        parts = np.maximum(w * np.sign(a), 0)
        z = parts @ np.abs(a)
        ratio = np.divide(relevance, z, out=np.zeros_like(relevance), where=z > 0)
        relevance = np.abs(a) * (ratio @ parts)
        found.append(relevance)
    return found


@dataclasses.dataclass(frozen=True)
class Networks(PerDraw):
    """One minus the cosine of two logits' relevances: ``last``, ``below`` it, and ``input``; ``units`` is their number."""

    x: np.ndarray
    units: int

    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        x = self.x.ravel().astype(np.float32)
        weights = [
            rng.standard_normal((self.units, fan_in), dtype=np.float32) for fan_in in (x.size, self.units)
        ]
        readout = rng.standard_normal((LOGITS, self.units), dtype=np.float32)
        distances = map(apart, descend(x, weights, readout, np.eye(LOGITS, dtype=np.float32)))
        return {"units": self.units, **dict(zip(("last", "below", "input"), distances, strict=True))}


@dataclasses.dataclass(frozen=True)
class Chains(PerDraw):
    """One minus the cosine of the columns of products of one, two and three matrices max(w, 0), times units^(number − 1)."""

    units: int

    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        relevances = np.eye(LOGITS, dtype=np.float32)
        row = {}
        for number in range(3):
            shape = relevances.shape[1], self.units
            relevances = relevances @ np.maximum(rng.standard_normal(shape, dtype=np.float32), 0)
            row[f"{number + 1}"] = apart(relevances) * self.units**number
        return row


def run(bench: Bench) -> Outcome:
    """Measure how far two logits are apart in networks and in products of matrices."""
    crop = shelf.small_crop(bench.x, SIDE)
    networks = {
        n: bench.study(f"relevance, {n} units", Networks(crop, n), count, block=4)
        for n, count in NETWORKS.items()
    }
    chains = {
        n: bench.study(f"positive parts, {n} units", Chains(n), count, block=10)
        for n, count in CHAINS.items()
    }
    law = {n: relevance_collapse(crop, [n, n]) for n in NETWORKS}
    widest = max(NETWORKS)
    one, other = np.eye(2)
    last = bench.limit(
        "cosine of two logits at the last hidden layer, many units",
        networks,
        lambda mean: 1 - mean["last"],
        relevance_cosine(one, other),
        Wrong("as different logits have nothing in common", 0.0),
    )
    below = bench.limit(
        f"1 − cosine one layer below, {widest} units",
        networks,
        # Of each width relative to its law, so that what is left is of one over the width.
        lambda mean: mean["below"] / law[int(mean["units"])][1] * law[widest][1],
        law[widest][1],
        Wrong("activations do not weigh the units", law[widest][1] / math.pi),
    )
    products = [
        bench.limit(
            f"{words} bare matrices: (1 − cosine) × units{power}, many units",
            chains,
            f"{number}",
            (math.pi - 1) ** number,
            Wrong("(π−1)/n in the second step too", (math.pi - 1) ** number / math.pi),
        )
        for words, power, number in (("two", "", 2), ("three", "²", 3))
    ]
    narrow = min(NETWORKS)
    together = networks[narrow].estimate(lambda mean: 1 - mean["input"])
    return Outcome(
        f"Two logits' relevances have a cosine of {last.estimate:.3f} at the last hidden layer, {1 - below.estimate:.4f} one "
        f"layer below it ({widest} units), and {together[0]:.4f} at the input under two layers of {narrow}. Each further layer "
        "of n units brings them closer by a factor of about n/π(π − 1).",
        (Evidence(*together),),
        (last, below, *products),
        below.name,
        (_figure(crop, networks, law),),
    )


def _figure(crop: np.ndarray, networks: dict[int, Measurement], law: dict[int, list[float]]) -> CurveFigure:
    """Draw one minus the cosine against the layers between relevance and logits."""
    below = np.arange(1.0, 4.0)
    names = "last", "below", "input"
    return CurveFigure(
        "rank-one-collapse",
        "One minus the cosine of two logits' relevances under the α1β0 rule, in dense networks of two hidden layers; the third "
        f"point is the input, a crop of {crop.size} numbers. Lines: law; points: simulated, with 95 % intervals.",
        "layers below the logits",
        "1 − cosine",
        tuple(Line(f"{n} units", below, np.array(values)) for n, values in law.items()),
        tuple(
            Points.of(f"{n} units", below, [measured.estimate(name) for name in names])
            for n, measured in networks.items()
        ),
        y_scale="log",
        title="Relevances of two logits collapse to one, the more so the wider the layers",
    )


CLAIM = Claim(
    id="rank-one-collapse",
    order=50,
    section="Sixt, Granz and Landgraf 2020, arXiv 1912.09818, Theorem 1",
    statement="Where relevance is propagated by the z+ rule (deep Taylor, α1β0), each layer multiplies it by a matrix without "
    "negative entries. Products of such matrices tend to one of rank 1, if they tend to any, so that with enough layers the "
    "map no longer depends on what was explained; in practice a few layers are enough.",
    exact_law="One layer of positive parts of Gaussian weights maps r, s to cos = (Σr Σs + (π−1)⟨r, s⟩)/√(…): 1/π for two "
    "logits. With ReLU activations the second layer leaves 1 − cos = π(π−1)²/n, each further one multiplies it by π(π−1)/n, "
    "as n grows; a product of bare matrices has (π−1)²/n and (π−1)/n.",
    formula=(
        r"\cos = \dfrac{\sum r \sum s + (\pi-1) \langle r, s\rangle}{\sqrt{\left(\left(\sum r\right)^2 + (\pi-1)"
        r" \|r\|^2\right) \left(\left(\sum s\right)^2 + (\pi-1) \|s\|^2\right)}}",
        r"\text{last hidden layer: } \cos = \dfrac{1}{\pi},\quad \text{one below: } 1 - \cos \to \dfrac{\pi"
        r" (\pi-1)^2}{n}",
        r"\text{each further one: } 1 - \cos \text{ times } \dfrac{\pi (\pi-1)}{n}",
    ),
    proof="The entries max(w, 0) have mean μ = c/√(2π) and variance v = c²/2 − μ², and v/μ² = π − 1. Independent entries give "
    "E⟨Ar, As⟩ = n(μ² Σr Σs + v⟨r, s⟩): the mean matrix, of rank 1, is what two logits share, and the fluctuation is what "
    "keeps them apart.\n\nFor vectors of one energy 1 − cos is multiplied by (π−1) q/(1 + (π−1) q), q = ‖r‖²/(Σr)² the share "
    "of the units that one unit holds. At one logit q = 1. What comes out of a wide layer is nearly flat; the activations, "
    "halves of Gaussians with E a²/(E a)² = π, make of it q = π/n, or π²/n behind the readout, whose own positive parts are "
    "not flat.\n\nThe weights by which relevance returns are those that made the activations. An open unit's weights lean "
    "towards its input, which shifts mean and variance of the positive parts and the sums z: a factor of exp(−4.40/√n) at the "
    "second layer and exp(−2.88/√n) at each further one, for layers of one width. The law has it; the rest is O(1/n), and the "
    "checks extrapolate two widths, n and 4n, to (4A(4n) − A(n))/3, which has no such term.",
    n_checks=4,
    run=run,
    margins=(
        Margin(
            f"cosine of two logits' relevances at the input under two layers of {min(NETWORKS)} units",
            low=0.995,
            why=TENTH_WHY,
        ),
    ),
    authors="The theorem has no rate and needs none: trained networks were seen to converge as well, in a few layers.",
)
