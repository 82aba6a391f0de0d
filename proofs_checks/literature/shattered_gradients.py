"""Whether gradients of deep random networks shatter exponentially."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Outcome, Wrong
from proofs_checks.judge import extrapolated
from proofs_checks.rows import PerDraw
from theorylab.analytic import gradient_correlation
from theorylab.charts import CurveFigure, Line, Points
from theorylab.montecarlo import Measurement

INPUTS = 8
COSINE = 0.5
"""Of each pair of inputs."""
DENSE, BLOCKS = 6, 4
"""Depths."""
NETWORKS = {128: 1800, 512: 680}
RESIDUAL = {32: 2000, 128: 800}
"""Numbers of networks by their number of units."""


ENTRIES = 2 * INPUTS + 1
"""Of an input: one that all share, one of its own, and directions across all inputs, as nearly all are in a picture."""


def inputs() -> np.ndarray:
    """Return unit vectors of one cosine, (INPUTS, ENTRIES)."""
    x = np.zeros((INPUTS, ENTRIES), dtype=np.float32)
    x[:, 0] = math.sqrt(COSINE)
    np.fill_diagonal(x[:, 1:], math.sqrt(1 - COSINE))
    return x


@dataclasses.dataclass
class Layers:
    """Outputs ``o`` of several inputs, (inputs, units), and their derivatives ``J``, (inputs, directions, units)."""

    o: np.ndarray
    J: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> Layers:
        """Return the inputs themselves, with the directions of their last entries."""
        across = np.eye(x.shape[1], dtype=x.dtype)[-INPUTS:]
        return cls(x, np.broadcast_to(across, (len(x), *across.shape)))

    def linear(self, w: np.ndarray) -> Layers:
        """Multiply by a matrix (inputs, units)."""
        return Layers(self.o @ w, self.J @ w)

    def rectified(self) -> Layers:
        """Pass ReLUs."""
        gates = self.o > 0
        return Layers(self.o * gates, self.J * gates[:, None])

    def __add__(self, other: Layers) -> Layers:
        """Add what another branch hands on."""
        return Layers(self.o + other.o, self.J + other.J)

    def products(self) -> dict[str, float]:
        """Return ⟨J, J'⟩ as means over inputs, ``own``, and over pairs, ``pair``: those of gradients of a random readout."""
        flat = self.J.reshape(len(self.J), -1).astype(np.float64)
        gram, n = flat @ flat.T, len(flat)
        return {"own": float(np.trace(gram)) / n, "pair": float(gram.sum() - np.trace(gram)) / (n * (n - 1))}


@dataclasses.dataclass(frozen=True)
class Gradients(PerDraw):
    """Inner products of gradients behind each layer or block, ``own <depth>`` and ``pair <depth>``."""

    units: int
    residual: bool

    def _row(self, rng: np.random.Generator) -> dict[str, float]:

        def weights(below: int, power: float) -> np.ndarray:
            drawn = rng.standard_normal((below, self.units), dtype=np.float32)
            return drawn * np.float32(math.sqrt(power / below))

        layers = Layers.of(inputs())
        row: dict[str, float] = {}
        if self.residual:
            layers = layers.linear(weights(ENTRIES, 1))
        for depth in range(1, (BLOCKS if self.residual else DENSE) + 1):
            hidden = layers.linear(weights(layers.o.shape[1], 2)).rectified()
            layers = layers + hidden.linear(weights(self.units, 1)) if self.residual else hidden
            row |= {f"{name} {depth}": value for name, value in layers.products().items()}
        return row


def correlation(depth: int, mean: dict[str, float]) -> float:
    """Return that of the gradients behind `depth` layers."""
    return mean[f"pair {depth}"] / mean[f"own {depth}"]


