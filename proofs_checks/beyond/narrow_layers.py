"""What layers of finite width do to guided backpropagation, which the limit of wide layers leaves out."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping

import numpy as np

from proofs_checks.claim import Bench, Claim, Outcome, Wrong
from proofs_checks.studies import shelf
from proofs_checks.studies.depth import Stack, dense, inner
from proofs_checks.studies.three_layers import unit
from theorylab import Rule, montecarlo
from theorylab.analytic import depth_profile, finite_width_profile
from theorylab.charts import CurveFigure, Line, Points
from theorylab.montecarlo import Measurement

ENTRIES = 48
NETWORKS = {"even": [64] * 6, "bottleneck": [128, 128, 16, 128, 128]}
"""Units of the hidden layers, from the input up."""
REPLICATES = {"even": 9000, "bottleneck": 3000}
COPIES = 16


@dataclasses.dataclass(frozen=True)
class Maps:
    """Of guided backpropagation, per layer: ``along <l>`` ⟨V̂, o⟩/‖o‖, ``energy <l>`` ‖V̂‖² and ``single <l>``, their cosine.

    ``gradient`` is saliency's energy at the input.
    """

    stack: Stack

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        numbers: dict[str, np.ndarray] = {}
        for layer, output, maps in self.stack.descend(rng, size, (Rule.GUIDED, Rule.SALIENCY)):
            guided, gradient = maps.values()
            norms = np.sqrt(inner(output, output))
            along = np.divide(inner(guided, output), norms, out=np.zeros(norms.shape), where=norms > 0)
            numbers[f"along {layer}"] = along.mean(axis=1)
            energy = inner(guided, guided)
            numbers[f"energy {layer}"] = energy.mean(axis=1)
            single = np.divide(along, np.sqrt(energy), out=np.zeros(along.shape), where=energy > 0)
            numbers[f"single {layer}"] = single.mean(axis=1)
            numbers["gradient"] = inner(gradient, gradient).mean(axis=1)
        return montecarlo.measurement(numbers)


def cosine(mean: Mapping[str, float], layer: int = 0) -> float:
    """Return the alignment as a ratio of expectations."""
    return mean[f"along {layer}"] / math.sqrt(mean[f"energy {layer}"])


def study(bench: Bench, name: str) -> Measurement:
    """Measure on a crop of the picture; the law depends on its number of entries alone."""
    crop = unit(np.resize(shelf.small_crop(bench.x, 4), (ENTRIES, 1, 1)))
    stack = Stack(crop, dense([ENTRIES, *NETWORKS[name]]), COPIES)
    return bench.study(f"finite width, {name}", Maps(stack), REPLICATES[name], block=60)


def run(bench: Bench) -> Outcome:
    """Measure alignment and energy below layers of 64 units, and below a bottleneck."""
    checks, studies = [], {name: study(bench, name) for name in NETWORKS}
    for name, units in NETWORKS.items():
        widths, measured = [ENTRIES, *units], studies[name]
        found, limit = finite_width_profile(widths, Rule.GUIDED), depth_profile(widths, Rule.GUIDED)
        mean = round(sum(units) / len(units))
        controls = [Wrong("the limit of wide layers", limit[-1].alignment)]
        if name == "bottleneck":
            alike = finite_width_profile([ENTRIES, *[mean] * len(units)], Rule.GUIDED)
            controls.insert(0, Wrong("as below layers of the mean width", alike[-1].alignment))
        left = sum(1 / n for n in units) ** 2
        checks.append(
            bench.judge(
                f"{name}: cosine of the map and the input, a ratio of expectations",
                "approximation",
                *measured.estimate(cosine),
                found[-1].alignment,
                controls,
                share=measured.share,
                tolerance=left,
            )
        )
        if name != "even":
            continue
        checks.append(
            bench.judge(
                f"{name}: mean of single maps' cosines to the input",
                "approximation",
                *measured.estimate("single 0"),
                found[-1].cosine,
                (
                    Wrong("the limit of wide layers", limit[-1].alignment),
                    Wrong("the ratio of expectations", found[-1].alignment),
                ),
                share=measured.share,
                tolerance=left,
            )
        )
        (gradient,) = depth_profile(widths, Rule.SALIENCY)[-1:]
        wide = (limit[-1].alpha ** 2 + limit[-1].beta ** 2 * ENTRIES) / (gradient.beta**2 * ENTRIES)
        checks.append(
            bench.judge(
                f"{name}: energy of the map over the gradient's",
                "approximation",
                *measured.estimate(lambda m: m["energy 0"] / m["gradient"]),
                wide * found[-1].energy,
                (Wrong("the limit of wide layers", wide), Wrong("as much as the gradient's", 1.0)),
                share=measured.share,
                tolerance=left,
            )
        )
    wide, around = (
        depth_profile([ENTRIES, *units], Rule.GUIDED)[-1].alignment for units in NETWORKS.values()
    )
    return Outcome(
        f"Below six layers of 64 units the cosine of a map and the input is {checks[1].estimate:.3f} on average, and "
        f"{checks[0].estimate:.3f} as a ratio of expectations, where the limit of wide layers has {wide:.3f} for both; with one "
        f"layer of 16 units among four of 128 the ratio is {checks[-1].estimate:.3f} for {around:.3f}.",
        (),
        tuple(checks),
        checks[0].name,
        (_figure(studies["even"]),),
    )


def _figure(measured: Measurement) -> CurveFigure:
    """Draw the alignment with every layer."""
    units = NETWORKS["even"]
    below = np.arange(1, len(units) + 1)
    widths = [ENTRIES, *units]
    limit, found = depth_profile(widths, Rule.GUIDED), finite_width_profile(widths, Rule.GUIDED)
    layers = [len(units) - int(i) for i in below]
    ratio, single = "ratio of expectations", "mean of single networks' cosines"
    profiles = {
        "limit of wide layers, of both": [record.alignment for record in limit],
        ratio: [record.alignment for record in found],
        single: [record.cosine for record in found],
    }
    return CurveFigure(
        "narrow-layers",
        f"Guided backpropagation in dense networks of {len(units)} layers of {units[0]} units, {ENTRIES} entries at the input: "
        "cosines with each layer, predicted to the order of one over the width (lines) and simulated, with 95 % intervals.",
        "layers below the readout",
        "cosine",
        tuple(Line(name, below.astype(float), np.array(profile)) for name, profile in profiles.items()),
        (
            Points.of(
                ratio, below, [measured.estimate(functools.partial(cosine, layer=layer)) for layer in layers]
            ),
            Points.of(single, below, [measured.estimate(f"single {layer}") for layer in layers]),
        ),
        title="Narrow layers: the mean cosine, and the ratio of expectations in which large maps weigh more",
    )


CLAIM = Claim(
    id="narrow-layers",
    order=30,
    section="beyond 3.2.2",
    statement="In a random dense network of finite width guided backpropagation recovers a little more of the input than the "
    "limit of wide layers says, at every depth. The ratio of expectations, in which large maps weigh more, falls short of the "
    "limit by a share of the order of the sum of the widths' reciprocals.",
    exact_law="V̂ = √n b t ô + b P ξ at every width; (t, ln b) is a Markov chain over the layers, t' = √(n/m) ⟨zT⟩/√⟨T²⟩ and "
    "b'² = c² n b² ⟨T²⟩, of means ⟨·⟩ over n units. Its mean and covariance to the order 1/n give cosines and energy; what is "
    "left is within (Σ 1/n)².",
    formula=(
        r"t_{\text{next}} = \sqrt{\dfrac{n}{m}}\, \dfrac{\langle z\,T \rangle}{\sqrt{\langle T^2 \rangle}},\quad"
        r" b_{\text{next}}^2 = c^2 n\, b^2 \langle T^2 \rangle",
        r"T = \mathbf{1}(z > 0) \max(\mu z + \xi, 0),\quad \mu = \dfrac{t}{\sqrt{\langle z_+^2 \rangle}} - \dfrac{\langle z_+"
        r" \xi \rangle}{\langle z_+^2 \rangle}",
        r"\mathrm{ratio:}\; \dfrac{\sqrt{m}\, \mathrm{E}[b\,t]}{\sqrt{m\, \mathrm{E}[b^2 t^2] + (m - 1)\, \mathrm{E}[b^2]}}",
    ),
    proof="A unit's weights split into a part along the layer's input, which its pre-activation z fixes, and a Gaussian part "
    "across it, which nothing above has seen. So what comes down is c Σ z T along the input and c √(ΣT²) times a standard normal "
    "vector across it. The two numbers depend on the layers above through t and b alone: b is a scale, and t enters through the "
    "signal μ of every unit. The last term of μ is the part of the noise along the layer's output, which V̂ has not.\n\n"
    "Means over n units scatter by O(1/√n), and a Taylor series to the second order in them, in t and in ln b carries the "
    "moments from layer to layer. All integrals are over the angle of two normals. The chain forgets t, whose moments settle, "
    "and adds up the scatter of ln b.",
    n_checks=4,
    run=run,
    margins=(),
    authors="Proposition 1 takes wide layers and gives no rate.",
)
