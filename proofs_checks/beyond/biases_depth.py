"""What PyTorch's default biases leave of guided backpropagation in deep random networks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from proofs_checks.claim import Bench, Claim, Outcome, Wrong
from proofs_checks.judge import extrapolated
from proofs_checks.rows import PerDraw
from proofs_checks.studies import shelf
from theorylab import Gaussian, Uniform, montecarlo
from theorylab.analytic import depth_profile
from theorylab.analytic.depth import LayerProfile
from theorylab.charts import CurveFigure, Line, Points
from theorylab.model.laws import BiasLaw
from theorylab.montecarlo import Measurement

HIDDEN = 6

REPLICATES = {64: 3000, 192: 1600}
CHAINS = {64: 50_000, 192: 75_000}
LOGITS, BLOCK = 16, 20


def widths(units: int) -> list[int]:
    """Return the entries of the input, as many as units, and the units of each hidden layer."""
    return [units] * (HIDDEN + 1)


@dataclasses.dataclass(frozen=True)
class Chain:
    """The same with Gaussian weights, whose wide networks are the same, exactly and without weight matrices: ``align <l>``.

    A unit's weights enter through ``c ζ`` along the activations below and a part across, which is independent of all else: what
    is handed down is ``A ô + B P g`` with ``A = c Σ ζ T`` and ``B² = c² Σ T²``, ``P`` the projection off ``ô`` and ``g`` standard
    normal.
    """

    units: int

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        h = 1 / math.sqrt(self.units)
        c, shape = h / math.sqrt(3), (size, self.units)
        # On the input, of norm 1, only the first axis counts.
        outputs, along, before = [np.eye(1, self.units).repeat(size, axis=0)], [], []
        for _ in range(HIDDEN):
            norms = np.linalg.norm(outputs[-1], axis=1, keepdims=True)
            along.append(rng.standard_normal(shape))
            before.append(c * norms * along[-1] + rng.uniform(-h, h, shape))
            outputs.append(np.maximum(before[-1], 0))
        gradient, numbers = rng.uniform(-1, 1, shape), {}
        for layer in range(HIDDEN - 1, -1, -1):
            handed = np.maximum(gradient, 0) * (before[layer] > 0)
            axis = outputs[layer] / np.linalg.norm(outputs[layer], axis=1, keepdims=True)
            g = rng.standard_normal(shape)
            g -= (g * axis).sum(axis=1, keepdims=True) * axis
            mean = c * (along[layer] * handed).sum(axis=1, keepdims=True)
            gradient = mean * axis + c * np.linalg.norm(handed, axis=1, keepdims=True) * g
            numbers[f"align {layer}"] = mean[:, 0] / np.linalg.norm(gradient, axis=1)
        return montecarlo.measurement(numbers)


@dataclasses.dataclass(frozen=True)
class Defaults(PerDraw):
    """``nn.Linear`` as it comes: weights and biases uniform on ±1/√fan-in.

    ``align <l>``: cosine of ``V̂^(l)`` and ``o^(l)``, mean over logits; ``common <l>``: of ``V̂^(l)`` of two logits, all pairs.
    """

    x: np.ndarray
    units: int

    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        outputs, weights, before = [self.x], [], []
        for below, above in zip(widths(self.units), widths(self.units)[1:], strict=False):
            h = 1 / math.sqrt(below)
            weights.append(rng.uniform(-h, h, (above, below)).astype(np.float32))
            before.append(weights[-1] @ outputs[-1] + rng.uniform(-h, h, above))
            outputs.append(np.maximum(before[-1], 0).astype(np.float32))
        gradient = rng.uniform(-1, 1, (LOGITS, self.units)).astype(np.float32)
        row = {}
        for layer in range(HIDDEN - 1, -1, -1):
            gradient = (np.maximum(gradient, 0) * (before[layer] > 0)) @ weights[layer]
            unit = gradient / np.linalg.norm(gradient, axis=1, keepdims=True)
            row[f"align {layer}"] = float((unit @ outputs[layer]).mean() / np.linalg.norm(outputs[layer]))
            pairs = float((unit.sum(axis=0) ** 2).sum()) - LOGITS
            row[f"common {layer}"] = pairs / (LOGITS * (LOGITS - 1))
        return row


def laws(units: int, kind: str) -> Sequence[LayerProfile]:
    """Return the law, from the input up, with uniform biases, with Gaussian ones of their variance, or without."""
    sizes = widths(units)
    halves = [1 / math.sqrt(n) for n in sizes[:-1]]
    biases: dict[str, Sequence[BiasLaw | None]] = {
        "uniform": [Uniform(h) for h in halves],
        "gaussian": [Gaussian(h / math.sqrt(3)) for h in halves],
        "none": [None] * HIDDEN,
    }
    stds = [h / math.sqrt(3) for h in halves]
    return depth_profile(sizes, "guided", stds=stds, biases=biases[kind], readout=Uniform(1.0))[::-1]


def common(record: LayerProfile) -> float:
    """Return the cosine of two logits' maps."""
    return 1 - record.class_distance**2 / 2


