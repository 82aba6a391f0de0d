"""What a type hint asks of an argument: in words, and as a check."""

from __future__ import annotations

import collections.abc
import os
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Check = Callable[[Any], bool]
DTYPE = ["float32 or float64"]
"""Of an argument whose value is said where it is none of the two."""


def read(hint: Any) -> tuple[list[str], Check, bool]:
    """Return what a type hint asks for: in words, as a check, and whether an array will do."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = [read(part) for part in typing.get_args(hint)]
        words = [word for names, _, _ in parts for word in names]
        return words, lambda value: any(check(value) for _, check, _ in parts), any(one for *_, one in parts)
    if hint is Any:
        return ["anything"], lambda value: True, False
    if hint in (None, type(None)):
        return ["None"], lambda value: value is None, False
    if hint is np.ndarray:
        return ["an array"], lambda value: type(value) is np.ndarray and value.dtype.kind in "fiub", True
    if hint is bool:
        return ["True or False"], lambda value: isinstance(value, (bool, np.bool_)), False
    if hint in (int, float):
        numbers = (int, np.integer, *((float, np.floating) if hint is float else ()))
        word = "a number" if hint is float else "an integer"
        return [word], lambda value: isinstance(value, numbers) and not isinstance(value, bool), False
    if hint is type:
        return DTYPE, _is_dtype, False
    origin = typing.get_origin(hint) or hint
    if origin in (collections.abc.Callable, Callable):
        return ["a callable"], callable, False
    if origin in (tuple, list, Sequence, Iterable, collections.abc.Collection):
        entries = _entries(hint)
        each = f" (each {' or '.join(entries[0])})" if entries else ""
        return [f"a sequence{each}"], lambda value: several(value, entries and entries[1], origin), False
    if isinstance(origin, type):
        article = "an" if origin.__name__[0] in "AEIO" else "a"
        word = _WORDS.get(origin.__name__, f"{article} {origin.__name__}")
        # A law's class has what a law has, but is none.
        return (
            [word],
            lambda value: (
                isinstance(value, origin)
                and not isinstance(value, type)
                and (origin is not os.PathLike or isinstance(os.fspath(typing.cast(Any, value)), str))
            ),
            False,
        )
    return ["anything"], lambda value: True, False


_WORDS = {"str": "a string", "dict": "a dict", "Mapping": "a dict", "PathLike": "a path"}


def _is_dtype(value: Any) -> bool:
    try:
        return value is not None and np.dtype(value) in (np.float32, np.float64)
    except (TypeError, ValueError):
        return False


def _entries(hint: Any) -> tuple[list[str], Check] | None:
    """Return what the entries of a sequence have to be, in words and as a check; None if they differ or may be anything."""
    arguments = [part for part in typing.get_args(hint) if part not in (..., Any)]
    return read(arguments[0])[:2] if arguments and arguments.count(arguments[0]) == len(arguments) else None


def several(value: Any, check: Check | None, kind: Any = Sequence) -> bool:
    """Whether `value` is several of what passes a check: in order, in any, or of what can be iterated over but once."""
    if isinstance(value, (str, bytes, collections.abc.Mapping)) or getattr(value, "ndim", 1) == 0:
        return False
    if isinstance(value, kind if kind is collections.abc.Collection else (Sequence, np.ndarray)):
        return check is None or all(map(check, value))
    return kind is Iterable and isinstance(value, Iterable)
