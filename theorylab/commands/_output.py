"""What the commands write: a figure, a table, JSON, a line."""

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
    """Where a figure goes; that it can be written there is seen before the work begins."""
    from theorylab import drawing

    file = out or Path(f"{Path(image).stem}-{kind}.png")
    drawing.check_path(file)
    return file


def show(exhibit: Exhibit, file: Path, about: dict[str, Any], *, quiet: bool, as_json: bool) -> None:
    """Save a figure, then say in JSON or as a table what it shows; `about` says of what."""
    from theorylab import drawing

    drawing.save(exhibit.figure, file)
    if as_json:
        as_text({**about, **exhibit.numbers, "files": [str(file)]})
    elif not quiet:
        display(drawing.table(exhibit.header, exhibit.rows))
        typer.echo(f"Written: {file}")


def as_text(content: Any) -> None:
    """JSON on stdout, of which every number is finite (null where it is not)."""
    from theorylab import _json

    typer.echo(_json.text(content), nl=False)


def display(renderable: Any) -> None:
    """Print a table on stdout: without escape codes in a pipe, and without any under NO_COLOR."""
    from rich.console import Console

    # A pipe has no width: wide enough that no id is broken, which whoever searches in it would miss.
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    Console(
        color_system=None if os.environ.get("NO_COLOR") else "auto", width=_PIPE if piped else None
    ).print(renderable)
