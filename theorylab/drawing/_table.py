"""A plain table in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from theorylab.drawing._numbers import number

if TYPE_CHECKING:
    from rich.table import Table


def empty_table() -> Table:
    """Make a table of rich without columns, in the style of all tables here."""
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def table(header: Sequence[str], rows: Sequence[Sequence[str | float]]) -> Table:
    """Make a plain table: words to the left, numbers to the right.

    Examples
    --------
    >>> table(("rule", "cosine"), [("guided", 0.25)]).row_count
    1
    """
    from rich.text import Text

    result = empty_table()
    for column, title in enumerate(header):
        numbers = any(isinstance(row[column], float) for row in rows)
        # Fold only the last column of words, so that ids stay whole.
        whole = numbers or column == 0
        result.add_column(title, justify="right" if numbers else "left", no_wrap=whole, overflow="fold")
    for row in rows:
        result.add_row(*(Text(number(cell) if isinstance(cell, float) else cell) for cell in row))
    return result
