"""What the commands write: a figure, a table, JSON, a line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import typer

_PIPE = 140  # columns


def figure_file(out: Path | None, image: str, kind: str) -> Path:
    """Where a figure goes; that it can be written there is seen before the work begins."""
    from theorylab.report import plots

    file = out or Path(f"{Path(image).stem}-{kind}.png")
    plots.check_path(file)
    return file


def show(shown: Any, file: Path, about: dict[str, Any], *, quiet: bool, as_json: bool) -> None:
    """Save a figure, then say in JSON or as a table what it shows; `about` says of what."""
    from theorylab.report import plots, tables

    plots.save(shown.figure, file)
    if as_json:
        as_text({**about, **shown.numbers, "files": [str(file)]})
    elif not quiet:
        display(tables.table(shown.header, shown.rows))
        typer.echo(f"Written: {file}")


def as_text(content: Any) -> None:
    """JSON on stdout, of which every number is finite (null where it is not)."""
    from theorylab.figures import finite

    typer.echo(json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False))


def display(renderable: Any) -> None:
    """A table on stdout: no escape codes in a pipe, and none anywhere under NO_COLOR, not even for bold."""
    from rich.console import Console

    # A pipe has no width: wide enough that no id is broken, which whoever searches in it would miss.
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    Console(
        color_system=None if os.environ.get("NO_COLOR") else "auto", width=_PIPE if piped else None
    ).print(renderable)
