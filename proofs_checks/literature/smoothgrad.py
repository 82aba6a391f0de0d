"""What averaging over noisy copies of the picture does to the maps of random networks."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Outcome, Wrong
from proofs_checks.studies.gated import Gated
from proofs_checks.studies.shelf import small_crop
from proofs_checks.studies.three_layers import covered, inner, logit_distance, unit
from theorylab import Gaussian, PatchGrid, Rule, _random, analytic, law, methods, networks, visualize
from theorylab.charts import CurveFigure, Line, Points
from theorylab.model import models

SIDE, KERNEL, STRIDE, FILTERS = 24, 3, 2, 256
NOISE, DRAWS = 0.15, 10
SHARES = np.linspace(0, 1, 41)
GUIDED = {"noise": NOISE, "draws": DRAWS, "rule": "guided"}


@dataclasses.dataclass(frozen=True)
class Smoothed:
    """What units hand on: the plain mask, and its mean over noisy copies behind saliency and guided backpropagation."""

    x: np.ndarray
    grid: PatchGrid

    def __call__(
        self, w: np.ndarray, readouts: np.ndarray, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return signals by the name of the map."""
        std = NOISE * float(np.ptp(self.x))
        copies = (self.x + std * rng.standard_normal(self.x.shape) for _ in range(DRAWS))
        gate = np.mean([self.grid.extract(copy) @ w > 0 for copy in copies], axis=0)
        return {
            "saliency": readouts * (self.grid.extract(self.x) @ w > 0),
            "smooth": readouts * gate,
            "smooth guided": np.maximum(readouts, 0) * gate,
        }


def run(bench: Bench) -> Outcome:
    """Check the method on whole networks, then measure what smoothing leaves of saliency and of guided backpropagation."""
    crop = small_crop(bench.x, SIDE)
    if not np.ptp(crop):
        crop = unit(np.linspace(1, 2, crop.size).reshape(crop.shape))
    grid = PatchGrid(crop.shape, min(KERNEL, *crop.shape[1:]), stride=STRIDE)
    stack = models.three_layer(grid, FILTERS)
    smooth, plain = (
        law(stack, crop, "smoothgrad", options={"noise": NOISE, "draws": DRAWS}),
        law(stack, crop, "saliency"),
    )
    guided, mean = law(stack, crop, "guided"), law(stack, crop, "smoothgrad", options=GUIDED).mean
    length, before = float(np.linalg.norm(mean)), inner(unit(guided.mean), unit(crop))
    simulate = Gated(
        crop, grid, FILTERS, Smoothed(crop, grid), {"smooth guided": mean}, (("smooth", "saliency"),)
    )
    measured = bench.study("smoothed maps", simulate, 320, block=8)
    share = float(smooth.variance.sum()) / plain.energy
    kept = bench.ratio(
        f"energy that the mean of {DRAWS} noisy maps keeps of saliency's",
        measured,
        lambda m: m["smooth energy"] / m["saliency energy"],
        share,
        (
            Wrong("one half, as of infinitely many copies with much noise", 0.5),
            Wrong("noise averages out: one over their number", 1 / DRAWS),
        ),
    )
    direction = bench.ratio(
        "guided: cosine of the smoothed mean map and x",
        measured,
        lambda m: m["smooth guided toward"] / math.sqrt(m["smooth guided halves"]),
        inner(unit(mean), unit(crop)),
        (
            Wrong("coverage⊙x, as of much noise", inner(unit(covered(crop, grid)), unit(crop))),
            Wrong("x⊙κ, as without noise", before),
            Wrong("Theorem 1: along x", 1.0),
        ),
    )
    checks = (
        _identity(bench, crop, grid),
        kept,
        bench.ratio(
            "cosine of the smoothed map and saliency's own",
            measured,
            lambda m: m["smooth saliency"] / math.sqrt(m["smooth energy"] * m["saliency energy"]),
            analytic.smoothgrad_cosine(crop, grid, NOISE, DRAWS),
            Wrong("the same map, less its noise", math.sqrt(share)),
        ),
        bench.ratio(
            "distance of two logits' smoothed maps",
            measured,
            lambda m: logit_distance(m, "smooth "),
            smooth.class_distance,
            Wrong("as guided backpropagation's", guided.class_distance),
        ),
        bench.moment(
            "guided: ⟨S, m⟩ along the predicted mean map",
            measured,
            "smooth guided along",
            length,
            Wrong("as without noise", float(np.linalg.norm(guided.mean))),
        ),
        direction,
    )  # fmt: skip
    cosines = np.array([_cosine(crop, grid, noise) for noise in SHARES])
    at = [_cosine(bench.x, bench.grid, noise) for noise in (0.0, 0.1, 0.2)] if np.ptp(bench.x) else []
    values = ", ".join(f"{cosine:.3f}" for cosine in at)
    whole = f" on a crop; on the whole picture, with noise of 0, 10 and 20 %, it is {values}" if at else ""
    figure = CurveFigure(
        "smoothgrad",
        "Cosine of the picture and guided backpropagation's mean map, averaged over noisy copies: law and "
        "measurement, with a 95 % interval.",
        "noise, as a share of the picture's range",
        "cosine to x",
        (Line("law", SHARES, cosines),),
        (Points.of("measured", (NOISE,), [direction.measured]),),
        title="Averaging over noise brings guided backpropagation's map nearer to the picture",
    )
    return Outcome(
        f"The smoothed saliency of a random network is noise as before, with {kept.estimate:.2f} of its energy, and two logits "
        "are √2 apart. Of guided backpropagation noise takes the contrast normalisation: its mean map goes from x⊙κ to "
        f"coverage⊙x, its cosine to x from {before:.3f} to {direction.estimate:.3f}{whole}. What it adds is the picture, not the "
        "class.",
        (),
        checks,
        kept.name,
        (figure,),
    )


