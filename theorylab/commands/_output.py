"""Output of the commands: a figure, a table, JSON, a line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from theorylab.exhibits import Exhibit

_PIPE = 140  # columns


def figure_file(out: Path | None, image: str, kind: str) -> Path:
    """Return the file of a figure, after a check that it can be written."""
    from theorylab import drawing

    file = out or Path(f"{Path(image).stem}-{kind}.png")
    drawing.check_path(file)
    return file


def show(exhibit: Exhibit, file: Path, about: dict[str, Any], *, quiet: bool, as_json: bool) -> None:
    """Save a figure, then write its numbers as JSON, with `about` before them, or as a table."""
    from theorylab import drawing

    drawing.save(exhibit.figure, file)
    if as_json:
        as_text({**about, **exhibit.numbers, "files": [str(file)]})
    elif not quiet:
        display(drawing.table(exhibit.header, exhibit.rows))
        for note in exhibit.notes:
            typer.echo(note)
        typer.echo(f"Written: {file}")


def as_text(content: Any) -> None:
    """Print JSON on stdout, with null for numbers that are not finite."""
    from theorylab import _json

    typer.echo(_json.text(content), nl=False)


def display(renderable: Any) -> None:
    """Print a table on stdout: without escape codes in a pipe, and without any under NO_COLOR."""
    from rich.console import Console

    # A pipe has no width: make it wide enough not to wrap ids, so that grep finds them.
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    Console(
        color_system=None if os.environ.get("NO_COLOR") else "auto", width=_PIPE if piped else None
    ).print(renderable)
