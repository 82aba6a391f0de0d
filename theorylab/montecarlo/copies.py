"""Pictures that are bit for bit the same: one that is counted twice would make an interval surer than it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from theorylab import _json
from theorylab.montecarlo.executors import Executor, JoblibExecutor
from theorylab.montecarlo.files import Unreadable
from theorylab.montecarlo.pictures import BLOCK, enough
from theorylab.montecarlo.tasks import Call
from theorylab.progress import Progress


class Named(Protocol):
    """Pictures that have names."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, place: int) -> Any:
        """Read one."""

    def name(self, place: int) -> str:
        """Return the name of one."""

    def only(self, places: Sequence[int]) -> Any:
        """Return some of them."""


Some = TypeVar("Some", bound=Named)


def digest(x: np.ndarray) -> str:
    """Return what only a picture of the same size and the same bits has."""
    return f"{x.shape} {_json.sha256(x)}"


@dataclasses.dataclass(frozen=True)
class _Digests:
    pictures: Named

    def __call__(self, places: tuple[int, ...]) -> list[tuple[int, str]]:
        return [(place, self._of(place)) for place in places]

    def _of(self, place: int) -> str:
        try:
            return digest(self.pictures[place])
        except Unreadable:  # told by whoever measures it
            return str(place)


def without_copies(
    pictures: Some, executor: Executor | None = None, progress: Progress | None = None
) -> tuple[Some, list[dict[str, str]]]:
    """Return the pictures that are no copies of earlier ones, and of each copy its name and the name of what it repeats.

    Examples
    --------
    >>> from theorylab.montecarlo.files import Files
    >>> kept, copies = without_copies(Files("photos", ("a", "b", "c"), lambda path: np.full(2, path == "b")))
    >>> kept.paths, copies
    (('a', 'b'), [{'file': 'c', 'copy of': 'a'}])
    """
    count = len(pictures)
    calls = (
        (first, Call(_Digests(pictures), tuple(range(first, min(first + BLOCK, count)))))
        for first in range(0, count, BLOCK)
    )
    found: dict[int, str] = {}
    for _, digests in (enough(executor, count) or JoblibExecutor(1)).run(calls):
        found.update(digests)
        if progress is not None:
            progress("pictures read", len(found), count)
    firsts: dict[str, int] = {}
    like = {place: firsts.setdefault(found[place], place) for place in range(count)}
    copies = [
        {"file": pictures.name(place), "copy of": pictures.name(first)}
        for place, first in like.items()
        if place != first
    ]
    return (pictures.only(list(firsts.values())) if copies else pictures), copies


def told(copies: Sequence[Any]) -> str:
    """Say in words how many copies were left out.

    Examples
    --------
    >>> told([1]), told([1, 2])
    ('1 more picture is a copy and not counted', '2 more pictures are copies and not counted')
    """
    one = len(copies) == 1
    return f"{len(copies)} more picture{' is a copy' if one else 's are copies'} and not counted"
