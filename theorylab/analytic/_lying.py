"""How the windows of a max-pool lie around a unit that several of them may hold: geometry alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from theorylab.model.pooling import MaxPool

Shift = tuple[int, int]


class Lying(NamedTuple):
    """How the windows lie that one unit, or a pair of units, can win, and the windows whose largest values these are handed.

    Windows are counted from the last one that holds the first unit, patches from that unit.
    """

    phase: Shift  # where in its last window the first unit stands
    listed: list[Shift]  # the patches of all windows, row by row
    own: tuple[int, ...]  # which of them are the units
    receiving: tuple[tuple[Shift, ...], ...]  # of each unit, the windows that hold it
    members: dict[Shift, np.ndarray]  # which patches each window holds, in its order

    def places(self, plane: tuple[int, int], pool: MaxPool) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the first units that lie like this, the other one in the plane too."""
        lines = []
        for axis in (0, 1):
            steps = [self.listed[own][axis] for own in self.own]
            line = np.arange(max(0, -min(steps)), plane[axis] - max(0, *steps))
            lines.append(line[(line + pool.padding[axis]) % pool.stride[axis] == self.phase[axis]])
        rows, columns = np.meshgrid(*lines, indexing="ij")
        return rows.ravel(), columns.ravel()


def lyings(pool: MaxPool, mixed: Iterable[Shift], partner: Shift | None = None) -> Iterator[Lying]:
    """Every way in which the windows of a unit can lie, or of a unit and its `partner`; `mixed` are the shifts of ``a_s``.

    Examples
    --------
    >>> for lying in lyings(MaxPool((1, 3), (1, 2)), [(0, 0)]):
    ...     print(lying.listed, lying.own, lying.receiving)
    [(0, -2), (0, -1), (0, 0), (0, 1), (0, 2)] (2,) (((0, -1), (0, 0)),)
    [(0, -1), (0, 0), (0, 1)] (1,) (((0, 0),),)
    """
    units = [(0, 0), *([] if partner is None else [partner])]
    mixed = list(mixed)
    for phase in itertools.product(range(pool.stride[0]), range(pool.stride[1])):
        receiving = []
        for unit in units:
            rows, columns = (
                range((a + s - size) // stride + 1, (a + s) // stride + 1)
                for a, s, size, stride in zip(phase, unit, pool.size, pool.stride, strict=True)
            )
            receiving.append(tuple(itertools.product(rows, columns)))
        windows = sorted({(d + s, e + t) for own in receiving for d, e in own for s, t in mixed})
        corners = [(d * pool.stride[0] - phase[0], e * pool.stride[1] - phase[1]) for d, e in windows]
        inside = list(itertools.product(*map(range, pool.size)))
        held_by = [[(row + i, column + k) for i, k in inside] for row, column in corners]
        listed = sorted({*units, *itertools.chain(*held_by)})
        number = {shift: n for n, shift in enumerate(listed)}
        members = {d: np.array([number[s] for s in held]) for d, held in zip(windows, held_by, strict=True)}
        yield Lying(phase, listed, tuple(number[unit] for unit in units), tuple(receiving), members)
