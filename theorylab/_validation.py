"""Checks of arguments; every error is one line that names the argument."""

from __future__ import annotations

import difflib
import functools
import inspect
import itertools
import math
import operator
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from theorylab import _interrupt
from theorylab._hints import DTYPE, Check, read, several


def positive_integer(value: object, name: str) -> int:
    """Return `value` as an int of at least 1, or raise a TypeError or ValueError that names the argument."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
    if in_range(value, name) < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")
    return int(value)


def in_range(value: Any, name: str) -> float:
    """Return a number as a float, or raise a ValueError for an integer that is too large for one, and to be shown."""
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name}: expected a number within ±1.8e308, got a larger integer") from None


def integer(value: Any) -> Any:
    """Return an array or tensor without axes that holds an integer as an int, also in a list; all else as it is."""
    if type(value) in (list, tuple):
        return type(value)(map(integer, value))
    whole = getattr(value, "ndim", None) == 0 and "int" in str(getattr(value, "dtype", ""))
    return operator.index(value) if whole else value


def unboxed(value: Any) -> Any:
    """Return a number of NumPy's as Python's, also in a list: a narrow one squared is rounded or wraps around."""
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    if type(value) in (list, tuple) and any(isinstance(one, np.number) for one in value):
        return type(value)(map(unboxed, value))
    return value


def finite_number(value: object, name: str, *, above: float | None = None) -> float:
    """Return `value` as a finite float, above a bound if one is given, or raise a TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    if not math.isfinite(in_range(value, name)) or (above is not None and value <= above):
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
    >>> choice("gided", ("saliency", "guided"), "rule")
    Traceback (most recent call last):
        ...
    ValueError: unknown rule 'gided': did you mean 'guided'? choose one of 'saliency', 'guided'
    """
    names = list(known)
    if isinstance(value, str) and value in names:
        return str(value)
    alike = [name for name in names if isinstance(value, str) and name.casefold() == value.casefold()]
    if len(alike) == 1:
        return alike[0]
    guess = did_you_mean(value, names)
    listed = f"choose one of {', '.join(map(repr, names))}"
    # A long list buries the guess.
    words = f"{guess}? {listed}" if guess and len(names) <= _FEW else f"{guess}?" if guess else listed
    raise ValueError(f"unknown {what} {shown(value)}: {words}")


def did_you_mean(value: object, known: Iterable[str]) -> str:
    """Return ``did you mean 'name'`` of the nearest of the `known` names, or nothing if none is near."""
    names = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(str(value).casefold(), names, n=1)
    return f"did you mean {names[near[0]]!r}" if near else ""


def pair(value: object, name: str, minimum: int) -> tuple[int, int]:
    """Return an int, or (vertical, horizontal), as a pair of ints of at least `minimum`."""
    both = isinstance(value, Sequence) and not isinstance(value, str)
    parts: Sequence[Any] = value if both else (value, value)  # type: ignore[assignment]
    if len(parts) != 2:
        raise ValueError(f"{name}: expected an integer or (vertical, horizontal), got {shown(value)}")
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, (int, np.integer)):
            raise TypeError(f"{name}: expected an integer or (vertical, horizontal), got {shown(value)}")
        if in_range(part, name) < minimum:
            raise ValueError(f"{name}: expected at least {minimum}, got {shown(value)}")
    return int(parts[0]), int(parts[1])


def as_array(value: Any, name: str) -> np.ndarray:
    """Return `value` as an array of numbers: an array as it is, a tensor without its graph and its device.

    A tensor may be sparse, of half precision or bfloat16, or need a gradient.  Raise a TypeError that names the argument for
    what is no array, and a ValueError for masked entries, whose values mean nothing.
    """
    if type(value) is np.ndarray and value.dtype.kind in "fiub":
        return value
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise ValueError(f"{name}: expected all entries, got masked ones")
        value = value.data
    try:
        if callable(getattr(value, "detach", None)):  # torch is not imported: only its user has it
            value = value.detach().cpu()
            value = value if str(value.layout) == "torch.strided" else value.to_dense()
            # NumPy has no bfloat16; half precision is not computed in.
            value = (value.double() if value.is_floating_point() and value.itemsize < 4 else value).numpy()
        array = np.asarray(value)
    except Exception as error:  # anything can stand in the `__array__` of a foreign class
        if _interrupt.from_handler(error):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TypeError(f"{name}: expected an array of real numbers, got {kind(value)} ({reason})") from error
    if array.dtype.kind not in "fiub":
        what = f"dtype {array.dtype}" if array.dtype.kind != "O" or array is value else kind(value)
        raise TypeError(f"{name}: expected real numbers, got {what}")
    return array


def kind(value: object) -> str:
    """Return what came, in a word: the name of its class, and of the classes of a list's entries."""
    if isinstance(value, (list, tuple)) and value:
        return (
            f"{type(value).__name__} of {', '.join(dict.fromkeys(type(entry).__name__ for entry in value))}"
        )
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return "None" if value is None else type(value).__name__


