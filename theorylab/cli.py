"""The command line: the commands under one name.  There is no mathematics here."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer

from theorylab.commands import audit, claims, converge, figure, predict, verify, visualize

INTERRUPTED = 130  # exit status
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


def _fail(message: str) -> NoReturn:
    typer.echo(f"theorylab: error: {' '.join(message.split())}", err=True)
    raise typer.Exit(2)


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """End bad input with one line and status 2, Ctrl-C with status 130; a bug keeps its traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            typer.echo("theorylab: interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise  # the reader of the output has gone (`| head`): not an error of the input
        except OSError as error:
            known = error.filename is not None and error.strerror is not None
            _fail(f"{error.filename}: {error.strerror}" if known else str(error))
        except (ModuleNotFoundError, NotImplementedError, TypeError, ValueError) as error:
            if isinstance(error, ModuleNotFoundError) and error.name is not None:
                raise  # not one of our optional dependencies
            if isinstance(error, NotImplementedError):
                from theorylab.analytic.nolaw import NoLaw

                if not isinstance(error, NoLaw):
                    raise
            _fail(str(error) or type(error).__name__)

    return run


for module in (claims, verify, visualize, predict, figure, converge, audit):
    command = getattr(module, module.__name__.rpartition(".")[2])
    app.command(epilog=_examples(module.EXAMPLES))(_guarded(command))


def main() -> None:
    """Entry point of ``theorylab`` and ``python -m theorylab``."""
    try:
        app(prog_name="theorylab")
    except KeyboardInterrupt:  # while a module was being imported
        sys.exit(INTERRUPTED)
