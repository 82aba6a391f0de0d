"""The step on which the proof of Theorem 1 rests: moments of a filter on a half-space."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from proofs_checks.claim import Bench, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.referee import TENTH_WHY
from proofs_checks.rows import PerDraw
from proofs_checks.studies.shelf import strongest_patch
from proofs_checks.studies.three_layers import unit
from theorylab.analytic import halfspace

FILTERS = 4000


@dataclasses.dataclass(frozen=True)
class HalfSpaces(PerDraw):
    """Means over `FILTERS` filters of the masked filter and its products, for two patches at 60 degrees.

    A replicate is two independent batches of filters, so that the product of their means estimates ``‖E w̃‖²``.
    """

    u: np.ndarray
    v: np.ndarray

    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        row, means = dict.fromkeys(("along", "norm", "energy", "wedge", "trace"), 0.0), []
        for _ in range(2):
            w = rng.standard_normal((FILTERS, self.u.size), dtype=np.float32)
            along, other = w @ self.u.astype(np.float32), w @ self.v.astype(np.float32)
            active, both = along > 0, (along > 0) & (other > 0)
            energies = np.einsum("ij,ij->i", w, w, dtype=np.float64)
            means.append(w[active].sum(axis=0, dtype=np.float64) / FILTERS)
            row["along"] += along[active].sum(dtype=np.float64) / FILTERS / 2
            row["energy"] += energies[active].sum() / FILTERS / 2
            row["wedge"] += (along * other)[both].sum(dtype=np.float64) / FILTERS / 2
            row["trace"] += energies[both].sum() / FILTERS / 2
        row["norm"] = float(means[0] @ means[1])
        return row


def run(bench: Bench) -> Outcome:
    """Measure moments on the picture's strongest patch and on a second patch at 60 degrees to it."""
    u = unit(strongest_patch(bench.x, bench.grid))
    rng = np.random.default_rng(bench.seed_of("second patch"))
    free = rng.standard_normal(u.size)
    v = 0.5 * u + math.sqrt(0.75) * unit(free - (free @ u) * u)
    p = u.size
    measured = bench.study("half-spaces", HalfSpaces(u, v), 240, block=10)
    mean, pair = halfspace.mean(u), halfspace.pair_matrix(u, v)
    laws = {
        "along": (
            "E[w 1(w·y>0)] along y/‖y‖",
            mean @ u,
            Wrong("the mean of those let through: twice", 2 * mean @ u),
        ),
        "norm": ("‖E[w 1(w·y>0)]‖², all directions", mean @ mean, Wrong("the energy along y: c²/2", 0.5)),
        "energy": (
            "trace of E[w wᵀ 1(w·y>0)]",
            np.trace(halfspace.second_moment(u)),
            Wrong("no mask: p", float(p)),
        ),
        "wedge": (
            "u·M u' on the wedge of two patches",
            u @ pair @ v,
            Wrong("filter independent of the masks: cos θ (π−θ)/(2π)", 0.5 / 3),
        ),
        "trace": (
            "trace of M on the wedge of two patches",
            np.trace(pair),
            Wrong("masks independent of each other: p/4", p / 4),
        ),
    }
    checks = tuple(
        bench.moment(name, measured, number, float(expected), wrong)
        for number, (name, expected, wrong) in laws.items()
    )
    along, norm, *_ = checks
    return Outcome(
        f"The masked filter's mean has length {math.sqrt(max(norm.estimate, 0)):.4f} c, of which {along.estimate:.4f} c lies "
        f"along the patch: 1/√(2π) = {1 / math.sqrt(2 * math.pi):.4f}, whatever the patch's norm.",
        (Evidence(*measured.estimate(lambda mean: mean["along"] / math.sqrt(mean["norm"]))),),
        checks,
        along.name,
    )


CLAIM = Claim(
    id="halfspace-mean",
    order=20,
    section="3.1.1",
    statement="The mean of a Gaussian filter that a ReLU lets through points along the patch.",
    exact_law="E[w 1(w·y>0)] = c/√(2π) y/‖y‖, E[w wᵀ 1(w·y>0)] = c²/2 I, and on the wedge of two patches at angle θ "
    "M = c² {(π−θ)/(2π) I + [u u'ᵀ + u' uᵀ − cos θ (u uᵀ + u' u'ᵀ)]/(2π sin θ)}. Note the unit patch: its norm is lost.",
    formula=(
        r"\mathrm{E}[w\,\mathbf{1}(w \cdot y > 0)] = \dfrac{c}{\sqrt{2\pi}}\,\dfrac{y}{\|y\|}",
        r"\mathrm{E}[w w^{\mathrm{T}}\,\mathbf{1}(w \cdot y > 0)] = \dfrac{c^2}{2}\,I",
        r"\text{two patches: } M = \mathrm{E}[w w^{\mathrm{T}}\,\mathbf{1}(w \cdot y_1 > 0)\,\mathbf{1}(w"
        r" \cdot y_2 > 0)]",
        r"\dfrac{M}{c^2} = \dfrac{\pi - \theta}{2\pi}\,I + \dfrac{u_1 u_2^{\mathrm{T}} + u_2"
        r" u_1^{\mathrm{T}} - \cos\theta\,(u_1 u_1^{\mathrm{T}} + u_2 u_2^{\mathrm{T}})}{2\pi\,\sin\theta}",
        r"u_1 = y_1/\|y_1\|,\quad u_2 = y_2/\|y_2\|,\quad \cos\theta = u_1 \cdot u_2",
    ),
    proof="Split w into its part z along y/‖y‖ and the rest. The half-space is z > 0, and the rest, independent of z, "
    "averages to 0; E[z 1(z>0)] = c/√(2π).\n\n"
    "w wᵀ does not change under w → −w, which swaps the half-space and its complement, so each holds half of c² I.\n\n"
    "For two patches only the plane they span matters; there the wedge has half-width (π−θ)/2 about the bisector, and "
    "∫ cos², ∫ sin² over it give ((π−θ) ± sin θ)/(2π).",
    n_checks=5,
    run=run,
    margins=(Margin("cosine of the masked filter's mean and the patch", low=0.995, why=TENTH_WHY),),
    authors="This is the step on which the proof of Theorem 1 rests (Appendix B).",
)
