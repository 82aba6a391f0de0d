"""Exact mean and variance of the maps of a random three-layer network, for every number of filters.

The raw map is ``S = Σ_j D_jᵀ Σ_i h(V_ij) w̃_ij`` (Lemma 1, Eq. 4): ``N`` independent terms, one a filter.  Filters are
``N(0, c² I)``; the readout has any symmetric law, which enters by ``m₀ = E[max(V,0)]``, ``m₂ = E[max(V,0)²]`` and
``v = E[V²]`` alone.  A fully connected network is the grid with one patch.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab import _validation
from theorylab.analytic import _windows, halfspace, pooled
from theorylab.laws import Gaussian, WeightLaw
from theorylab.patches import PatchGrid
from theorylab.pooling import MaxPool
from theorylab.rules import Rule


def arguments(
    x: np.ndarray, grid: PatchGrid, rule: Rule | str, n_filters: int, law: WeightLaw, filter_std: float | None
) -> tuple[np.ndarray, Rule, int, float]:
    """The arguments of a law, checked: image, rule, number of filters and the filters' standard deviation."""
    x = _validation.image(x, grid.input_shape).astype(np.float64, copy=False)
    std = law.std if filter_std is None else filter_std
    return (
        x,
        Rule(rule),
        _validation.positive_integer(n_filters, "n_filters"),
        _validation.positive_number(std, "filter_std"),
    )


