"""The simulations behind a study: functions of a module's classes, so that workers can import them."""

from __future__ import annotations

import dataclasses

import numpy as np

from theorylab import montecarlo
from theorylab.convergence.design import Point
from theorylab.convergence.predictions import Prediction
from theorylab.convergence.quantities import numbers_of
from theorylab.model.rules import Rule
from theorylab.montecarlo import Measurement
from theorylab.sampling import sampler


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
        drawer = sampler(self.point.stack(x.shape), x, dtype=np.float32)
        rows = []
        for _ in range(size):
            drawn = drawer.draw(rng, rules, n_readouts=2)
            rows.append(
                numbers_of(drawn, rules, image, targets, self.prediction.entries, self.prediction.centres)
            )
        return montecarlo.measurement({name: np.array([row[name] for row in rows]) for name in rows[0]})
