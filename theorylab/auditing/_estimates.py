"""Means with intervals over independent pictures."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

from theorylab import _validation, drawing, stats


@_validation.checked
@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over pictures with its 95 % interval.

    Attributes
    ----------
    mean, low, high : float
        NaN where nothing could be measured; an interval from one picture is infinite.
    units : int
        How many pictures the mean is of.
    standard_error : float

    Examples
    --------
    >>> estimate = Estimate.of(np.array([1.0, 2.0, 3.0, np.nan]))
    >>> print(estimate, estimate.units)
    2.00 ± 2.48 3
    """

    mean: float
    low: float
    high: float
    units: int
    standard_error: float

    @classmethod
    def of(cls, values: np.ndarray) -> Estimate:
        """Estimate from one number per picture, without the NaN of constant maps, which have no direction.

        >>> estimate = Estimate.of(np.array([1.0, 2.0, 3.0, np.nan]))
        >>> estimate.mean, estimate.units, round(estimate.high, 3)
        (2.0, 3, 4.484)
        """
        values = np.asarray(values, dtype=np.float64).ravel()
        counted = values[~np.isnan(values)]
        if not len(counted):
            return cls(math.nan, math.nan, math.nan, 0, math.nan)
        mean = float(counted.mean())
        if len(counted) == 1:
            return cls(mean, -math.inf, math.inf, 1, math.inf)
        error = float(counted.std(ddof=1) / math.sqrt(len(counted)))
        return cls._around(mean, error, len(counted))

    def widened(self, factor: float) -> Estimate:
        """Return the same mean with an error that is `factor` times as large.

        >>> round(Estimate.of(np.array([1.0, 2.0, 3.0])).widened(2.0).high, 3)
        6.968
        """
        if self.units < 2:
            return self
        return self._around(self.mean, factor * self.standard_error, self.units)

    @classmethod
    def _around(cls, mean: float, error: float, units: int) -> Estimate:
        reach = error * _quantile(units - 1)
        return cls(mean, mean - reach, mean + reach, units, error)

    def __str__(self) -> str:
        """Write the mean and half the width of the interval: ``0.37 ± 0.01``."""
        return drawing.with_reach(self.mean, self.high - self.mean)

    def above(self, threshold: float) -> float:
        """Return how sure it is that the expectation exceeds `threshold`: 1 minus the p-value of a one-sided t test.

        >>> round(Estimate.of(np.array([1.0, 2.0, 3.0])).above(2.0), 3)
        0.5
        """
        if math.isnan(self.mean) or math.isinf(self.standard_error):
            return 0.5  # no evidence for either side
        if self.standard_error == 0:
            return 0.5 if self.mean == threshold else float(self.mean > threshold)
        from scipy import special

        return float(special.stdtr(self.units - 1, (self.mean - threshold) / self.standard_error))


@functools.cache
def _quantile(degrees: int) -> float:
    """Return half the width of Student's 95 % interval, in standard errors."""
    return stats.interval(0.0, 1.0, degrees)[1]
