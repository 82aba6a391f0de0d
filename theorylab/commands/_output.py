"""What the commands write: a figure, a table, a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer


def figure_file(out: Path | None, image: str, kind: str) -> Path:
    """Where a figure goes; that it can be written there is seen before the work begins."""
    from theorylab.report import plots

    file = out or Path(f"{Path(image).stem}-{kind}.png")
    plots.check_path(file)
    return file


def show(shown: Any, file: Path) -> None:
    from theorylab.report import plots, tables

    plots.save(shown.figure, file)
    display(tables.table(shown.header, shown.rows))
    typer.echo(f"Written: {file}")


def display(renderable: Any) -> None:
    from rich.console import Console

    Console().print(renderable)
