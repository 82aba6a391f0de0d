"""Second moments of a random three-layer network with max-pooling, where one window at a time decides them.

Where ``E[h(V)] = 0`` (saliency) the signals of different windows are uncorrelated, whether they share positions or not, so
only one window at a time matters, and the second moment of an orthant is enough.  Otherwise (DeconvNet, guided
backpropagation) a filter that wins in two overlapping places couples two windows: an orthant of twice as many conditions
(eight for 2×2), for which no closed form is known.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab.analytic import _unions, _windows
from theorylab.analytic._arguments import made_by
from theorylab.analytic._pool_windows import checked, require_disjoint, windows_of
from theorylab.analytic.nolaw import NoLaw
from theorylab.analytic.orthant_moments import event_probabilities, orthant_mean, orthant_second_moment
from theorylab.analytic.three_layer import ThreeLayerLaw
from theorylab.model.pooling import MaxPool
from theorylab.model.units import RELU

_POINTS = 2**13
"""Of the quasi-random rule for windows of more than four positions."""


@made_by(checked)
def pooled_variance_map(network: tuple[ThreeLayerLaw, MaxPool]) -> np.ndarray:
    """Variance of every entry of the raw map of one logit behind a max-pool; exact for every ``N``.

    Parameters: as for :func:`~theorylab.analytic.pooled.pooled_mean_map`; the rule has ``E[h(V)] = 0``, as saliency has.

    Returns
    -------
    array, (C, H, W) float64, in squared units of the map

    Raises
    ------
    TypeError, ValueError
        For bad input.
    NoLaw
        For the other rules.

    Notes
    -----
    ``N E[h(V)²] c² Σ_j D_jᵀ diag E[w wᵀ 1_j]``, ``1_j`` the event that patch ``j`` is its window's first maximum and positive
    (without a gate: or its first patch, all being closed), and ``E[w wᵀ 1_j] = P_j I + C_j`` with ``C_j`` of trace zero
    (:func:`~theorylab.analytic.orthant_moments.orthant_second_moment`).  Without a pool ``P_j = ½`` and ``C_j = 0``: the
    variance is white up to coverage.  With one it is not: a patch that wins tells about its filter.  ``P_j`` of a window of
    four is in closed form or a one-dimensional quadrature, good to about 1e-12 (:mod:`~theorylab.analytic._cones`).  Larger
    windows are integrated with 8192 quasi-random points and their mirror images (:mod:`theorylab.analytic._unions`): 0.2 % of the
    map's norm behind 3×3 windows at stride 2 on 7×7 filters, less than 1 % behind 2×2 on 2×2.

    Examples
    --------
    One window of two one-pixel patches, of which the larger wins if the filter is positive:

    >>> from theorylab.model.patches import PatchGrid
    >>> grid = PatchGrid((1, 1, 2), kernel=1)
    >>> pooled_variance_map(np.array([[[3.0, 4.0]]]), grid, "saliency", 10, pool=MaxPool((1, 2)))
    array([[[0., 5.]]])
    """
    plain, pool = network
    grid, rule = plain.grid, plain.rule
    if plain.h_mean != 0:
        raise NoLaw(rule, RELU, "the variance behind a max-pool")
    if math.prod(pool.size) <= 4:
        return grid.fold(_patch_variance(*network))
    patches, windows = grid.extract(_windows.scaled(plain.x)[0]), pool.windows(grid.output_shape)
    energies = _unions.filter_energies(patches, windows, rule.gate, _POINTS)
    return np.asarray(
        plain.n_filters * plain.filter_std**2 * rule.second_moment(plain.readout) * grid.fold(energies)
    )


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

    >>> from theorylab.model.patches import PatchGrid
    >>> grid = PatchGrid((1, 1, 2), kernel=1)
    >>> x = np.array([[[3.0, 4.0]]])
    >>> pooled_patch_variance(x, grid, "deconvnet", 1, pool=MaxPool((1, 2))).round(4)
    array([[0.2247],
           [0.2247]])
    """
    return _patch_variance(*network)


def _patch_variance(plain: ThreeLayerLaw, pool: MaxPool) -> np.ndarray:
    grid, rule = plain.grid, plain.rule
    if math.prod(pool.size) > 4:
        raise NoLaw(rule, RELU, f"max-pooling windows of {math.prod(pool.size)} positions (at most 4)")
    if plain.h_mean != 0:
        require_disjoint(pool, rule)
    first, second = np.zeros((2, grid.n_patches, grid.patch_size))
    for windows in windows_of(plain.x, grid, pool, 0):
        for (which, position), rows, active in windows.events(rule.gate):
            numbers, basis = windows.numbers[which, position], windows.basis[which]
            # Windows that overlap may begin with one patch, which receives from all that close.
            np.add.at(first, numbers, np.einsum("npd,nd->np", basis, orthant_mean(rows, active)))
            probability, _ = event_probabilities(rows, active)
            spread = ((basis @ orthant_second_moment(rows, active)) * basis).sum(axis=2)
            np.add.at(second, numbers, probability[:, None] + spread)
    energy = rule.second_moment(plain.readout)
    return plain.n_filters * plain.filter_std**2 * (energy * second - plain.h_mean**2 * first**2)
