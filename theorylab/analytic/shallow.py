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

import numpy as np

from theorylab import _validation
from theorylab.analytic import pooled
from theorylab.analytic.gates import Gate
from theorylab.laws import STANDARD_NORMAL, WeightLaw
from theorylab.nolaw import NoLaw
from theorylab.patches import PatchGrid
from theorylab.pooling import MaxPool
from theorylab.rules import Rule
from theorylab.units import RELU, Unit

TARGETS = ("input", "mean")


def check_target(target: object) -> None:
    """Raise a ValueError if the target of a cosine is neither the image nor the mean map."""
    if target not in TARGETS:
        raise ValueError(f"target: expected 'input' or 'mean', got {target!r}")


def cosine_of(mean: np.ndarray, energy: float, x: np.ndarray, rule: Rule, target: str) -> float:
    """Return ``⟨E S, t⟩/(‖t‖ √E‖S‖²)`` from a mean map and ``E‖S‖²``; see :func:`expected_cosine`."""
    check_target(target)
    if not mean.any():
        if target == "mean":
            raise ValueError(f"target 'mean': the mean map of {rule.value} is zero and has no direction")
        return 0.0
    direction = x if target == "input" else mean
    return float((mean * direction).sum() / (np.linalg.norm(direction) * math.sqrt(energy)))


@dataclasses.dataclass(frozen=True, eq=False)
class ThreeLayerLaw:
    """The law of a map: mean, variance and derived quantities, each computed at its first use.

    Parameters
    ----------
    x : array, (C, H, W)
    grid : PatchGrid
    rule : Rule
    n_filters : int
        ``N``.
    readout : WeightLaw
    filter_std : float
        ``c``.
    unit : Unit
    kind : {"exact", "limit"}
        For filters that are not Gaussian, the law is the limit of large patches.

    Notes
    -----
    Readouts are independent of each other and of the filters, so with ``first``, ``second`` and ``pairs`` of
    :class:`~theorylab.analytic.gates.Gate`

    - ``E S = N c E[h] first``,
    - ``Var S = N c² (E[h²] second + E[h]² (pairs − first²))``,
    - ``E⟨S, S'⟩ = E‖S‖² − N c² (E[h²] − E[h]²) Σ second`` for two logits of one network: they share the filters, so only
      the terms of equal positions differ.
    """

    x: np.ndarray
    grid: PatchGrid
    rule: Rule
    n_filters: int
    readout: WeightLaw
    filter_std: float
    unit: Unit = RELU
    kind: str = "exact"

    @functools.cached_property
    def gate(self) -> Gate:
        """Moments of the gated filters."""
        return Gate(self.x, self.grid, self.rule.shut(self.unit))

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
        return self.n_filters * self.h_mean * self.filter_std * self.gate.first

    @functools.cached_property
    def variance(self) -> np.ndarray:
        """Variance of each entry, (C, H, W)."""
        result = self.rule.second_moment(self.readout) * self.gate.second
        if self.h_mean != 0:
            result = result + self.h_mean**2 * (self.gate.pairs - self.gate.first**2)
        return self.n_filters * self.filter_std**2 * result

    @functools.cached_property
    def energy(self) -> float:
        """``E‖S‖²``."""
        return float((self.mean**2).sum() + self.variance.sum())

    @functools.cached_property
    def class_product(self) -> float:
        """``E⟨S, S'⟩`` of two logits."""
        if self.h_mean == 0:
            return 0.0
        lost = self.n_filters * self.filter_std**2 * self.h_variance * self.gate.second.sum()
        return self.energy - float(lost)

    @property
    def class_distance(self) -> float:
        """Distance of the unit-norm maps of two logits, from a ratio of expectations."""
        return math.sqrt(max(0.0, 2 - 2 * self.class_product / self.energy))

    def expected_cosine(self, target: str = "input") -> float:
        """Return the cosine to the image or to the mean map, as a ratio of expectations."""
        return cosine_of(self.mean, self.energy, self.x, self.rule, target)


def law_of(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    law: WeightLaw,
    filter_std: float | None,
    unit: Unit = RELU,
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
    )


def mean_map(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = STANDARD_NORMAL,
    pool: MaxPool | None = None,
    filter_std: float | None = None,
    unit: Unit = RELU,
) -> np.ndarray:
    """Return the expected raw map of one logit.

    Parameters
    ----------
    x : array, (C, H, W)
        The image, of any norm above 0.
    grid : PatchGrid
    rule : Rule or str
    n_filters : int
        ``N``.
    law : WeightLaw, default Gaussian(1.0)
        Law of the readout.
    pool : MaxPool, optional
        Disjoint windows between the units and the readout: see
        :func:`~theorylab.analytic.pooled.pooled_mean_map`.
    filter_std : float, optional
        ``c`` of the Gaussian filters; ``law.std`` if not given.
    unit : Unit, default ReLU()

    Returns
    -------
    array, (C, H, W) float64
        ``N E[h(V)] (1−s) c/√(2π) (x ⊙ κ)`` with the factor ``s`` of a closed gate: zero for saliency and DeconvNet.

    Raises
    ------
    TypeError, ValueError
        For an image of the wrong shape, not finite or zero everywhere; an unknown rule; no filters; overlapping
        windows, which :func:`theorylab.sampling.three_layer_maps` simulates.
    NoLaw
        For pooling of any unit but the ReLU.

    Notes
    -----
    See :class:`ThreeLayerLaw`.  This corrects Theorem 1 (Eq. 5), whose right-hand side is ``x``.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> x = np.array([[[3.0, 4.0, 0.0]]])
    >>> mean_map(x, grid, "guided", n_filters=100).round(3)
    array([[[ 9.549, 28.648,  0.   ]]])
    """
    if pool is not None:
        if unit != RELU:
            raise NoLaw(Rule(rule), unit, repr(pool))
        return pooled.pooled_mean_map(x, grid, rule, n_filters, law=law, pool=pool, filter_std=filter_std)
    return law_of(x, grid, rule, n_filters, law, filter_std, unit).mean


