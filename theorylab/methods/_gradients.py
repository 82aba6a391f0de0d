"""Methods that add up maps of pictures nearby, or multiply a map with the picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

import numpy as np

from theorylab import _random, _validation
from theorylab.methods._method import Asked, broadcast, registered
from theorylab.model.rules import Rule
from theorylab.networks.batches import batch_gradients

# Entries of the widest layer of all pictures that go through the network together.
_TOGETHER = 2**23


def gradient(asked: Asked, rule: Rule | str = Rule.SALIENCY) -> np.ndarray:
    """Return the map of a rule, (C, H, W)."""
    maps: np.ndarray = asked.net.backward(asked.trace, asked.gradient[None], [rule])[0, 0]
    return maps


def _sum(asked: Asked, pictures: Iterable[tuple[float, np.ndarray]], rule: Rule | str) -> np.ndarray:
    """Return the weighted sum of the maps of some pictures, float64; its bits depend on no number of threads."""
    together = max(1, _TOGETHER // max(math.prod(shape) for shape in asked.net.shapes.values()))
    total = np.zeros(asked.x.shape)
    remaining = iter(pictures)
    while part := list(itertools.islice(remaining, together)):
        maps = batch_gradients(asked.net, np.stack([x for _, x in part]), asked.gradient, rule)
        for (weight, _), map_ in zip(part, maps, strict=True):
            total += weight * map_.astype(np.float64)
    return total


@registered
def input_x_gradient(asked: Asked) -> np.ndarray:
    """Return the picture times its gradient; any network."""
    return np.asarray(asked.x * gradient(asked))


@registered
def integrated_gradients(asked: Asked, *, baseline: float | np.ndarray = 0.0, steps: int = 50) -> np.ndarray:
    """Integrate the gradient on the way from a baseline; any network.

    The baseline is a number or an array that broadcasts to the picture's shape; steps are the points of the quadrature.
    """
    start = broadcast(baseline, "baseline", asked.x)
    nodes, weights = np.polynomial.legendre.leggauss(_validation.positive_integer(steps, "steps"))
    way = asked.x - start
    path = ((weight / 2, start + (node + 1) / 2 * way) for node, weight in zip(nodes, weights, strict=True))
    return np.asarray(way * _sum(asked, path, Rule.SALIENCY))


@registered
def smoothgrad(
    asked: Asked, *, noise: float = 0.15, draws: int = 50, rule: Rule | str = "saliency"
) -> np.ndarray:
    """Return the mean map of noisy copies of the picture; any network, any rule.

    The noise is normal, its standard deviation `noise` times the picture's range.  Copy ``k`` has a stream of random numbers
    of its own: more draws leave the first ones as they are.
    """
    copies = noisy_copies(asked.x, noise, draws, asked.seed)
    return _sum(asked, ((1 / draws, copy) for copy in copies), Rule(rule))


def noisy_copies(x: np.ndarray, noise: float, draws: int, seed: _random.Seed) -> Iterator[np.ndarray]:
    """Return the copies of :func:`smoothgrad`, one after the other; what is wrong is said at once."""
    if (noise := _validation.finite_number(noise, "noise")) < 0:
        raise ValueError(f"noise: expected at least 0, got {noise}")
    draws = _validation.positive_integer(draws, "draws")
    parent, std = _random.sequence(seed), noise * float(np.ptp(x))
    return (
        x + std * np.random.default_rng(_random.child(parent, k)).standard_normal(x.shape)
        for k in range(draws)
    )
