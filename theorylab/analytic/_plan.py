"""The first phase of the laws of depth: which inner products they need, from the top down, by sizes alone.

A shift is the distance of two positions of one plane.  The gradient at a position is a mixture of activations at a few shifts.
Its size, and what it becomes one layer down, need inner products of activations at more shifts.  These inner products go up
from the image, and the gradients go down from the readout: what the gradients need must be known before either starts.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence

from theorylab.analytic._blocks import Block, Path, Stage, needs_every
from theorylab.analytic._lying import lyings
from theorylab.analytic.nolaw import SIMULATE, NoLaw
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule

Shift = tuple[int, int]

HERE: Shift = (0, 0)
NINE: tuple[Shift, ...] = tuple((i, k) for i in (-1, 0, 1) for k in (-1, 0, 1))
"""A position and its neighbours."""
RING: tuple[Shift, ...] = tuple(
    (i, k) for i in range(3) for k in range(-2, 3) if max(i, abs(k)) == 2 and (i, k) > (0, 0)
)
"""The shifts of two steps, one of each pair ``±s``."""
PAIRS = 2**18
"""Pairs of windows, of all pools, that are integrated at most where the rest may be estimates: some ten seconds' work."""
ALL_PAIRS = 2**21
"""The same where none may be an estimate: some minutes' work."""


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


def half(shifts: Iterable[Shift]) -> set[Shift]:
    """Return ``HERE`` and one of each pair ``±s``."""
    return {max(shift, opposite(shift)) for shift in (*shifts, HERE)}


def near(shifts: Iterable[Shift]) -> set[Shift]:
    """Return what lies at most two steps away, with all of ``RING`` if anything lies farther: estimates are read from it.

    Examples
    --------
    >>> near([(0, 0), (0, 1)])
    {(0, 1)}
    >>> len(near([(0, 1), (0, 3)]))
    9
    """
    wanted = half(shifts) - {HERE}
    close = {s for s in wanted if max(map(abs, s)) <= 2}
    return close if close == wanted else close | set(RING)


def pool_needs(
    shifts: Iterable[Shift], pool: MaxPool, integrated: Iterable[Shift] | None = None
) -> set[Shift]:
    """Inner products of the patches below a max-pool that ``InnerProducts.pooled`` needs."""
    within = differences(offsets(pool))
    pairs = [times(s, pool.stride) for s in (HERE, *(half(shifts) if integrated is None else integrated))]
    return {(a + i, b + k) for a, b in pairs for i, k in within} | {times(s, pool.stride) for s in shifts}


ALONE = MaxPool(1)
"""Each unit a window of its own."""


