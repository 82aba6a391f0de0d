"""Whether depth changes what guided backpropagation recovers: convolutional networks without pooling."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from proofs_checks.claim import EPSILON, Bench, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.judge import extrapolated
from proofs_checks.results import SMALL_WHY
from proofs_checks.studies import shelf
from proofs_checks.studies.depth import Stack, between, cosine, grouped, inner, stacked
from proofs_checks.studies.three_layers import unit
from theorylab import Rule, montecarlo
from theorylab.analytic import depth_maps
from theorylab.charts import MapFigure, MapPanel
from theorylab.montecarlo import ArrayMoments, Measurement

SIDE = 32
KERNELS, STRIDES = (4, 4, 3, 3), (2, 2, 1, 1)
"""From the picture up.  Strides keep the planes small, so that many networks can be drawn: it is filters that scatter.  A
kernel twice the stride covers all positions alike, and leaves no grid in the map."""
GROUP = 10
"""Networks in a replicate."""
REPLICATES = {16: 200, 64: 240}
HIDDEN = len(KERNELS) - 1
"""Hidden layers that receive a gradient from another one."""


@dataclasses.dataclass(frozen=True)
class DeepRecovery:
    """Guided backpropagation in deep networks: the hidden layers, and the map beside its predicted mean ``m``.

    Each replicate is a few networks, because the energy of the mean map is measured between networks: the more pairs, the
    less noise.  Numbers: ``alignment <l>`` of ``V̂^(l)`` and ``o^(l)``; ``energy`` ‖V̂^(1)‖² over its prediction; with
    S the map over ‖m‖, ``along``, ``toward`` and ``shallow``, its products with m/‖m‖, with x and with the unit map `shallow`;
    and, as means over pairs of different networks, ``pair`` ⟨S, S'⟩ and ``pair_along`` ⟨S, m⟩⟨S', m⟩/‖m‖², whose
    expectations are ‖E S‖² and its part along ``m``.
    """

    stack: Stack
    mean: np.ndarray
    energy: float
    shallow: np.ndarray

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        numbers = {}
        for layer, output, gradients in self.stack.descend(rng, GROUP * size, [Rule.GUIDED]):
            gradient = gradients[Rule.GUIDED]
            if layer:
                numbers[f"alignment {layer}"] = grouped(cosine(gradient, output), GROUP).mean(axis=1)
            if layer == 1:
                numbers["energy"] = grouped(inner(gradient, gradient), GROUP).mean(axis=1) / self.energy
        maps = gradient[:, 0].astype(np.float64) / np.linalg.norm(self.mean)
        along = grouped(inner(maps, unit(self.mean)), GROUP)
        numbers["along"] = along.mean(axis=1)
        numbers["toward"] = grouped(inner(maps, self.stack.x), GROUP).mean(axis=1)
        numbers["shallow"] = grouped(inner(maps, self.shallow), GROUP).mean(axis=1)
        sums = grouped(maps, GROUP).sum(axis=1)
        numbers["pair"] = between(inner(sums, sums), grouped(inner(maps, maps), GROUP))
        numbers["pair_along"] = between(along.sum(axis=1) ** 2, along**2)
        return montecarlo.measurement(numbers, {"map": ArrayMoments.of(maps)})


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One width: alignments by layer, the mean map, ‖V̂^(1)‖², and the mean map of three layers for that energy."""

    stack: Stack
    alignments: dict[int, float]
    mean: np.ndarray
    energy: float
    shallow: np.ndarray


def predicted(x: np.ndarray, n_filters: int) -> Prediction:
    """Return what `depth_maps` predicts, and what Proposition 1 would: independent normals at layer 1."""
    stack = Stack(x, stacked(len(x), [n_filters] * len(KERNELS), KERNELS, STRIDES))
    records = {record.layer: record for record in depth_maps(x, stack.layers, Rule.GUIDED)}
    first, bottom = records[1], records[0]
    patches = (stack.grids[0].extract(x) ** 2).sum(axis=1).reshape(first.alpha.shape)
    outputs = n_filters * stack.layers[0].std ** 2 / 2 * patches  # E‖o_pos‖²: σ(z)² holds half of z²
    energy = float((first.alpha**2 * outputs).sum() + n_filters * (first.beta**2).sum())
    spread = math.sqrt(energy / (n_filters * first.alpha.size))
    (flat,) = depth_maps(x, stack.layers[:1], Rule.GUIDED, readout_std=spread)
    alignments = {layer: records[layer].alignment for layer in range(HIDDEN, 0, -1)}
    return Prediction(stack, alignments, bottom.alpha * x, energy, flat.alpha * x)


