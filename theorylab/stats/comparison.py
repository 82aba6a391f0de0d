"""Compare an estimate with an exact value: p-value, interval, and the smallest error that would be detected."""

from __future__ import annotations

import math

from scipy import stats

from theorylab import _validation


def _check_share(value: float, name: str) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name}: expected a number between 0 and 1, got {value}")


@_validation.checked
def compare_p_value(estimate: float, standard_error: float, expected: float, degrees: int) -> float:
    """Return the two-sided p-value of Student's t test that the estimate has the expectation `expected`.

    Parameters
    ----------
    estimate, standard_error, expected : float
        In the same unit.  With a standard error of 0, the result is 1 if estimate and expectation are equal, else 0.
    degrees : int
        Degrees of freedom of the standard error: replicates − 1.

    Raises
    ------
    ValueError
        If a number is NaN, the standard error is negative or there are no degrees of freedom.

    Examples
    --------
    >>> round(compare_p_value(1.02, 0.01, 1.0, degrees=10**6), 4)
    0.0455
    """
    if math.isnan(estimate) or math.isnan(expected) or not standard_error >= 0 or degrees < 1:
        raise ValueError(
            f"cannot compare estimate {estimate} ± standard_error {standard_error} with expected {expected} at degrees "
            f"{degrees}"
        )
    if standard_error == 0:
        return 1.0 if estimate == expected else 0.0
    return float(2 * stats.t.sf(abs(estimate - expected) / standard_error, degrees))


@_validation.checked
def detectable_effect(
    standard_error: float, expected: float, degrees: int, *, level: float, power: float = 0.95
) -> float:
    """Return the smallest relative error of `expected` that a two-sided t test at `level` detects with this power.

    Notes
    -----
    The error must exceed the critical value of the test by ``Φ⁻¹(power)`` standard errors.

    Returns
    -------
    float
        Relative to ``|expected|``; infinite if `expected` is 0.

    Examples
    --------
    >>> round(detectable_effect(0.01, 2.0, 10**6, level=0.05), 4)
    0.018
    """
    _check_share(level, "level")
    _check_share(power, "power")
    if expected == 0:
        return math.inf
    shift = stats.t.isf(level / 2, degrees) + stats.norm.isf(1 - power)
    return float(shift * standard_error / abs(expected))


_TUNED = 300  # samples at which an anytime interval is narrowest


@_validation.checked
def interval(
    estimate: float, standard_error: float, degrees: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return Student's confidence interval of an estimate.

    Examples
    --------
    >>> low, high = interval(1.0, 0.1, degrees=9)
    >>> round(low, 3), round(high, 3)
    (0.774, 1.226)
    """
    _check_share(confidence, "confidence")
    reach = float(stats.t.isf((1 - confidence) / 2, degrees)) * standard_error
    return estimate - reach, estimate + reach


@_validation.checked
def anytime_interval(
    estimate: float, standard_error: float, count: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return an interval of a mean over `count` samples that may be looked at after every sample, and stopped by.

    Notes
    -----
    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2021, arXiv 2103.06476): a
    mixture of Robbins over normal means of variance ``ρ²``, so that with probability `confidence` the expectation lies inside
    at all counts at once, however the end is chosen; half width ``SE √((nρ² + 1)/(nρ²) log((nρ² + 1)/α²))``.  ``ρ`` makes it
    narrowest at 300 samples.  Student's quantile of the same tail in the place of the normal one allows for an estimated
    variance; below about 30 samples it is too narrow nonetheless.

    Examples
    --------
    >>> low, high = anytime_interval(1.0, 0.1, 300)
    >>> round(low, 3), round(high, 3)
    (0.694, 1.306)
    """
    _check_share(confidence, "confidence")
    term = -2 * math.log1p(-confidence)
    mixed = count * (term + math.log1p(term)) / _TUNED
    normal = math.sqrt((mixed + 1) / mixed * (math.log1p(mixed) + term))
    reach = float(stats.t.isf(stats.norm.sf(normal), count - 1)) * standard_error
    return estimate - reach, estimate + reach


@_validation.checked
def bounded_interval(
    mean: float, standard_error: float, count: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return an interval of the expectation of numbers between 0 and 1, also where all of them were equal.

    Notes
    -----
    The empirical Bernstein bound of Maurer and Pontil (2009): the mean is within
    ``√(2 v ln(2/δ)/n) + 7 ln(2/δ)/(3(n − 1))`` of its expectation with probability 1 − δ on each side, ``v`` the variance of
    the sample.  Student's interval would be a point where nothing was ever seen.

    Examples
    --------
    >>> low, high = bounded_interval(0.0, 0.0, 1000)
    >>> low < 0 < high < 0.02
    True
    """
    _check_share(confidence, "confidence")
    term = math.log(4 / (1 - confidence))
    reach = math.sqrt(2 * term) * standard_error + 7 * term / (3 * (count - 1))
    return mean - reach, mean + reach
