"""Studies that measure one replicate after the other, a row of numbers each: a draw, or a picture of a trained network."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence

import numpy as np

from theorylab import montecarlo
from theorylab.montecarlo import Measurement
from theorylab.subjects import Subject


@dataclasses.dataclass(frozen=True)
class PerDraw(abc.ABC):
    """A study in which each replicate is drawn by itself."""

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        return montecarlo.measurement(self._row(rng) for _ in range(size))

    @abc.abstractmethod
    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        """Return the numbers of one replicate."""


@dataclasses.dataclass(frozen=True)
class PerPicture(abc.ABC):
    """A study of a trained network, and of its random twins, in which each replicate is one picture.

    `images` are (C, H, W) as the network reads them.
    """

    subject: Subject
    images: Sequence[np.ndarray] = dataclasses.field(default=(), kw_only=True)

    def part(self, first: int, size: int) -> PerPicture:
        """Return the study of some of the pictures."""
        return dataclasses.replace(self, images=self.images[first : first + size])

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure the pictures."""
        return montecarlo.measurement(self._row(image, rng) for image in self.images)

    @abc.abstractmethod
    def _row(self, x: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
        """Return the numbers of one picture."""