def run(bench: Bench) -> Outcome:
    """Measure alignments at the hidden layers; size and shape of the mean map at the input."""
    x = shelf.thumbnail(bench.x, SIDE)
    studies: dict[int, Measurement] = {}
    for n, count in REPLICATES.items():
        law = predicted(x, n)
        simulate = DeepRecovery(law.stack, law.mean, law.energy, unit(law.shallow))
        studies[n] = bench.study(f"convolutional depth, {n} filters", simulate, count, block=2)
    # The quantities compared have one law for both widths; `law` is now that of the wider.
    mean, shallow = unit(law.mean), unit(law.shallow)
    likeness = float((mean * shallow).sum())
    flat = float(np.linalg.norm(law.shallow) / np.linalg.norm(law.mean)) * likeness
    top = law.alignments[HIDDEN]
    checks = [
        bench.limit(
            f"alignment with o^({layer})",
            studies,
            f"alignment {layer}",
            expected,
            Wrong("one layer below the readout", top)
            if layer < HIDDEN
            else Wrong("as one layer deeper", law.alignments[HIDDEN - 1]),
        )
        for layer, expected in law.alignments.items()
    ]
    size = bench.limit(
        "size of the mean map, of its prediction (1)",
        studies,
        lambda m: m["along"] / math.sqrt(m["energy"]),
        1.0,
        Wrong("Proposition 1: the three-layer law", flat),
    )
    share = bench.limit(
        "share of the mean map's energy along the prediction",
        studies,
        lambda m: m["pair_along"] / m["pair"],
        1.0,
        Wrong("the picture itself", float((mean * x).sum()) ** 2),
    )
    tilt = bench.limit(
        "mean map along the three-layer x⊙κ over along the prediction",
        studies,
        lambda m: m["shallow"] / m["along"],
        likeness,
        Wrong("the three-layer map at every depth", 1 / likeness),
    )
    toward, error, count = extrapolated(studies, lambda m: m["toward"] / math.sqrt(m["pair"]))
    second, before = checks[1], float((shallow * x).sum())
    return Outcome(
        f"The hidden layers are recovered, with {', '.join(f'{check.estimate:.3f}' for check in checks)} from the top "
        "(Proposition 1 has 0), and each depth has a contrast normalisation of its own: the cosine of the mean map to the "
        f"three-layer x⊙κ is {tilt.estimate:.3f}, and to x {toward:.3f}, against "
        f"{before:.3f} for three layers.",
        (Evidence(toward - before, error, count),),
        (*checks, size, share, tilt),
        second.name,
        (_figure(law, studies[max(studies)]),),
    )


def _figure(law: Prediction, measured: Measurement) -> MapFigure:
    x, maps = law.stack.x, measured.maps["map"]
    return MapFigure(
        "depth-conv",
        f"The picture in {x.shape[1]}×{x.shape[2]} pixels, the mean map that three layers would show, and predicted and measured "
        f"mean map under {len(KERNELS)} convolutions ({maps.count} networks of {law.stack.layers[0].n_filters} filters). All "
        "have norm 1.",
        (
            MapPanel("input x", x),
            MapPanel("three layers, x⊙κ", unit(law.shallow)),
            MapPanel("predicted", unit(law.mean), "mean"),
            MapPanel("measured", unit(maps.mean), "mean"),
        ),
        title="Under several convolutions, too, the law predicts the mean map",
    )


CLAIM = Claim(
    id="depth-conv",
    order=220,
    section="3.2.2 and 4.2",
    statement="The behaviour of guided backpropagation barely changes with depth in a random convolutional network without "
    "pooling: it recovers the input.",
    exact_law="V̂^(l) = α ⊙ o^(l) + β ⊙ ξ in the limit of many filters, α_pos = n Σ_{j∋pos} E[z T_j]/q_j and "
    "β²_pos = c² n Σ_{j∋pos} E[T_j²], q_j the energy of patch j; at the input E S = α^(0) ⊙ x: every depth has its own κ.",
    formula=(
        r"\hat{V}{}^{(l)} = \alpha \odot o^{(l)} + \beta \odot \xi,\quad T_j = \max(\hat{V}_j,"
        r" 0)\,\mathbf{1}(z_j > 0)",
        r"\alpha_t = n \sum_{j \ni t}\, \dfrac{\mathrm{E}[z_j T_j]}{q_j},\quad \beta_t^2 = c^2 n \sum_{j"
        r" \ni t}\, \mathrm{E}[T_j^2]",
        r"q_j = \|y_j\|^2,\quad z_j \sim \mathcal{N}(0, c^2 q_j)",
        r"\mathrm{E}\,S = \alpha^{(0)} \odot x",
    ),
    proof="The filter of unit i is w = y_j z/‖y_j‖² + w⊥, and D_jᵀ y_j is o restricted to patch j: so patch j adds "
    "n E[z T_j]/q_j to α at each position that it holds, and n c² E[T_j²] to β². The two expectations are those of dense "
    "layers, with α_j and β_j of the layer above at the patch's own position. Energies follow E‖o_pos‖² = n c² q_pos/2.\n\n"
    "With n filters in every layer all of this errs by O(1/n). The checks need no tolerance: they extrapolate two widths, n = 16 "
    "and 4n, to (4A(4n) − A(n))/3, which has no such term. Size and shape at the input are of the mean alone: β² there adds "
    "patches as if uncorrelated, which errs by a share of O(1/C) for C channels at any width. The size is measured in units of "
    "the gradient's at the first hidden layer, where that error is O(1/n).",
    n_checks=6,
    run=run,
    margins=(
        Margin(
            f"cosine of the mean map and x under {len(KERNELS)} convolutions, less that under one",
            low=-EPSILON,
            why=f"{SMALL_WHY}; a better recovery is the same behaviour",
        ),
    ),
    authors="The two maps look the same, as the paper's figures of three layers and of VGG-16 do.",
)
