"""Streaming moments that merge: the same numbers however the replicates are cut into ordered blocks."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from theorylab import _validation


@_validation.checked
@dataclasses.dataclass
class ArrayMoments:
    """Mean and variance, entry by entry, of a stream of equal-shaped arrays (maps).

    Attributes
    ----------
    count : int
    mean : array
    deviations : array
        Sum of squared deviations from the mean.

    Notes
    -----
    Welford's update and Chan, Golub and LeVeque's merge: no cancellation, whatever the mean.

    Examples
    --------
    >>> moments = ArrayMoments.of(np.array([1.0, 2.0, 6.0]))
    >>> float(moments.mean), float(moments.variance)
    (3.0, 7.0)
    """

    count: int
    mean: np.ndarray
    deviations: np.ndarray

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> ArrayMoments:
        """Return moments of no observation."""
        return cls(0, np.zeros(shape), np.zeros(shape))

    @classmethod
    def of(cls, observations: np.ndarray) -> ArrayMoments:
        """Return the moments of an array whose first axis counts observations."""
        if not observations.ndim:
            raise ValueError("observations: expected an axis of observations, got a number")
        observations = observations.astype(np.float64)
        mean = observations.mean(axis=0)
        return cls(len(observations), mean, ((observations - mean) ** 2).sum(axis=0))

    def add(self, observation: np.ndarray) -> None:
        """Add one observation, in place."""
        difference = observation - _same_shape(observation, self.mean, "observation")
        self.count += 1
        self.mean += difference / self.count
        self.deviations += difference * (observation - self.mean)

    def merge(self, other: ArrayMoments) -> None:
        """Add another stream, in place."""
        if other.count == 0:
            return
        total = self.count + other.count
        difference = other.mean - _same_shape(other.mean, self.mean, "other")
        self.mean += difference * (other.count / total)
        self.deviations += other.deviations + difference**2 * (self.count * other.count / total)
        self.count = total

    @property
    def variance(self) -> np.ndarray:
        """Unbiased variance; NaN with fewer than two observations."""
        return self.deviations / (self.count - 1) if self.count > 1 else np.full(self.mean.shape, np.nan)

    @property
    def standard_error(self) -> np.ndarray:
        """Of the mean."""
        return np.sqrt(self.variance / self.count)


def _same_shape(array: np.ndarray, like: np.ndarray, name: str) -> np.ndarray:
    """Return `like`, or raise a ValueError if `array` has another shape: it would be spread over it."""
    if np.shape(array) != like.shape:
        raise ValueError(f"{name}: expected shape {like.shape}, got {np.shape(array)}")
    return like


class Undetermined(ArithmeticError):
    """A number formed of means has no value within a standard error of them; more replicates may tell."""


@_validation.checked
@dataclasses.dataclass
class Statistics:
    """Means and covariances of named numbers measured once a replicate.

    A quantity formed from several means (a cosine, a distance, a slope) and its standard error come from
    :meth:`estimate`, so that no list of replicates need be kept.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> side = rng.normal(3.0, 0.1, size=1000)
    >>> sample = Statistics.of({"side": side, "area": side**2})
    >>> value, error = sample.estimate(lambda mean: mean["area"] / mean["side"] ** 2)
    >>> bool(abs(value - (1 + 0.01 / 9)) < 4 * error)
    True
    """

    names: tuple[str, ...]
    count: int
    mean: np.ndarray
    deviations: np.ndarray

    @classmethod
    def of(cls, observations: Mapping[str, np.ndarray]) -> Statistics:
        """Return the statistics of equally long vectors of observations."""
        columns = [
            _validation.as_array(column, f"observations, {name}") for name, column in observations.items()
        ]
        if {column.ndim for column in columns} != {1} or len({len(column) for column in columns}) != 1:
            raise ValueError(
                f"observations: expected vectors of one length, got shapes {[column.shape for column in columns]}"
            )
        table = np.stack(columns, axis=1).astype(np.float64)
        mean = table.mean(axis=0)
        centred = table - mean
        return cls(tuple(observations), len(table), mean, centred.T @ centred)

    def merge(self, other: Statistics) -> None:
        """Add another stream of the same names, in place."""
        if other.names != self.names:
            raise ValueError(f"merge: names {other.names} differ from {self.names}")
        total = self.count + other.count
        difference = other.mean - self.mean
        weight = self.count * other.count / total
        self.mean = self.mean + difference * (other.count / total)
        self.deviations = self.deviations + other.deviations + weight * np.outer(difference, difference)
        self.count = total

    @property
    def covariance(self) -> np.ndarray:
        """Of one replicate, (k, k)."""
        return self.deviations / (self.count - 1)

    def estimate(self, function: Callable[[dict[str, float]], float]) -> tuple[float, float]:
        """Evaluate a smooth function of the means, with its standard error by the delta method.

        The gradient is taken by central differences with steps of one standard error of each mean, the scale on which
        the means are known.

        Raises
        ------
        ValueError
            With fewer than two replicates: no spread, no standard error.
        Undetermined
            If the function has no finite value at one of these steps, as the root of a mean that may be negative.

        Examples
        --------
        >>> far, near = Statistics.of({"a": np.array([3.0, 5.0])}), Statistics.of({"a": np.array([-1.0, 3.0])})
        >>> far.estimate(lambda mean: math.sqrt(mean["a"]))[0]
        2.0
        >>> near.estimate(lambda mean: math.sqrt(mean["a"]))
        Traceback (most recent call last):
            ...
        theorylab...Undetermined: no value within a standard error of the means of 2 replicates (math domain error)
        """
        if self.count < 2:
            raise ValueError("estimate: needs at least two replicates")
        errors = np.sqrt(np.diag(self.covariance) / self.count)

        def at(point: np.ndarray) -> float:
            try:
                value = float(function(dict(zip(self.names, point.tolist(), strict=True))))
                if math.isfinite(value):
                    return value
                why = f"it is {value}"
            except (ValueError, ArithmeticError) as error:
                why = str(error)
            raise Undetermined(
                f"no value within a standard error of the means of {self.count} replicates ({why})"
            )

        gradient = np.zeros(len(self.names))
        for i in np.flatnonzero(errors):
            step = np.zeros(len(self.names))
            step[i] = errors[i]
            gradient[i] = (at(self.mean + step) - at(self.mean - step)) / (2 * errors[i])
        variance = gradient @ self.covariance @ gradient / self.count
        return at(self.mean), float(np.sqrt(max(variance, 0.0)))


@_validation.checked
@dataclasses.dataclass
class Measurement:
    """What one block, or a whole study, measured: numbers once a replicate, and moments of maps.

    `share` is how many of the study's replicates these are, for one that is looked at before its end.
    """

    statistics: Statistics
    maps: dict[str, ArrayMoments] = dataclasses.field(default_factory=dict)
    share: float = 1.0

    def merge(self, other: Measurement) -> None:
        """Add the next block, in place."""
        self.statistics.merge(other.statistics)
        for name, moments in other.maps.items():
            self.maps[name].merge(moments)

    @property
    def replicates(self) -> int:
        """Number of replicates."""
        return self.statistics.count

    def estimate(self, function: str | Callable[[dict[str, float]], float]) -> tuple[float, float, int]:
        """Estimate a mean by its name, or a smooth function of the means: value, standard error, replicates.

        Examples
        --------
        >>> measurement({"a": np.array([1.0, 3.0])}).estimate("a")
        (2.0, 1.0, 2)
        """
        smooth = (
            function
            if callable(function)
            else operator.itemgetter(_validation.choice(function, self.statistics.names, "function"))
        )
        return *self.statistics.estimate(smooth), self.replicates


Simulation = Callable[[np.random.Generator, int], Measurement]
"""``simulate(rng, size)``: measures `size` independent replicates drawn from `rng`."""


@_validation.checked
def measurement(
    numbers: Mapping[str, np.ndarray] | Iterable[Mapping[str, float]],
    maps: Mapping[str, ArrayMoments] | None = None,
) -> Measurement:
    """Make a block's measurement from vectors over replicates, or from one row of numbers per replicate.

    Examples
    --------
    >>> measurement({"a": np.array([1.0, 2.0])}).replicates
    2
    >>> measurement([{"a": 1.0}, {"a": 2.0}]).estimate("a")
    (1.5, 0.5, 2)
    """
    if not isinstance(numbers, Mapping):
        rows = list(numbers)
        if not rows or not all(isinstance(row, Mapping) and row.keys() == rows[0].keys() for row in rows):
            raise ValueError("numbers: expected rows of the same names, at least one")
        numbers = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    if any(np.ndim(values) != 1 for values in numbers.values()):
        raise ValueError("numbers: expected a vector over replicates for each name")
    if not all(len(values) for values in numbers.values()):
        raise ValueError("numbers: expected one replicate or more")
    return Measurement(Statistics.of(numbers), dict(maps or {}))
