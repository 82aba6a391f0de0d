"""Write files whole or not at all, and say in one line why a file cannot be read or written."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> Path:
    """Write a file so that a reader sees the old content or the new one, never a part.

    Parameters
    ----------
    path : str or os.PathLike
        A symbolic link is followed; an existing file is replaced.
    content : bytes or str
        Text is encoded as UTF-8; line ends stay as they are.

    Returns
    -------
    pathlib.Path
        The path as given.

    Raises
    ------
    OSError
        If the folder is missing or not writable, or `path` is a folder or a device.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(f"{folder}/note.txt", "whole").read_text()
    'whole'
    """
    given, target = Path(path), Path(os.path.realpath(path))
    check_file(given)
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
    data = content.encode() if isinstance(content, str) else content
    try:
        # Not tempfile, whose files are private (0600): the result gets the user's ordinary permissions.
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except OSError as error:
        # Name the file that the caller asked for, not the temporary one.
        raise type(error)(error.errno, f"cannot be written: {error.strerror}", os.fspath(path)) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return given


def check_file(path: str | os.PathLike[str]) -> None:
    """Check, without writing, that a file can be written at `path`.

    Raises
    ------
    OSError
        If `path` is a folder or a device, or the folder around it is missing, not a folder or not writable.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{os.fspath(path)}: is a folder, not a file")
    if target.exists() and not target.is_file():
        raise FileExistsError(f"{os.fspath(path)}: is not an ordinary file, and will not be replaced")
    if not target.parent.exists():
        raise FileNotFoundError(f"{os.fspath(path)}: there is no folder {target.parent}")
    if not target.parent.is_dir():
        raise NotADirectoryError(f"{os.fspath(path)}: {target.parent} is a file, not a folder")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"{os.fspath(path)}: the folder {target.parent} is not writable")


def check_readable(path: str, where: str, kind: str = "file") -> None:
    """Check that `path` is an ordinary file that is not empty, before a decoder opens it.

    Parameters
    ----------
    path : str
    where : str
        The beginning of the message.
    kind : str
        The kind of file that is expected, for the message.

    Raises
    ------
    ValueError
        If there is no such file, it cannot be examined, is a folder or a device, or is empty.
    """
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
