"""Expected cosine of a pooled map: exact in the readout, an estimate in one integral over a filter."""

from __future__ import annotations

import math

import numpy as np

from theorylab import _random, _validation
from theorylab.analytic import _conditioning, _windows
from theorylab.analytic._pool_windows import checked
from theorylab.analytic.pooled import pooled_mean_maps
from theorylab.analytic.three_layer import check_target
from theorylab.model.laws import STANDARD_NORMAL, Gaussian, WeightLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule


@_validation.checked
def pooled_expected_cosine(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = STANDARD_NORMAL,
    pool: MaxPool,
    filter_std: float | None = None,
    target: str = "input",
    unit_mean: np.ndarray | None = None,
    draws: int = 256,
    seed: _random.Seed = 0,
) -> tuple[float, float]:
    """Cosine between a pooled map and a target, ``⟨E S, t⟩/(‖t‖ √E‖S‖²)``: an estimate, with its standard error.

    Parameters
    ----------
    x, grid, rule, n_filters, law, pool, filter_std
        As in :func:`~theorylab.analytic.pooled_mean_map`.
    target : {"input", "mean"}
    unit_mean : array, (C, H, W) or (n, C, H, W), optional
        ``analytic.pooled.pooled_mean_maps(x, grid, rule, 1, pool=pool)``, one filter and the default law, if they are at
        hand: large windows take long to integrate.  A single map is taken for exact.
    draws : int, default 256
        Filters over which ``E‖S‖²`` is averaged; at least 2.
    seed : int or Generator

    Returns
    -------
    value, standard_error : float
        0 and 0 for the input where the mean map is zero, as saliency's is.  The error is that of the draws and, for windows of
        more than four positions, of the integrals in the mean map.

    Raises
    ------
    TypeError, ValueError
        For bad input; for target "mean" where the mean map is zero.
    NoLaw
        As :func:`~theorylab.analytic.pooled_mean_map`.

    Notes
    -----
    Let ``F(w) = Σ_j D_jᵀ w √K_j(w)``, ``K_j`` the number of windows that patch ``j`` wins for filter ``w``: 0 or 1 where they
    are disjoint.  Given the filters the patches receive independent sums of readout weights, so per filter
    ``E‖S‖² = m₀² E‖F‖² + (m₂ − m₀²) E Σ_j ‖D_jᵀ w‖² K_j`` and ``E S = m₀ E F``, with ``m₀ = E[h(V)]`` and ``m₂ = E[h(V)²]``.
    ``E F`` is in closed form for disjoint windows of up to four.  Beyond, its integrations are independent of each other:
    products of two of them have no bias, as the square of their mean has, and leaving out one at a time says the error
    (jackknife).  The two energies couple pairs of windows (eight conditions at 2×2) and have no known closed form: they are
    averaged over drawn filters.

    Examples
    --------
    >>> x = np.arange(1.0, 37.0).reshape(1, 6, 6)
    >>> grid = PatchGrid((1, 6, 6), kernel=3)
    >>> value, error = pooled_expected_cosine(x, grid, "guided", 10**6, pool=MaxPool(2))
    >>> round(value, 2), error < 0.001
    (0.79, True)
    """
    check_target(target)
    means = pooled_mean_maps(x, grid, rule, 1, pool=pool) if unit_mean is None else unit_mean
    if means.shape[-3:] != grid.input_shape:
        raise ValueError(
            f"unit_mean: expected (..., {', '.join(map(str, grid.input_shape))}), got {means.shape}"
        )
    means = means.reshape(-1, *grid.input_shape)
    plain, _ = checked(x, grid, rule, n_filters, law=law, pool=pool, filter_std=filter_std)
    x, rule = _windows.scaled(plain.x)[0], plain.rule
    draws = _validation.positive_integer(draws, "draws")
    if draws < 2:
        raise ValueError("draws: a standard error needs at least 2")
    if not means.any():
        if target == "mean":
            raise ValueError(f"target 'mean': the mean map of {rule.value} is zero and has no direction")
        return 0.0, 0.0
    means = means / abs(rule.mean(Gaussian(1.0)))  # ±E F
    rng = _random.generator(seed)
    windows = pool.windows(grid.output_shape)
    patches = grid.extract(x)
    inside = grid.extract(np.ones(grid.input_shape))
    whole, alone = np.zeros(draws), np.zeros(draws)
    for i in range(draws):
        w = rng.standard_normal(grid.patch_size)
        activations = np.append(np.maximum(patches @ w, 0), -1.0)  # the last one stands for the padding
        values = activations[windows]
        winners = np.take_along_axis(windows, values.argmax(axis=1)[:, None], axis=1)[:, 0]
        if rule.gate:
            winners = winners[values.max(axis=1) > 0]
        wins = np.sqrt(np.bincount(winners, minlength=grid.n_patches))
        whole[i] = (grid.fold(wins[:, None] * w) ** 2).sum()
        alone[i] = (inside[winners] @ w**2).sum()
    # The cosine is ⟨E F, t⟩/‖t‖ over √(‖E F‖² + (E‖S‖²/m₀² − ‖E F‖²)/N); the scale of the filters cancels.
    ratio = rule.second_moment(law) / rule.mean(law) ** 2 - 1
    energies = whole + ratio * alone

    def cosine(maps: np.ndarray) -> float:
        flat = maps.reshape(len(maps), -1)
        signal = products = float((flat.mean(axis=0) ** 2).sum())
        if len(maps) > 1:
            products = (len(maps) * signal - float((flat**2).sum(axis=1).mean())) / (len(maps) - 1)
        toward = math.sqrt(products)
        if target == "input":
            toward = float((maps.mean(axis=0) * x).sum()) / float(np.linalg.norm(x))
        return toward / math.sqrt(products + (float(energies.mean()) - products) / n_filters)

    value = cosine(means)
    signal = float((means.mean(axis=0) ** 2).sum())
    total = signal + (float(energies.mean()) - signal) / n_filters
    error = abs(value) * float(energies.std(ddof=1)) / math.sqrt(draws) / (2 * n_filters * total)
    if len(means) > 1:
        left_out = np.array([cosine(np.delete(means, r, axis=0)) for r in range(len(means))])
        error = math.hypot(error, float(_conditioning.error((1 - len(means)) * left_out)))
    return value, error
