"""The command line: the commands under one name.  There is no mathematics here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from theorylab.commands import audit, claims, converge, figure, predict, verify, visualize
from theorylab.commands._guard import INTERRUPTED, guarded

# Click folds paragraphs, except those that begin with this sign.
_AS_IT_STANDS = "\b\n"
_STATUS = """Exit status:
  0    every check passed, every negative control was rejected
  1    a check failed, or a negative control was not rejected
  2    bad input: one message on stderr, nothing half-written
  130  interrupted"""
_STREAMS = """Results go to stdout, progress and messages to stderr.  Progress is shown on a terminal only; colours too, and not
under NO_COLOR.  Every command takes --quiet and --json."""


def _examples(examples: Sequence[tuple[str, str]]) -> str:
    lines = [f"  {command}\n      {what}" for command, what in examples]
    return _AS_IT_STANDS + "\n".join(["Examples:", *lines])


app = typer.Typer(
    help="A laboratory that tests the theory of backpropagation-based visualizations.",
    epilog="\n\n".join(
        (
            _examples(
                (
                    ("theorylab verify --budget quick", "every claim of the paper, in some two minutes"),
                    ("theorylab visualize photo.jpg", "three rules on your picture: photo-maps.png"),
                    ("theorylab COMMAND --help", "options of one command, and more examples"),
                )
            ),
            _AS_IT_STANDS + _STATUS,
            _STREAMS,
        )
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(requested: bool) -> None:
    if requested:
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


for module in (claims, verify, visualize, predict, figure, converge, audit):
    command = getattr(module, module.__name__.rpartition(".")[2])
    app.command(epilog=_examples(module.EXAMPLES))(guarded(command))


def main() -> None:
    """Entry point of ``theorylab`` and ``python -m theorylab``."""
    try:
        app(prog_name="theorylab")
    except KeyboardInterrupt:  # while a module was being imported
        sys.exit(INTERRUPTED)
