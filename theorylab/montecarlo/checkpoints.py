"""Finished blocks in a folder: written whole, verified when read, and never mixed with another study's."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from theorylab import _files, _validation
from theorylab.montecarlo.moments import ArrayMoments, Measurement, Statistics

_DIGEST = 64  # hexadecimal digits of SHA-256, at the very end of the file, behind the zip archive
_CONFIGURATION = "study.json"


def encode(measured: Measurement, header: Mapping[str, Any]) -> bytes:
    """Encode a block as a NumPy archive (.npz) that ends with the SHA-256 of all before it.

    `header` says in types of JSON what the block belongs to.  The same block gives the same bytes.

    Examples
    --------
    >>> block = Measurement(Statistics.of({"a": np.array([1.0, 2.0])}))
    >>> data = encode(block, {"block": 3})
    >>> sorted(np.load(io.BytesIO(data), allow_pickle=False).files)
    ['deviations', 'header', 'mean']
    >>> decode(data, {"block": 3}).statistics.mean
    array([1.5])
    """
    statistics, maps = measured.statistics, measured.maps
    head = {
        **header,
        "count": statistics.count,
        "names": list(statistics.names),
        "maps": {name: moments.count for name, moments in maps.items()},
    }
    text = json.dumps(head, sort_keys=True, ensure_ascii=True).encode()
    arrays: dict[str, Any] = {
        "header": np.frombuffer(text, dtype=np.uint8),
        "mean": statistics.mean,
        "deviations": statistics.deviations,
    }
    for index, moments in enumerate(maps.values()):
        arrays[f"map{index}_mean"], arrays[f"map{index}_deviations"] = moments.mean, moments.deviations
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    content = stream.getvalue()
    return content + hashlib.sha256(content).hexdigest().encode()


def decode(data: bytes, header: Mapping[str, Any]) -> Measurement:
    """Decode the block in `data`, after its checksum is verified; no code in it is ever run.

    Raises
    ------
    ValueError
        If the checksum is wrong, or the block does not belong to what `header` says.
    """
    content, digest = data[:-_DIGEST], data[-_DIGEST:]
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise ValueError("the checksum is wrong")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        head = json.loads(arrays["header"].tobytes())
        for name, value in header.items():
            if head.get(name) != value:
                raise ValueError(f"{name} is {head.get(name)!r}, not {value!r}")
        statistics = Statistics(
            tuple(head["names"]), head["count"], arrays["mean"].copy(), arrays["deviations"].copy()
        )
        maps = {
            name: ArrayMoments(count, arrays[f"map{index}_mean"], arrays[f"map{index}_deviations"])
            for index, (name, count) in enumerate(head["maps"].items())
        }
    return Measurement(statistics, maps)


@_validation.checked
class CheckpointFolder:
    """A folder that keeps the finished blocks of one configuration, for one process at a time.

    Parameters
    ----------
    folder : str or os.PathLike
        Made if it does not exist, with those above it.
    configuration : mapping
        All that the numbers depend on, in types of JSON, the version of the program included.
    warn : callable, optional
        ``warn(message)``, told of damaged blocks.

    Notes
    -----
    A context manager: the folder is locked inside.  Blocks are in ``blocks/<study>/<number>.npz``, the configuration in
    ``study.json``.  Each block is written to a temporary file and moved, so a kill at any moment leaves whole blocks.

    Examples
    --------
    >>> import tempfile
    >>> from theorylab.montecarlo import Study, measurement, replicate_all
    >>> def throw(rng, size):
    ...     return measurement({"eyes": rng.integers(1, 7, size).astype(float)})
    >>> with tempfile.TemporaryDirectory() as top:
    ...     with CheckpointFolder(f"{top}/dice", {"seed": 0}) as kept:
    ...         _ = replicate_all([Study("dice", throw, 30, block=10, seed=0)], checkpoints=kept)
    ...         kept.load("dice", 2).replicates
    ...     with CheckpointFolder(f"{top}/dice", {"seed": 1}):
    ...         pass
    Traceback (most recent call last):
        ...
    ValueError: /.../dice: holds another study: seed is 0 there, 1 here; choose another folder
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        configuration: Mapping[str, Any],
        *,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.folder = Path(_files.place(folder))
        # Compare what JSON gives back: it turns tuples into lists.
        text = json.dumps(configuration, sort_keys=True, allow_nan=False)
        self.configuration = json.loads(text)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self.warn = warn
        self._lock = contextlib.ExitStack()
        self._warned: set[Path] = set()

    def __enter__(self) -> CheckpointFolder:
        """Lock the folder and see that it holds this configuration or none.

        Raises
        ------
        OSError
            If the folder cannot be made or written; BlockingIOError while another process works in it.
        ValueError
            If it holds another configuration; the message says what differs.
        """
        import filelock

        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(f"{self.folder}: is a file, not a folder")
        try:
            (self.folder / "blocks").mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.folder / ".lock", blocking=False)
            lock.acquire()
        except filelock.Timeout:
            raise BlockingIOError(
                errno.EAGAIN,
                "another process is working in this folder; let it finish or choose another folder",
                os.fspath(self.folder),
            ) from None
        except OSError as error:
            reason = f"cannot be written: {error.strerror}"
            raise type(error)(error.errno, reason, os.fspath(self.folder)) from None
        with contextlib.ExitStack() as stack:
            stack.callback(lock.release)
            self._open()
            self._lock = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Unlock the folder."""
        self._lock.close()

    def _open(self) -> None:
        path = self.folder / _CONFIGURATION
        if not path.exists():
            if (self.folder / "results.json").exists():
                raise ValueError(f"{self.folder}: holds results of something else; choose another folder")
            text = json.dumps(self.configuration, indent=2, sort_keys=True, ensure_ascii=False)
            _files.write_atomically(path, f"{text}\n")
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            there = None
        if not isinstance(there, dict):
            raise ValueError(
                f"{path}: is damaged, so the blocks beside it cannot be told; choose another folder"
            )
        if there != self.configuration:
            differences = "; ".join(_differences(there, self.configuration, ""))
            raise ValueError(f"{self.folder}: holds another study: {differences}; choose another folder")
        for temporary in (self.folder / "blocks").glob("**/.*.tmp"):  # by a process that was killed
            with contextlib.suppress(OSError):
                temporary.unlink()

    def path(self, study: str, block: int) -> Path:
        """Return the file of a block."""
        return self.folder / "blocks" / re.sub(r"[^A-Za-z0-9_.=,-]+", "-", study) / f"{block:06d}.npz"

    def _header(self, study: str, block: int) -> dict[str, Any]:
        return {"configuration": self.digest, "study": study, "block": block}

    def load(self, study: str, block: int) -> Measurement | None:
        """Load a saved block, or None if there is none or it is damaged, which `warn` is told once."""
        path = self.path(study, block)
        try:
            return decode(path.read_bytes(), self._header(study, block))
        except FileNotFoundError:
            return None
        except Exception as error:  # damage can raise anything in a parser
            if self.warn is not None and path not in self._warned:
                self._warned.add(path)
                self.warn(f"{path}: the block is damaged ({error}) and will be computed again")
            return None

    def save(self, study: str, block: int, measured: Measurement) -> None:
        """Keep a block, whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written; the blocks before it stay.
        """
        path = self.path(study, block)
        path.parent.mkdir(exist_ok=True)
        _files.write_atomically(path, encode(measured, self._header(study, block)))


def _differences(there: Any, here: Any, name: str) -> Iterator[str]:
    """Yield what differs between two configurations, by name."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted({*there, *here}):
            inner = f"{name}.{key}" if name else key
            yield from _differences(there.get(key, "absent"), here.get(key, "absent"), inner)
    elif there != here:
        yield f"{name} is {_plain(there)} there, {_plain(here)} here"


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
