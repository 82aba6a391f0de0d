"""Exact laws of the maps of a random three-layer network without pooling, for every number of filters.

The raw map is ``S = Σ_j D_jᵀ Σ_i h(V_ij) g'(w_i·y_j) w_i`` (Lemma 1, Eq. 4): ``N`` independent terms, one for each filter.
Filters are ``N(0, c² I)``; the readout has any law that is symmetric about 0.  The rule enters through ``E[h(V)]``,
``E[h(V)²]`` and the gate, the unit through the gate: :mod:`theorylab.analytic.gates`.  A grid with a single patch makes the
network fully connected.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Protocol

import numpy as np

from theorylab import _validation
from theorylab.analytic import _biases, _windows, gates
from theorylab.analytic.nolaw import SIMULATE, NoLaw
from theorylab.model.laws import STANDARD_NORMAL, BiasLaw, Gaussian, WeightLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import Rule
from theorylab.model.units import RELU, Unit


def check_target(target: object) -> None:
    """Raise a ValueError if the target of a cosine is neither the image nor the mean map."""
    if not isinstance(target, str) or target not in ("input", "mean"):
        raise ValueError(f"target: expected 'input' or 'mean', got {_validation.shown(target)}")


class MapLaw(Protocol):
    """The law of a raw map of one logit.  A part without closed form raises :class:`theorylab.NoLaw`.

    Attributes
    ----------
    x : array, (C, H, W)
        The image.
    rule : Rule
    kind : {"exact", "limit", "estimate"}
        Exact for every number of filters, the limit of wide layers, or an average over draws.
    """

    x: np.ndarray
    rule: Rule
    kind: str

    @property
    def mean(self) -> np.ndarray:
        """``E S``, over networks: (C, H, W) float64."""

    @property
    def variance(self) -> np.ndarray:
        """Variance of each entry, over networks: (C, H, W) float64."""

    @functools.cached_property
    def energy(self) -> float:
        """``E‖S‖²``."""
        return float((self.mean**2).sum() + self.variance.sum())

    @property
    def class_distance(self) -> float:
        """Expected distance of the unit-norm maps of two logits of one network, from a ratio of expectations."""
        # A map that is linear in the readout: those of two logits are uncorrelated.
        if self.rule.up + self.rule.down == 0:
            return math.sqrt(2)
        raise NoLaw(self.rule, None, "two logits of a deep or pooled network", SIMULATE)

    @property
    def absolute_cosine(self) -> float:
        """Cosine of ``|S|`` and ``|x|``, as a ratio of expectations, for a map that is linear in the readout.

        Such a map is Gaussian given the filters, so ``E|S_t| = √(2/π) √Var S_t`` in the limit of many filters ``N``: measured,
        the cosine is too large by ``0.5/N`` of itself or less, 0.2 % at 256 filters.
        """
        self._check_linear()
        scale = np.sqrt(self.variance)
        x = abs(_windows.scaled(self.x)[0])
        return math.sqrt(2 / math.pi) * float((scale * x).sum() / (np.linalg.norm(scale) * np.linalg.norm(x)))

    @property
    def absolute_class_distance(self) -> float:
        """Distance of the unit-norm maps ``|S|`` of two logits, from a ratio of expectations: ``√(2 − 4/π)`` for such maps.

        Given the filters the two maps are independent and Gaussian, of one variance: of their energy ``2/π`` overlaps.  Exact for
        one hidden layer and a Gaussian readout.
        """
        self._check_linear()
        return math.sqrt(2 - 4 / math.pi)

    def _check_linear(self) -> None:
        if self.rule.up + self.rule.down != 0:
            raise NoLaw(self.rule, None, "the absolute value of a map with a mean", SIMULATE)

    def expected_cosine(self, target: str = "input") -> float:
        """Return the cosine of the map to the image ("input") or to its mean ("mean"), as a ratio of expectations."""
        check_target(target)
        # A mean of zero needs no variance, for which there may be no law.
        if not self.mean.any():
            if target == "mean":
                raise ValueError(
                    f"target 'mean': the mean map of {self.rule.value} is zero and has no direction"
                )
            return 0.0
        direction = _windows.scaled(self.x)[0] if target == "input" else self.mean
        return float((self.mean * direction).sum() / (np.linalg.norm(direction) * math.sqrt(self.energy)))


@dataclasses.dataclass(frozen=True, eq=False)
class ThreeLayerLaw(MapLaw):
    """The law of a map: mean, variance and derived quantities, each computed at its first use.

    Parameters
    ----------
    x, grid, rule, n_filters, filter_std, unit
        As for :func:`~theorylab.analytic.mean_map`; its `law` is the law of the `readout`.
    kind : {"exact", "limit"}
        For filters that are not Gaussian, the law is the limit of large patches.

    Notes
    -----
    Filter ``w`` reaches the map through ``g'(w·y_j) w`` at patch ``j``, where ``g'`` is 1 above 0 and ``s`` elsewhere: the
    slope of the unit, or 1 under a rule without a gate.  Write ``g' = s + (1−s) 1(w·y > 0)``.  The half-space moments of
    :mod:`theorylab.analytic.halfspace` give, for standard normal filters,

    - ``first = Σ_j D_jᵀ E[g' w] = (1−s)/√(2π) x ⊙ κ``,
    - ``second = Σ_j D_jᵀ E[g'² w²] = s² coverage + (1−s²)/2 active coverage``,
    - ``pairs = (1−s)² Σ_{j≠j'∋t} M_jj'[r, r']`` (:func:`theorylab.analytic.gates.neighbours`): the terms with one indicator or
      none are ``E[w_r w_r'] = 0``.

    Readouts are independent of each other and of the filters, so

    - ``E S = N c E[h] first``,
    - ``Var S = N c² (E[h²] second + E[h]² (pairs − first²))``,
    - ``E⟨S, S'⟩ = E‖S‖² − N c² (E[h²] − E[h]²) Σ second`` for two logits of one network: they share the filters, so only
      the terms of equal positions differ.

    With Gaussian biases of standard deviation ``c_b`` all of this holds for the picture with one more channel of the constant
    that adds ``τ² = (c_b/c)²`` to the energy of every patch, as far as the map shows the others
    (:mod:`theorylab.analytic._biases`): ``κ_t = Σ_{j∋t} 1/√(‖y_j‖² + τ²)``, patches of zeros are as active as others, and two
    patches agree the more the larger ``τ`` is.  With biases of another law ``E[g' w] = (1−s) c y_j f_j``, ``f_j`` the density
    of ``w·y_j + b`` at 0, by Stein's lemma given ``b``; `pairs`, and what needs it, is not known.

    Examples
    --------
    >>> law_of(np.ones((1, 1, 1)), PatchGrid((1, 1, 1), kernel=1), "guided", 1).second
    array([[[0.5]]])
    """

    x: np.ndarray
    grid: PatchGrid
    rule: Rule
    n_filters: int
    readout: WeightLaw
    filter_std: float
    unit: Unit = RELU
    kind: str = "exact"
    bias: BiasLaw | None = None

    @functools.cached_property
    def longer(self) -> tuple[np.ndarray, PatchGrid]:
        """The picture with the channel of its biases, and its patches."""
        try:
            return _biases.longer(self.x, self.grid, self.filter_std, self.bias)
        except NoLaw as refusal:
            raise NoLaw(self.rule, self.unit, refusal.layer) from None

    @property
    def shut(self) -> float:
        """``s``, the factor of a closed gate."""
        return self.rule.shut(self.unit)

    @functools.cached_property
    def first(self) -> np.ndarray:
        """``Σ_j D_jᵀ E[g' w]``, (C, H, W)."""
        if self.shut == 1:
            return np.zeros(self.grid.input_shape)
        if self.bias is None or isinstance(self.bias, Gaussian):
            x, grid = self.longer
            x, _ = _windows.scaled(x)
            whole: np.ndarray = x * gates.local_contrast(x, grid)
            return (1 - self.shut) / math.sqrt(2 * math.pi) * _biases.seen(whole, self.grid, self.bias)
        x, exponent = _windows.scaled(self.x)
        size = self.filter_std * np.sqrt(_windows.energies(x, self.grid))
        try:
            at_zero = _biases.density(self.bias, _windows.rescaled(size, -exponent))
        except NoLaw as refusal:
            raise NoLaw(self.rule, self.unit, refusal.layer) from None
        return np.asarray((1 - self.shut) * self.filter_std * self.x * _windows.fold(at_zero, self.grid))

    @functools.cached_property
    def second(self) -> np.ndarray:
        """``Σ_j D_jᵀ E[g'² w²]``, (C, H, W)."""
        squared = self.shut**2
        if squared == 1:
            return np.asarray(self.grid.coverage, dtype=np.float64)
        if self.bias is None:
            half = gates.active_coverage(self.x, self.grid) / 2
        else:
            half = _biases.open_energy(self.x, self.grid, self.filter_std, self.bias)
        return np.asarray(squared * self.grid.coverage + (1 - squared) * half)

    @functools.cached_property
    def pairs(self) -> np.ndarray:
        """``Σ_{j≠j'} D_jᵀ D_j' E[g'_j g'_j' w wᵀ]``, its diagonal, (C, H, W)."""
        if self.shut == 1:
            return np.zeros(self.grid.input_shape)
        return (1 - self.shut) ** 2 * _biases.seen(gates.neighbours(*self.longer), self.grid, self.bias)

    @property
    def h_mean(self) -> float:
        """``E[h(V)]``."""
        return self.rule.mean(self.readout)

    @property
    def h_variance(self) -> float:
        """``E[h(V)²] − E[h(V)]²``."""
        return self.rule.second_moment(self.readout) - self.h_mean**2

    @functools.cached_property
    def mean(self) -> np.ndarray:
        """``E S``, (C, H, W)."""
        if self.h_mean == 0:
            return np.zeros(self.grid.input_shape)
        return self.n_filters * self.h_mean * self.filter_std * self.first

    @functools.cached_property
    def variance(self) -> np.ndarray:
        """Variance of each entry, (C, H, W)."""
        result = self.rule.second_moment(self.readout) * self.second
        if self.h_mean != 0:
            result = result + self.h_mean**2 * (self.pairs - self.first**2)
        return self.n_filters * self.filter_std**2 * result

    @functools.cached_property
    def class_product(self) -> float:
        """``E⟨S, S'⟩`` of two logits."""
        if self.h_mean == 0:
            return 0.0
        lost = self.n_filters * self.filter_std**2 * self.h_variance * self.second.sum()
        return self.energy - float(lost)

    @property
    def class_distance(self) -> float:
        """Distance of the unit-norm maps of two logits, from a ratio of expectations."""
        return math.sqrt(max(0.0, 2 - 2 * self.class_product / self.energy))


@_validation.checked
def law_of(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = STANDARD_NORMAL,
    filter_std: float | None = None,
    unit: Unit = RELU,
    bias: BiasLaw | None = None,
) -> ThreeLayerLaw:
    """Check the arguments and return the law."""
    return ThreeLayerLaw(
        _validation.image(x, grid.input_shape).astype(np.float64, copy=False),
        grid,
        Rule(rule),
        _validation.positive_integer(n_filters, "n_filters"),
        law,
        _validation.positive_number(law.std if filter_std is None else filter_std, "filter_std"),
        unit,
        bias=bias,
    )
