"""How far an entry of a three-layer map is from normal: its fourth cumulant, where one patch alone holds the entry."""

from __future__ import annotations

import math

import numpy as np

from theorylab.analytic import shallow
from theorylab.laws import Gaussian
from theorylab.patches import PatchGrid
from theorylab.rules import Rule


def fourth_cumulant_map(
    x: np.ndarray, grid: PatchGrid, rule: Rule | str, n_filters: int, *, std: float = 1.0
) -> np.ndarray:
    """Fourth cumulant ``E[(S−E S)⁴] − 3 Var²`` of the entries held by one patch; exact for every ``N``.

    Parameters
    ----------
    x : array, (C, H, W)
    grid : PatchGrid
    rule : Rule or str
    n_filters : int
        ``N``.
    std : float, default 1.0
        ``c``, of Gaussian filters and a Gaussian readout.

    Returns
    -------
    array, (C, H, W) float64, in fourth powers of the map's unit
        NaN where several patches hold the entry, one of zeros among them: no closed form; 0 where none does.

    Raises
    ------
    TypeError, ValueError
        For bad input.

    Notes
    -----
    The entry is a sum of ``N`` independent terms, and cumulants add: ``κ₄ = N (μ₄ − 4 μ₃ μ₁ − 3 μ₂² + 12 μ₂ μ₁² − 6 μ₁⁴)``
    with the raw moments ``μ_k = E[h(V)^k] E[w^k 1(w·y > 0)]`` of one (Theorem 2 calls the sum Gaussian).  Let ``u`` be the
    entry of the patch over its norm, ``w = u z + √(1−u²) g``.  Even moments are halved by the half-space; the odd ones are
    ``E[w 1] = u/√(2π)`` and ``E[w³ 1] = (3u − u³)/√(2π)``, from ``E[z 1] = 1/√(2π)`` and ``E[z³ 1] = 2/√(2π)``.
    ``E max(V,0)^k = 1/√(2π), 1/2, 2/√(2π), 3/2``.  Saliency and DeconvNet have no odd moments: ``μ₄ − 3 μ₂² = 15/4``, and an
    excess kurtosis of ``15/N``.

    Examples
    --------
    One patch of one pixel, 8 filters: over the squared variance, 15/8.

    >>> grid = PatchGrid((1, 1, 1), kernel=1)
    >>> kappa = fourth_cumulant_map(np.ones((1, 1, 1)), grid, "saliency", 8)
    >>> float((kappa / shallow.variance_map(np.ones((1, 1, 1)), grid, "saliency", 8) ** 2).item())
    1.875
    """
    x, rule, n_filters, std = shallow.arguments(x, grid, rule, n_filters, Gaussian(std), None)
    coverage, active = grid.coverage, shallow.active_coverage(x, grid)
    # Of one patch κ = 1/‖y‖, so u = x κ; elsewhere the number means nothing and is not kept.
    u = np.where(coverage == 1, x * shallow.local_contrast(x, grid), 0.0)
    if rule is Rule.GUIDED:
        first, second = u / (2 * math.pi), 1 / 4
        third, fourth = 2 * (3 * u - u**3) / (2 * math.pi), 9 / 4
    else:
        first, second, third, fourth = np.zeros(u.shape), 1 / 2, np.zeros(u.shape), 9 / 2
    one = fourth - 4 * third * first - 3 * second**2 + 12 * second * first**2 - 6 * first**4
    reached = coverage > 0 if rule is Rule.DECONVNET else active > 0
    return np.where(coverage > 1, np.nan, np.where(reached, n_filters * std**8 * one, 0.0))
