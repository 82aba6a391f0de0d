"""Output of the commands: a figure, a table, JSON, a line."""

from __future__ import annotations

import codecs
import contextlib
import contextvars
import dataclasses
import errno
import io
import os
import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    import numpy as np

    from theorylab.exhibits import Exhibit
    from theorylab.subjects import Subject

_PIPE, _TERMINAL = 140, 80  # columns, where there is no other word
# One character for one, where that is possible: tables stay aligned.
_PLAIN = dict(zip("−–—─✓✗\xa0×·•…", "----+x x**.", strict=True)) | {"±": "+-"}

_STDOUT: contextvars.ContextVar[TextIO] = contextvars.ContextVar("where a running command writes its results")


@contextlib.contextmanager
def results_alone() -> Iterator[None]:
    """Keep stdout for the results: what else is printed there, as by code of the user, goes to stderr."""
    before = _STDOUT.set(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _STDOUT.reset(before)


def _stdout() -> TextIO:
    return _STDOUT.get(sys.stdout)


def _width(terminal: TextIO) -> int:
    """Return how many columns a terminal has; not by shutil, which asks the descriptor 1, where no results go."""
    try:
        found = os.get_terminal_size(terminal.fileno()).columns
    except (OSError, ValueError):
        found = 0
    given = os.environ.get("COLUMNS", "")
    return (int(given) if given.isdecimal() else 0) or found or _TERMINAL


class _Closed(io.TextIOBase):
    """In the place of a stdout that was closed (``>&-``), which Python calls None and print passes over in silence."""

    def write(self, text: str) -> NoReturn:
        raise OSError(errno.EBADF, "stdout is closed")


def stand_in_for_closed_streams() -> None:
    """Let what is printed on a closed stdout fail as on a full disk, and what goes to a closed stderr go nowhere."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # else the next file that is opened would be stdout, for libraries that print there
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def keep_stdout_for_results() -> None:
    """Give the results a descriptor of their own: what else is written to stdout's, as by ``os.system``, goes to stderr.

    For the whole process, once: code of C and threads that go on write when they like.  Not where stdout is no descriptor.
    """
    with contextlib.suppress(OSError, ValueError):
        if sys.stdout.fileno() != 1:
            return
        sys.stdout.flush()
        results = os.dup(1)  # which children do not inherit
        os.dup2(2, 1)
        sys.stdout = open(results, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)  # noqa: SIM115


def give_up_what_is_held() -> None:
    """Let what stdout cannot write go nowhere: Python would try it again at the end, and end with a status of its own."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def forget_sizes_of_nothing() -> None:
    """Take a width or height that is no positive number, as COLUMNS=0, as unset: tables of no width are not seen."""
    for name in ("COLUMNS", "LINES"):
        value = os.environ.get(name, "")
        if not (value.isdecimal() and int(value)):
            os.environ.pop(name, None)


def let_no_message_fail() -> None:
    """Let a stderr that cannot be written, as on a full disk, change nothing: the exit status tells what happened."""

    def told(write: Callable[..., Any]) -> Callable[..., Any]:
        def called(*text: str) -> Any:
            try:
                return write(*text)
            except OSError:
                return sum(map(len, text))

        return called

    for name in ("write", "flush"):
        setattr(sys.stderr, name, told(getattr(sys.stderr, name)))


def accept_any_text() -> None:
    """Let stdout and stderr replace what their encoding lacks: work that is done must not end for want of a sign."""

    def replaced(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        part = error.object[error.start : error.end]
        # A byte of a file name that is not in the encoding of the system comes as a lone surrogate.
        plain = (f"\\u{ord(c):x}" if "\ud800" <= c <= "\udfff" else _PLAIN.get(c, "?") for c in part)
        return "".join(plain), error.end

    codecs.register_error("theorylab", replaced)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="theorylab")


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def visible(text: str) -> str:
    """Return the name of a file with escapes for control characters, which a terminal would obey."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def written(files: Iterable[object], word: str = "Written") -> None:
    """Say which files were written."""
    line(f"{word}: {', '.join(visible(str(file)) for file in files)}")


def line(text: str, *, err: bool = False) -> None:
    """Print a line on stdout, or on stderr; or several."""
    text = "\n".join(map(visible, text.split("\n")))
    stream = sys.stderr if err else _stdout()
    if stream.isatty():  # which would break words
        width = _width(stream)
        text = "\n".join(
            textwrap.fill(each, width, break_long_words=False, break_on_hyphens=False)
            for each in text.splitlines()
        )
    # Not by typer.echo, which writes past the bars of progress and makes streams of its own for ASCII.
    print(text, file=stream, flush=True)


def warn(text: str) -> None:
    """Print a warning on stderr."""
    line(f"theorylab: warning: {text}", err=True)


@contextlib.contextmanager
def resumable(folder: Path, what: str, files: str) -> Iterator[None]:
    """Say at an interrupt that what is finished is kept in `folder`, and how to go on, if there are such `files` in it."""
    try:
        yield
    except KeyboardInterrupt:
        if any(folder.glob(files)):
            command = shlex.join(["theorylab", *sys.argv[1:]])
            place = visible(str(folder))
            line(f"theorylab: finished {what} are kept in {place}; resume with: {command}", err=True)
        raise


def warn_of_skipped(folder: str, skipped: Sequence[Mapping[str, str]]) -> None:
    """Name the pictures of a folder that could not be read."""
    for one in skipped:
        warn(f"{visible(os.path.join(folder, one['file']))}: skipped, {one['reason']}")


def table_file(name: str | None, image: str | None) -> Path | None:
    """Return the file of a table, after a check that it can be written: it replaces what is named as a table alone."""
    from theorylab import _files

    if name is None:
        return None
    file = Path(_files.place(name))
    if file.suffix.lower() != ".csv":
        raise ValueError(f"--csv: expected a name that ends in .csv, got {name!r}")
    _files.check_file(name, image)
    return file


def figure_file(out: str | None, image: str, kind: str) -> Path:
    """Return the file of a figure, after a check that it can be written."""
    from theorylab import _files, drawing

    file = f"{Path(image).stem}-{kind}.png" if out is None else _files.place(out)
    drawing.check_path(file, read=image)
    return Path(file)


def picture(
    image: str, size: int, preset: str, fit: str, subject: Subject | None = None
) -> tuple[np.ndarray, dict[str, Any], str]:
    """Return a prepared picture, what there is to say of it for programs, and what was done to it in words.

    The preset "model" prepares it as `subject` does.
    """
    from theorylab import _json, images

    own = None if subject is None else subject.read(image, fit)
    x = images.load(image, size, preset, fit) if own is None else own
    height, width = images.original(image).shape[:2]
    done = {"squeeze": "squeezed", "crop": "cropped"}[fit] if height != width else "resized"
    grown = ", enlarged" if min(height, width) < size else ""
    about: dict[str, Any] = {"image": image, "preset": preset, "picture_size": [height, width], "fit": fit}
    about["picture"] = _json.picture(x, name=image)
    return x, about, f"{width}×{height} pixels, {done}{grown} to {size}×{size}"


def show(
    exhibit: Exhibit, file: Path, about: dict[str, Any], words: str, *, quiet: bool, as_json: bool
) -> None:
    """Save a figure, then write its numbers as JSON, with `about` before them, or as a table; `words`: on the picture."""
    from theorylab import drawing

    panels = tuple(
        dataclasses.replace(panel, title=f"input: {words}") if panel.title == "input" else panel
        for panel in exhibit.figure.panels
    )
    before = file.exists()
    try:
        drawing.save(dataclasses.replace(exhibit.figure, panels=panels), file)
    finally:  # numbers are not lost with a picture
        if as_json:
            as_text({**about, **exhibit.numbers, "files": [str(file)]})
        elif not quiet:
            display(drawing.table(exhibit.header, exhibit.rows))
            line(f"Input: {words}")
            for note in exhibit.notes:
                line(note)
    if not (quiet or as_json):
        written([file], "Replaced" if before else "Written")


def as_text(content: Any) -> None:
    """Print JSON on stdout, with null for numbers that are not finite; a result says when and with what it was made."""
    from theorylab import _json

    as_it_stands((_json.document if isinstance(content, dict) else _json.text)(content))


def as_it_stands(text: str) -> None:
    """Print text on stdout, of any width."""
    print(text, end="", file=_stdout(), flush=True)


def display(renderable: Any) -> None:
    """Print a table on stdout: without escape codes in a pipe, and without any under NO_COLOR."""
    from rich.console import Console

    class Told(Console):
        def on_broken_pipe(self) -> None:  # in place of an end with status 1
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    # A pipe has no width: make it wide enough not to wrap ids, so that grep finds them.
    piped = not _stdout().isatty() and "COLUMNS" not in os.environ
    Told(
        file=_stdout(),
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        width=_PIPE if piped else _width(_stdout()),
    ).print(renderable)
