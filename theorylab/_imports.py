"""What a user names as ``module:name``: imported from the current folder, which runs the user's code."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def here() -> Iterator[None]:
    """Stay in the working folder, whatever the code of a user does inside: results belong where the command was given."""
    folder = os.getcwd()
    try:
        yield
    finally:
        if os.getcwd() != folder:
            os.chdir(folder)


def named(spec: str, option: str) -> Any:
    """Return what `spec`, ``module:name``, names.

    Parameters
    ----------
    spec : str
    option : str
        Where the user wrote it; errors begin with it.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        In one line: `spec` has another form, there is no such module or name, or the module cannot be imported.

    Examples
    --------
    >>> named("math:pi", "--model")
    3.141592653589793
    >>> named("math:tau.pi", "--model")
    Traceback (most recent call last):
        ...
    ValueError: --model: 'math' has no 'tau.pi'
    """
    value, module, name = imported(spec, option)
    for part in name.split("."):
        if not hasattr(value, part):
            raise ValueError(f"{option}: {module!r} has no {name!r}")
        value = getattr(value, part)
    return value


def imported(spec: str, option: str) -> tuple[Any, str, str]:
    """Return the module that `spec` names, its name, and the other name; errors as of :func:`named`."""
    module, _, name = spec.partition(":") if isinstance(spec, str) else ("", "", "")
    if not module or not name:
        raise ValueError(f"{option}: expected module:name, got {spec!r}")
    dotted = module.removesuffix(".py").strip("./").replace("/", ".")
    guess = f"; did you mean {dotted}:{name}?" if dotted != module else ""
    if module.startswith("."):
        raise ValueError(f"{option}: expected module:name, got {spec!r}{guess}")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        # Which is not for what the user's code prints.
        with contextlib.redirect_stdout(sys.stderr), here():
            return importlib.import_module(module), module, name
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0] and error.name != module:
            raise ValueError(f"{option}: {module!r} needs {error.name!r}, which is not installed") from error
        raise ValueError(f"{option}: there is no module {module!r} here{guess}") from None
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"{option}: {module!r} cannot be imported, {type(error).__name__}: {error}"
        ) from error
