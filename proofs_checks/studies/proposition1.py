"""What the claims of Proposition 1 share: tails of the entries of V̂^(1), and their correlation between positions."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

from proofs_checks.claim import Bench, Wrong
from proofs_checks.referee import EPSILON
from proofs_checks.results import Check
from proofs_checks.studies.depth import Stack, dense, inner
from proofs_checks.studies.shelf import strongest_patch
from proofs_checks.studies.three_layers import between, unit
from theorylab import montecarlo
from theorylab.analytic import depth_maps, depth_profile
from theorylab.charts import Points
from theorylab.model.rules import PAPER, Rule
from theorylab.montecarlo import Measurement

FIRST = 24
"""Units of the first hidden layer, whose gradient is measured: so many are never all closed."""
WIDTHS = {4: 110_000, 8: 30_000, 16: 110_000}
"""Units of the layer above it, and replicates."""
QUOTED = 16
DEEP_REPLICATES = 130_000
COPIES = 8
BLOCK = 500
ONE_LAYER = {Rule.SALIENCY: 15.0, Rule.DECONVNET: 15.0, Rule.GUIDED: 33.0}
"""Excess kurtosis under one layer of one unit; derived in the proofs of the claims."""


@dataclasses.dataclass(frozen=True)
class Tails:
    """Moments of the entries of ``V̂^(1)``: ``<rule> second`` and ``<rule> fourth``, and ``guided along`` ⟨V̂, o⟩/‖o‖.

    Those of guided backpropagation are taken across ``o^(1)``, where its mean does not reach.
    """

    stack: Stack
    rules: tuple[Rule, ...]

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        numbers = {}
        for layer, output, gradients in self.stack.descend(rng, size, self.rules):
            if layer != 1:
                continue
            for rule, gradient in gradients.items():
                entries = gradient[..., 0, 0].astype(np.float64)
                if rule is Rule.GUIDED:
                    along, entries = across(entries, output[..., 0, 0].astype(np.float64))
                    numbers["guided along"] = along.mean(axis=1)
                squares = entries**2
                numbers[f"{rule.value} second"] = squares.mean(axis=(1, 2))
                numbers[f"{rule.value} fourth"] = (squares**2).mean(axis=(1, 2))
            break
        return montecarlo.measurement(numbers)


def across(vectors: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the components of vectors along `axis` ≥ 0, and in an orthonormal basis across it.

    The basis is that of the Householder reflection that turns the axis into the first unit vector, up to sign.
    """
    normal = axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), np.finfo(float).tiny)
    along = (vectors * normal).sum(axis=-1)
    normal[..., 0] += 1
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    reflected = vectors - 2 * (vectors * normal).sum(axis=-1, keepdims=True) * normal
    return along, reflected[..., 1:]


@dataclasses.dataclass(frozen=True)
class Positions:
    """``V̂^(l)`` at the positions of a convolutional network.

    Each replicate is a number of `networks`, and every number a mean over them: ``energy`` ‖V̂^(1)‖²; ``common``, of
    expectation ‖E V̂^(1)‖², from all pairs; ``dense`` and ``sparse``, the energy at positions held by more, or not more,
    patches than the mean; and for every hidden layer but the last ``product_l`` and ``power_l``, the means of V̂_s V̂_t over
    different positions and of V̂_t² over the positions that lie ``margins`` from the border.
    """

    stack: Stack
    rule: Rule
    margins: tuple[int, ...]
    networks: int

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        coverage = self.stack.grids[1].coverage[0]
        often = coverage > coverage.mean()
        numbers = {}
        for layer, _, gradients in self.stack.descend(rng, self.networks * size, [self.rule]):
            if layer == 0:
                break
            gradient = gradients[self.rule][:, 0].astype(np.float64)
            margin = self.margins[layer - 1]
            inside = gradient[..., margin : gradient.shape[-2] - margin, margin : gradient.shape[-1] - margin]
            count = inside.shape[-2] * inside.shape[-1]
            power = inner(inside, inside)
            product = ((inside.sum(axis=(-2, -1)) ** 2).sum(axis=-1) - power) / (count - 1)
            numbers[f"power_{layer}"] = power.reshape(size, -1).mean(axis=1) / count
            numbers[f"product_{layer}"] = product.reshape(size, -1).mean(axis=1) / count
        squares = (gradient**2).sum(axis=1).reshape(size, self.networks, -1).mean(axis=1)
        numbers["energy"] = squares.sum(axis=1)
        numbers["dense"] = squares[:, often.ravel()].sum(axis=1)
        numbers["sparse"] = squares[:, ~often.ravel()].sum(axis=1)
        numbers["common"] = between(gradient.reshape(size, self.networks, -1))
        return montecarlo.measurement(numbers)


