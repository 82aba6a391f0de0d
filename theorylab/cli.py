"""The command line: the commands under one name.  There is no mathematics here."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from theorylab.commands import audit, claims, converge, figure, predict, verify, visualize
from theorylab.commands._guard import INTERRUPTED, guarded

app = typer.Typer(
    help="A laboratory that tests the theory of backpropagation-based visualizations.\n\n"
    "Exit status: 0 all checks passed, 1 a check failed, 2 bad input.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        import theorylab

        typer.echo(f"theorylab {theorylab.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for command in (
    claims.claims,
    verify.verify,
    visualize.visualize,
    predict.predict,
    figure.figure,
    converge.converge,
    audit.audit,
):
    app.command()(guarded(command))


def main() -> None:
    """Entry point of ``theorylab`` and ``python -m theorylab``."""
    try:
        app(prog_name="theorylab")
    except KeyboardInterrupt:  # while a module was being imported
        sys.exit(INTERRUPTED)
