"""Functions of the exact laws of three-layer networks; the laws are those of :mod:`theorylab.analytic.three_layer`."""

from __future__ import annotations

import numpy as np

from theorylab import _validation
from theorylab.analytic import pooled
from theorylab.analytic._arguments import made_by
from theorylab.analytic._pool_windows import require_law
from theorylab.analytic.nolaw import NoLaw
from theorylab.analytic.three_layer import ThreeLayerLaw, law_of
from theorylab.model.laws import STANDARD_NORMAL, BiasLaw, WeightLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.units import RELU, Unit


@_validation.checked
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
    bias: BiasLaw | None = None,
) -> np.ndarray:
    """Return the expected raw map of one logit.

    Parameters
    ----------
    x : array, (C, H, W)
        The image, of any norm above 0; the law depends on directions alone.  A patch whose norm is below 1e-145 of the largest
        entry counts as zeros.
    grid : PatchGrid
    rule : Rule or str
    n_filters : int
        ``N``.
    law : WeightLaw, default Gaussian(1.0)
        Law of the readout.
    pool : MaxPool, optional
        Between the units and the readout: see
        :func:`~theorylab.analytic.pooled.pooled_mean_map`.
    filter_std : float, optional
        ``c`` of the Gaussian filters; ``law.std`` if not given.
    unit : Unit, default ReLU()
    bias : WeightLaw or Constant, optional
        Law of the filters' biases, Gaussian, uniform or constant; without a pool.

    Returns
    -------
    array, (C, H, W) float64
        ``N E[h(V)] (1−s) c/√(2π) (x ⊙ κ)`` with the factor ``s`` of a closed gate: zero for saliency and DeconvNet.

    Raises
    ------
    TypeError, ValueError
        For an image of the wrong shape, not finite or zero everywhere; an unknown rule; no filters.
    NoLaw
        For pooling of any unit but the ReLU, in overlapping windows under a readout that is not Gaussian, and of units with
        biases: :func:`theorylab.law` has the latter's law.

    Notes
    -----
    Exact for every ``N``, biases included; what a pool leaves to integrals :func:`~theorylab.analytic.pooled_mean_map` says.
    See :class:`~theorylab.analytic.three_layer.ThreeLayerLaw`.  This corrects Theorem 1 (Eq. 5), whose right-hand side is ``x``.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> x = np.array([[[3.0, 4.0, 0.0]]])
    >>> mean_map(x, grid, "guided", n_filters=100).round(3)
    array([[[ 9.549, 28.648,  0.   ]]])
    """
    if pool is not None:
        require_law(pool, Rule(rule), unit, law)
        if bias is not None:
            raise NoLaw(Rule(rule), unit, f"{pool!r} behind biases", "theorylab.law of a Stack has this law")
        return pooled.pooled_mean_map(x, grid, rule, n_filters, law=law, pool=pool, filter_std=filter_std)
    return law_of(x, grid, rule, n_filters, law=law, filter_std=filter_std, unit=unit, bias=bias).mean


@made_by(law_of)
def variance_map(maps: ThreeLayerLaw) -> np.ndarray:
    """Return the variance of each entry of the raw map, exact for every ``N``.

    Parameters, errors: as for :func:`mean_map`.

    Returns
    -------
    array, (C, H, W) float64, in squared units of the map

    Notes
    -----
    See :class:`~theorylab.analytic.three_layer.ThreeLayerLaw`.
    Saliency: ``N v c²/2`` times the coverage by patches that are not zero.  DeconvNet: ``N m₂ c²``
    times the coverage.

    Examples
    --------
    One patch of one pixel: ``S = Σ_i max(V_i, 0) w_i 1(w_i > 0)``, whose variance is ``N (1/4 − 1/(4π²))``.

    >>> grid = PatchGrid((1, 1, 1), kernel=1)
    >>> variance_map(np.ones((1, 1, 1)), grid, "guided", n_filters=4).round(4)
    array([[[0.8987]]])
    """
    return maps.variance


