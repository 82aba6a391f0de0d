"""The third phase of the laws of depth: a modified gradient over a plane of activations, and how it goes one layer down.

``V̂_pos = Σ_s a_s(pos) o_(pos+s) + β(pos) ξ_pos``: a mixture of the activations around, and noise; the same ``a`` and ``β``
for all channels.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from theorylab.analytic._blocks import Block
from theorylab.analytic._conditioning import chunks
from theorylab.analytic._field import Field, Planes, Projection
from theorylab.analytic._inner_products import InnerProducts
from theorylab.analytic._joint_moments import (
    contradictory,
    mixed_moments,
    neighbour_moments,
    pooled_moments,
    regression,
)
from theorylab.analytic._plan import HERE, Step, differences, has_mean, offsets, ordered, places, times
from theorylab.analytic._several_windows import lost_of_sum, moments_of_sum, product_of_pair, sites_of
from theorylab.analytic._uniform_moments import lost_between, unit_moments
from theorylab.analytic._windows import fold, moved
from theorylab.model.rules import Rule
from theorylab.model.units import Unit


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """What the units of ``n`` windows depend on.

    Of ``S`` windows of ``k`` units the receiving one comes first; windows beyond the plane have no activation.
    """

    part: slice  # which positions of the block's output they are
    held: np.ndarray  # (n, k) flat positions of the units
    gram: np.ndarray  # (n, S k, S k) covariances of the pre-activations
    a: np.ndarray  # (n, S) coefficients of the windows' activations in V̂
    noise: np.ndarray  # (n,) β, of all that is no such activation


@dataclasses.dataclass(frozen=True, eq=False)
class Units:
    """A block's units under the gradient at its output; without a pool each unit is a window of its own."""

    block: Block
    patches: InnerProducts
    listed: list[tuple[int, int]]  # of the units that one depends on, its own window first
    a: np.ndarray  # these two as in `Windows`, for all positions
    noise: np.ndarray
    # The same gradient by the own window's activation and noise alone; where inner products may be too rough for more.
    alone: Projection | None = None

    def windows(self) -> Iterator[Windows]:
        """Yield some windows at a time."""
        if self.block.pool is None:
            held = np.arange(self.patches.energy.size)[:, None]
        else:
            held = self.block.pool.windows(self.patches.shape)
        for part in chunks(len(held), len(self.listed) ** 2):
            first = np.divmod(held[part, 0], self.patches.shape[1])
            gram = self.block.std**2 * self.patches.gram(self.listed, first)
            a, noise = self.a[part].copy(), self.noise[part].copy()
            if self.alone is not None:
                size = held.shape[1]
                rough = contradictory(gram, size)
                gram[rough, size:] = gram[rough, :, size:] = a[rough] = 0
                a[rough, 0] = self.alone.alpha.ravel()[part][rough]
                noise[rough] = self.alone.beta.ravel()[part][rough]
            yield Windows(part, held[part], gram, a, noise)

    def lost(self, own: np.ndarray, rule: Rule, unit: Unit) -> np.ndarray:
        """``E[Var T]`` over what one logit has alone, `own` of ``β²``, over the patches.

        A closed form, where a unit's own pre-activation is all that its gradient knows.
        """
        size = self.block.std * np.sqrt(self.patches.energy).ravel()
        share = self.block.uniform_share(self.patches.energy.ravel())
        lost = lost_between(rule, unit, self.a[:, 0] * size, self.noise, own.ravel(), share)
        # A patch of zeros activates nothing: both halves are as the gate shuts them.
        shut = rule.shut(unit) ** 2
        return np.where(size > 0, lost, 2 * shut / (1 + shut) * lost).reshape(self.patches.shape)


class Descent(NamedTuple):
    """How a gradient goes down through a block or a stage."""

    below: Field  # at the input
    # Of a stage: sums inside, with the convolutions above each; and of its branches from the top, then of its head, the fields at
    # inputs of convolutions.
    inside: Sequence[tuple[int, Projection]] = ()
    paths: Sequence[list[Field]] = ()


