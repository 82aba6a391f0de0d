"""Exact covariance matrix of the whole map of a random three-layer network, for small images."""

from __future__ import annotations

import math

import numpy as np

from theorylab.analytic import halfspace
from theorylab.analytic.shallow import active_coverage, arguments
from theorylab.laws import Gaussian, WeightLaw
from theorylab.patches import PatchGrid
from theorylab.rules import Rule

COVARIANCE_LIMIT = 2 * 2**30
"""Largest covariance matrix that :func:`covariance` will build, in bytes."""


def covariance(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = Gaussian(1.0),  # noqa: B008 - frozen
    filter_std: float | None = None,
) -> np.ndarray:
    """Covariance matrix of the whole raw map, exact for every ``N``.

    Parameters
    ----------
    x, grid, rule, n_filters, law, filter_std
        As in :func:`mean_map`.

    Returns
    -------
    array, (d, d) float64 with ``d = C H W``, entries of the map in C order

    Raises
    ------
    ValueError
        If the matrix would exceed 2 GB (``d`` above 16384): use :func:`variance_map` there.

    Notes
    -----
    - Saliency: ``N v c²/2 Σ_j D_jᵀ D_j`` over patches that are not zero, because readouts of different positions are
      independent with mean 0: white up to coverage.
    - DeconvNet: ``N c² [(m₂ − m₀²) Σ_j D_jᵀ D_j + m₀² T Tᵀ]``, ``T = Σ_j D_jᵀ``: the filter is shared by all positions,
      and the rectified readouts have a mean, so one stamp of the filter appears everywhere and never averages out.
    - Guided: ``N Σ_jj' D_jᵀ [e_jj' c² M_jj' − m₀² c²/(2π) û_j û_j'ᵀ] D_j'`` with ``e_jj = m₂`` and ``m₀²`` otherwise.

    Examples
    --------
    Two interior entries of one channel are correlated 1/π under DeconvNet, at any distance:

    >>> grid = PatchGrid((1, 1, 9), kernel=(1, 2))
    >>> matrix = covariance(np.ones((1, 1, 9)), grid, "deconvnet", n_filters=3)
    >>> float((matrix[2, 6] / matrix[2, 2] * np.pi).round(6))
    1.0
    """
    size = math.prod(grid.input_shape)
    if 8 * size**2 > COVARIANCE_LIMIT:
        raise ValueError(
            f"covariance: {size}×{size} entries take {8 * size**2 / 2**30:.0f} GB, more than 2 GB; "
            "call variance_map for the diagonal"
        )
    x, rule, n_filters, std = arguments(x, grid, rule, n_filters, law, filter_std)
    scale = n_filters * std**2
    if rule is Rule.SALIENCY:
        return np.diag((scale * law.variance / 2 * active_coverage(x, grid)).ravel())
    if rule is Rule.DECONVNET:
        m0, m2 = law.relu_mean, law.relu_second_moment
        taps = np.broadcast_to(
            np.eye(grid.patch_size)[:, None], (grid.patch_size, grid.n_patches, grid.patch_size)
        )
        stamp = grid.fold(taps).reshape(grid.patch_size, size)
        return scale * ((m2 - m0**2) * np.diag(grid.coverage.ravel()) + m0**2 * stamp.T @ stamp)
    return scale * _guided_covariance(x, grid, law)


def _guided_covariance(x: np.ndarray, grid: PatchGrid, law: WeightLaw) -> np.ndarray:
    patches = grid.extract(x)
    norms = np.linalg.norm(patches, axis=1, keepdims=True)
    units = np.divide(patches, norms, out=np.zeros(patches.shape), where=norms > 0)
    active = norms[:, 0] > 0
    size, taps = math.prod(grid.input_shape), grid.patch_size
    # Where each tap of each patch lies in the image; taps in the padding point at index 0 and carry no weight.
    places = grid.extract(np.arange(1.0, size + 1).reshape(grid.input_shape)).astype(int) - 1
    result = np.zeros((size, size))
    identity = np.eye(taps)
    for j in np.flatnonzero(active):
        u = units[j]
        a, b, d = halfspace.pair_coefficients(units @ u)
        weight = np.where(np.arange(grid.n_patches) == j, law.relu_second_moment, law.relu_mean**2) * active
        # rows[r, j', s] = e_jj' M_jj'[r, s] − m₀² û_j[r] û_j'[s]/(2π)
        rows = (weight * a)[:, None] * identity[:, None, :]
        rows += (weight * b)[:, None] * (u[:, None, None] * units + units.T[:, :, None] * u)
        rows -= (weight * d)[:, None] * (u[:, None, None] * u + units.T[:, :, None] * units)
        rows -= law.relu_mean**2 / (2 * math.pi) * u[:, None, None] * units
        inside = places[j] >= 0
        result[places[j][inside]] += grid.fold(rows).reshape(taps, size)[inside]
    return result
