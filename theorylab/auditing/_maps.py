"""The maps of an attribution: the user's function is called, and what it returns is checked."""

from __future__ import annotations

import contextlib
import functools
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from theorylab import _imports, _interrupt, _validation

Attribute = Callable[[np.ndarray, int], np.ndarray]


def called_many(
    attribute: Attribute, x: np.ndarray, targets: Sequence[int], name: str = "attribute"
) -> np.ndarray:
    """Return the maps of all targets, (T, C, H, W) float64, by the attribution's method ``many`` if it has one.

    `name` is that of the argument which it was given as.
    """
    if not hasattr(attribute, "many"):
        maps = [called(attribute, x, target, name) for target in targets]
    else:
        named = targets if len(targets) <= 4 else (*targets[:2], "…", targets[-1])
        with of_the_user(attribute, f"targets {', '.join(map(str, named))}", name=name):
            found = [as_array(map_) for map_ in attribute.many(x, targets)]
        maps = [checked(map_, x, target, name=name) for map_, target in zip(found, targets, strict=True)]
    other = next((number for number, map_ in enumerate(maps) if map_.shape != maps[0].shape), None)
    if other is not None:
        raise ValueError(
            f"{name}: maps of one shape expected, got {maps[0].shape} for target {targets[0]} and {maps[other].shape} for "
            f"target {targets[other]}"
        )
    return np.stack(maps)


def called(attribute: Attribute, x: np.ndarray, target: int, name: str = "attribute") -> np.ndarray:
    """Return the map of one target, (C, H, W) float64."""
    with of_the_user(attribute, f"target {target}", lambda: attribute(x.copy(), 0), name=name):
        map_ = as_array(attribute(x.copy(), target))
    return checked(map_, x, target, name=name)


@contextlib.contextmanager
def of_the_user(
    attribute: Any, what: str, first: Callable[[], object] | None = None, *, name: str = "attribute"
) -> Iterator[None]:
    """Report whatever the user's callable raises, SystemExit too, as a ValueError that names the target and the place.

    An index that is out of range is the target's only if the callable works for target 0, which `first` tries.
    """
    try:
        with _imports.here():
            yield
    except (Exception, SystemExit) as error:
        if _interrupt.from_handler(error):
            raise
        hint = ""
        if first is not None and isinstance(error, (IndexError, AssertionError)):
            with contextlib.suppress(Exception, SystemExit):
                first()
                hint = "; targets (--targets) are classes of the network"
        text = " ".join(str(error).split())
        said = f": {text}" if text else ""
        where = _place(attribute, error)
        raise ValueError(f"{name}: {type(error).__name__} for {what}{said}{hint}{where}") from error


def _place(attribute: Any, error: BaseException) -> str:
    """Say which line failed: the innermost one of the file that the callable is from, else of what is not this package."""
    while isinstance(attribute, functools.partial):
        attribute = attribute.func
    code = getattr(attribute, "__code__", None) or getattr(type(attribute).__call__, "__code__", None)
    module = getattr(attribute, "__module__", None)
    if code is None or str(module).startswith("theorylab."):
        return ""
    name, line = code.co_name, code.co_firstlineno
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == code.co_filename:
            name, line = frame.f_code.co_name, number
    return f" (in {module}:{name}, line {line})"


def as_array(returned: Any) -> np.ndarray:
    """Return what a callable gave as an array: a map, or a tuple of one."""
    if isinstance(returned, (tuple, list)) and len(returned) == 1:
        (returned,) = returned
    return _validation.as_array(returned, "map")


def checked(
    map_: np.ndarray, x: np.ndarray, target: int, where: str = "", *, name: str = "attribute"
) -> np.ndarray:
    """Return a map as ``(C, H, W)`` float64, or raise a ValueError that says what came instead, for which target and where."""
    if map_.ndim == 4 and len(map_) == 1:
        map_ = map_[0]
    if map_.ndim == 2:
        map_ = map_[None]
    if map_.ndim != 3 or map_.shape[1:] != x.shape[1:] or map_.shape[0] not in (1, x.shape[0]):
        raise ValueError(
            f"{name}: expected a map of {x.shape} or {x.shape[1:]} for target {target}{where}, "
            f"got {map_.shape}"
        )
    map_ = map_.astype(np.float64)
    if not np.isfinite(map_).all():
        raise ValueError(f"{name}: the map of target {target}{where} is not finite (NaN or infinity)")
    return map_
