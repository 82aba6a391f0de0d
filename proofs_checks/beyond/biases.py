"""What biases of the filters do to the mean map of guided backpropagation, and to its noise."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from proofs_checks.claim import Bench, Claim, Outcome, Wrong
from proofs_checks.rows import PerDraw
from proofs_checks.studies import shelf
from proofs_checks.studies.three_layers import covered, inner, unit
from theorylab import Constant, Gaussian, PatchGrid, Uniform, analytic, law
from theorylab.analytic.three_layer import MapLaw
from theorylab.charts import CurveFigure, Line, Points
from theorylab.model import models
from theorylab.model.laws import BiasLaw
from theorylab.montecarlo import Measurement

SIDE, FILTERS = 20, 48
REPLICATES, BLOCK = 5400, 60


@dataclasses.dataclass(frozen=True)
class Maps(PerDraw):
    """Guided maps by the definition; all laws of biases share the filters and the readouts of a network.

    For each law of biases, by its number: ``along`` ⟨S, m⟩, ``toward`` ⟨S, x⟩, ``energy`` ‖S‖², ``classes`` ⟨S, S'⟩ of two logits
    and ``halves`` 4⟨S¹, S²⟩ of two halves of the filters, of expectation ‖E S‖².
    """

    x: np.ndarray
    grid: PatchGrid
    biases: tuple[BiasLaw, ...]
    means: tuple[np.ndarray, ...]

    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        patches = self.grid.extract(self.x)
        filters = rng.standard_normal((patches.shape[1], FILTERS))
        readouts = np.maximum(rng.standard_normal((2, len(patches), FILTERS)), 0)
        row: dict[str, float] = {}
        for number, (bias, mean) in enumerate(zip(self.biases, self.means, strict=True)):
            passed = readouts * (patches @ filters + bias.sample(FILTERS, seed=rng) > 0)
            half = FILTERS // 2
            parts = np.stack(
                [
                    self.grid.fold(logit[:, some] @ filters[:, some].T).ravel()
                    for logit in passed
                    for some in (slice(half), slice(half, None))
                ]
            ).reshape(2, 2, -1)
            maps = parts.sum(axis=1)
            row |= {
                f"along {number}": (maps @ mean.ravel()).mean() / np.linalg.norm(mean),
                f"toward {number}": (maps @ self.x.ravel()).mean() / np.linalg.norm(self.x),
                f"energy {number}": (maps**2).sum() / 2,
                f"classes {number}": maps[0] @ maps[1],
                f"halves {number}": 2 * (parts[:, 0] * parts[:, 1]).sum(),
            }
        return row


def run(bench: Bench) -> Outcome:
    """Measure size, direction and noise under Gaussian biases, and the size under uniform and constant ones."""
    x = shelf.small_crop(bench.x, SIDE)
    grid = PatchGrid(x.shape, min(3, *x.shape[1:]))
    size = float(np.median(np.linalg.norm(grid.extract(x), axis=1))) or 1 / math.sqrt(grid.n_patches)
    half_width = 3 * size
    laws: tuple[BiasLaw, ...] = (Gaussian(size), Uniform(half_width), Constant(-size))

    def predicted(bias: BiasLaw | None) -> MapLaw:
        return law(models.three_layer(grid, FILTERS, bias=bias), x, "guided")

    gaussian, *_ = found = tuple(predicted(bias) for bias in laws)
    plain = predicted(None)
    means = tuple(one.mean for one in found)
    measured = bench.study("biases", Maps(x, grid, laws, means), REPLICATES, block=BLOCK)
    lengths = [float(np.linalg.norm(mean)) for mean in means]
    without = [inner(plain.mean, unit(mean)) for mean in means]
    as_gaussian = inner(predicted(Gaussian(uniform_std := half_width / math.sqrt(3))).mean, unit(means[1]))
    sizes = (
        bench.moment(
            "Gaussian biases: size of the mean map",
            measured,
            "along 0",
            lengths[0],
            Wrong("as without biases", without[0]),
        ),
        bench.moment(
            "uniform biases: size of the mean map",
            measured,
            "along 1",
            lengths[1],
            (
                Wrong("Gaussian biases of the same variance", as_gaussian),
                Wrong("as without biases", without[1]),
            ),
        ),
        bench.moment(
            "constant negative biases: size of the mean map",
            measured,
            "along 2",
            lengths[2],
            (
                Wrong("Gaussian biases of that size", inner(means[0], unit(means[2]))),
                Wrong("as without biases", without[2]),
            ),
        ),
    )
    direction = bench.ratio(
        "Gaussian biases: cosine of the mean map and x",
        measured,
        lambda m: m["toward 0"] / math.sqrt(m["halves 0"]),
        inner(unit(means[0]), unit(x)),
        (
            Wrong("as without biases", inner(unit(plain.mean), unit(x))),
            Wrong("a single map's", gaussian.expected_cosine()),
        ),
    )
    noise = bench.moment(
        "Gaussian biases: energy of a map",
        measured,
        "energy 0",
        gaussian.energy,
        (
            Wrong("as without biases", plain.energy),
            Wrong("the mean map of the biases, no noise", lengths[0] ** 2),
        ),
    )
    distance = bench.ratio(
        "Gaussian biases: share of the energy common to two logits",
        measured,
        lambda m: m["classes 0"] / m["energy 0"],
        1 - gaussian.class_distance**2 / 2,
        Wrong("as without biases", 1 - plain.class_distance**2 / 2),
    )
    return Outcome(
        f"Gaussian biases as large as a typical w·y shrink the mean map to {lengths[0] / without[0]:.2f} of its size and turn it "
        f"to x: cosine {direction.estimate:.3f} for {inner(unit(plain.mean), unit(x)):.3f} without them, where coverage alone "
        f"leaves {inner(unit(covered(x, grid)), unit(x)):.3f}. The noise stays, so that a map of {FILTERS} filters has a cosine "
        f"of {gaussian.expected_cosine():.3f} to x for {plain.expected_cosine():.3f}. Uniform biases of standard deviation "
        f"{uniform_std / size:.1f} times as large leave {lengths[1] / without[1]:.2f} of the size.",
        (),
        (*sizes, direction, noise, distance),
        sizes[0].name,
        (_figure(bench, x, grid, size, measured),),
    )


def _figure(bench: Bench, x: np.ndarray, grid: PatchGrid, size: float, measured: Measurement) -> CurveFigure:
    """Draw direction and signal against the size of the biases."""
    smooth = np.geomspace(0.03, 30, 25)
    means = [analytic.mean_map(x, grid, "guided", 1, bias=Gaussian(size * t)) for t in smooth]
    whole = float(np.linalg.norm(analytic.mean_map(x, grid, "guided", 1)))
    direction = measured.estimate(lambda m: m["toward 0"] / math.sqrt(m["halves 0"]))
    signal = measured.estimate(lambda m: math.sqrt(m["halves 0"]) / FILTERS / whole)
    return CurveFigure(
        "biases",
        "Guided backpropagation under Gaussian biases of the filters: the cosine of the mean map and the picture, and the mean "
        "map's size over that without biases, against the standard deviation of a bias over that of w·y at the median patch.",
        "bias over w·y",
        "cosine, and size",
        (
            Line("cosine of the mean map and x", smooth, np.array([inner(unit(m), unit(x)) for m in means])),
            Line("size of the mean map", smooth, np.array([np.linalg.norm(m) / whole for m in means])),
        ),
        (
            Points.of("cosine of the mean map and x", [1.0], [direction]),
            Points.of("size of the mean map", [1.0], [signal]),
        ),
        x_scale="log",
        title="Biases turn the mean map towards the picture, and shrink it",
    )


CLAIM = Claim(
    id="biases",
    order=10,
    section="beyond 3.1.1",
    statement="The paper's networks have no biases. With biases of the filters the mean map of guided backpropagation tends to "
    "the input up to coverage, as Theorem 1 has it, the more the larger they are; and its signal fades, while its noise stays.",
    exact_law="Gaussian biases, τ = c_b/c: E S = N m₀ c/√(2π) x⊙κ with κ_t = Σ_{j∋t} 1/√(‖y_j‖² + τ²), and the covariance is "
    "that of patches with one more entry τ. Any law of biases: E S = N m₀ c² Σ_j D_jᵀ y_j f_j, f_j the density of "
    "w·y_j + b at 0.",
    formula=(
        r"\mathrm{E}\,S = \frac{N m_0 c}{\sqrt{2\pi}}\; x \odot \kappa,\quad \kappa_t = \sum_{j \ni t}"
        r" \left(\|y_j\|^2 + \tau^2\right)^{-1/2},\quad \tau = c_b/c",
        r"\text{any } b: \; \mathrm{E}\,S = N m_0 c^2 \sum_j\, f_j(0)\, D_j^{\mathrm{T}} y_j",
    ),
    proof="Given b, Stein's lemma turns E[w 1(w·y + b > 0)] into c² y times the density of w·y at −b; over b this is the density "
    "of w·y + b at 0: 1/(c √(2π (‖y‖² + τ²))) for Gaussian biases, [2Φ(h/s) − 1]/(2h) for uniform ones on ±h, φ(b/s)/s for a "
    "constant, s = c‖y‖.\n\n"
    "A Gaussian bias is a further tap of the filter, on a pixel of value τ that all patches hold. So everything that is known "
    "without biases, covariances and two logits included, is known of the longer patches, of whose map only the picture's "
    "entries count. E[w wᵀ 1] = c² I/2 there too: the noise does not feel biases, and the mean does.",
    n_checks=6,
    run=run,
    margins=(),
    authors="Biases were left out to keep the argument simple; that the input comes back is what was meant.",
)