def variance_map(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = STANDARD_NORMAL,
    filter_std: float | None = None,
    unit: Unit = RELU,
) -> np.ndarray:
    """Return the variance of each entry of the raw map, exact for every ``N``.

    Parameters
    ----------
    x, grid, rule, n_filters, law, filter_std, unit
        As in :func:`mean_map`.

    Returns
    -------
    array, (C, H, W) float64, in squared units of the map

    Notes
    -----
    See :class:`ThreeLayerLaw`.  Saliency: ``N v c²/2`` times the coverage by patches that are not zero.  DeconvNet: ``N m₂ c²``
    times the coverage.

    Examples
    --------
    One patch of one pixel: ``S = Σ_i max(V_i, 0) w_i 1(w_i > 0)``, whose variance is ``N (1/4 − 1/(4π²))``.

    >>> grid = PatchGrid((1, 1, 1), kernel=1)
    >>> variance_map(np.ones((1, 1, 1)), grid, "guided", n_filters=4).round(4)
    array([[[0.8987]]])
    """
    return law_of(x, grid, rule, n_filters, law, filter_std, unit).variance


def expected_energy(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = STANDARD_NORMAL,
    filter_std: float | None = None,
    unit: Unit = RELU,
) -> float:
    """Return ``E‖S‖²`` of the raw map: the squared norm of the mean map plus the trace of the covariance.

    Parameters
    ----------
    x, grid, rule, n_filters, law, filter_std, unit
        As in :func:`mean_map`.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 1), kernel=1)
    >>> round(expected_energy(np.ones((1, 1, 1)), grid, "saliency", n_filters=4), 6)
    2.0
    """
    return law_of(x, grid, rule, n_filters, law, filter_std, unit).energy


def expected_cosine(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = STANDARD_NORMAL,
    filter_std: float | None = None,
    unit: Unit = RELU,
    target: str = "input",
) -> float:
    """Return the cosine between a map and a target, as the ratio of expectations ``⟨E S, t⟩ / (‖t‖ √E‖S‖²)``.

    Parameters
    ----------
    x, grid, rule, n_filters, law, filter_std, unit
        As in :func:`mean_map`.
    target : {"input", "mean"}
        The image ``x``, or the mean map ``E S``.

    Returns
    -------
    float
        To the mean: ``1/√(1 + tr Cov/‖E S‖²)``; to the input: that times ``cos(x ⊙ κ, x)``.  For saliency and
        DeconvNet the mean map is zero and the cosine to the input 0.

    Raises
    ------
    ValueError
        For an unknown target, and for ``"mean"`` if the mean map is zero and has no direction.

    Notes
    -----
    The mean of the cosines of single maps differs from this ratio (Jensen's inequality) by about the relative variance of
    ``‖S‖²``: less than 0.002 on photographs with at least 16 filters.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> x = np.array([[[3.0, 4.0, 1.0]]])
    >>> round(expected_cosine(x, grid, "guided", n_filters=1000), 4)
    0.9444
    """
    check_target(target)
    return law_of(x, grid, rule, n_filters, law, filter_std, unit).expected_cosine(target)


def expected_class_product(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = STANDARD_NORMAL,
    filter_std: float | None = None,
    unit: Unit = RELU,
) -> float:
    """Return ``E⟨S, S'⟩`` for two logits of one network; see :class:`ThreeLayerLaw`.

    Parameters
    ----------
    x, grid, rule, n_filters, law, filter_std, unit
        As in :func:`mean_map`.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 1), kernel=1)
    >>> expected_class_product(np.ones((1, 1, 1)), grid, "saliency", n_filters=4)
    0.0
    """
    return law_of(x, grid, rule, n_filters, law, filter_std, unit).class_product


def class_distance(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = STANDARD_NORMAL,
    filter_std: float | None = None,
    unit: Unit = RELU,
) -> float:
    """Return the l2 distance between the unit-norm maps of two logits of a network: ``√(2 − 2 E⟨S,S'⟩/E‖S‖²)``.

    Parameters
    ----------
    x, grid, rule, n_filters, law, filter_std, unit
        As in :func:`mean_map`.

    Returns
    -------
    float
        ``√2`` for saliency; ``√(2 − 2 m₀²/m₂)`` for DeconvNet at every ``N`` (``√(2 − 2/π)`` with a Gaussian readout); for
        guided backpropagation it falls to 0 as ``N`` grows.

    Notes
    -----
    This is a ratio of expectations; the mean of single distances is 0.2–0.3 % larger at 16–64 filters (Jensen's inequality).

    Examples
    --------
    >>> grid = PatchGrid((1, 2, 3), kernel=2)
    >>> round(class_distance(np.ones((1, 2, 3)), grid, "deconvnet", n_filters=8), 4)
    1.1676
    """
    return law_of(x, grid, rule, n_filters, law, filter_std, unit).class_distance
