"""The third phase of the laws of depth: a modified gradient over a plane of activations, and how it goes one layer down.

``V̂_pos = Σ_s a_s(pos) o_(pos+s) + β(pos) ξ_pos``: a mixture of the activations around, and noise; the same ``a`` and ``β``
for all channels.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from theorylab.analytic._blocks import Block
from theorylab.analytic._conditioning import chunks
from theorylab.analytic._inner_products import InnerProducts
from theorylab.analytic._joint_moments import mixed_moments, neighbour_moments, pooled_moments
from theorylab.analytic._plan import HERE, Shift, Step, closest, differences, has_mean, offsets, times
from theorylab.analytic._unit_moments import unit_moments
from theorylab.analytic._windows import fold, moved
from theorylab.model.rules import Rule
from theorylab.model.units import Unit

Planes = dict[Shift, np.ndarray]
NEARSET=[(i,k) for i in (-1,0,1) for k in (-1,0,1)]


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
    """A modified gradient: the coefficients ``a_s`` of its mean, ``HERE`` always among them, and its noise; each (H, W)."""

    shifts: Planes
    beta: np.ndarray

    @classmethod
    def readout(cls, plane: tuple[int, int]) -> Field:
        """Start from standard normal weights, which have no mean."""
        return cls({HERE: np.zeros(plane)}, np.ones(plane))

    @property
    def plain(self) -> bool:
        """Whether the mean at a position is a multiple of the activation there."""
        return len(self.shifts) == 1

    def nearest(self, products: InnerProducts, channels: int, near=None) -> Field:
        """Describe the same gradient by its nearest neighbours alone; what they cannot express counts as noise.

        The far part ``Σ_f a_f o_f`` is replaced by its regression on the near activations.
        """
        near = closest(self.shifts) if near is None else near
        far = [s for s in self.shifts if s not in near]
        if not far:
            return self
        near = sorted(near)
        planes, noise = {s: self.shifts[s].copy() for s in near}, self.beta**2
        places = near + far
        size = len(near)
        for part in chunks(self.beta.size, len(places) ** 2):
            at = np.arange(self.beta.size)[part]
            gram = products.gram(places, at)
            a = np.stack([self.shifts[s].ravel()[part] for s in far], axis=1)
            cross = (gram[:, :size, size:] @ a[..., None])[..., 0]
            values, vectors = np.linalg.eigh(gram[:, :size, :size])
            keep = values > products.floor * values[:, -1:]
            share = (cross[:, None] @ vectors)[:, 0] * np.divide(1, values, out=np.zeros(values.shape), where=keep)
            b = (vectors @ share[..., None])[..., 0]
            rest = (a[:, None] @ gram[:, size:, size:] @ a[..., None])[:, 0, 0] - (b * cross).sum(axis=1)
            noise.ravel()[part] += np.maximum(rest, 0) / channels
            for n, s in enumerate(near):
                planes[s].ravel()[part] += b[:, n]
        return Field(planes, np.sqrt(noise))

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


class BlockLaw:
    """A block with the inner products of its input, of the patches it reads and of its output."""

    def __init__(self, step: Step, products: InnerProducts, unit: Unit) -> None:
        assert isinstance(step.block, Block)
        self.block, self.input, self._unit = step.block, products, unit
        self.patches = products.of_patches(self.block.grid, step.patches)
        if self.block.pool is None:
            self.output = self.patches.activated(self.block.energy_gain, step.output, unit)
        else:
            self.output = self.patches.pooled(self.block.energy_gain, self.block.pool, step.output)

    def gradients(self, field: Field, rule: Rule) -> tuple[list[tuple[int, Projection]], Field]:
        """Nothing inside, and the field at the block's input, from the one at its output.

        ``T_ij`` is what unit ``(i, j)`` hands to its filter.  It depends on the filter through pre-activations, so
        ``E[w T_j] = c² Σ_m y_m b_jm`` over the patches that these belong to.  Folding ``D_jᵀ y_m`` back gives the activations of
        the layer below at the distance of the two patches: ``a'_s(pos) = n c² Σ_(j∋pos) b_(j, j+s)``.  And
        ``β'²(pos) = n c² Σ_(j∋pos) E[T_j²]``.
        """
        if self.block.pool is not None:
            planes, second = self._behind_pool(field, rule)
        elif field.plain:
            planes, second = self._alone(field, rule)
        else:
            planes, second = self._with_neighbours(field, rule)
        return [], handed_down(planes, second, self.block, rule)

    def _alone(self, field: Field, rule: Rule) -> tuple[Planes, np.ndarray]:
        """Use the closed form: the unit's own pre-activation is all that its gradient knows."""
        size = self.block.std * np.sqrt(self.patches.energy)
        first, second = unit_moments(rule, self._unit, field.shifts[HERE] * size, field.beta)
        # A patch of zeros activates nothing: the gate is closed at 0.
        closed = rule.shut(self._unit) ** 2 * (rule.up**2 + rule.down**2) / 2 * field.beta**2
        coefficient = np.divide(first, size, out=np.zeros(size.shape), where=size > 0)
        return {HERE: coefficient}, np.where(size > 0, second, closed)

    def _with_neighbours(self, field: Field, rule: Rule) -> tuple[Planes, np.ndarray]:
        field = field.nearest(self.output, self.block.n_filters, NEARSET)
        shifts, shape = sorted(field.shifts), self.patches.shape
        coefficients, second = neighbour_moments(
            self.block.std**2 * self.patches.gram(shifts),
            np.stack([field.shifts[s].ravel() for s in shifts], axis=1),
            field.beta.ravel(),
            rule,
            shifts.index(HERE),
        )
        planes = {s: coefficients[:, n].reshape(shape) for n, s in enumerate(shifts)}
        return planes, second.reshape(shape)

    def _behind_pool(self, field: Field, rule: Rule) -> tuple[Planes, np.ndarray]:
        pool = self.block.pool
        assert pool is not None
        held, within = pool.windows(self.patches.shape), offsets(pool)
        field = field.nearest(self.output, self.block.n_filters)
        shifts = sorted(field.shifts, key=lambda s: s != HERE)
        places = [(down + i, right + k) for s in shifts for down, right in [times(s, pool.stride)] for i, k in within]
        exist = np.ones(self.output.shape)
        a = np.stack([(field.shifts[s] * moved(exist, s)).ravel() for s in shifts], axis=1)
        coefficients = np.empty((len(held), len(within), len(places)))
        energies = np.empty(held.shape)
        for part in chunks(len(held), len(places) ** 2):
            gram = self.block.std**2 * self.patches.gram(places, held[part, 0])
            beta = field.beta.ravel()[part]
            if field.plain:
                coefficients[part], energies[part] = pooled_moments(
                    gram, a[part, 0], beta, rule, floor=self.patches.floor
                )
            else:
                coefficients[part], energies[part] = mixed_moments(
                    gram, a[part], beta, rule, floor=self.patches.floor
                )
        second = np.zeros(self.patches.shape)
        second.flat[held] = energies
        planes: Planes = {}
        for m, (row, column) in enumerate(within):
            for n, (other_row, other_column) in enumerate(places):
                s = other_row - row, other_column - column
                plane = planes.setdefault(s, np.zeros(self.patches.shape))
                plane.flat[held[:, m]] += coefficients[:, m, n]
        return planes, second


def handed_down(planes: Planes, second: np.ndarray, block: Block, rule: Rule) -> Field:
    """Return the field at a convolution's input: ``b_s`` and ``E[T²]`` of its units, folded over their patches."""
    shifts = {
        times(s, block.grid.stride): block.energy_gain * fold(plane, block.grid)
        for s, plane in planes.items()
        if s == HERE or has_mean(rule)
    }
    return Field(shifts, np.sqrt(block.energy_gain * fold(second, block.grid)))
