"""Numbers of many pictures, one row each: streamed, in worker processes or on a cluster, and resumed after a kill."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import joblib
import numpy as np

from theorylab import _files, _json
from theorylab._version import __version__
from theorylab.montecarlo.executors import DaskExecutor, Executor, JoblibExecutor
from theorylab.montecarlo.files import Files, Unreadable
from theorylab.montecarlo.tasks import Call
from theorylab.progress import Progress

BLOCK = 4
"""Pictures that a worker takes at a time: what a kill can lose.  No number depends on it."""


@dataclasses.dataclass(frozen=True)
class Row:
    """What was measured of one picture.

    Attributes
    ----------
    place : int
        Of the picture in its sequence.
    key : str
        Tells the picture, and others on which its numbers depend, from every other.
    numbers : dict of str to float
        The same names for each picture; none if it was skipped.
    about : dict
        What else is to be said of it, in types of JSON.
    skipped : str
        Why there are no numbers.
    """

    place: int
    key: str = ""
    numbers: dict[str, float] = dataclasses.field(default_factory=dict)
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    skipped: str = ""


class Measure(Protocol):
    """Measures pictures by their places: a row each."""

    def __call__(self, places: tuple[int, ...]) -> list[Row]:
        """Measure these pictures."""

    def stands(self, row: Row) -> bool:
        """Say whether a row that was kept is of the pictures as they are now."""

    def readable(self, place: int) -> bool:
        """Say whether a picture can be read here."""


@dataclasses.dataclass
class Table:
    """The rows of many pictures: of each some hundred bytes, and never its maps."""

    names: tuple[str, ...] = ()
    numbers: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)
    about: dict[int, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    skipped: dict[int, str] = dataclasses.field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Take a row in, in any order."""
        if row.skipped:
            self.skipped[row.place] = row.skipped
            return
        self.names = self.names or tuple(row.numbers)
        self.numbers[row.place] = np.array([row.numbers[name] for name in self.names])
        self.about[row.place] = row.about

    @property
    def places(self) -> list[int]:
        """Places of the pictures that were measured, in their order."""
        return sorted(self.numbers)

    def columns(self) -> dict[str, np.ndarray]:
        """Return the numbers by name, in the order of the pictures."""
        rows = np.array([self.numbers[place] for place in self.places])
        return dict(zip(self.names, rows.T, strict=True))


class Kept:
    """Finished rows in a file, a line of JSON each, so that a run that was killed goes on where it stopped.

    Parameters
    ----------
    path : Path
        Its folder is made with the first row.  :meth:`remove` it when the result is written.

    Notes
    -----
    Rows of another configuration and lines that are damaged, as the last one of a killed run may be, are passed over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._of = ""
        self._begin = "\n"  # what a kill cut off stays a line of its own

    def rows(self, configuration: Mapping[str, Any]) -> Iterator[Row]:
        """Yield the rows of an earlier run: of the same configuration, version and libraries, in types of JSON."""
        content = {**configuration, "theorylab": __version__, "libraries": _json.run()["libraries"]}
        self._of = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
        if not self.path.is_file():
            return
        with open(self.path, "rb") as lines:
            for line in lines:
                try:
                    found = json.loads(line)
                    if found.pop("of") == self._of:
                        yield Row(**found)
                except (ValueError, TypeError, AttributeError, KeyError):
                    continue

    def add(self, row: Row) -> None:
        """Append a row."""
        line = json.dumps({"of": self._of, **dataclasses.asdict(row)}, separators=(",", ":"))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="ascii") as stream:
                stream.write(f"{self._begin}{line}\n")
        except OSError as error:
            raise _files.NotWritten(
                error.errno, f"cannot be written: {error.strerror}", str(self.path)
            ) from None
        self._begin = ""

    def remove(self) -> None:
        """Remove the file, if there is one."""
        self.path.unlink(missing_ok=True)


def executor_for(
    jobs: int | None, scheduler: str | None, notify: Callable[[str], None] | None = None
) -> Executor:
    """Return where pictures are measured: on a cluster, which is asked at once, or here, in all or so many processes."""
    if scheduler is None:
        return JoblibExecutor(jobs or int(joblib.cpu_count()))
    executor = DaskExecutor(scheduler, notify=notify)
    executor.connect()
    return executor


def enough(executor: Executor | None, count: int) -> Executor | None:
    """Return an executor with no more processes than there are blocks of so many pictures."""
    if not isinstance(executor, JoblibExecutor):
        return executor
    return JoblibExecutor(min(executor.jobs, max(1, -(-count // BLOCK))))


def measure_all(
    measure: Measure,
    count: int,
    *,
    label: str,
    configuration: Mapping[str, Any] | None = None,
    kept: Kept | None = None,
    executor: Executor | None = None,
    block: int = 1,
    progress: Progress | None = None,
) -> Table:
    """Measure the pictures 0 … `count` − 1, or those that an earlier run has not kept.

    Parameters
    ----------
    measure : Measure
    count : int
    label : str
        For progress, in pictures.
    configuration : mapping, optional
        With `kept`: all that the numbers depend on beside the pictures, in types of JSON.
    kept : Kept, optional
    executor : Executor, optional
        None: here, with as many BLAS threads as there are.
    block : int
        Pictures a call of `measure` here.
    progress : callable, optional

    Returns
    -------
    Table
        The same for every executor, and however often it was interrupted.

    Raises
    ------
    ValueError
        If a worker cannot read a picture that can be read here.
    """
    table = Table()
    for row in () if kept is None else kept.rows(configuration or {}):
        if 0 <= row.place < count and measure.stands(row):
            table.add(row)
    missing = [place for place in range(count) if place not in table.numbers]
    done = count - len(missing)
    if progress is not None:
        progress(label, done, count)
    executor = enough(executor, len(missing))
    here = executor is None or (isinstance(executor, JoblibExecutor) and executor.jobs == 1)
    block = block if here else BLOCK
    calls = (
        (first, Call(measure, tuple(missing[first : first + block])))
        for first in range(0, len(missing), block)
    )
    results = (
        ((first, call.run()) for first, call in calls) if executor is None else executor.run(calls, keep=True)
    )
    for _, rows in results:
        for row in rows:
            if row.skipped and not here and measure.readable(row.place):
                raise ValueError(
                    f"picture {row.place + 1}: a worker cannot read it, {row.skipped}; workers need the same files"
                )
            if kept is not None and not row.skipped:
                kept.add(row)
            table.add(row)
            done += 1
        if progress is not None:
            progress(label, done, count)
    return table


__all__ = ["Files", "Kept", "Measure", "Row", "Table", "Unreadable", "executor_for", "measure_all"]
