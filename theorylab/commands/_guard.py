"""How a command ends when something is wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn

import typer

INTERRUPTED = 130


def _fail(message: str) -> NoReturn:
    typer.echo(f"theorylab: error: {' '.join(message.split())}", err=True)
    raise typer.Exit(2)


def guarded(command: Callable[..., None]) -> Callable[..., None]:
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
