"""Second moments of a random three-layer network with max-pooling.

Given its filters, the readout weights that come to different patches are independent, because each window has one winner.  So
a filter enters in two ways: alone at each patch, by the second moment of an orthant, and where ``E[h(V)]`` is not 0 (DeconvNet,
guided backpropagation) at pairs of patches, which couple the windows that hold them: :mod:`theorylab.analytic._filter_pairs`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from theorylab import _validation
from theorylab.analytic import _unions, _windows
from theorylab.analytic._arguments import made_by
from theorylab.analytic._filter_pairs import filter_pairs
from theorylab.analytic._pool_windows import checked, require_disjoint, windows_of
from theorylab.analytic.nolaw import NoLaw
from theorylab.analytic.orthant_moments import event_probabilities, orthant_mean, orthant_second_moment
from theorylab.analytic.three_layer import ThreeLayerLaw
from theorylab.model.laws import STANDARD_NORMAL, WeightLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.units import RELU

_POINTS = 2**13
"""Of the quasi-random rule for windows of more than four positions."""


@_validation.checked
def pooled_variance_map(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = STANDARD_NORMAL,
    pool: MaxPool,
    filter_std: float | None = None,
    points: int = 4096,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Variance of every entry of the raw map of one logit behind a max-pool; exact for every ``N``, but for integrals.

    Parameters
    ----------
    x, grid, rule, n_filters, law, pool, filter_std
        As for :func:`~theorylab.analytic.pooled.pooled_mean_map`.
    points : int, default 4096
        Filters of the quasi-random rule for pairs of patches, where ``E[h(V)]`` is not 0; rounded up to a power of 2.
    progress : callable, optional
        Called with (filters done, filters in all).

    Returns
    -------
    array, (C, H, W) float64, in squared units of the map

    Raises
    ------
    TypeError, ValueError
        For bad input.
    NoLaw
        For overlapping windows under another readout than a Gaussian where ``E[h(V)]`` is not 0, and there for filters of
        more than 4096 entries.

    Notes
    -----
    With ``K_j`` the number of windows that send patch ``j`` their readout weights, ``F = Σ_j D_jᵀ w √K_j`` and
    ``Q = Σ_j D_jᵀ E[w² K_j]``, all of a standard normal filter: ``Var S = N c² {E[h(V)²] Q + E[h(V)]² (E F² − Q − (E F)²)}``.

    *One patch.*  For windows of up to four, ``E[w wᵀ 1_j] = P_j I + C_j`` on the event that patch ``j`` is its window's first
    maximum and positive (without a gate: or its first patch, all being closed), ``C_j`` of trace zero
    (:func:`~theorylab.analytic.orthant_moments.orthant_second_moment`).  Without a pool ``P_j = ½`` and ``C_j = 0``: the
    variance is white up to coverage.  With one it is not: a patch that wins tells about its filter.  ``P_j`` of a window of
    four is in closed form or a one-dimensional quadrature, good to about 1e-12 (:mod:`~theorylab.analytic._cones`).  Larger
    windows are integrated with 8192 quasi-random points and their mirror images (:mod:`theorylab.analytic._unions`): 0.2 % of the
    map's norm behind 3×3 windows at stride 2 on 7×7 filters, less than 1 % behind 2×2 on 2×2.

    *Pairs* are small: on photographs 0.5 % of the map's norm on 7×7×3 filters, 10 % on 2×2×1.  So saliency's variance times
    ``E[h(V)²]/E V²`` is that of guided backpropagation but for this.  They are integrated over filters
    (:mod:`theorylab.analytic._filter_pairs`): 4096 leave 0.2 % of the map's norm on these small filters and 0.6 % on the large
    ones, where single pixels say no more than without pairs; of the map's sum they leave 0.04 %.

    Examples
    --------
    One window of two one-pixel patches, of which the larger wins if the filter is positive:

    >>> grid = PatchGrid((1, 1, 2), kernel=1)
    >>> x = np.array([[[3.0, 4.0]]])
    >>> pooled_variance_map(x, grid, "saliency", 10, pool=MaxPool((1, 2)))
    array([[[0., 5.]]])

    No pixel lies in two patches, and of the pairs the square of the mean is left: ``½·½ − (1/2π)²``.

    >>> pooled_variance_map(x, grid, "guided", 10, pool=MaxPool((1, 2))).round(2)
    array([[[0.  , 2.25]]])
    """
    plain, pool = checked(x, grid, rule, n_filters, law=law, pool=pool, filter_std=filter_std)
    points = _validation.positive_integer(points, "points")
    variance = plain.rule.second_moment(law) * _squares(plain, pool)
    if plain.h_mean != 0:
        image, count = _windows.scaled(plain.x)[0], 1 << (points - 1).bit_length()
        variance += plain.h_mean**2 * filter_pairs(image, grid, pool, plain.rule.gate, count, progress)
    return plain.n_filters * plain.filter_std**2 * variance


