"""Trained weights in the user's cache: written whole or not at all, and checked when they are read."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from theorylab import _files

VARIABLE = "THEORYLAB_CACHE"
"""The environment variable that names the folder."""

Trained = tuple[dict[str, np.ndarray], float]
"""Parameters and accuracy."""


def folder() -> Path:
    """Return the folder of trained weights.

    Returns
    -------
    pathlib.Path
        ``$THEORYLAB_CACHE``; else "theorylab" in the platform's folder for caches: ``$XDG_CACHE_HOME`` or ``~/.cache``, on
        macOS ``~/Library/Caches``, on Windows ``%LOCALAPPDATA%``.

    Raises
    ------
    RuntimeError
        If the user has no home.

    Examples
    --------
    >>> folder().is_absolute() or VARIABLE in os.environ
    True
    """
    if given := os.environ.get(VARIABLE):
        return Path(given).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        # The XDG specification says to ignore a relative path.
        base = Path(os.environ.get("XDG_CACHE_HOME", ""))
        base = base if base.is_absolute() else Path.home() / ".cache"
    return base / "theorylab"


def file_name(recipe: Mapping[str, Any]) -> str:
    """Return the file name for the weights of a recipe: every change of the recipe changes the name.

    Examples
    --------
    >>> file_name({"seed": 0}) == file_name({"seed": 1})
    False
    """
    text = json.dumps(recipe, sort_keys=True)
    return f"small-classifier-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz"


def checksum(parameters: Mapping[str, np.ndarray], accuracy: float) -> str:
    """Return the SHA-256 over names, shapes, dtypes and bytes of the parameters, and the accuracy.

    Examples
    --------
    >>> len(checksum({"a": np.zeros(2)}, 0.5))
    64
    """
    digest = hashlib.sha256(float(accuracy).hex().encode())
    for name, array in parameters.items():
        digest.update(f"{name} {array.shape} {array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def store(name: str, parameters: Mapping[str, np.ndarray], accuracy: float) -> None:
    """Write trained weights to the cache; if it is not writable, do nothing and raise nothing.

    Parameters
    ----------
    name : str
        From :func:`file_name`.
    parameters : mapping of str to array
    accuracy : float

    Examples
    --------
    >>> store("a-file-in-no-folder/x.npz", {}, 0.5) is None
    True
    """
    content = io.BytesIO()
    arrays: dict[str, Any] = {f"parameter {key}": array for key, array in parameters.items()}
    np.savez(content, accuracy=np.float64(accuracy), checksum=checksum(parameters, accuracy), **arrays)
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: the user has no home
        folder().mkdir(parents=True, exist_ok=True)
        _files.write_atomically(folder() / name, content.getvalue())


def load(name: str, shapes: Mapping[str, tuple[int, ...]]) -> Trained | None:
    """Read weights that :func:`store` wrote, if they are intact and fit the network.

    Parameters
    ----------
    name : str
        From :func:`file_name`.
    shapes : mapping of str to shape
        Shapes of the parameters of the network, in its order.

    Returns
    -------
    (parameters, accuracy), or None
        None if there is no such file, it is damaged or foreign, or a name, shape or dtype does not fit.

    Notes
    -----
    A pickle in the file is never executed.

    Examples
    --------
    >>> load("no-such-file.npz", {}) is None
    True
    """
    try:
        # Read from memory, because NumPy leaves the file open if the archive is damaged.
        content = io.BytesIO((folder() / name).read_bytes())
        with np.load(content, allow_pickle=False) as file:
            parameters = {key: file[f"parameter {key}"] for key in shapes}
            accuracy, kept = float(file["accuracy"]), str(file["checksum"])
    except Exception:
        # A damaged archive raises almost anything: BadZipFile, EOFError, zlib.error, KeyError, ValueError, …
        return None
    fits = all(
        array.shape == shapes[key] and array.dtype == np.float32 and np.isfinite(array).all()
        for key, array in parameters.items()
    )
    return (parameters, accuracy) if fits and kept == checksum(parameters, accuracy) else None
