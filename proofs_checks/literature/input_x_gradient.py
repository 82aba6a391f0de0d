"""Input × gradient, integrated gradients and LRP-ε are one map without biases, and what it shows of random weights."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.studies.shelf import small_crop, thumbnail
from proofs_checks.studies.three_layers import inner
from theorylab import (
    ConvSpec,
    Dense,
    Gaussian,
    MaxPool,
    PatchGrid,
    Rule,
    Stack,
    law,
    methods,
    montecarlo,
    visualize,
)
from theorylab.model import models
from theorylab.montecarlo import Measurement
from theorylab.networks.from_stack import from_stack
from theorylab.sampling import MapSampler

SIDE, KERNEL, FILTERS = 16, 3, 512
SAME = ("integrated-gradients", {"steps": 3}), ("lrp-epsilon", {"epsilon": 0.0})


@dataclasses.dataclass(frozen=True)
class Products:
    """Input × gradient of two logits of a network: numbers of the maps ``m = x ⊙ S`` and ``m'``.

    ``energy`` ‖m‖², ``product`` ⟨m, m'⟩, ``absolute`` ⟨|m|, |m'|⟩ and ``toward`` ⟨|m|, |x|⟩/‖x‖.
    """

    x: np.ndarray
    grid: PatchGrid

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        sampler = MapSampler(self.x, self.grid, FILTERS, law=Gaussian(1.0), dtype=np.float32)
        rows = []
        for _ in range(size):
            drawn = sampler.draw(rng, [Rule.SALIENCY], n_readouts=2).reshape(2, *self.x.shape)
            first, second = self.x * drawn.astype(np.float64)
            rows.append(
                {
                    "energy": (inner(first, first) + inner(second, second)) / 2,
                    "product": inner(first, second),
                    "absolute": inner(abs(first), abs(second)),
                    "toward": inner(abs(first) + abs(second), abs(self.x))
                    / 2
                    / float(np.linalg.norm(self.x)),
                }
            )
        return montecarlo.measurement(rows)


def run(bench: Bench) -> Outcome:
    """Compare the methods on deep networks, then measure input × gradient of many random ones."""
    crop = small_crop(bench.x, SIDE)
    grid = PatchGrid(crop.shape, min(KERNEL, *crop.shape[1:]))
    stack = models.three_layer(grid, FILTERS)
    known, plain = law(stack, crop, "input-x-gradient"), law(stack, crop, "saliency")
    measured = bench.study("input × gradient", Products(crop, grid), 320, block=10)
    energy = float(known.variance.sum())
    same, difference = _same(bench)
    toward = bench.ratio(
        "cosine of |x⊙S| and |x|",
        measured,
        lambda m: m["toward"] / math.sqrt(m["energy"]),
        known.absolute_cosine,
        (
            Wrong("as the gradient's alone", plain.absolute_cosine),
            Wrong(
                "signs kept: |S| in the place of its mean √(2/π)",
                known.absolute_cosine * math.sqrt(math.pi / 2),
            ),
        ),
    )
    absolute = bench.ratio(
        "distance of two logits' |x⊙S|",
        measured,
        lambda m: math.sqrt(2 - 2 * m["absolute"] / m["energy"]),
        known.absolute_class_distance,
        Wrong("as of the signed maps", math.sqrt(2)),
    )
    checks = (
        same,
        bench.moment(
            "energy of x⊙S",
            measured,
            "energy",
            energy,
            (
                Wrong("a picture of one strength everywhere", float((crop**2).mean() * plain.variance.sum())),
                Wrong("all units open", 2 * energy),
            ),
        ),
        bench.ratio(
            "distance of two logits' x⊙S",
            measured,
            lambda m: math.sqrt(2 - 2 * m["product"] / m["energy"]),
            known.class_distance,
            Wrong("as of their absolute values", math.sqrt(2 - 4 / math.pi)),
        ),
        toward,
        absolute,
    )
    return Outcome(
        f"The three methods differ by {difference:.0e} of the map. Its size alone has a cosine of {toward.estimate:.3f} to the "
        f"picture's at random weights, and the sizes of two logits' maps are {absolute.estimate:.3f} apart: it looks like the "
        "picture and knows nothing of it.",
        (Evidence(difference, 0.0, same.replicates),),
        checks,
        toward.name,
    )


def _same(bench: Bench) -> tuple[Check, float]:
    """Compare the methods on deep networks without biases; also return their largest relative difference."""
    x = thumbnail(bench.x, 12)
    layers = ConvSpec(6, 3, padding=1), ConvSpec(8, 3), MaxPool(2), Dense(20), Dense(12)
    stack = Stack(x.shape, layers, n_logits=3)
    rng = np.random.default_rng(bench.seed_of("input × gradient of deep networks"))
    found, products, gradients = [], [], []
    for k in range(3):
        net = from_stack(stack, seed=rng)
        gradient = visualize(net, x, Rule.SALIENCY, k)
        for method, options in SAME:
            found.append(methods.attribute(net, x, method, k, **options))
            products.append(x * gradient)
            gradients.append(gradient)
    check = bench.identity(
        "integrated gradients from 0, and LRP-ε at ε = 0, are x⊙S in deep networks",
        found,
        products,
        "the gradient itself",
        gradients,
    )
    far = (np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found, products, strict=True))
    return check, float(max(far))


CLAIM = Claim(
    id="input-x-gradient",
    order=20,
    section="Ancona et al. 2018, arXiv:1711.06104",
    statement="Where all nonlinearities are ReLUs, LRP-ε is the same as input × gradient; integrated gradients and the other "
    "methods that multiply by the input from a baseline of zero agree with it under further conditions, such as no additive "
    "biases.",
    exact_law="Without biases all three are x⊙S exactly, S the gradient, at any depth and with max-pools. For random weights E "
    "x⊙S = 0 and Var = x²⊙Var S; two logits' maps are √2 apart, their absolute values √(2 − 4/π) = 0.853; E cos(|x⊙S|, |x|) is "
    "√(2/π) Σ_t x_t² s_t/√(Σ_t x_t² Σ_t x_t² s_t²), s the standard deviation of S, which is √(2/π) = 0.798 where it is constant "
    "(many filters).",
    formula=(
        r"\int_0^1 S(t\,x)\,\mathrm{d}t = S(x), \quad \mathrm{Var}\,(x \odot S) = x^2 \odot \mathrm{Var}\,S",
        r"\cos(|x \odot S|, |x|) \approx \sqrt{\dfrac{2}{\pi}}\,"
        r" \dfrac{\sum_t x_t^2 s_t}{\sqrt{\sum_t x_t^2\, \sum_t x_t^2 s_t^2}}",
        r"\left\| \dfrac{|m|}{\|m\|} - \dfrac{|m'|}{\|m'\|} \right\| \approx \sqrt{2 - \dfrac{4}{\pi}}",
    ),
    proof="Without biases units and max-pools commute with factors t > 0: no mask changes on the way to 0, and S(tx) = S(x), so "
    "the integral of the gradient is the gradient. LRP-ε hands down R_i = a_i Σ_j w_ij R_j/z_j; if R_j is the unit's output a_j "
    "times its gradient, a_j/z_j is the mask, and what is handed down is a_i times its own gradient: by induction the picture "
    "times S.\n\n"
    "The gradient of a random network has mean 0 and is Gaussian given the filters; x⊙S is so too. In a wide layer its variance "
    "hardly depends on the filters: E|x_t S_t| = √(2/π) |x_t| s_t. Two logits are independent given the filters, with the same "
    "variances: E|m||m'| = (2/π) E m², exactly.",
    n_checks=5,
    run=run,
    margins=(
        Margin(
            "relative difference of the methods' maps in bias-free networks",
            high=1e-9,
            why="an equality holds up to rounding",
        ),
    ),
    authors="The identity is ours. That its map looks like the picture at random weights was seen by others, and we claim "
    "nothing of random weights.",
)