def _cosine(x: np.ndarray, grid: PatchGrid, noise: float) -> float:
    known = law(models.three_layer(grid, 1), x, "smoothgrad", options={"noise": noise, "rule": "guided"})
    return inner(unit(known.mean), unit(x))


def _identity(bench: Bench, crop: np.ndarray, grid: PatchGrid) -> Check:
    """Check that the method's map is the mean of those of copies whose noise has a share of the picture's range."""
    rng = np.random.default_rng(bench.seed_of("SmoothGrad of whole networks"))
    found, means, plain = [], [], []
    for seed, rule in enumerate((Rule.SALIENCY, Rule.GUIDED)):
        net = networks.three_layer_cnn(grid, n_filters=8, n_logits=1, law=Gaussian(1.0), seed=rng)
        found.append(
            methods.attribute(net, crop, "smoothgrad", 0, seed=seed, noise=NOISE, draws=3, rule=rule)
        )
        streams = (np.random.default_rng(_random.child(_random.sequence(seed), k)) for k in range(3))
        copies = [crop + NOISE * np.ptp(crop) * stream.standard_normal(crop.shape) for stream in streams]
        means.append(np.mean([visualize(net, copy, rule, 0) for copy in copies], axis=0))
        plain.append(visualize(net, crop, rule, 0))
    return bench.identity(
        "SmoothGrad is the mean map of noisy copies", found, means, "the picture's own map", plain
    )


CLAIM = Claim(
    id="smoothgrad",
    order=30,
    section="Smilkov et al. 2017, arXiv:1706.03825",
    statement="Averaging the gradients of copies of a picture with normal noise, of about 10 to 20 % of its range, gives maps "
    "that look sharper and follow the picture more coherently, on the trained networks shown; it can be joined with guided "
    "backpropagation, too.",
    exact_law="For random weights the smoothed saliency has mean 0, two logits are √2 apart, and of its energy Σ_j p(1/(2K) + "
    "(1 − 1/K) E Φ²(t‖y_j‖/σ)) over Σ_j p/2 is left, at least one half; smoothed guided backpropagation has E S = N m₀ c/√(2π) "
    "Σ_j D_jᵀ y_j f(‖y_j‖), f ≈ 1/√(‖y_j‖² + pσ²): exact for every N, p and K.",
    formula=(
        r"\mathrm{E}\,S = \dfrac{N m_0 c}{\sqrt{2\pi}} \sum_j\, f_j\, D_j^{\mathrm{T}} y_j,\quad f_j \approx"
        r" \left(\|y_j\|^2 + p\sigma^2\right)^{-1/2}",
        r"f = \dfrac{\Gamma\left(\frac{p+1}{2}\right)}{\sqrt{2}\,\sigma\,\Gamma\left(\frac{p}{2}+1\right)}\;"
        r" {}_1F_1\left(\dfrac{1}{2};\, \dfrac{p}{2}+1;\, -\dfrac{\|y\|^2}{2\sigma^2}\right)",
        r"\mathrm{Var}: \dfrac{p}{2K} + p"
        r" \left(1 - \dfrac{1}{K}\right) \mathrm{E}\,\Phi^2\left(\dfrac{t\,\|y_j\|}{\sigma}\right)",
    ),
    proof="Given a filter w the mask of a copy is open with the probability Φ(w·y/(σ‖w‖)), and the noise of different copies is "
    "independent: the mean mask has the second moment Φ²(1 − 1/K) + Φ/K. It depends on the angle of w and y alone, t its "
    "cosine, whose density is proportional to (1 − t²)^((p−3)/2). Readouts at different patches are independent of mean 0, so "
    "patches do not interfere.\n\n"
    "Guided backpropagation rectifies the readout, of mean m₀, and needs E[w 1(w·(y + e) > 0)], which for each e is the "
    "direction of y + e over √(2π). The mean direction of a normal vector around y is y f(‖y‖): noise acts as a bias does, and "
    "takes from weak patches the weight that κ gives them.",
    n_checks=6,
    run=run,
    margins=(),
    authors="We speak of trained networks, where gradients share what noise does not destroy. A random network has nothing to "
    "be found.",
)