def shown(value: object) -> str:
    """Return what came, on one line of moderate length."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def image_shape(value: Any, name: str) -> tuple[int, int, int]:
    """Return ``(C, H, W)`` as positive ints, or raise a TypeError or ValueError."""
    sizes = several(value, None)
    if not sizes or len(value) != 3:
        raise (ValueError if sizes else TypeError)(f"{name}: expected (C, H, W), got {shown(value)}")
    channels, height, width = (positive_integer(size, name) for size in value)
    return channels, height, width


def real_array(value: object, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return what :func:`as_array` takes as a finite array: float32 and float64 as they are, all else as float64."""
    array = as_array(value, name)
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


Checked = TypeVar("Checked", bound=Callable[..., Any])


class WrongKind(TypeError, ValueError):
    """An argument of another kind than the hint says: a TypeError, and a ValueError where one of the values was wrong."""


def checked(function: Checked) -> Checked:
    """Have a public function, or the constructor and the public methods of a class, check its arguments by its type hints.

    What is of another kind is a TypeError of one line, ``grid: expected a PatchGrid, got float``; what a hint promises to be
    an array becomes one, by :func:`as_array`, and a number of NumPy's one of Python's, by :func:`unboxed`.  Sizes, signs and
    shapes are for the function itself, and so are arguments that do not bind.
    """
    if isinstance(function, type):
        for name, member in list(vars(function).items()):
            method = getattr(member, "__func__", member)
            plain = isinstance(method, types.FunctionType) and not hasattr(method, "__wrapped__")
            if plain and (name == "__init__" or not name.startswith("_")):
                bound = isinstance(member, (classmethod, staticmethod))
                setattr(function, name, type(member)(checked(method)) if bound else checked(method))
        return function
    signature = inspect.signature(function)
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = {name: one for name, one in signature.parameters.items() if one.kind not in starred}
    by_place = [name for name, one in named.items() if one.kind is not inspect.Parameter.KEYWORD_ONLY]

    @functools.cache
    def hints() -> dict[str, tuple[list[str], Check, bool]]:
        # What is returned may have a type that is imported for type checkers alone.
        of = {name: hint for name, hint in function.__annotations__.items() if name != "return"}
        known = typing.get_type_hints(types.SimpleNamespace(__annotations__=of), function.__globals__)
        return {name: read(known[name]) for name in named if name in known}

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        known = hints()
        given = itertools.chain(zip(by_place, args, strict=False), kwargs.items())
        if all(known[name][1](value) and unboxed(value) is value for name, value in given if name in known):
            return function(*args, **kwargs)  # it says what is missing or too much
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)
        for name in filter(known.__contains__, bound.arguments):
            value, (words, check, array) = unboxed(bound.arguments[name]), known[name]
            bound.arguments[name] = value
            if not array and not check(value):  # such as ``logits.argmax()``
                value = bound.arguments[name] = integer(value)
            if check(value):
                continue
            if not array:
                what = " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
                came = shown(value) if words == DTYPE else kind(value)
                raise WrongKind(f"{name}: expected {what}, got {came}")
            bound.arguments[name] = as_array(value, name)
        return function(*bound.args, **bound.kwargs)

    return typing.cast(Checked, called)
