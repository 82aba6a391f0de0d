"""Laws of the weights.  Imports checks of arguments and seeds alone.

A law enters the theory only through three moments of a weight ``V``: ``E[max(V, 0)]``, ``E[max(V, 0)²]`` and ``E[V²]``.
Its excess kurtosis says how far it is from being rotation invariant.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Final, Protocol, runtime_checkable

import numpy as np

from theorylab import _random, _validation


@runtime_checkable
class WeightLaw(Protocol):
    """A law of weights that is symmetric about 0, with its moments and draws."""

    @property
    def std(self) -> float:
        """``√E[V²]``."""
        return math.sqrt(self.variance)

    @property
    def relu_mean(self) -> float:
        """``E[max(V, 0)]``."""

    @property
    def relu_second_moment(self) -> float:
        """``E[max(V, 0)²]``: half of ``E[V²]`` by symmetry."""
        return self.variance / 2

    @property
    def variance(self) -> float:
        """``E[V²]``."""

    @property
    def excess_kurtosis(self) -> float:
        """``E[V⁴]/E[V²]² − 3``."""

    def sample(
        self, shape: int | tuple[int, ...], *, seed: _random.Seed, dtype: type = np.float64
    ) -> np.ndarray:
        """Draw independent weights of the given shape and floating dtype."""


def _size(value: object, name: str) -> float:
    """Return a size of weights as a float, or raise an error; its square must be neither infinite nor zero."""
    if not 1e-150 <= (size := _validation.positive_number(value, name)) <= 1e150:
        raise ValueError(f"{name}: expected a number from 1e-150 to 1e150, got {size:g}")
    return size


@dataclasses.dataclass(frozen=True)
class Gaussian(WeightLaw):
    """Normal weights with mean 0.

    Parameters
    ----------
    std : float, default 1.0
        Standard deviation ``c``, in the units of the weights.

    Raises
    ------
    TypeError, ValueError
        If `std` is not a finite number above 0.

    Notes
    -----
    ``E[max(V, 0)] = c/√(2π)`` and ``E[max(V, 0)²] = c²/2`` by symmetry.

    Examples
    --------
    >>> law = Gaussian(0.1)
    >>> round(law.relu_mean, 6), round(law.relu_second_moment, 6)
    (0.039894, 0.005)
    >>> law.sample((2, 3), seed=0).shape
    (2, 3)
    """

    std: float = 1.0

    def __post_init__(self) -> None:
        """Check `std`."""
        object.__setattr__(self, "std", _size(self.std, "std"))

    @property
    def relu_mean(self) -> float:
        """``E[max(V, 0)]``."""
        return self.std / math.sqrt(2 * math.pi)

    @property
    def variance(self) -> float:
        """``E[V²]``."""
        return self.std**2

    @property
    def excess_kurtosis(self) -> float:
        """``E[V⁴]/E[V²]² − 3``: zero."""
        return 0.0

    @_validation.checked
    def sample(
        self, shape: int | tuple[int, ...], *, seed: _random.Seed, dtype: type = np.float64
    ) -> np.ndarray:
        """Draw independent weights of the given shape and floating dtype."""
        draws = _random.standard_normal(_random.generator(seed), shape, dtype)
        draws *= np.asarray(self.std, dtype=dtype)
        return draws


@dataclasses.dataclass(frozen=True)
class Uniform(WeightLaw):
    """Weights, or biases, that are uniform on ``±h``: PyTorch's default, with ``h = 1/√fan-in`` for both.

    Parameters
    ----------
    half_width : float
        ``h``; the standard deviation is ``h/√3``.

    Raises
    ------
    TypeError, ValueError
        If `half_width` is not a finite number above 0.

    Notes
    -----
    ``E[max(V, 0)] = h/4``, ``E[V²] = h²/3`` and ``E[V⁴] = h⁴/5``.

    Examples
    --------
    >>> law = Uniform(0.3)
    >>> round(law.std, 6), law.relu_mean, bool(abs(law.sample(1000, seed=1)).max() <= 0.3)
    (0.173205, 0.075, True)
    """

    half_width: float

    def __post_init__(self) -> None:
        """Check `half_width`."""
        object.__setattr__(self, "half_width", _size(self.half_width, "half_width"))

    @property
    def relu_mean(self) -> float:
        """``E[max(V, 0)]``."""
        return self.half_width / 4

    @property
    def variance(self) -> float:
        """``E[V²]``."""
        return self.half_width**2 / 3

    @property
    def excess_kurtosis(self) -> float:
        """``E[V⁴]/E[V²]² − 3``: −6/5."""
        return -1.2

    @_validation.checked
    def sample(
        self, shape: int | tuple[int, ...], *, seed: _random.Seed, dtype: type = np.float64
    ) -> np.ndarray:
        """Draw independent weights of the given shape and floating dtype."""
        draws = _random.generator(seed).random(shape, dtype=dtype)
        draws -= np.asarray(0.5, dtype=dtype)
        draws *= np.asarray(2 * self.half_width, dtype=dtype)
        return draws


@dataclasses.dataclass(frozen=True)
class Constant:
    """Biases that all have one value; no law of weights, which are symmetric about 0.

    Parameters
    ----------
    value : float

    Raises
    ------
    TypeError, ValueError
        If `value` is no finite number.

    Examples
    --------
    >>> Constant(0.1).sample(2, seed=0)
    array([0.1, 0.1])
    """

    value: float

    def __post_init__(self) -> None:
        """Check `value`."""
        object.__setattr__(self, "value", _validation.finite_number(self.value, "value"))

    @_validation.checked
    def sample(
        self, shape: int | tuple[int, ...], *, seed: _random.Seed, dtype: type = np.float64
    ) -> np.ndarray:
        """Return an array of the given shape and floating dtype; nothing is random."""
        return np.full(shape, self.value, dtype=dtype)


BiasLaw = WeightLaw | Constant
"""What biases may be."""

_PART: Final = 2**16

STANDARD_NORMAL: Final = Gaussian(1.0)
"""``N(0, 1)``."""


@dataclasses.dataclass(frozen=True)
class TruncatedGaussian(WeightLaw):
    """A normal law cut off at ``±cutoff·scale``; values beyond are drawn again: TensorFlow's ``truncated_normal``.

    Parameters
    ----------
    scale : float, default 0.1
        The parameter ``c``: the standard deviation before the cut.
    cutoff : float, default 2.0
        The law is cut at this value, in units of `scale`.

    Attributes
    ----------
    std : float
        Standard deviation of the truncated law, which is smaller than `scale`: ``0.8796 c`` at the default cut.

    Raises
    ------
    TypeError, ValueError
        If `scale` or `cutoff` is not a finite number above 0.

    Notes
    -----
    With ``Z = P(|g| < a)``, ``a`` the cutoff and ``φ`` the normal density: ``E[max(V,0)] = c (φ(0) − φ(a))/Z``,
    ``E[V²] = c² (1 − 2aφ(a)/Z)``, ``E[V⁴] = c⁴ (3 − (6a + 2a³) φ(a)/Z)``, each by one or two integrations by
    parts of ``t^k φ(t)`` over the interval.

    Examples
    --------
    >>> law = TruncatedGaussian(0.1)
    >>> round(law.std, 5)
    0.08796
    >>> bool(abs(law.sample(1000, seed=1)).max() <= 0.2)
    True
    """

    scale: float = 0.1
    cutoff: float = 2.0

    def __post_init__(self) -> None:
        """Check `scale` and `cutoff`."""
        object.__setattr__(self, "scale", _size(self.scale, "scale"))
        object.__setattr__(self, "cutoff", _validation.positive_number(self.cutoff, "cutoff"))

    @property
    def _edge_density(self) -> float:
        """``φ(a)/Z``."""
        a = self.cutoff
        return math.exp(-a * a / 2) / math.sqrt(2 * math.pi) / math.erf(a / math.sqrt(2))

    @property
    def relu_mean(self) -> float:
        """``E[max(V, 0)]``."""
        a = self.cutoff
        return self.scale * -math.expm1(-a * a / 2) / math.sqrt(2 * math.pi) / math.erf(a / math.sqrt(2))

    @property
    def variance(self) -> float:
        """``E[V²]``, of the truncated law."""
        return self.scale**2 * (1 - 2 * self.cutoff * self._edge_density)

    @property
    def excess_kurtosis(self) -> float:
        """``E[V⁴]/E[V²]² − 3``: negative."""
        a = self.cutoff
        # The scale cancels, and its fourth power might overflow.
        return (3 - (6 * a + 2 * a**3) * self._edge_density) / (1 - 2 * a * self._edge_density) ** 2 - 3

    @_validation.checked
    def sample(
        self, shape: int | tuple[int, ...], *, seed: _random.Seed, dtype: type = np.float64
    ) -> np.ndarray:
        """Draw independent weights of the given shape and floating dtype, exactly, by rejection."""
        rng = _random.generator(seed)
        draws = _random.standard_normal(rng, shape, dtype).reshape(-1)
        # By parts that stay in the cache: the largest layer of VGG-16 has 10⁸ weights.
        parts = range(0, draws.size, _PART)
        found = [
            first + np.flatnonzero(np.abs(draws[first : first + _PART]) > self.cutoff) for first in parts
        ]
        outside = np.concatenate(found) if found else np.array([], dtype=int)
        while outside.size:
            fresh = _random.standard_normal(rng, outside.size, dtype)
            draws[outside] = fresh
            outside = outside[np.abs(fresh) > self.cutoff]
        draws *= np.asarray(self.scale, dtype=dtype)
        return draws.reshape(shape)