def tails(bench: Bench, n: int) -> Measurement:
    """Measure entries of ``V̂^(1)`` under one layer of `n` units, by all rules: the smallest deep network."""
    stack = Stack(_patch(bench), dense([_patch(bench).size, FIRST, n]), COPIES)
    return bench.study(f"tails, {n} units", Tails(stack, PAPER), WIDTHS[n], block=BLOCK)


def deep_tails(bench: Bench) -> Measurement:
    """Measure entries of ``V̂^(1)`` under two layers, for the rules whose law is known there."""
    stack = Stack(_patch(bench), dense([_patch(bench).size, FIRST, QUOTED, QUOTED]), COPIES)
    simulate = Tails(stack, (Rule.SALIENCY, Rule.DECONVNET))
    return bench.study(f"tails, twice {QUOTED} units", simulate, DEEP_REPLICATES, block=BLOCK)


def _patch(bench: Bench) -> np.ndarray:
    """Return the strongest 3×3 patch of the picture, as the input of a dense network."""
    return unit(strongest_patch(bench.x)).reshape(-1, 1, 1)


def excess(rule: Rule, mean: dict[str, float]) -> float:
    """Return the excess kurtosis of an entry from pooled moments; its mean is 0."""
    return mean[f"{rule.value} fourth"] / mean[f"{rule.value} second"] ** 2 - 3


def guided_alignment(stack: Stack) -> float:
    """Return the cosine of guided backpropagation's ``V̂^(1)`` to its mean, which is along ``o^(1)``."""
    return next(r.alignment for r in depth_maps(stack.x, stack.layers, Rule.GUIDED) if r.layer == 1)


def slope_check(bench: Bench, rule: Rule) -> Check:
    """Check the rate at which an entry becomes Gaussian."""
    return bench.slope(
        "slope of log(excess kurtosis) on log n",
        {n: tails(bench, n) for n in WIDTHS},
        functools.partial(excess, rule),
        -1.0,
        Wrong("n^(−1/2)", -0.5),
    )


def tail_checks(bench: Bench, rule: Rule) -> list[Check]:
    """Check variance and excess kurtosis under two layers, and the rate; saliency and DeconvNet share the law."""
    measured = deep_tails(bench)
    # Top layer first; the entries of the input only set its variance, not that of V̂^(1).
    beta = depth_profile([1, FIRST, QUOTED, QUOTED], rule)[1].beta
    factor = 1 + ONE_LAYER[rule] / 3 / QUOTED
    halved = "forward mask" if rule is Rule.SALIENCY else "backward ReLU"
    return [
        bench.moment(
            f"variance of an entry under two layers of n = {QUOTED}",
            measured,
            f"{rule.value} second",
            beta**2,
            Wrong(f"no {halved}: twice that for each layer", 4 * beta**2),
        ),
        bench.moment(
            f"excess kurtosis of an entry under two layers of n = {QUOTED}",
            measured,
            functools.partial(excess, rule),
            3 * (factor**2 - 1),
            Wrong("the layers' own excesses added: 30/n", 2 * ONE_LAYER[rule] / QUOTED),
        ),
        slope_check(bench, rule),
    ]


def gaussian_from(rule: Rule) -> float:
    """Return from how many units a layer on the excess kurtosis under two layers is within the margin."""
    return ONE_LAYER[rule] / 3 / (math.sqrt(1 + EPSILON / 3) - 1)


def tail_points(bench: Bench, rule: Rule) -> Points:
    """Return points of the excess kurtosis against the width, with 95 % intervals."""
    estimates = [tails(bench, n).estimate(functools.partial(excess, rule)) for n in WIDTHS]
    return Points.of(rule.title, WIDTHS, estimates)
