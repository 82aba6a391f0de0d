"""Exact covariance matrix of the whole map of a random three-layer network, for small images."""

from __future__ import annotations

import math

import numpy as np

from theorylab.analytic import _biases, halfspace
from theorylab.analytic._arguments import made_by
from theorylab.analytic.nolaw import NoLaw
from theorylab.analytic.three_layer import ThreeLayerLaw, law_of
from theorylab.model.laws import Constant
from theorylab.model.patches import PatchGrid

COVARIANCE_LIMIT = 2 * 2**30
"""Largest size of the matrix of :func:`covariance`, in bytes."""


@made_by(law_of)
def covariance(maps: ThreeLayerLaw) -> np.ndarray:
    """Return the covariance matrix of the whole raw map, exact for every ``N``.

    Parameters, errors: as for :func:`~theorylab.analytic.mean_map`.

    Returns
    -------
    array, (d, d) float64 with ``d = C H W``
        Entries of the map in C order.

    Raises
    ------
    NoLaw
        For biases that are not Gaussian, where the rule needs more than their symmetry about 0.
    ValueError
        If the matrix would exceed 2 GB (``d`` above 16384); use :func:`variance_map` instead.

    Notes
    -----
    With the factor ``s`` of a closed gate, ``g' = s + (1−s) 1(w·y > 0)`` and ``û_j`` a patch over its norm,

    ``Cov = N c² { (E[h²] − E[h]²) diag(second) + E[h]² Σ_jj' D_jᵀ [E[g'_j g'_j' w wᵀ] − (1−s)²/(2π) û_j û_j'ᵀ] D_j' }``,

    where ``E[g'_j g'_j' w wᵀ] = [s² + s(1−s)(1_j + 1_j')/2] I + (1−s)² M_jj'``, ``1_j`` is 0 for a patch of zeros, else 1, and
    ``M`` is :func:`~theorylab.analytic.halfspace.pair_matrix`.  The terms in ``I`` are products of ``T = Σ_j D_jᵀ``, which
    stamps a filter at all positions: if ``E[h]`` is not 0, as for DeconvNet, the stamps do not average out, because all
    positions share the filter.  Saliency has ``E[h] = 0``, so its entries are uncorrelated.

    Examples
    --------
    Under DeconvNet, two interior entries of one channel have correlation 1/π at any distance:

    >>> grid = PatchGrid((1, 1, 9), kernel=(1, 2))
    >>> matrix = covariance(np.ones((1, 1, 9)), grid, "deconvnet", n_filters=3)
    >>> float((matrix[2, 6] / matrix[2, 2] * np.pi).round(6))
    1.0
    """
    grid, shut, squared_mean = maps.grid, maps.shut, maps.h_mean**2
    if isinstance(maps.bias, Constant) and shut**2 != 1:
        # E[w wᵀ 1(w·y + b > 0)] has a part along y, which mixes the entries of a patch.
        raise NoLaw(maps.rule, maps.unit, f"the covariance with biases of the law {maps.bias!r}")
    # Behind biases the pairs are those of a longer picture.
    x, wide = (maps.x, grid) if squared_mean == 0 or shut == 1 else maps.longer
    size = x.size
    if 8 * size**2 > COVARIANCE_LIMIT:
        raise ValueError(
            f"covariance: {size}×{size} entries take {8 * size**2 / 2**30:.0f} GB, more than 2 GB; "
            "call variance_map for the diagonal"
        )
    scale = maps.n_filters * maps.filter_std**2
    result = np.diag((scale * maps.h_variance * maps.second).ravel())
    if squared_mean == 0:
        return result
    if shut != 0:
        # `T` over all patches, and over those that are not zero: (p, d).
        taps, nonzero = np.eye(grid.patch_size)[:, None], (wide.extract(x) != 0).any(axis=1)
        every, active = (
            grid.fold(taps * weights[:, None]).reshape(grid.patch_size, -1)
            for weights in (np.ones(grid.n_patches), nonzero)
        )
        mixed = shut * (1 - shut) / 2 * every.T @ active
        result += scale * squared_mean * (shut**2 * every.T @ every + mixed + mixed.T)
    if shut != 1:
        kept = _biases.seen(np.arange(size).reshape(x.shape), grid, maps.bias).ravel()
        result += scale * squared_mean * (1 - shut) ** 2 * _open_pairs(x, wide)[np.ix_(kept, kept)]
    return result


def _open_pairs(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Return ``Σ_jj' D_jᵀ [M_jj' − û_j û_j'ᵀ/(2π)] D_j'`` over patches that are not zero, (d, d)."""
    units = halfspace.unit(grid.extract(x))
    active = units.any(axis=1)
    size, taps = math.prod(grid.input_shape), grid.patch_size
    # Index in the image of each tap of each patch; −1 for a tap in the padding.
    indices = grid.extract(np.arange(1.0, size + 1).reshape(grid.input_shape)).astype(int) - 1
    result = np.zeros((size, size))
    identity = np.eye(taps)
    for j in np.flatnonzero(active):
        u = units[j]
        apart, together = units - u, units + u
        a, plus, minus = halfspace.pair_terms(*(np.linalg.norm(v, axis=1) for v in (apart, together)))
        # rows[r, j', q] = M_jj'[r, q] − û_j[r] û_j'[q]/(2π)
        rows = (active * a)[:, None] * identity[:, None, :]
        rows += ((active * plus)[:, None] * together).T[:, :, None] * together
        rows -= ((active * minus)[:, None] * apart).T[:, :, None] * apart
        rows -= u[:, None, None] * units / (2 * math.pi)
        inside = indices[j] >= 0
        result[indices[j][inside]] += grid.fold(rows).reshape(taps, size)[inside]
    return result
