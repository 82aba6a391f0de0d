"""Write files whole or not at all, and say in one line why a file cannot be read or written."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from theorylab import _interrupt

_REFUSED = "cannot be written: "


class NotWritten(OSError):
    """A file could not be written though its place had been tried: no fault of the input."""


def place(path: str | os.PathLike[str]) -> str:
    """Return a path with the home folder in the place of ``~``, which a shell leaves after ``--out=`` and within quotes.

    ``~name`` of nobody is a name like any other.  A ValueError if there is no home folder: nothing shall be called ``~``.

    Examples
    --------
    >>> place("~/a.png").endswith("~/a.png"), place("./~/a.png").endswith("/~/a.png"), place("a.png")
    (False, True, 'a.png')
    """
    given = os.fspath(path)
    expanded = os.path.expanduser(given)
    if Path(expanded).parts[:1] != ("~",):
        return expanded
    if given.startswith("~"):
        raise ValueError(f"{given}: there is no home folder here; write ./{given} for a folder called ~")
    return os.path.abspath(given)  # pathlib would drop the "./"


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> Path:
    """Write a file so that a reader sees the old content or the new one, never a part; return the path as given.

    Text is encoded as UTF-8, and bytes of file names that are no UTF-8 as escapes.  A symbolic link is followed, an existing
    file replaced.  An OSError, of which :class:`NotWritten` is one, if the folder is missing or not writable, or `path` is a
    folder or a device.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(f"{folder}/note.txt", "whole").read_text()
    'whole'
    """
    check_file(path)
    given = Path(place(path))
    target = Path(os.path.realpath(given))
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    try:
        with _new_file_in(target.parent) as (temporary, stream):
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            stream.close()
            os.replace(temporary, target)
    except OSError as error:
        # Name the file that the caller asked for, not the temporary one.
        raise NotWritten(error.errno, f"{_REFUSED}{error.strerror}", os.fspath(given)) from None
    return given


@contextlib.contextmanager
def _new_file_in(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield a hidden new file, open for writing, which is removed at the end unless it has been moved."""
    temporary = folder / f".theorylab-{secrets.token_hex(6)}.tmp"
    try:
        # Not by tempfile, whose files only their owner can read.
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as stream:
            yield temporary, stream
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_together(folder: str | os.PathLike[str], content: Mapping[str, bytes | str]) -> list[Path]:
    """Write several files into a folder, by their paths within it, all or none and in this order.

    Missing folders are made; files of the same names are replaced, others kept.  An error, :class:`NotWritten` where the system
    refuses, leaves the folder as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as top:
    ...     [path.read_text() for path in write_together(f"{top}/new", {"a/b.txt": "1", "c.txt": "2"})]
    ['1', '2']
    """
    folder = Path(place(folder))
    targets = [folder / name for name in content]
    parents = {parent for target in targets for parent in target.parents}
    missing = sorted((path for path in parents if not path.exists()), key=lambda path: -len(path.parts))
    # The plan: write the new files, and copies of the old ones, to a staging folder; move the new files to their names; if
    # anything fails, move the copies back and remove what is new.
    staging = folder / f".theorylab-{secrets.token_hex(6)}"
    moved: list[str] = []
    try:
        for name, data in content.items():
            for part in ("new", "old"):
                (staging / part / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(staging / "new" / name, data)
            if os.path.lexists(folder / name):
                shutil.copy2(folder / name, staging / "old" / name, follow_symlinks=False)
        for name, target in zip(content, targets, strict=True):
            target.parent.mkdir(exist_ok=True, parents=True)
            os.replace(staging / "new" / name, target)
            moved.append(name)
    except BaseException as error:
        for name in moved:
            with contextlib.suppress(OSError):
                (folder / name).unlink()
                os.replace(staging / "old" / name, folder / name)
        shutil.rmtree(staging, ignore_errors=True)
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()
        if isinstance(error, OSError):
            reason = str(error.strerror or error).removeprefix(_REFUSED)
            raise NotWritten(error.errno, f"{_REFUSED}{reason}", str(folder)) from error
        raise
    shutil.rmtree(staging, ignore_errors=True)
    return targets


def check_file(path: str | os.PathLike[str], read: str | os.PathLike[str] | None = None) -> None:
    """Raise an OSError, and leave nothing behind, if no file can be written at `path`: the error says why.

    A file that is `read` is not written.
    """
    given = place(path)
    target = Path(os.path.realpath(given))
    if read is not None and target.exists() and target == Path(os.path.realpath(place(read))):
        raise FileExistsError(f"{given}: is what is read, and will not be replaced")
    if target.is_dir() or os.path.basename(given) in ("", "."):  # by its slash, which pathlib would drop
        raise IsADirectoryError(f"{given}: is a folder, not a file")
    if target.exists() and not target.is_file():
        raise FileExistsError(f"{given}: is not an ordinary file, and will not be replaced")
    if not target.parent.exists():
        raise FileNotFoundError(f"{given}: there is no folder {target.parent}")
    if not target.parent.is_dir():
        raise NotADirectoryError(f"{given}: {target.parent} is a file, not a folder")
    _try(target, f"{given}: the folder {target.parent}")


def check_folder(
    folder: str | os.PathLike[str], names: Iterable[str] = (), read: str | os.PathLike[str] | None = None
) -> None:
    """Raise an OSError, and leave nothing behind, if files of these names cannot be written into `folder`, which may be missing.

    Neither a file that is `read` is written, nor any file into a folder that is, where the next run would read it.  Nor is a file
    read from a folder within `folder` that is written to: files there have names that nobody knows before.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     check_folder(file.name)
    Traceback (most recent call last):
        ...
    NotADirectoryError: /...: is a file, not a folder
    """
    folder = Path(place(folder))
    source = None if read is None else os.path.realpath(place(read))
    for target in (folder / "a file", *(folder / name for name in names)):
        parent = os.path.realpath(target.parent)
        # What is no file is the name of a bundled picture.
        if (
            source
            and target.parent != folder
            and os.path.isfile(source)
            and parent == os.path.dirname(source)
        ):
            raise FileExistsError(
                f"{read!s}: is read from a folder that results are written to, {target.parent}"
            )
        if parent == source and os.path.isdir(parent):
            raise FileExistsError(
                f"{target.parent}: is the folder that is read, and what is written there would be read next time; "
                "choose another one"
            )
        existing = target.parent
        while not os.path.lexists(existing) and existing != existing.parent:
            existing = existing.parent
        if not existing.is_dir():
            of = "" if existing == folder else f" (wanted: the folder {folder})"
            raise NotADirectoryError(f"{existing}: is a file, not a folder{of}")
        _try(target, f"{existing}: the folder", existing)
        if os.path.lexists(target):
            check_file(target, read)


def _try(target: Path, words: str, folder: Path | None = None) -> None:
    """Write a file into `folder`, the one that `target` will be in or one above, and remove it: rights alone do not tell."""
    folder = folder or target.parent
    for part in target.relative_to(folder).parts:
        with contextlib.suppress(FileNotFoundError):
            os.lstat(folder / part)  # is the name itself possible?
    try:
        with _new_file_in(folder):
            pass
    except OSError as error:
        raise type(error)(f"{words} is not writable: {error.strerror}") from None


def check_readable(path: str, where: str, kind: str = "file") -> str:
    """Return the :func:`place` of a file, or raise a ValueError unless it is an ordinary one that is not empty.

    `where` begins the message, and `kind` is the kind of file that is expected.
    """
    path = place(path)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise ValueError(f"{where}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise ValueError(f"{where}: cannot be read, {getattr(error, 'strerror', None) or error}") from None
    if stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{where}: is a folder, not a {kind}")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{where}: is not an ordinary file")
    if status.st_size == 0:
        raise ValueError(f"{where}: the file is empty")
    return path


@contextlib.contextmanager
def decoding(where: str) -> Iterator[None]:
    """Turn what a decoder raises, which is almost anything for a broken file, into a ValueError of one line.

    `where` begins the message.  Warnings are dropped; that a decoder is not installed is told as it is.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except ModuleNotFoundError:
            raise
        except Exception as error:
            if _interrupt.from_handler(error):
                raise
            said = (isinstance(error, OSError) and error.strerror) or str(error)
            detail = " ".join(said.split()) or type(error).__name__
            raise ValueError(f"{where}: cannot be read, {detail}") from error
