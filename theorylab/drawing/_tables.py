"""Text and tables of a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from theorylab import _rich  # noqa: F401

# isort: split
from rich import box
from rich.console import Console, ConsoleOptions
from rich.containers import Lines
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from theorylab.drawing._numbers import number, with_error

_HELD = "\ue000"  # no white space to rich, which breaks lines at no-break spaces, too


Cell = str | float | tuple[float, float]


class Words(Text):
    """Text of rich whose lines break neither at a no-break space nor before a per cent sign."""

    def wrap(self, console: Console, width: int, **how: Any) -> Lines:
        """Divide it into lines."""
        lines = self._held().wrap(console, width, **how)
        for line in lines:
            line.plain = line.plain.replace(_HELD, "\N{NO-BREAK SPACE}")
        return lines

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the least width, and that of one line."""
        return self._held().__rich_measure__(console, options)

    def _held(self) -> Text:
        held = self.copy()  # a plain text of rich
        held.plain = re.sub(r"\xa0| (?=%)", _HELD, held.plain)
        return held


def empty_table() -> Table:
    """Make a table of rich without columns, in the style of all tables here."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    """Make a plain table: words to the left, numbers to the right; a pair is a number and its standard error.

    Examples
    --------
    >>> table(("rule", "cosine"), [("guided", 0.25)]).row_count
    1
    """
    result = empty_table()
    for column, title in enumerate(header):
        numbers = any(isinstance(row[column], (float, tuple)) for row in rows)
        # Fold only the last column of words, so that ids stay whole; a number that loses digits must not look like one.
        whole = numbers or column == 0
        result.add_column(
            title,
            justify="right" if numbers else "left",
            no_wrap=whole,
            overflow="ellipsis" if whole else "fold",
        )
    for row in rows:
        result.add_row(*map(_cell, row))
    return result


def _cell(cell: Cell) -> Words:
    if isinstance(cell, tuple):
        return Words(with_error(*cell))
    return Words(number(cell) if isinstance(cell, float) else cell)
