"""The progress of a long run: its callback, and bars on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

Progress = Callable[[str, int, int], None]
"""``progress(label, done, total)``, called as work is done; a total of 0 says that the end is not known."""

_NUMBERS = 53  # columns of the bar and the numbers after a label, for totals of up to five digits


@contextlib.contextmanager
def live(quiet: bool = False) -> Iterator[Progress | None]:
    """Yield a callback ``progress(label, done, total)`` that draws a bar for each label: done, total, time left.

    Parameters
    ----------
    quiet : bool, default False
        Show nothing.

    Yields
    ------
    callable or None
        None if `quiet`, or if stderr is a pipe or a file, where bars would be noise.  A total of 0 says that the end is
        not known; the bar then only moves.  A finished bar goes when another begins.

    Examples
    --------
    >>> with live(quiet=True) as progress:
    ...     print(progress)
    None
    """
    from theorylab import _rich  # noqa: F401

    # isort: split
    from rich import progress
    from rich.console import Console
    from rich.table import Column

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    # On a narrow terminal shorten a long label rather than the numbers.
    label = Column(no_wrap=True, overflow="ellipsis", max_width=max(12, console.width - _NUMBERS))
    columns = (
        progress.TextColumn("{task.description}", markup=False, table_column=label),
        progress.BarColumn(bar_width=12),
        progress.MofNCompleteColumn(),
        progress.TaskProgressColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
    )
    # Lines of others stand above the bars; those for a file must not be sent to the terminal.
    shared = sys.stdout.isatty()
    # An hour's speed, so that the time left is told of steps that take minutes, too.
    with progress.Progress(
        *columns, console=console, transient=True, redirect_stdout=shared, speed_estimate_period=3600
    ) as bars:
        tasks: dict[str, progress.TaskID] = {}

        def update(label: str, done: int, total: int) -> None:
            if label not in tasks:
                for name in [
                    name for name, task in tasks.items() if bars.tasks[bars.task_ids.index(task)].finished
                ]:
                    bars.remove_task(tasks.pop(name))  # what is finished makes room for what runs
                tasks[label] = bars.add_task(label, total=total or None)
            bars.update(tasks[label], completed=done, total=total or None)

        yield update


def stepper(progress: Progress | None, label: str, total: int) -> Callable[[], None]:
    """Return a function to call after each of `total` steps; it reports to `progress` unless that is None.

    Examples
    --------
    >>> step = stepper(lambda *words: print(*words), "maps", 2)
    >>> step()
    maps 1 2
    """
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(label, done, total)

    return step
