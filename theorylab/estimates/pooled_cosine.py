"""Expected cosine of a pooled map: exact in the readout, an estimate in one integral over a filter."""

from __future__ import annotations

import math

import numpy as np

from theorylab import _random, _validation
from theorylab.analytic import pooled_mean_map
from theorylab.analytic.three_layer import check_target, law_of
from theorylab.model.laws import STANDARD_NORMAL, Gaussian, WeightLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule


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
    unit_mean : array, (C, H, W), optional
        ``pooled_mean_map(x, grid, rule, 1, pool=pool)``, one filter and the default law, if it is at hand: large
        windows take long to integrate.
    draws : int, default 256
        Filters over which ``E‖S‖²`` is averaged; at least 2.
    seed : int or Generator

    Returns
    -------
    value, standard_error : float
        0 and 0 for the input where the mean map is zero, as saliency's is.

    Raises
    ------
    TypeError, ValueError
        For bad input; for target "mean" where the mean map is zero.
    NoLaw
        As :func:`~theorylab.analytic.pooled_mean_map`.

    Notes
    -----
    Let ``F(w) = Σ_j D_jᵀ w 1_j(w)``, the sum over the patches that win for filter ``w``.  Given the filters the readout
    weights are independent, so per filter ``E‖S‖² = m₀² E‖F‖² + (m₂ − m₀²) E Σ_j ‖D_jᵀ w‖² 1_j`` and ``E S = m₀ E F``, with
    ``m₀ = E[h(V)]`` and ``m₂ = E[h(V)²]``.
    ``E F`` is exact.  The two energies couple pairs of windows (eight conditions at 2×2) and have no known closed form:
    they are averaged over drawn filters.

    Examples
    --------
    >>> x = np.arange(1.0, 37.0).reshape(1, 6, 6)
    >>> grid = PatchGrid((1, 6, 6), kernel=3)
    >>> value, error = pooled_expected_cosine(x, grid, "guided", 10**6, pool=MaxPool(2))
    >>> round(value, 2), error < 0.001
    (0.79, True)
    """
    check_target(target)
    mean = pooled_mean_map(x, grid, rule, 1, pool=pool) if unit_mean is None else np.asarray(unit_mean)
    plain = law_of(x, grid, rule, n_filters, law=law, filter_std=filter_std)
    x, rule = plain.x, plain.rule
    draws = _validation.positive_integer(draws, "draws")
    if draws < 2:
        raise ValueError("draws: a standard error needs at least 2")
    if not mean.any():
        if target == "mean":
            raise ValueError(f"target 'mean': the mean map of {rule.value} is zero and has no direction")
        return 0.0, 0.0
    mean = mean / abs(rule.mean(Gaussian(1.0)))  # ±E F
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
        wins = np.zeros((grid.n_patches, 1))
        wins[winners] = 1
        whole[i] = (grid.fold(wins * w) ** 2).sum()
        alone[i] = (inside[winners] @ w**2).sum()
    # Cosine as a function of the noise E‖S‖²/(N m₀ ‖E F‖)²; the scale of the filters cancels.
    ratio = rule.second_moment(law) / rule.mean(law) ** 2 - 1
    energies = whole + ratio * alone
    signal = float((mean**2).sum())
    noise = float(energies.mean() - signal) / (n_filters * signal)
    error = energies.std(ddof=1) / math.sqrt(draws) / (n_filters * signal)
    direction = x if target == "input" else mean
    limit = float((mean * direction).sum() / (np.linalg.norm(mean) * np.linalg.norm(direction)))
    value = limit / math.sqrt(1 + noise)
    return value, float(abs(value) * error / (2 * (1 + noise)))
