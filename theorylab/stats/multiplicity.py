"""Levels for many checks in one run, so that a false alarm in the whole run stays improbable."""

from __future__ import annotations

from theorylab import _validation


@_validation.checked
def bonferroni(family: float, n_checks: int) -> float:
    """Return the level of each of `n_checks` tests that keeps the probability of any false alarm at most `family`.

    Bonferroni's inequality needs no independence, so checks may share their simulations.

    Examples
    --------
    >>> bonferroni(1e-4, 40)
    2.5e-06
    """
    n_checks = _validation.positive_integer(n_checks, "n_checks")
    if not 0 < family < 1:
        raise ValueError(f"family: expected a probability between 0 and 1, got {family}")
    return family / n_checks