def exponent(mean: dict[str, float]) -> float:
    """Return how many times as fast the logarithm falls at twice the depth: 2 of an exponential."""
    return math.log(correlation(DENSE, mean)) / math.log(correlation(DENSE // 2, mean))


def run(bench: Bench) -> Outcome:
    """Measure correlations of gradients at several depths, without and with skip connections."""
    dense = {
        n: bench.study(f"gradients, {n} units", Gradients(n, False), count, block=4)
        for n, count in NETWORKS.items()
    }
    residual = {
        n: bench.study(f"gradients, residual, {n} units", Gradients(n, True), count, block=4)
        for n, count in RESIDUAL.items()
    }

    def check(what: str, studies: dict[int, Measurement], depth: int, law: float, wrong: Wrong) -> Check:
        name = f"correlation of gradients behind {what}, many units"
        return bench.limit(name, studies, functools.partial(correlation, depth), law, wrong)

    quarter = "a quarter of the units open for both inputs, in every layer"
    one, some, blocks = (
        check(
            what,
            studies,
            depth,
            gradient_correlation(COSINE, depth, branch_scale=branch),
            Wrong(quarter, factor**depth),
        )
        for what, studies, depth, branch, factor in (
            ("one layer", dense, 1, None, 1 / 2),
            ("four layers", dense, 4, None, 1 / 2),
            (f"{BLOCKS} residual blocks", residual, BLOCKS, 1.0, 3 / 4),
        )
    )
    whole, half = (math.log(gradient_correlation(COSINE, depth)) for depth in (DENSE, DENSE // 2))
    rate = bench.limit(
        f"logarithm of the correlation, {DENSE} layers over {DENSE // 2}, many units",
        dense,
        exponent,
        whole / half,
        Wrong("exponential", 2.0),
    )
    return Outcome(
        f"Gradients at two inputs with a cosine of {COSINE:g} have a correlation of {some.estimate:.3f} behind four layers, "
        f"where 2⁻⁴ is 0.0625, and {blocks.estimate:.3f} behind {BLOCKS} residual blocks. Doubling the depth multiplies the "
        f"logarithm by {rate.estimate:.2f}, ever less: the law is a power, depth⁻³, with and without skip connections. "
        "These networks are not normalised: more than a quarter of a layer's units are open for both inputs, which is not the "
        "case of which the theorem speaks, so that this does not contradict it.",
        (),
        (one, some, blocks, rate),
        rate.name,
        (_figure(dense, residual),),
    )


def _figure(dense: dict[int, Measurement], residual: dict[int, Measurement]) -> CurveFigure:
    """Draw the correlation against depth."""
    smooth = np.unique(np.geomspace(1, 100, 40).astype(int))
    kinds = (("dense layers", dense, DENSE, None), ("residual blocks", residual, BLOCKS, 1.0))
    lines = [
        Line(
            label,
            smooth.astype(float),
            np.array([gradient_correlation(COSINE, int(d), branch_scale=branch) for d in smooth]),
        )
        for label, _, _, branch in kinds
    ]
    points = [
        Points.of(
            label,
            range(1, most + 1),
            [extrapolated(studies, functools.partial(correlation, depth)) for depth in range(1, most + 1)],
        )
        for label, studies, most, _ in kinds
    ]
    few = np.arange(1.0, 13.0)
    return CurveFigure(
        "shattered-gradients",
        f"Correlation of a logit's gradients at two inputs with a cosine of {COSINE:g}, against depth: law, 2⁻ᴸ, and measured "
        "points in the limit of wide layers, with 95 % intervals. On these axes a power law is straight in the end.",
        "depth L",
        "correlation of the gradients",
        (*lines, Line("2⁻ᴸ", few, 0.5**few)),
        tuple(points),
        x_scale="log",
        y_scale="log",
        title="Gradients decorrelate as a power of the depth, not exponentially",
    )


CLAIM = Claim(
    id="shattered-gradients",
    order=60,
    section="Balduzzi et al. 2017, arXiv 1702.08591",
    statement="In standard feedforward ReLU networks with He's random weights the correlation of the gradients at two inputs "
    "decays exponentially with depth, until they resemble white noise: as 2⁻ᴸ, if two inputs open a quarter of the units of "
    "every layer together, as batch normalisation has them do. Skip connections make gradients far more resistant.",
    exact_law="Without normalisation ∏_l (1 − θ_l/π) in wide layers, θ_l the angle of the two inputs of layer l, cos θ' = "
    "[sin θ + (π−θ) cos θ]/π: θ_l → 3π/l, and the correlation falls as L⁻³. Residual blocks have ∏ (1 − θ_l/2π), which falls "
    "as L⁻³ too, later.",
    formula=(
        r"\text{corr}(\nabla, \nabla') = \prod_{l=1}^{L} \left(1 - \dfrac{\theta_l}{\pi}\right)",
        r"\cos\theta_{l+1} = \dfrac{\sin\theta_l + (\pi - \theta_l)\,\cos\theta_l}{\pi}",
        r"\theta_l \to \dfrac{3\pi}{l},\quad \text{corr} \propto L^{-3}",
        r"\text{residual: } \prod_{l=1}^{L} \left(1 - \dfrac{\theta_l}{2\pi}\right),\quad"
        r" \cos\theta_{l+1} = \dfrac{\cos\theta_l + k_1(\cos\theta_l)}{2}",
    ),
    proof="A unit is open for both inputs with probability (π − θ)/2π, and for one with 1/2. Weights below it have fresh "
    "signs, so that only gradients which pass the same unit stay correlated: a factor of 1 − θ/π. The angle follows the "
    "arc-cosine recursion.\n\nθ' = θ − θ²/3π + …, so θ_l → 3π/l, and the product of 1 − 3/l is a power. With a quarter of the "
    "units open for both, θ = π/2 in every layer, it is 2⁻ᴸ; without normalisation the first ReLU already brings any two "
    "inputs nearer than that.\n\nA residual block adds a branch of its input's energy: half of the gradient's energy passes "
    "the units, 1 − θ/2π in all.\n\nAt finite width the correlation is larger by O(1/n); the checks extrapolate n and 4n to "
    "(4A(4n) − A(n))/3, which has no such term.",
    n_checks=4,
    run=run,
    margins=(),
    authors="The exponential rests on the co-active quarter, which batch normalisation keeps up; without it more units are open "
    "for both inputs.",
)
