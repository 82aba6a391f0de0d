"""The law of a modified gradient over a plane of activations, and how one layer below it follows.

``V̂_pos = Σ_s a_s(pos) o_(pos+s) + β(pos) ξ_pos``: a mixture of the activations around, and noise; the same ``a`` and ``β``
for all channels.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from theorylab.analytic import _windows
from theorylab.analytic._blocks import Block
from theorylab.analytic._inner_products import InnerProducts, Shift, differences, moved, places_of, times
from theorylab.analytic._masked_moments import deconvnet_moments, guided_moments
from theorylab.analytic._neighbour_moments import neighbour_moments
from theorylab.analytic._window_moments import pooled_moments
from theorylab.patches import PatchGrid
from theorylab.rules import Rule

HERE: Shift = (0, 0)

Planes = dict[Shift, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """A gradient over a plane of activations ``o`` as ``V̂ = α o + β ξ``: what is not along ``o`` counts as noise.

    Attributes
    ----------
    energy, along, power : arrays, (H, W)
        ``‖o‖²``, ``E⟨V̂, o⟩`` and ``E‖V̂‖²`` at each position, over the channels.
    alpha, beta : arrays, (H, W)
    """

    energy: np.ndarray
    along: np.ndarray
    power: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray

    @classmethod
    def of(cls, energy: np.ndarray, along: np.ndarray, power: np.ndarray, channels: int) -> Seen:
        """The projection; the noise is shared out evenly among the channels."""
        alpha = np.divide(along, energy, out=np.zeros(along.shape), where=energy > 0)
        return cls(energy, along, power, alpha, np.sqrt(np.maximum(power - alpha * along, 0) / channels))


@dataclasses.dataclass(frozen=True, eq=False)
class Field:
    """A modified gradient: the coefficients of its mean, and its noise.

    Attributes
    ----------
    shifts : dict of shift to (H, W) array
        ``a_s``; ``(0, 0)`` is always there.
    beta : array, (H, W)
    """

    shifts: dict[Shift, np.ndarray]
    beta: np.ndarray

    @classmethod
    def readout(cls, plane: tuple[int, int]) -> Field:
        """Standard normal weights: no mean."""
        return cls({HERE: np.zeros(plane)}, np.ones(plane))

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

    def seen(self, products: InnerProducts, channels: int) -> Seen:
        """The same gradient seen through ``o`` alone."""
        along = self.along(products)
        power = self.power(products) + channels * self.beta**2
        if self.plain:
            return Seen(products.energy, along, power, self.shifts[HERE], self.beta)
        return Seen.of(products.energy, along, power, channels)

    def mean_map(self, x: np.ndarray) -> np.ndarray:
        """``Σ_s a_s(pos) x_(pos+s)``, (C, H, W)."""
        return np.asarray(sum(a * moved(x, s) for s, a in self.shifts.items()))


def shifts_below(block: Block, shifts: set[Shift], rule: Rule) -> set[Shift]:
    """Which shifts the field below a block has, from those above it."""
    if not rule.rectifies_gradient:
        return {HERE}  # no mean at any depth
    own = shifts if block.pool is None else differences(places_of(block.pool))
    return {times(s, block.grid.stride) for s in own}


def below(field: Field, block: Block, output: InnerProducts, patches: InnerProducts, rule: Rule) -> Field:
    """The field at a block's input, from the one at its output.

    Parameters
    ----------
    field : Field
    block : Block
    output, patches : InnerProducts
        Of the activations that leave the block, and of the patches of those that enter it.
    rule : Rule

    Returns
    -------
    Field

    Notes
    -----
    ``T_ij`` is what unit ``(i, j)`` hands to its filter.  It depends on the filter through pre-activations, so
    ``E[w T_j] = c² Σ_m y_m b_jm`` over the patches that these belong to.  Folding ``D_jᵀ y_m`` back gives the activations of
    the layer below at the distance of the two patches: ``a'_s(pos) = n c² Σ_(j∋pos) b_(j, j+s)``.  And
    ``β'²(pos) = n c² Σ_(j∋pos) E[T_j²]``.
    """
    if block.pool is not None:
        planes, second = _behind_pool(field, block, output, patches, rule)
    elif field.plain:
        planes, second = _alone(field, block, patches, rule)
    else:
        planes, second = _with_neighbours(field, block, patches, rule)
    return handed_down(planes, second, block, rule)


def handed_down(planes: Planes, second: np.ndarray, block: Block, rule: Rule) -> Field:
    """The field at a convolution's input: ``b_s`` and ``E[T²]`` of its units, folded over the patches that hold a position."""
    gain = block.n_filters * block.std**2
    shifts = {
        times(s, block.grid.stride): gain * _fold(plane, block.grid)
        for s, plane in planes.items()
        if s == HERE or rule.rectifies_gradient
    }
    return Field(shifts, np.sqrt(gain * _fold(second, block.grid)))


def _alone(field: Field, block: Block, patches: InnerProducts, rule: Rule) -> tuple[Planes, np.ndarray]:
    """Closed form: the unit's own pre-activation is all that its gradient knows."""
    size = block.std * np.sqrt(patches.energy)
    signal, noise = field.shifts[HERE] * size, field.beta
    if rule is Rule.GUIDED:
        first, second = guided_moments(signal, noise)
    elif rule is Rule.DECONVNET:
        first, second = deconvnet_moments(signal, noise)
    else:
        first, second = np.zeros(size.shape), noise**2 / 2
    if rule.masks_by_activation:
        # A patch of zeros activates nothing: the mask is strict.
        second = np.where(size > 0, second, 0.0)
    return {HERE: np.divide(first, size, out=np.zeros(size.shape), where=size > 0)}, second


def _with_neighbours(
    field: Field, block: Block, patches: InnerProducts, rule: Rule
) -> tuple[Planes, np.ndarray]:
    shifts = sorted(field.shifts)
    coefficients, second = neighbour_moments(
        block.std**2 * patches.gram(shifts),
        np.stack([field.shifts[s].ravel() for s in shifts], axis=1),
        field.beta.ravel(),
        rule,
        shifts.index(HERE),
    )
    planes = {s: coefficients[:, n].reshape(patches.shape) for n, s in enumerate(shifts)}
    return planes, second.reshape(patches.shape)


def _behind_pool(
    field: Field, block: Block, output: InnerProducts, patches: InnerProducts, rule: Rule
) -> tuple[Planes, np.ndarray]:
    assert block.pool is not None
    held, places = block.pool.windows(patches.shape), places_of(block.pool)
    seen = field.seen(output, block.n_filters)
    coefficients, energies = pooled_moments(
        block.std**2 * patches.gram(places, held[:, 0]),
        seen.alpha.ravel(),
        seen.beta.ravel(),
        rule,
        floor=patches.floor,
    )
    planes = {s: np.zeros(patches.shape) for s in differences(places)}
    second = np.zeros(patches.shape)
    second.flat[held] = energies
    for m, (row, column) in enumerate(places):
        for n, (other_row, other_column) in enumerate(places):
            planes[other_row - row, other_column - column].flat[held[:, m]] = coefficients[:, m, n]
    return planes, second


def _fold(values: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """``Σ_{j∋pos} values_j``, (H, W)."""
    full = _windows.spread(values, grid, range(grid.kernel[0]), range(grid.kernel[1]))
    return _windows.crop(full, grid)
