"""The maps of an attribution: the user's function is called, and what it returns is checked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

Attribute = Callable[[np.ndarray, int], np.ndarray]


def called_many(attribute: Attribute, x: np.ndarray, targets: Sequence[int]) -> np.ndarray:
    """Return the maps of all targets, (T, C, H, W) float64, by the attribution's method ``many`` if it has one."""
    if not hasattr(attribute, "many"):
        return np.stack([called(attribute, x, target) for target in targets])
    named = targets if len(targets) <= 4 else (*targets[:2], "…", targets[-1])
    with _of_the_user(f"targets {', '.join(map(str, named))}"):
        maps = [_as_array(map_) for map_ in attribute.many(x, targets)]
    return np.stack([checked(map_, x, target) for map_, target in zip(maps, targets, strict=True)])


def called(attribute: Attribute, x: np.ndarray, target: int) -> np.ndarray:
    """Return the map of one target, (C, H, W) float64."""
    with _of_the_user(f"target {target}"):
        map_ = _as_array(attribute(x.copy(), target))
    return checked(map_, x, target)


@contextlib.contextmanager
def _of_the_user(what: str) -> Iterator[None]:
    """Report any exception of the user's callable as a ValueError that names the target."""
    try:
        yield
    except Exception as error:
        hint = (
            "; targets (--targets) are classes of the network"
            if isinstance(error, (IndexError, AssertionError))
            else ""
        )
        said = f": {error}" if str(error) else ""
        raise ValueError(f"attribute: {type(error).__name__} for {what}{said}{hint}") from error


def _as_array(returned: Any) -> np.ndarray:
    """Return an array; a tensor leaves its graph and its device first."""
    if isinstance(returned, np.ma.MaskedArray) and np.ma.is_masked(returned):
        raise TypeError("the map has masked entries")
    if callable(getattr(returned, "detach", None)):  # torch is not imported: only its user has it
        returned = returned.detach().cpu()
        if returned.is_floating_point():
            returned = returned.double()  # NumPy has no bfloat16
        returned = returned.numpy()
    return np.asarray(returned)


def checked(map_: np.ndarray, x: np.ndarray, target: int) -> np.ndarray:
    """Return a map as ``(C, H, W)`` float64, or raise a ValueError that says what came instead."""
    if map_.dtype.kind not in "fiub":
        raise ValueError(f"attribute: expected a map of real numbers, got {map_.dtype}")
    if map_.ndim == 4 and len(map_) == 1:
        map_ = map_[0]
    if map_.ndim == 2:
        map_ = map_[None]
    if map_.ndim != 3 or map_.shape[1:] != x.shape[1:] or map_.shape[0] not in (1, x.shape[0]):
        raise ValueError(
            f"attribute: expected a map of {x.shape} or {x.shape[1:]} for target {target}, got {map_.shape}"
        )
    map_ = map_.astype(np.float64)
    if not np.isfinite(map_).all():
        raise ValueError(f"attribute: the map of target {target} is not finite (NaN or infinity)")
    return map_
