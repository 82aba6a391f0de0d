"""A stack of layers as the laws of depth read it: convolutions with their ReLU, each with the max-pool behind it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from theorylab.patches import PatchGrid
from theorylab.pooling import MaxPool
from theorylab.specs import ConvSpec


@dataclasses.dataclass(frozen=True)
class Block:
    """A convolution, its ReLU, and the max-pool behind it if there is one.

    Attributes
    ----------
    n_filters : int
    grid : PatchGrid
        The patches of its input.
    pool : MaxPool or None
    gain : float
        The filters' standard deviation, over :attr:`std`.
    """

    n_filters: int
    grid: PatchGrid
    gain: float
    pool: MaxPool | None = None

    @property
    def std(self) -> float:
        """The standard deviation that keeps energies near 1 from layer to layer; the laws run with it."""
        return unit_std(self.grid)

    @property
    def plane(self) -> tuple[int, int]:
        """``(H, W)`` of its output."""
        shape = self.grid.output_shape
        return shape if self.pool is None else self.pool.output_shape(shape)


def unit_std(grid: PatchGrid) -> float:
    """``√(2/fan-in)``."""
    return math.sqrt(2 / grid.patch_size)


def read(shape: tuple[int, int, int], layers: Sequence[ConvSpec | MaxPool]) -> list[Block]:
    """The blocks of a stack on an image of the given shape, from the image up.

    Raises
    ------
    TypeError, ValueError
        If `layers` is empty or holds anything else, a kernel or window does not fit, a pool stands first or behind a pool,
        or its windows overlap or reach into padding.

    Examples
    --------
    >>> blocks = read((3, 8, 8), [ConvSpec(16, 3, padding=1), MaxPool(2), ConvSpec(4, 3)])
    >>> [(block.plane, block.pool is not None) for block in blocks]
    [((4, 4), True), ((2, 2), False)]
    """
    if len(layers) == 0:
        raise ValueError("layers: expected at least one ConvSpec")
    blocks: list[Block] = []
    for number, layer in enumerate(layers):
        try:
            if isinstance(layer, MaxPool):
                _add_pool(blocks, layer)
            elif isinstance(layer, ConvSpec):
                grid = PatchGrid(shape, layer.kernel, layer.stride, layer.padding)
                blocks.append(Block(layer.n_filters, grid, layer.std / unit_std(grid)))
            else:
                raise TypeError(f"expected a ConvSpec or MaxPool, got {type(layer).__name__}")
            shape = (blocks[-1].n_filters, *blocks[-1].plane)
        except (TypeError, ValueError) as error:
            raise type(error)(f"layers[{number}]: {error}") from None
    return blocks


def _add_pool(blocks: list[Block], pool: MaxPool) -> None:
    if not blocks or blocks[-1].pool is not None:
        raise ValueError("a MaxPool stands behind a ConvSpec, whose ReLU it pools")
    if not pool.disjoint:
        raise ValueError(
            f"windows of size {pool.size} at stride {pool.stride} overlap, so one unit can win several; there is no law "
            "for that here, simulate the network instead"
        )
    if any(pool.padding):
        raise ValueError("there is no law here for padded max-pooling; simulate the network instead")
    pool.output_shape(blocks[-1].plane)
    blocks[-1] = dataclasses.replace(blocks[-1], pool=pool)
