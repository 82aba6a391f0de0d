"""The number of filters that estimates the mean of a gated filter to a given error."""

from __future__ import annotations

import math

from theorylab import _validation


def estimation_error(patch_size: int, n_filters: int, *, std: float = 1.0) -> float:
    """Return the root mean square of ``‖(1/N) Σ_i w_i 1(w_i·y) − E[w 1(w·y)]‖``: ``c √((p/2 − 1/(2π))/N)``, exact.

    Notes
    -----
    The variance of a mean is the variance of a term over ``N``; a term has ``E‖w 1‖² = c² p/2`` and a mean of squared
    norm ``c²/(2π)``.

    Examples
    --------
    >>> round(estimation_error(27, 1335), 4)
    0.1
    """
    patch_size = _validation.positive_integer(patch_size, "patch_size")
    n_filters = _validation.positive_integer(n_filters, "n_filters")
    std = _validation.positive_number(std, "std")
    return std * math.sqrt((patch_size / 2 - 1 / (2 * math.pi)) / n_filters)


def filters_needed(patch_size: int, error: float, *, std: float = 1.0) -> int:
    """Return the least number of filters whose :func:`estimation_error` is at most `error`.

    Parameters
    ----------
    patch_size : int
        ``p``, channels included: 27 for 3×3×3.
    error : float
        ``ε``, absolute; the estimated vector has norm ``0.399 c``.
    std : float
        ``c`` of the filters.

    Returns
    -------
    int
        ``⌈c² (p/2 − 1/(2π))/ε²⌉``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a positive number.

    Examples
    --------
    The paper gives "at most O(10³)" for this example (below Theorem 1):

    >>> filters_needed(27, 0.1)
    1335
    """
    error = _validation.positive_number(error, "error")
    return math.ceil(estimation_error(patch_size, 1, std=std) ** 2 / error**2)
