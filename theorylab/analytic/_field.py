"""A modified gradient over a plane of activations, and how much of it is along them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from theorylab.analytic._inner_products import InnerProducts
from theorylab.analytic._plan import HERE, Shift, opposite
from theorylab.analytic._windows import moved

Planes = dict[Shift, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Projection:
    """A gradient over a plane of activations ``o`` as ``V̂ = α o + β ξ``: what is not along ``o`` counts as noise.

    ``‖o‖²``, ``E⟨V̂, o⟩`` and ``E‖V̂‖²`` are over the channels, at each position: all are (H, W).
    """

    energy: np.ndarray
    along: np.ndarray
    power: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray

    @classmethod
    def of(cls, energy: np.ndarray, along: np.ndarray, power: np.ndarray, channels: int) -> Projection:
        """Project the gradient; the noise is shared out evenly among the channels."""
        alpha = np.divide(along, energy, out=np.zeros(along.shape), where=energy > 0)
        return cls(energy, along, power, alpha, np.sqrt(np.maximum(power - alpha * along, 0) / channels))


@dataclasses.dataclass(frozen=True, eq=False)
class Field:
    """A modified gradient: the coefficients ``a_s`` of its mean, ``HERE`` always among them, and its noise; each (H, W).

    `shared` holds covariances of the noises at a position and at another one, ``C_s``, of each pair ``±s`` one and 0 where the
    other lies outside; those that are not there are 0 or not needed.
    """

    shifts: Planes
    beta: np.ndarray
    shared: Planes = dataclasses.field(default_factory=dict)

    @classmethod
    def readout(cls, plane: tuple[int, int], averaged: Iterable[Shift] = ()) -> Field:
        """Start from standard normal weights, which have no mean; `averaged` are shifts that a global average makes equal."""
        ones = np.ones(plane)
        return cls({HERE: np.zeros(plane)}, ones, {s: moved(ones, s) for s in averaged})

    def below_weights(self, kind: float, averaged: bool) -> Field:
        """Return the field below the first layer for a readout of another law, of this ``E[h(v)]`` over a normal's.

        Independent weights pass ``E[h]²`` to the product of two positions, equal ones ``E[h²]``.
        """
        square = 1.0 if averaged else kind**2
        means, shared = (
            {s: factor * plane for s, plane in planes.items()}
            for factor, planes in ((kind, self.shifts), (square, self.shared))
        )
        return Field(means, self.beta, shared)

    def noise(self, shift: Shift) -> np.ndarray:
        """Covariance of the noises at a position and at ``pos + shift``."""
        if shift == HERE:
            return self.beta**2
        if shift in self.shared:
            return self.shared[shift]
        other = self.shared.get(opposite(shift))
        return np.zeros(self.beta.shape) if other is None else moved(other, shift)

    @property
    def plain(self) -> bool:
        """Whether the mean at a position is a multiple of the activation there."""
        return len(self.shifts) == 1

    def along(self, products: InnerProducts) -> np.ndarray:
        """``⟨mean, o⟩`` at each position."""
        return np.asarray(sum(a * products.at(s) for s, a in self.shifts.items()))

    def power(self, products: InnerProducts) -> np.ndarray:
        """``‖mean‖²`` at each position, over the channels."""
        total = np.zeros(self.beta.shape)
        for s, a in self.shifts.items():
            for t, b in self.shifts.items():
                total += a * b * moved(products.at((t[0] - s[0], t[1] - s[1])), s)
        # A quadratic form of a Gram matrix: rounding, or approximate entries above a max-pool, can make it negative.
        return np.maximum(total, 0)

    def projection(self, products: InnerProducts, channels: int) -> Projection:
        """Describe the same gradient by its part along ``o`` alone."""
        along = self.along(products)
        power = self.power(products) + channels * self.beta**2
        if self.plain:
            return Projection(products.energy, along, power, self.shifts[HERE], self.beta)
        return Projection.of(products.energy, along, power, channels)

    def mean_map(self, x: np.ndarray) -> np.ndarray:
        """``Σ_s a_s(pos) x_(pos+s)``, (C, H, W)."""
        return np.asarray(sum(a * moved(x, s) for s, a in self.shifts.items()))