def run(bench: Bench) -> Outcome:
    """Measure alignments and what two logits share, from two widths."""
    studies: Mapping[int, Measurement] = {
        units: bench.study(
            f"default biases, {units} units", Defaults(_input(bench, units), units), count, block=BLOCK
        )
        for units, count in REPLICATES.items()
    }
    law, gaussian, plain = (laws(64, kind) for kind in ("uniform", "gaussian", "none"))
    chains = {
        units: bench.study(f"default biases, chain of {units} units", Chain(units), count, block=200)
        for units, count in CHAINS.items()
    }
    checks = []
    for layer in (HIDDEN - 1, HIDDEN // 2, 0):
        where = "the input" if layer == 0 else f"hidden layer {layer}"
        without = Wrong("as without biases", plain[layer].alignment)
        as_gaussian = Wrong("Gaussian biases of the same variance", gaussian[layer].alignment)
        checks.append(
            bench.limit(
                f"alignment with {where}",
                chains,
                f"align {layer}",
                law[layer].alignment,
                (as_gaussian, without) if layer == HIDDEN - 1 else (without, as_gaussian),
            )
        )
    for layer in (HIDDEN - 1, HIDDEN // 2):
        checks.append(
            bench.limit(
                f"cosine of two logits' maps at hidden layer {layer}",
                studies,
                f"common {layer}",
                common(law[layer]),
                (
                    Wrong("as without biases", common(plain[layer])),
                    Wrong("a Gaussian readout: 1/π", 1 / math.pi),
                ),
            )
        )
    layers = np.arange(HIDDEN, dtype=float)
    figure = CurveFigure(
        "biases-depth",
        "Guided backpropagation in deep random networks of dense layers at PyTorch's defaults: its alignment with the "
        "activations of each layer, 0 the input; law, measured limit of wide layers, and the law without biases.",
        "layer",
        "alignment",
        (
            Line("default biases", layers, np.array([record.alignment for record in law])),
            Line("without biases", layers, np.array([record.alignment for record in plain])),
        ),
        (
            Points.of(
                "default biases", range(HIDDEN), [extrapolated(studies, f"align {i}") for i in range(HIDDEN)]
            ),
        ),
        title="PyTorch's biases take from guided backpropagation much of what it recovers",
    )
    hidden, whole = checks[1], checks[2]
    return Outcome(
        f"Under uniform biases as PyTorch draws them, the alignment is {hidden.estimate:.3f} in the middle of {HIDDEN} hidden "
        f"layers, where {plain[HIDDEN // 2].alignment:.3f} would be without, and {whole.estimate:.3f} at the input, for "
        f"{plain[0].alignment:.3f}. Two logits' maps still agree: cosine {checks[4].estimate:.3f} in the middle.",
        (),
        tuple(checks),
        hidden.name,
        (figure,),
    )


def _input(bench: Bench, units: int) -> np.ndarray:
    """Return pixels of the picture's middle, of norm 1."""
    pixels = np.resize(shelf.small_crop(bench.x, 8), units).astype(np.float32)
    return np.asarray(pixels / np.linalg.norm(pixels))


CLAIM = Claim(
    id="biases-depth",
    order=20,
    section="beyond 3.1.3",
    statement="The paper's deep random networks have no biases. At the defaults of PyTorch's layers, which draw biases as large "
    "as weights, guided backpropagation in deep random networks recovers little of the picture and of the activations.",
    exact_law="Alignment ρ/√(1 + ρ²) with ρ = √(n_l/n_{l−1}) √e F/√S, where e = c²‖o‖²/(c²‖o‖² + c_b²) is the share of the "
    "activations in a pre-activation's variance, and F = s E[∂T/∂z] and S = E[T²] are integrals over the pre-activation. "
    "Of two logits the part that each has alone obeys δ'² = c² n E[Var T].",
    formula=(
        r"\rho' = \sqrt{\frac{n}{n'}}\,\sqrt{e}\;\frac{s\,\mathrm{E}[\partial T/\partial z]}{\sqrt{\mathrm{E}[T^2]}}",
        r"e = \frac{c^2 \|o\|^2}{c^2 \|o\|^2 + c_b^2},\quad \mathrm{E}\|o'\|^2 = n\,(c^2\|o\|^2 + c_b^2)/2",
    ),
    proof="A unit's weights enter what it hands on through z = w·o + b, so E[w T] = c² o E[∂T/∂z] by Stein's lemma given b: "
    "along o as without biases, and smaller by e. Across o nothing changes.\n\n"
    "PyTorch draws weights and biases of variance 1/(3 fan-in). At equal widths the activations' energy then falls by 6 a layer "
    "until it is a fifth of what biases add: e tends to 1/6, and every alignment with it. The picture's own part in it has died "
    "out long before. Two logits share activations, and what biases make of them: their maps agree all the same.",
    n_checks=5,
    run=run,
    margins=(),
    authors="The networks of the paper's experiments are drawn without such biases.",
)
