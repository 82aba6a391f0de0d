"""Colours and the width of a figure, its title, and whose settings it is drawn by."""

from __future__ import annotations

import contextlib
import os
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The hues of Okabe and Ito, distinct with any colour vision, as dark as to have a contrast of 4.5 to white; in place of their
# sky blue, which would then be blue, a grey.
PALETTE = ("#0072B2", "#C25500", "#007F5C", "#B0558B", "#6b6b6b", "#8F6400", "#000000")
INK, FAINT = "#1a1a1a", "#6b6b6b"
WIDTH = 6.4  # inches; narrow, so that the words stay legible on a phone
TITLE = 10  # points
_LETTERS, _LINE = 12, 0.17  # of a bold title: letters in an inch, inches of a line


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """Draw by matplotlib's defaults in place of the user's settings, which may ask for LaTeX and are back afterwards.

    Examples
    --------
    >>> import matplotlib
    >>> with plain():
    ...     matplotlib.rcParams["text.usetex"]
    False
    """
    # Figures are written without a backend: that MPLBACKEND names one that is not known here, as Jupyter's, must not matter.
    backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = backend
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def wrapped(title: str, width: float) -> str:
    """Break a title into as few lines of at most `width` inches as hold it, about equally long."""
    most = int(_LETTERS * width)
    count = len(textwrap.wrap(title, most))
    return next(
        (words for n in range(1, most) if len((words := textwrap.fill(title, n)).splitlines()) <= count),
        title,
    )


def entitle(canvas: Figure, title: str) -> None:
    """Write a title over a figure, which grows by its lines."""
    if title:
        width, height = canvas.get_size_inches()
        words = "\n".join(wrapped(line, width) for line in title.splitlines())
        canvas.set_size_inches(width, height + _LINE * (2 + words.count("\n")))
        canvas.suptitle(
            words, x=0.01, ha="left", fontsize=TITLE, fontweight="bold", color=INK, parse_math=False
        )
