"""Several functions of one set of arguments: the arguments are described and checked in one place."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")
Result = TypeVar("Result")


def made_by(
    source: Callable[Arguments, Made],
) -> Callable[[Callable[[Made], Result]], Callable[Arguments, Result]]:
    """Turn a function of what `source` returns into a function of the arguments of `source`."""

    def decorate(function: Callable[[Made], Result]) -> Callable[Arguments, Result]:
        @functools.wraps(function)
        def called(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{function.__name__}() {error}") from None
            return function(source(*args, **kwargs))

        # Help, editors and the API pages show the signature of the function that is called, not of the one inside.
        del called.__wrapped__
        result = inspect.signature(function, eval_str=True).return_annotation
        signature = inspect.signature(source, eval_str=True).replace(return_annotation=result)
        called.__signature__ = signature  # type: ignore[attr-defined]
        return called

    return decorate
