"""Means with intervals over independent units."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from theorylab import drawing, stats


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over pictures (over targets, where there is one picture) with its 95 % interval.

    Attributes
    ----------
    mean, low, high : float
        NaN where nothing could be measured; an interval from one unit is infinite.
    units : int
        How many numbers the mean is of.
    standard_error : float
    """

    mean: float
    low: float
    high: float
    units: int
    standard_error: float

    @classmethod
    def of(cls, values: np.ndarray) -> Estimate:
        """Estimate from one number per unit, without the NaN of zero maps, which have no direction.

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
        return cls(mean, *stats.interval(mean, error, len(counted) - 1), len(counted), error)

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
            return float(self.mean > threshold)
        from scipy import stats as distributions

        return float(distributions.t.cdf((self.mean - threshold) / self.standard_error, self.units - 1))