class BlockLaw:
    """A block with the inner products of its input, of the patches it reads and of its output."""

    def __init__(self, step: Step, products: InnerProducts, unit: Unit) -> None:
        assert isinstance(step.block, Block)
        self.block, self.input, self._unit, self._step = step.block, products, unit, step
        self.patches = products.of_patches(self.block.grid, step.patches, self.block.bias_energy)
        if self.block.pool is None:
            self.output = self.patches.activated(self.block.energy_gain, step.output, unit)
        else:
            self.output = self.patches.pooled(
                self.block.energy_gain, self.block.pool, step.output, step.integrated
            )

    def gradients(self, field: Field, rule: Rule) -> Descent:
        """Return the field at the block's input, from the one at its output.

        ``T_ij`` is what unit ``(i, j)`` hands to its filter.  It depends on the filter through pre-activations, so
        ``E[w T_j] = c² Σ_m y_m b_jm`` over the patches that these belong to.  Folding ``D_jᵀ y_m`` back gives the activations of
        the layer below at the distance of the two patches: ``a'_s(pos) = n c² Σ_(j∋pos) b_(j, j+s)``.  And
        ``β'²(pos) = n c² Σ_(j∋pos) E[T_j²]``.
        """
        if not self.block.one_window:
            planes, second = self._behind_windows(field, rule)
        elif self.block.pool is not None:
            planes, second = self._behind_pool(field, rule)
        elif field.plain:
            planes, second = self._alone(field, rule)
        else:
            planes, second = self._with_neighbours(field, rule)
        return Descent(handed_down(planes, second, self.block, rule, self._products(field, rule)))

    def folded(self, lost: np.ndarray) -> np.ndarray:
        """Return the energy at the block's input of what units hand on, of variances over the patches."""
        return self.block.energy_gain * fold(lost, self.block.grid)

    def lost(self, field: Field, own: np.ndarray, rule: Rule) -> np.ndarray:
        """``E[Var T]`` over what one logit has alone, behind windows that overlap; `field` and `own` are at their outputs."""
        alone = dataclasses.replace(field, beta=np.sqrt(own), shared={})
        lost = np.zeros(self.patches.shape)
        both = (sites_of(self.block, self.patches, noises) for noises in (field, alone))
        for sites, others in zip(*both, strict=True):
            lost[sites.rows, sites.columns] = lost_of_sum(sites, others, rule)
        return lost

    def _alone(self, field: Field, rule: Rule) -> tuple[Planes, np.ndarray]:
        """Use the closed form: the unit's own pre-activation is all that its gradient knows."""
        size = self.block.std * np.sqrt(self.patches.energy)
        signal = field.shifts[HERE] * size
        first, second = unit_moments(
            rule, self._unit, signal, field.beta, self.block.uniform_share(self.patches.energy)
        )
        # A patch of zeros activates nothing: the gate is closed at 0.
        closed = rule.shut(self._unit) ** 2 * (rule.up**2 + rule.down**2) / 2 * field.beta**2
        coefficient = np.divide(first, size, out=np.zeros(size.shape), where=size > 0)
        return {HERE: coefficient}, np.where(size > 0, second, closed)

    def _with_neighbours(self, field: Field, rule: Rule) -> tuple[Planes, np.ndarray]:
        shifts, shape = ordered(field.shifts), self.patches.shape
        coefficients, second = np.empty((math.prod(shape), len(shifts))), np.empty(math.prod(shape))
        for some in self.units(field).windows():
            coefficients[some.part], second[some.part] = neighbour_moments(
                some.gram, some.a, some.noise, rule, 0
            )
        return {s: coefficients[:, n].reshape(shape) for n, s in enumerate(shifts)}, second.reshape(shape)

    def units(self, field: Field) -> Units:
        """Return the units under a gradient, with no inner products but theirs."""
        shifts = listed = ordered(field.shifts)
        alone = None
        if self.block.pool is not None:
            listed = places(shifts, self.block.pool)
            if self._step.rough and not field.plain:
                alone = field.projection(self.output, self.block.n_filters)
        ones = np.ones(field.beta.shape)
        a = np.stack([(field.shifts[s] * moved(ones, s)).ravel() for s in shifts], axis=1)
        return Units(self.block, self.patches.only(differences(listed)), listed, a, field.beta.ravel(), alone)

    def _behind_windows(self, field: Field, rule: Rule) -> tuple[Planes, np.ndarray]:
        planes: Planes = {s: np.zeros(self.patches.shape) for s in self._step.mixed}
        second = np.zeros(self.patches.shape)
        for sites in sites_of(self.block, self.patches, field):
            coefficients, second[sites.rows, sites.columns] = moments_of_sum(sites, rule)
            kept = np.array([s in planes for s in sites.lying.listed])
            b = regression(sites.gram, coefficients, kept)
            for n in np.flatnonzero(kept):
                planes[sites.lying.listed[n]][sites.rows, sites.columns] = b[:, n]
        return planes, second

    def _products(self, field: Field, rule: Rule) -> Planes:
        """``E[T_j T_(j+s)]`` at the shifts that the plan names, 0 where ``j + s`` lies outside."""
        planes = {s: np.zeros(self.patches.shape) for s in self._step.pairs}
        for s, plane in planes.items():
            for sites in sites_of(self.block, self.patches, field, s):
                plane[sites.rows, sites.columns] = product_of_pair(sites, rule)
        return planes

    def _behind_pool(self, field: Field, rule: Rule) -> tuple[Planes, np.ndarray]:
        pool = self.block.pool
        assert pool is not None
        within, listed = offsets(pool), places(field.shifts, pool)
        planes: Planes = {s: np.zeros(self.patches.shape) for s in self._step.mixed}
        second = np.zeros(self.patches.shape)
        for some in self.units(field).windows():
            gram, held = some.gram, some.held
            if some.a.shape[1] > 1:
                coefficients, energies = mixed_moments(gram, some.a, some.noise, rule)
            else:
                coefficients, energies = pooled_moments(gram, some.a[:, 0], some.noise, rule)
            second.flat[held] = energies
            for m, (row, column) in enumerate(within):
                steps = [(down - row, right - column) for down, right in listed]
                kept = np.array([s in planes for s in steps])
                b = regression(gram, coefficients[:, m], kept)
                for n in np.flatnonzero(kept):
                    planes[steps[n]].flat[held[:, m]] = b[:, n]
        return planes, second


def handed_down(planes: Planes, second: np.ndarray, block: Block, rule: Rule, products: Planes) -> Field:
    """Return the field at a convolution's input: ``b_s``, ``E[T²]`` and ``E[T T']`` of its units, folded over their patches."""
    steps = {s: times(s, block.grid.stride) for s in {*planes, *products}}
    shifts = {
        steps[s]: block.energy_gain * fold(plane, block.grid)
        for s, plane in planes.items()
        if s == HERE or has_mean(rule)
    }
    ones = np.ones(block.grid.input_shape[1:])
    shared = {
        steps[s]: block.energy_gain * fold(plane, block.grid) * moved(ones, steps[s])
        for s, plane in products.items()
    }
    return Field(shifts, np.sqrt(block.energy_gain * fold(second, block.grid)), shared)