def local_contrast(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """``κ``: by what guided backpropagation multiplies the image.

    Parameters
    ----------
    x : array, (C, H, W)
    grid : PatchGrid

    Returns
    -------
    array, (H, W) float64: ``κ_t = Σ_{j∋t} 1/‖y_j‖``, patches of zeros left out

    Notes
    -----
    ``D_jᵀ y_j`` is the image restricted to patch ``j``, so ``Σ_j D_jᵀ y_j/‖y_j‖ = x ⊙ κ``: a local contrast
    normalisation, and the corrected target of Theorem 1.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> local_contrast(np.array([[[3.0, 4.0, 0.0]]]), grid)
    array([[0.2 , 0.45, 0.25]])
    """
    x = _validation.image(x, grid.input_shape)
    norms = np.sqrt(_windows.energies(x, grid))
    inverse = np.divide(1.0, norms, out=np.zeros(norms.shape), where=norms > 0)
    full = _windows.spread(inverse, grid, range(grid.kernel[0]), range(grid.kernel[1]))
    return _windows.crop(full, grid).copy()


def active_coverage(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """How many patches *that are not all zero* hold each entry: (C, H, W) float64.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 1))
    >>> active_coverage(np.array([[[3.0, 4.0, 0.0]]]), grid)
    array([[[1., 1., 0.]]])
    """
    active = (_windows.energies(x, grid) > 0).astype(np.float64)
    full = _windows.spread(active, grid, range(grid.kernel[0]), range(grid.kernel[1]))
    return np.broadcast_to(_windows.crop(full, grid), grid.input_shape).copy()


def mean_map(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = Gaussian(1.0),  # noqa: B008 - frozen
    pool: MaxPool | None = None,
    filter_std: float | None = None,
) -> np.ndarray:
    """Expected raw map of one logit.

    Parameters
    ----------
    x : array, (C, H, W)
        The image; any norm above 0.
    grid : PatchGrid
    rule : Rule or str
    n_filters : int
        ``N``.
    law : WeightLaw, default Gaussian(1.0)
        Of the readout.
    pool : MaxPool, optional
        Of disjoint windows, between the ReLU and the readout: see
        :func:`~theorylab.analytic.pooled.pooled_mean_map`.
    filter_std : float, optional
        ``c`` of the Gaussian filters; ``law.std`` if not given.

    Returns
    -------
    array, (C, H, W) float64: zero for saliency and DeconvNet, ``N m₀ c/√(2π) (x ⊙ κ)`` for guided backpropagation

    Raises
    ------
    TypeError, ValueError
        For an image of the wrong shape, not finite or zero everywhere; an unknown rule; no filters; overlapping
        windows, which :func:`theorylab.sampling.three_layer_maps` simulates.

    Notes
    -----
    ``E[h(V)] = 0`` for saliency and ``E[w] = 0`` for DeconvNet, independent of the rest.  For guided backpropagation
    ``E[h(V)] E[w 1(w·y_j)] = m₀ c/√(2π) y_j/‖y_j‖`` for each filter and patch; see :func:`local_contrast` for the sum.
    This corrects Theorem 1 (Eq. 5), whose right-hand side is ``x``.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> x = np.array([[[3.0, 4.0, 0.0]]])
    >>> mean_map(x, grid, "guided", n_filters=100).round(3)
    array([[[ 9.549, 28.648,  0.   ]]])
    """
    if pool is not None:
        return pooled.pooled_mean_map(x, grid, rule, n_filters, law=law, pool=pool, filter_std=filter_std)
    x, rule, n_filters, std = arguments(x, grid, rule, n_filters, law, filter_std)
    if rule is not Rule.GUIDED:
        return np.zeros(grid.input_shape)
    return n_filters * law.relu_mean * std / math.sqrt(2 * math.pi) * (x * local_contrast(x, grid))


def variance_map(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = Gaussian(1.0),  # noqa: B008 - frozen
    filter_std: float | None = None,
) -> np.ndarray:
    """Variance of each entry of the raw map, exact for every ``N``.

    Parameters
    ----------
    x, grid, rule, n_filters, law, filter_std
        As in :func:`mean_map`.

    Returns
    -------
    array, (C, H, W) float64, in squared units of the map

    Notes
    -----
    Saliency: ``N v c²/2`` times the coverage by patches that are not zero.  DeconvNet: ``N m₂ c²`` times the
    coverage.  Guided backpropagation, with ``M`` of :func:`~theorylab.analytic.halfspace.pair_matrix`,

    ``N c² { m₂/2 coverage_t − m₀²/(2π) (x ⊙ κ)_t² + m₀² Σ_{j≠j'∋t} M_jj'[r, r'] }``,

    where ``r`` and ``r'`` are the places of entry ``t`` in the two patches.  With ``δ`` the shift between the patches,
    ``M_jj'[r, r'] = b [x_t² + x_{t+δ} x_{t−δ}]/(n n') − d [x_t x_{t−δ}/n² + x_t x_{t+δ}/n'²]`` (``r ≠ r'``, so the
    identity drops out), and the sum over pairs of one ``δ`` is a window sum of its coefficients.

    Examples
    --------
    One patch of one pixel: ``S = Σ_i max(V_i, 0) w_i 1(w_i > 0)``, whose variance is ``N (1/4 − 1/(4π²))``.

    >>> grid = PatchGrid((1, 1, 1), kernel=1)
    >>> variance_map(np.ones((1, 1, 1)), grid, "guided", n_filters=4).round(4)
    array([[[0.8987]]])
    """
    x, rule, n_filters, std = arguments(x, grid, rule, n_filters, law, filter_std)
    scale = n_filters * std**2
    if rule is Rule.SALIENCY:
        return scale * law.variance / 2 * active_coverage(x, grid)
    if rule is Rule.DECONVNET:
        return scale * law.relu_second_moment * grid.coverage
    own = law.relu_second_moment / 2 * active_coverage(x, grid)
    product_of_means = (x * local_contrast(x, grid)) ** 2 / (2 * math.pi)
    return scale * (own + law.relu_mean**2 * (_neighbours(x, grid) - product_of_means))


def _neighbours(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """``Σ_{j≠j'∋t} M_jj'[r, r']``, (C, H, W)."""
    image = _windows.padded(x, grid)
    norms = np.sqrt(_windows.energies(x, grid))
    inverse = np.divide(1.0, norms, out=np.zeros(norms.shape), where=norms > 0)
    total = np.zeros(image.shape)
    for offset_rows, offset_columns in _windows.overlapping_offsets(grid):
        i, k = offset_rows * grid.stride[0], offset_columns * grid.stride[1]
        first, second = (
            _pair_of_slices(offset_rows, grid.output_shape[0]),
            _pair_of_slices(offset_columns, grid.output_shape[1]),
        )
        ahead = _shifted(image, i, k)
        behind = _shifted(image, -i, -k)
        gram = _windows.window_sums((image * ahead).sum(axis=0), grid)[first[0], second[0]]
        n, m = inverse[first[0], second[0]], inverse[first[1], second[1]]
        _, b, d = halfspace.pair_coefficients(gram * n * m)
        # The window of the first patch, cut down to what the second holds too.
        rows = range(i, grid.kernel[0])
        columns = range(max(k, 0), grid.kernel[1] + min(k, 0))

        def spread(values: np.ndarray, rows: range = rows, columns: range = columns, first: tuple = first,
                   second: tuple = second) -> np.ndarray:  # fmt: skip
            whole = np.zeros(grid.output_shape)
            whole[first[0], second[0]] = values
            return _windows.spread(whole, grid, rows, columns)

        total += spread(b * n * m) * (image * image + ahead * behind)
        total -= image * (spread(d * n * n) * behind + spread(d * m * m) * ahead)
    return 2 * np.stack([_windows.crop(plane, grid) for plane in total])


def _pair_of_slices(offset: int, size: int) -> tuple[slice, slice]:
    """Slices of an axis that pair each index with the one `offset` further on."""
    if offset >= 0:
        return slice(0, size - offset), slice(offset, size)
    return slice(-offset, size), slice(0, size + offset)


def _shifted(image: np.ndarray, i: int, k: int) -> np.ndarray:
    """``result[:, t] = image[:, t + (i, k)]``, zero beyond the border."""
    result = np.zeros(image.shape)
    (to_rows, from_rows), (to_columns, from_columns) = (
        _pair_of_slices(i, image.shape[1]),
        _pair_of_slices(k, image.shape[2]),
    )
    result[:, to_rows, to_columns] = image[:, from_rows, from_columns]
    return result
