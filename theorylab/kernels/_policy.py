"""How every kernel of the package is compiled: decided here and nowhere else.

* No Python objects inside: a kernel that cannot be compiled is an error, not a slow kernel.
* Cached on disk where a directory can be written: a compiler runs once per machine, not once per process.
* No fast-math: sums keep the order in which they are written, NaN and infinity keep their meaning.
* No threads inside: the numbers cannot depend on how many there are.  The interpreter lock is released, so
  callers may run several kernels at once.

With ``NUMBA_DISABLE_JIT=1`` in the environment `compiled` returns its function as it is: for coverage and
debuggers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

Function = TypeVar("Function", bound=Callable)


def compiled(function: Function) -> Function:
    """Compile a function under the package's policy.

    Parameters
    ----------
    function : callable
        Of arrays and numbers only.

    Returns
    -------
    callable
        The compiled function, or `function` itself where compilation is switched off.

    Notes
    -----
    The policy is the module's docstring; no equation is involved.

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
        # Neither the package's directory nor the user's cache can be written, or the source is not in a file.
        return numba.njit(cache=False, nogil=True, fastmath=False, error_model="numpy")(function)  # type: ignore[return-value]
