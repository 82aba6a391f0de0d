"""Exact second moments of a random three-layer network with max-pooling, where a closed form exists.

Under saliency the readout weights of different windows are independent with mean zero, so only one window at a time
matters, and the second moment of an orthant is enough.  Under DeconvNet and guided backpropagation the rectified readout
has a mean, and a filter that wins in two overlapping places couples two windows: an orthant of twice as many conditions
(eight for 2×2), for which no closed form is known.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab import _validation
from theorylab.analytic._pool_windows import require_disjoint, windows_of
from theorylab.analytic.orthant_moments import event_probabilities, orthant_second_moment
from theorylab.laws import Gaussian, WeightLaw
from theorylab.patches import PatchGrid
from theorylab.pooling import MaxPool
from theorylab.rules import Rule


def pooled_variance_map(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = Gaussian(1.0),  # noqa: B008 - frozen
    pool: MaxPool,
    filter_std: float | None = None,
) -> np.ndarray:
    """Variance of every entry of the raw saliency map of one logit behind a max-pool; exact for every ``N``.

    Parameters
    ----------
    x, grid, rule, n_filters, law, pool, filter_std
        As in :func:`~theorylab.analytic.pooled.pooled_mean_map`; the rule must be saliency, and a window may hold up
        to four positions.

    Returns
    -------
    array, (C, H, W) float64, in squared units of the map

    Raises
    ------
    TypeError, ValueError
        For bad input; for overlapping or larger windows and for the other rules: simulate those with
        `theorylab.sampling`.

    Notes
    -----
    ``N v c² Σ_j D_jᵀ diag E[w wᵀ 1_j]``, ``1_j`` the event that patch ``j`` is its window's first maximum and positive,
    and ``E[w wᵀ 1_j] = P_j I + C_j`` with ``C_j`` of trace zero
    (:func:`~theorylab.analytic.orthant_moments.orthant_second_moment`).  Without a pool ``P_j = ½`` and ``C_j = 0``: the
    variance is white up to coverage.  With one it is not: a patch that wins tells about its filter.  ``P_j`` of a window of
    four is a one-dimensional quadrature, good to about 1e-9.

    Examples
    --------
    One window of two one-pixel patches, of which the larger wins if the filter is positive:

    >>> grid = PatchGrid((1, 1, 2), kernel=1)
    >>> pooled_variance_map(np.array([[[3.0, 4.0]]]), grid, "saliency", 10, pool=MaxPool((1, 2)))
    array([[[0., 5.]]])
    """
    x = _validation.image(x, grid.input_shape).astype(np.float64, copy=False)
    rule = Rule(rule)
    n_filters = _validation.positive_integer(n_filters, "n_filters")
    std = _validation.positive_number(law.std if filter_std is None else filter_std, "filter_std")
    require_disjoint(pool)
    pool.output_shape(grid.output_shape)
    if rule is not Rule.SALIENCY or math.prod(pool.size) > 4:
        raise ValueError(
            f"pooled_variance_map: {rule.value} with windows of {math.prod(pool.size)} positions has no closed form; "
            "it takes saliency with at most 4; simulate others with theorylab.sampling"
        )
    squares = np.zeros((grid.n_patches, grid.patch_size))
    for windows in windows_of(x, grid, pool, 0):
        for m in range(windows.places.shape[1]):
            rows, active, possible = windows.wins(m)
            own, basis = windows.places[possible, m], windows.basis[possible]
            probability, _ = event_probabilities(rows[possible], active[possible])
            inner = orthant_second_moment(rows[possible], active[possible])
            squares[own] = probability[:, None] + ((basis @ inner) * basis).sum(axis=2)
    return n_filters * law.variance * std**2 * grid.fold(squares)
