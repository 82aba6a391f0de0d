"""Checks of arguments; every error is one line that names the argument."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def positive_integer(value: object, name: str) -> int:
    """Return `value` as an int of at least 1, or raise a TypeError or ValueError that names the argument."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")
    return int(value)


def finite_number(value: object, name: str, *, above: float | None = None) -> float:
    """Return `value` as a finite float, above a bound if one is given, or raise a TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    if not math.isfinite(value) or (above is not None and value <= above):
        bound = "" if above is None else f" above {above}"
        raise ValueError(f"{name}: expected a finite number{bound}, got {value}")
    return float(value)


def positive_number(value: object, name: str) -> float:
    """Return `value` as a finite float above 0, or raise a TypeError or ValueError."""
    return finite_number(value, name, above=0)


_FEW = 12


def choice(value: object, known: Iterable[str], what: str) -> str:
    """Return the one of the `known` names that `value` is, capitals apart, or raise a ValueError that guesses which was meant.

    Examples
    --------
    >>> choice("Guided", ("saliency", "guided"), "rule")
    'guided'
    >>> choice("gided", ("saliency", "guided"), "rule")
    Traceback (most recent call last):
        ...
    ValueError: unknown rule 'gided': did you mean 'guided'? choose one of 'saliency', 'guided'
    """
    names = list(known)
    if value in names:
        return str(value)
    alike = [name for name in names if isinstance(value, str) and name.casefold() == value.casefold()]
    if len(alike) == 1:
        return alike[0]
    guess = did_you_mean(value, names)
    listed = f"choose one of {', '.join(map(repr, names))}"
    # A long list buries the guess.
    words = f"{guess}? {listed}" if guess and len(names) <= _FEW else f"{guess}?" if guess else listed
    raise ValueError(f"unknown {what} {value!r}: {words}")


def did_you_mean(value: object, known: Iterable[str]) -> str:
    """Return ``did you mean 'name'`` of the nearest of the `known` names, or nothing if none is near.

    Examples
    --------
    >>> did_you_mean("rockets", ("cat", "rocket")), did_you_mean("dog", ("cat", "rocket"))
    ("did you mean 'rocket'", '')
    """
    names = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(str(value).casefold(), names, n=1)
    return f"did you mean {names[near[0]]!r}" if near else ""


def pair(value: object, name: str, minimum: int) -> tuple[int, int]:
    """Return an int, or (vertical, horizontal), as a pair of ints of at least `minimum`."""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    parts: Sequence[Any] = value if several else (value, value)  # type: ignore[assignment]
    if len(parts) != 2:
        raise ValueError(f"{name}: expected an integer or (vertical, horizontal), got {value!r}")
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, (int, np.integer)):
            raise TypeError(f"{name}: expected an integer or (vertical, horizontal), got {value!r}")
        if part < minimum:
            raise ValueError(f"{name}: expected at least {minimum}, got {value!r}")
    return int(parts[0]), int(parts[1])


def real_array(value: object, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return `value` as a finite array of the given shape: float32 as it is, every other dtype as float64."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name}: not finite at index {where}")
    return array


def image(value: object, shape: tuple[int, ...], name: str = "x") -> np.ndarray:
    """Return `value` as a finite image of the given shape, or raise a ValueError if it is zero everywhere."""
    array = real_array(value, name, shape)
    if not array.any():
        raise ValueError(f"{name}: the image is zero everywhere, so its norm is 0 and it has no direction")
    return array
