"""How every kernel of the package is compiled.

* No Python objects inside: a kernel that cannot be compiled is an error, not a slow kernel.
* Cached on disk if a folder is writable: a kernel is compiled once per machine, not once per process.
* No fast-math: sums keep the order in which they are written, NaN and infinity keep their meaning.
* No threads inside, so the numbers cannot depend on their number.  Kernels release the interpreter lock, so
  callers may run several at once.
* Annotations are for readers and mypy; Numba compiles a kernel for the types of each call.

With ``NUMBA_DISABLE_JIT=1`` in the environment `compiled` returns its function unchanged, for coverage and
debuggers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

Array = np.ndarray
Pair = tuple[int, int]
Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function of arrays and numbers by the policy of this module, unless compilation is switched off.

    Examples
    --------
    >>> @compiled
    ... def twice(number):
    ...     return 2 * number
    >>> twice(21)
    42
    """
    try:
        return numba.njit(cache=True, nogil=True, fastmath=False, error_model="numpy")(function)  # type: ignore[return-value]
    except RuntimeError:
        # No folder for the cache is writable, or the source is not in a file.
        return numba.njit(cache=False, nogil=True, fastmath=False, error_model="numpy")(function)  # type: ignore[return-value]
