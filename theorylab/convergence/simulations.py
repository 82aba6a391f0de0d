"""The simulations behind a study: functions of a module's classes, so that workers can import them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from theorylab import montecarlo
from theorylab.convergence.design import Point
from theorylab.convergence.predictions import Prediction
from theorylab.convergence.quantities import numbers_of
from theorylab.laws import Gaussian
from theorylab.montecarlo import Measurement
from theorylab.rules import Rule
from theorylab.sampling import MapSampler, QuickGaussian, StackSampler, TiledSampler


@dataclasses.dataclass(frozen=True)
class Maps:
    """Fresh networks of one point: each replicate is a network, of which two logits are shown to every rule.

    Parameters
    ----------
    x : array, (C, H, W)
    point : Point
    rules : tuple of Rule
        They share filters and readouts.
    prediction : Prediction
        The directions and the entries that are looked at.
    """

    x: np.ndarray
    point: Point
    rules: tuple[Rule, ...]
    prediction: Prediction

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` networks, one after the other, in single precision."""
        x, rules = self.x, self.rules
        image = x / np.linalg.norm(x)
        targets = [self.prediction.targets[rule] for rule in rules]
        draw = self._drawer()
        rows = []
        for _ in range(size):
            drawn = draw(rng)
            rows.append(
                numbers_of(drawn, rules, image, targets, self.prediction.entries, self.prediction.centres)
            )
        return montecarlo.measurement({name: np.array([row[name] for row in rows]) for name in rows[0]})

    def _drawer(self) -> Callable[[np.random.Generator], np.ndarray]:
        """A function that draws one network's maps, (rules, 2, C, H, W), by the quickest sampler there is."""
        x, point, rules = self.x, self.point, self.rules
        if point.depth > 1:
            return functools.partial(_draw, StackSampler(x, point.layers), rules)
        grid = point.grid(x.shape)
        if point.max_pool is None:
            return functools.partial(_draw, TiledSampler(x, grid, point.n_filters), rules)
        sampler = MapSampler(
            x,
            grid,
            point.n_filters,
            law=QuickGaussian(1.0),
            filter_law=Gaussian(1.0),
            pool=point.max_pool,
            dtype=np.float32,
        )
        return lambda rng: sampler.draw(rng, rules, n_readouts=2)[:, :, 0]


def _draw(
    sampler: StackSampler | TiledSampler, rules: tuple[Rule, ...], rng: np.random.Generator
) -> np.ndarray:
    return sampler.draw(rng, rules, n_readouts=2)