def divided(shifts: Iterable[Shift], stride: tuple[int, int]) -> set[Shift]:
    """Shifts in patches, of those that the stride divides."""
    return {(i // stride[0], k // stride[1]) for i, k in shifts if i % stride[0] == 0 == k % stride[1]}


def shared_noises(blocks: Sequence[Block | Stage]) -> list[set[Shift]]:
    """Shifts at which covariances of the noises are needed, at the input of every block and at the last output.

    Half of them, without ``HERE``.  Of overlapping windows noises add; and what neighbours share comes from above.

    Examples
    --------
    >>> from theorylab.model.specs import ConvSpec
    >>> from theorylab.analytic._blocks import read
    >>> layers = [ConvSpec(4, 1), MaxPool((1, 3), (1, 2)), ConvSpec(4, 1), ConvSpec(4, 1, stride=2), ConvSpec(4, 1)]
    >>> shared_noises(read((1, 1, 15), layers))
    [set(), {(0, 1)}, {(0, 1)}, set(), set()]
    """
    found = [set[Shift]()]
    for block in blocks:
        if isinstance(block, Stage):
            found.append(set[Shift]().union(*(through(path, found[-1]) for path in block.head)))
            continue
        pairs = divided(found[-1], block.grid.stride)
        if block.pool is not None:
            pairs = {
                d
                for s in (*(() if block.one_window else (None,)), *pairs)
                for lying in lyings(block.pool, [HERE], s)
                for d in differences(itertools.chain(*lying.receiving))
            }
        found.append(half(pairs) - {HERE})
    return found


def through(path: Path, shifts: set[Shift]) -> set[Shift]:
    """Shifts at the end of a path, of those at its input that the strides divide."""
    for block in path:
        shifts = divided(shifts, block.grid.stride)
    return shifts


def path_steps(path: Path, noises: set[Shift], sums: set[Shift]) -> list[Step]:
    """Plan a path of convolutions; `noises` are those at its input, `sums` the shifts of what it puts out."""
    pairs = []
    for block in path:
        noises = divided(noises, block.grid.stride)
        pairs.append(noises)
    steps: list[Step] = []
    output = sums | {HERE}
    for block, those in zip(reversed(path), reversed(pairs), strict=True):
        patches = output | those
        below = {times(s, block.grid.stride) for s in patches}
        steps.append(Step(block, below, patches, output, pairs=those))
        output = below
    return steps[::-1]


def stage_levels(stage: Stage, noises: set[Shift], output: set[Shift]) -> list[set[Shift]]:
    """Shifts of the inner products of a stage's input, and of its sums from the lowest to the topmost."""
    at_sums = set[Shift]().union(*(through(path, noises) for path in stage.head))
    levels = [half(output | at_sums)]
    for path in reversed(stage.tails):
        levels.append(half(levels[-1] | path_steps(path, at_sums, levels[-1])[0].input))
    levels.append(set[Shift]().union(*(path_steps(path, noises, levels[-1])[0].input for path in stage.head)))
    return levels[::-1]


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
    # Patches in the mean that the block hands down.
    mixed: set[Shift] = dataclasses.field(default_factory=lambda: {HERE})
    # Which inner products above a pool are integrated; the rest are estimates.
    integrated: set[Shift] = dataclasses.field(default_factory=set)
    every: bool = True  # whether that is all that are needed
    rough: bool = False  # whether those of the patches come from a pool below, by integrals or estimates
    # Pairs of units, of which E[T T'] is needed: by a pool with overlapping windows, below.
    pairs: set[Shift] = dataclasses.field(default_factory=set)


def plan(blocks: Sequence[Block | Stage], rule: Rule) -> list[Step]:
    """One step a block, from the image up.

    All inner products above pools are integrated if the work allows, otherwise those of windows at most two steps apart.

    Raises
    ------
    NoLaw
        If the work does not allow it, and a pool must not read estimates.
    """
    steps = _plan(blocks, rule, every=True)
    pairs = sum(
        len(step.integrated) * math.prod(step.block.shape[1:])
        for step in steps
        if isinstance(step.block, Block) and step.block.pool is not None
    )
    if pairs <= PAIRS:
        return steps
    number = needs_every(blocks)
    if number is None:
        return _plan(blocks, rule, every=False)
    if pairs > ALL_PAIRS:
        first, block = blocks[0], blocks[number]
        assert isinstance(first, Block)  # no pool stands above a stage
        assert isinstance(block, Block)
        height, width = first.grid.input_shape[1:]
        share = math.sqrt(ALL_PAIRS / pairs)
        raise NoLaw(
            rule,
            layer=f"{block.pool!r} behind convolution {number + 1}, one of several max-pools, on a picture of {height}×{width}, "
            f"where {pairs} inner products would have to be integrated, more than {ALL_PAIRS}",
            instead=f"{SIMULATE}; pictures of up to about {int(share * height)}×{int(share * width)} have one",
        )
    return steps


def _plan(blocks: Sequence[Block | Stage], rule: Rule, *, every: bool) -> list[Step]:
    steps: list[Step] = []
    pools = [n for n, block in enumerate(blocks) if isinstance(block, Block) and block.pool is not None]
    # `shifts` are those of the gradient's mean at a block's output, `output` those of the inner products that are needed there.
    # The readout comes first; its gradient has no mean.
    shifts, output = {HERE}, {HERE}
    for number, (block, noises) in reversed(
        list(enumerate(zip(blocks, shared_noises(blocks), strict=False)))
    ):
        if isinstance(block, Stage):
            # There is no pool above it, so that its gradient is no mixture.
            steps.append(Step(block, stage_levels(block, noises, output)[0], {HERE}, output, pairs=noises))
            output = steps[-1].input
            continue
        pairs = divided(noises, block.grid.stride)
        integrated = set[Shift]()
        if block.pool is None:
            patches = output | differences(shifts)  # of a unit's neighbours in the mean, with each other
            mixed = shifts
        else:
            # A winner depends on its whole window, and on the windows whose largest values it is handed.
            integrated = half(output) - {HERE} if every else near(output)
            patches = pool_needs(output, block.pool, integrated)
            if block.one_window:
                held = places(shifts, block.pool)
                patches |= differences(held)
                mixed = {(a - i, b - k) for a, b in held for i, k in offsets(block.pool)}
            else:
                ways = [lying.listed for lying in lyings(block.pool, shifts)]
                patches = patches.union(*map(differences, ways))
                mixed = set[Shift]().union(*ways)
            if number > pools[0]:
                mixed &= set(NINE)  # what a pool below hands to its winners is a mixture of nine windows
            elif number > 0:
                mixed &= differences(offsets(block.pool))
        for s in pairs:
            patches = patches.union(
                *(differences(way.listed) for way in lyings(block.pool or ALONE, shifts, s))
            )
        # One layer down, distances are multiples of the stride.
        shifts = {times(s, block.grid.stride) for s in mixed} if has_mean(rule) else {HERE}
        # Inner products of patches are sums of those of the input; the size of the gradient needs the others.
        below = {times(s, block.grid.stride) for s in patches} | differences(shifts)
        rough = bool(pools) and number > pools[0]
        steps.append(Step(block, below, patches, output, mixed, integrated, every, rough, pairs))
        output = below
    return steps[::-1]


def ordered(shifts: Iterable[Shift]) -> list[Shift]:
    """Put ``HERE`` first."""
    return sorted(shifts, key=lambda s: (s != HERE, s))


def places(shifts: Iterable[Shift], pool: MaxPool) -> list[Shift]:
    """Return the positions of the windows at these shifts, the window at ``HERE`` first.

    Examples
    --------
    >>> places([(0, -1), (0, 0)], MaxPool((1, 2)))
    [(0, 0), (0, 1), (0, -2), (0, -1)]
    """
    return [
        (a + i, b + k) for a, b in (times(s, pool.stride) for s in ordered(shifts)) for i, k in offsets(pool)
    ]
