"""How fast a mean over filters approaches its expectation: one patch, no readout."""

from __future__ import annotations

import dataclasses

import numpy as np

from proofs_checks.studies.three_layers import unit
from theorylab import montecarlo
from theorylab.analytic import halfspace
from theorylab.montecarlo import Measurement


@dataclasses.dataclass(frozen=True)
class EstimationError:
    """Squared error of the mean of masked filters, for a nested list of filter counts.

    Each count uses filters of its own.  Numbers: ``squared_<n>`` and ``below_<n>``, whether the error is below
    `threshold`.
    """

    patch: np.ndarray
    counts: tuple[int, ...]
    threshold: float = 0.0

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        direction = unit(self.patch).astype(np.float32)
        mean = halfspace.mean(self.patch)
        numbers: dict[str, np.ndarray] = {}
        for n in self.counts:
            squared = np.zeros(size)
            for i in range(size):
                w = rng.standard_normal((n, direction.size), dtype=np.float32)
                # A product with the mask sums the filters that are let through.
                active = ((w @ direction) > 0).astype(np.float32)
                squared[i] = (((active @ w).astype(np.float64) / n - mean) ** 2).sum()
            numbers[f"squared_{n}"] = squared
            numbers[f"below_{n}"] = (squared < self.threshold**2).astype(float)
        return montecarlo.measurement(numbers)
