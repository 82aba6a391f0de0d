"""The first phase of the laws of depth: which inner products they need, from the top down, by sizes alone.

A shift is the distance of two positions of one plane.  The gradient at a position is a mixture of activations at a few shifts.
Its size, and what it becomes one layer down, need inner products of activations at more shifts.  These inner products go up
from the image, and the gradients go down from the readout: what the gradients need must be known before either starts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from theorylab.analytic._blocks import Block, Stage
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule

Shift = tuple[int, int]

HERE: Shift = (0, 0)
NEAR: tuple[Shift, ...] = ((0, 1), (1, -1), (1, 0), (1, 1))
"""The neighbours of a position, one of each pair ``±s``."""


def opposite(shift: Shift) -> Shift:
    """``−shift``."""
    return -shift[0], -shift[1]


def times(shift: Shift, factor: tuple[int, int]) -> Shift:
    """Return a shift in positions of the layer below one with these strides."""
    return shift[0] * factor[0], shift[1] * factor[1]


def differences(shifts: Iterable[Shift]) -> set[Shift]:
    """``s' − s`` for all pairs.

    Examples
    --------
    >>> sorted(differences([(0, 0), (0, 1)]))
    [(0, -1), (0, 0), (0, 1)]
    """
    listed = list(shifts)
    return {(t[0] - s[0], t[1] - s[1]) for s in listed for t in listed}


def offsets(pool: MaxPool) -> list[Shift]:
    """Return the positions of a window, row by row, from its first one."""
    return [(i, k) for i in range(pool.size[0]) for k in range(pool.size[1])]


def closest(shifts: Iterable[Shift]) -> set[Shift]:
    """Return those at most one step away on each axis, a step being the smallest there is.

    Examples
    --------
    >>> sorted(closest([(0, 0), (0, 2), (0, -2), (0, 4), (-1, 6)]))
    [(0, -2), (0, 0), (0, 2)]
    """
    listed = list(shifts)
    steps = [min((abs(s[axis]) for s in listed if s[axis]), default=0) for axis in (0, 1)]
    return {s for s in listed if abs(s[0]) <= steps[0] and abs(s[1]) <= steps[1]}


def pool_needs(shifts: Iterable[Shift], pool: MaxPool) -> set[Shift]:
    """Inner products of the patches below a max-pool that ``InnerProducts.pooled`` needs."""
    within = differences(offsets(pool))
    return {(a + i, b + k) for s in (*NEAR, HERE, *shifts) for a, b in [times(s, pool.stride)] for i, k in within}


def has_mean(rule: Rule) -> bool:
    """Whether the gradient has a mean anywhere: where ``h`` is odd, it changes its sign with the readout."""
    return rule.up + rule.down != 0


@dataclasses.dataclass(frozen=True)
class Step:
    """A block or a stage, and the shifts at which inner products are needed."""

    block: Block | Stage
    input: set[Shift]  # of the activations that it reads
    patches: set[Shift]
    output: set[Shift]  # of the activations that it puts out


def plan(blocks: Sequence[Block | Stage], rule: Rule) -> list[Step]:
    """One step a block, from the image up."""
    steps: list[Step] = []
    # `shifts` are those of the gradient's mean at a block's output, `output` those of the inner products that are needed there.
    # The readout comes first; its gradient has no mean.
    shifts, output = {HERE}, {HERE}
    for block in reversed(blocks):
        if isinstance(block, Stage):
            # A stage needs energies alone: there is no pool above it, so that its gradient is no mixture.
            steps.append(Step(block, {HERE}, {HERE}, output))
            output = {HERE}
            continue
        if block.pool is None:
            shifts_near = shifts & {(i,k) for i in (-1,0,1) for k in (-1,0,1)}
            patches = output | differences(shifts)  # of a unit's neighbours in the mean, with each other
            mixed = shifts_near
        else:
            # A winner depends on its whole window, and on the windows whose largest values it receives.
            windows = [times(s, block.pool.stride) for s in closest(shifts)]
            held = [(a + i, b + k) for a, b in windows for i, k in offsets(block.pool)]
            patches = pool_needs(output | differences(shifts), block.pool) | differences(held)
            mixed = {(s[0] - i, s[1] - k) for s in held for i, k in offsets(block.pool)}
        # One layer down, distances are multiples of the stride.
        shifts = {times(s, block.grid.stride) for s in mixed} if has_mean(rule) else {HERE}
        # Inner products of patches are sums of those of the input; the size of the gradient needs the others.
        below = {times(s, block.grid.stride) for s in patches} | differences(shifts)
        steps.append(Step(block, below, patches, output))
        output = below
    return steps[::-1]