@made_by(checked)
def pooled_own_variance(network: tuple[ThreeLayerLaw, MaxPool]) -> np.ndarray:
    """Part of the variance of every entry that a logit does not share with the others of its network: (C, H, W).

    Parameters, errors: as for :func:`~theorylab.analytic.pooled.pooled_mean_map`.

    Notes
    -----
    Two logits share the filters, and have readouts of their own: of ``E[S S']`` of an entry, against ``E[S²]``, one patch
    alone has ``E[h(V)]²`` for ``E[h(V)²]``, and pairs are the same.  What is left is ``N c² (E[h(V)²] − E[h(V)]²) Q``, in closed
    form for windows of up to four, and ``E‖S − S'‖²`` is twice its sum.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 2), kernel=1)
    >>> pooled_own_variance(np.array([[[3.0, 4.0]]]), grid, "saliency", 10, pool=MaxPool((1, 2)))
    array([[[0., 5.]]])
    """
    plain, pool = network
    return np.asarray(plain.n_filters * plain.filter_std**2 * plain.h_variance * _squares(plain, pool))


def _squares(plain: ThreeLayerLaw, pool: MaxPool) -> np.ndarray:
    """``Σ_j D_jᵀ E[w² K_j]``, (C, H, W)."""
    grid = plain.grid
    if math.prod(pool.size) <= 4:
        return grid.fold(_patch_moments(plain, pool)[1])
    patches, windows = grid.extract(_windows.scaled(plain.x)[0]), pool.windows(grid.output_shape)
    return grid.fold(_unions.filter_energies(patches, windows, plain.rule.gate, _POINTS))


@made_by(checked)
def pooled_patch_variance(network: tuple[ThreeLayerLaw, MaxPool]) -> np.ndarray:
    """Variance of what each patch alone contributes to the raw map, for every rule; exact for every ``N``.

    Parameters: as for :func:`~theorylab.analytic.pooled.pooled_mean_map`; a window may hold up to four positions.

    Returns
    -------
    array, (J, p) float64, in squared units of the map
        Row ``j`` for ``Σ_i h(V_i) w_i 1_ij``, before it is put back into the image.  Folding it gives the map's variance
        where ``E[h(V)] = 0``; for the other rules the covariances between overlapping windows are missing.

    Raises
    ------
    TypeError, ValueError
        For bad input.
    NoLaw
        For larger windows, and for overlapping ones where ``E[h(V)]`` is not 0.

    Notes
    -----
    ``N c² {E[h(V)²] diag E[w wᵀ 1_j] − E[h(V)]² (E[w 1_j])²}``, both moments on the event that the patch is its window's
    first maximum and positive; without a gate, for the first patch of a window, or that the window is all zero.

    Examples
    --------
    One window of two one-pixel patches: the larger wins if the filter is positive, else the first is sent the rest.

    >>> grid = PatchGrid((1, 1, 2), kernel=1)
    >>> x = np.array([[[3.0, 4.0]]])
    >>> pooled_patch_variance(x, grid, "deconvnet", 1, pool=MaxPool((1, 2))).round(4)
    array([[0.2247],
           [0.2247]])
    """
    plain, pool = network
    if math.prod(pool.size) > 4:
        raise NoLaw(plain.rule, RELU, f"max-pooling windows of {math.prod(pool.size)} positions (at most 4)")
    if plain.h_mean != 0:
        require_disjoint(pool, plain.rule)
    first, second = _patch_moments(plain, pool)
    energy = plain.rule.second_moment(plain.readout)
    return plain.n_filters * plain.filter_std**2 * (energy * second - plain.h_mean**2 * first**2)


def _patch_moments(plain: ThreeLayerLaw, pool: MaxPool) -> tuple[np.ndarray, np.ndarray]:
    """``E[w K_j]`` and ``E[w² K_j]`` of every patch, for windows of up to four: (J, p) each."""
    grid = plain.grid
    first, second = np.zeros((2, grid.n_patches, grid.patch_size))
    for windows in windows_of(plain.x, grid, pool, 0):
        for (which, position), rows, active in windows.events(plain.rule.gate):
            numbers, basis = windows.numbers[which, position], windows.basis[which]
            # Windows that overlap may begin with one patch, which receives from all that close.
            np.add.at(first, numbers, np.einsum("npd,nd->np", basis, orthant_mean(rows, active)))
            probability, _ = event_probabilities(rows, active)
            spread = ((basis @ orthant_second_moment(rows, active)) * basis).sum(axis=2)
            np.add.at(second, numbers, probability[:, None] + spread)
    return first, second