@made_by(law_of)
def expected_energy(maps: ThreeLayerLaw) -> float:
    """Return ``E‖S‖²`` of the raw map: the squared norm of the mean map plus the trace of the covariance.

    Exact for every ``N``.  Parameters, errors: as for :func:`mean_map`.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 1), kernel=1)
    >>> round(expected_energy(np.ones((1, 1, 1)), grid, "saliency", n_filters=4), 6)
    2.0
    """
    return maps.energy


@_validation.checked
def expected_cosine(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = STANDARD_NORMAL,
    filter_std: float | None = None,
    unit: Unit = RELU,
    bias: BiasLaw | None = None,
    target: str = "input",
) -> float:
    """Return the cosine between a map and a target, as the ratio of expectations ``⟨E S, t⟩ / (‖t‖ √E‖S‖²)``.

    Parameters
    ----------
    x, grid, rule, n_filters, law, filter_std, unit, bias
        As in :func:`mean_map`.
    target : {"input", "mean"}
        The image ``x``, or the mean map ``E S``.

    Returns
    -------
    float
        Exact for every ``N``.  To the mean: ``1/√(1 + tr Cov/‖E S‖²)``; to the input: that times ``cos(x ⊙ κ, x)``.  For
        saliency and DeconvNet the mean map is zero and the cosine to the input 0.

    Raises
    ------
    ValueError
        For an unknown target, and for ``"mean"`` if the mean map is zero and has no direction.

    Notes
    -----
    The mean of the cosines of single maps differs from this ratio (Jensen's inequality) by about the relative variance of
    ``‖S‖²``: less than 0.002 on photographs of 224×224 with at least 16 filters.  On small pictures it is more: 0.487(2) for
    0.499, to the mean, on a photograph's 12×12 pixels with 3×3 patches, 24 filters and biases.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> x = np.array([[[3.0, 4.0, 1.0]]])
    >>> round(expected_cosine(x, grid, "guided", n_filters=1000), 4)
    0.9444
    """
    maps = law_of(x, grid, rule, n_filters, law=law, filter_std=filter_std, unit=unit, bias=bias)
    return maps.expected_cosine(target)


@made_by(law_of)
def expected_class_product(maps: ThreeLayerLaw) -> float:
    """Return ``E⟨S, S'⟩`` for two logits of one network, exact for every ``N``.

    See :class:`~theorylab.analytic.three_layer.ThreeLayerLaw`.

    Parameters, errors: as for :func:`mean_map`.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 1), kernel=1)
    >>> expected_class_product(np.ones((1, 1, 1)), grid, "saliency", n_filters=4)
    0.0
    """
    return maps.class_product


@made_by(law_of)
def class_distance(maps: ThreeLayerLaw) -> float:
    """Return the l2 distance between the unit-norm maps of two logits of a network: ``√(2 − 2 E⟨S,S'⟩/E‖S‖²)``.

    Parameters, errors: as for :func:`mean_map`.

    Returns
    -------
    float
        ``√2`` for saliency; ``√(2 − 2 m₀²/m₂)`` for DeconvNet at every ``N`` (``√(2 − 2/π)`` with a Gaussian readout); for
        guided backpropagation it falls to 0 as ``N`` grows.

    Notes
    -----
    Exact for every ``N`` as a ratio of expectations; the mean of single distances is larger (Jensen's inequality), on photographs
    of 224×224 by 0.2–0.3 % at 16–64 filters, on three pictures of 12×12 at 24–32 filters by 0.4–2.8 % (DeconvNet 1.2–1.5 %).

    Examples
    --------
    >>> grid = PatchGrid((1, 2, 3), kernel=2)
    >>> round(class_distance(np.ones((1, 2, 3)), grid, "deconvnet", n_filters=8), 4)
    1.1676
    """
    return maps.class_distance
