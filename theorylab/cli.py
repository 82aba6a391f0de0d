"""The command line: the commands under one name.  There is no mathematics here."""

from __future__ import annotations

import errno
import functools
import io
import itertools
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer
import typer.core

from theorylab import _interrupt
from theorylab._files import NotWritten
from theorylab.commands import _output as output
from theorylab.commands import audit, check, claims, converge, explore, figure, predict, verify, visualize

BAD_INPUT, NOT_WRITTEN, INTERRUPTED = 2, 3, 130  # exit statuses
# What happens to an output whatever the input is.
_FULL = {
    errno.ENOSPC,
    errno.EIO,
    errno.EFBIG,
    errno.EROFS,
    errno.EBADF,
    getattr(errno, "EDQUOT", errno.ENOSPC),
}
# Click folds paragraphs, except those that begin with this sign.
_AS_IT_STANDS = "\b\n"
_STATUS = """Exit status:
  0    every check passed, every negative control was rejected
  1    a check failed, or a negative control was not rejected; check: not right
  2    bad input: one message on stderr, nothing half-written
  3    the work was done, but a file or stdout could not be written: a full disk
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
                    ("theorylab verify --budget quick", "every claim of the paper, in a minute"),
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

        output.line(f"theorylab {theorylab.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


class _Command(typer.core.TyperCommand):
    """A command whose mistakes of usage are told in our words."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, or say what came and what was expected."""
        given = list(args)
        try:
            rest = super().parse_args(ctx, args)
        except _Usage as error:
            names = getattr(getattr(error, "param", None), "opts", ())
            error.message = _words(str(error.message), given, names)
            if "unexpected extra argument" in error.message and any(
                "--image" in param.opts for param in self.params
            ):
                error.message += "; a picture is given by --image"
            if "--image" in error.message and any(param.opts == ["image"] for param in self.params):
                error.message += f"; a picture is given without it: theorylab {ctx.info_name} PICTURE"
            raise
        for param in self.params:
            value = ctx.params.get(param.name)
            if "" in (value if isinstance(value, (list, tuple)) else [value]):
                _fail(f"{param.opts[0]}: is empty")
        return rest


# typer may bring its own copy of click.
_Usage: Any = typer.BadParameter.__mro__[1]


def _words(message: str, given: Sequence[str], names: Sequence[str]) -> str:
    """Return a message of the parser in plain words, with the value that came."""
    library = re.match("(?:Value error, )?Input should be (.*?)(?:, unable to parse.*)?$", message)
    if library is None:
        return message.removeprefix("Value error, ")
    expected = (
        library[1].replace("greater than or equal to", "at least").replace("less than or equal to", "at most")
    )
    values = [value for word, value in itertools.pairwise(given) if word in names]
    values += [word.partition("=")[2] for word in given if word.partition("=")[0] in names and "=" in word]
    return f"expected {expected}" + (f", got {values[-1]!r}" if values else "")


def _fail(message: str, status: int = BAD_INPUT) -> NoReturn:
    as_option = re.sub(
        r"^n_(\w+):", r"--\1:", message
    )  # the library has n_filters where the shell has --filters
    try:
        os.getcwd()
    except OSError:  # which names nothing
        as_option = f"the working folder is gone: {as_option}"
    output.line(f"theorylab: error: {' '.join(as_option.split())}", err=True)
    raise typer.Exit(status)


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """End bad input, output that fails and Ctrl-C with one line and a status of their own; a bug keeps its traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            _interrupt.is_raised()
            if kwargs.get("quiet"):  # of its cache, where the home folder cannot be written
                logging.getLogger("matplotlib").setLevel(logging.ERROR)
            with output.results_alone():
                command(*args, **kwargs)
        except KeyboardInterrupt:
            output.line("theorylab: interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            output.give_up_what_is_held()  # the reader has gone (`| head`)
            raise typer.Exit(NOT_WRITTEN) from None
        except OSError as error:
            late = isinstance(error, NotWritten) or error.errno in _FULL
            output.give_up_what_is_held()
            where = error.filename or (late and "the output")  # a stream has no name
            _fail(
                f"{where}: {error.strerror}" if where and error.strerror else error.strerror or str(error),
                NOT_WRITTEN if late else BAD_INPUT,
            )
        except MemoryError as error:
            _fail(
                f"too little memory: {error or 'no more to be had'}; fewer filters or logits, or a smaller picture, need less"
            )
        except (ModuleNotFoundError, NotImplementedError, TypeError, ValueError) as error:
            if isinstance(error, ModuleNotFoundError) and error.name is not None:
                raise  # not one of our optional dependencies
            if isinstance(error, NotImplementedError):
                from theorylab.analytic.nolaw import NoLaw

                if not isinstance(error, NoLaw):
                    raise
            _fail(str(error) or type(error).__name__)

    return run


for module in (claims, verify, visualize, predict, figure, converge, audit, check, explore):
    command = getattr(module, module.__name__.rpartition(".")[2])
    epilog = "\n\n".join([_examples(module.EXAMPLES), *filter(None, [getattr(module, "NOTES", "")])])
    app.command(cls=_Command, epilog=epilog)(_guarded(command))


def main() -> None:
    """Entry point of ``theorylab`` and ``python -m theorylab``."""
    output.stand_in_for_closed_streams()
    output.keep_stdout_for_results()
    output.accept_any_text()
    output.forget_sizes_of_nothing()
    output.let_no_message_fail()
    _interrupt.ends_all()
    try:
        try:
            app(prog_name="theorylab")
        finally:
            sys.stdout.flush()
            if isinstance(
                sys.stdout, io.TextIOBase
            ):  # and not what click puts there when the reader has gone
                # What the user's code prints at the end, or in a thread that goes on, is no result.
                sys.stdout = sys.stderr
    except KeyboardInterrupt:  # after the command itself
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        output.give_up_what_is_held()
        # --help or --version, which no command guards
        print(f"theorylab: error: the output: {error.strerror}", file=sys.stderr)
        sys.exit(NOT_WRITTEN)
    finally:
        # What is left is to end workers, which is not to be told in a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
