"""The fourth cumulant of an entry of a three-layer map, which says how far it is from normal, if one patch holds it."""

from __future__ import annotations

import math

import numpy as np

from theorylab import _validation
from theorylab.analytic import _windows
from theorylab.analytic.gates import active_coverage, local_contrast
from theorylab.analytic.three_layer import law_of
from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import Rule
from theorylab.model.units import RELU, Unit


@_validation.checked
def fourth_cumulant_map(
    x: np.ndarray, grid: PatchGrid, rule: Rule | str, n_filters: int, *, std: float = 1.0, unit: Unit = RELU
) -> np.ndarray:
    """Return the fourth cumulant ``E[(S−E S)⁴] − 3 Var²`` of the entries held by one patch; exact for every ``N``.

    Parameters
    ----------
    x, grid, rule, n_filters, unit, errors
        As for :func:`~theorylab.analytic.mean_map`.
    std : float, default 1.0
        ``c`` of Gaussian filters and a Gaussian readout.

    Returns
    -------
    array, (C, H, W) float64, in fourth powers of the map's unit
        0 where no patch holds the entry, and NaN where several hold it, patches of zeros included: no closed form.

    Notes
    -----
    The entry is a sum of ``N`` independent terms, and cumulants add: ``κ₄ = N (μ₄ − 4 μ₃ μ₁ − 3 μ₂² + 12 μ₂ μ₁² − 6 μ₁⁴)``
    with the raw moments ``μ_k = E[h(V)^k] E[g'^k w^k]`` of a term (Theorem 2 calls the sum Gaussian).  Let ``u`` be the entry of
    the patch over its norm, ``w = u z + √(1−u²) g``, and ``s`` the factor of a closed gate.  A half-space halves even
    moments, so ``E[g'^k w^k] = (1 + s^k)/2 E[w^k]``; the odd ones are ``(1 − s^k) E[w^k 1]`` with ``E[w 1] = u/√(2π)`` and
    ``E[w³ 1] = (3u − u³)/√(2π)``, from ``E[z 1] = 1/√(2π)`` and ``E[z³ 1] = 2/√(2π)``.  ``E[h(V)^k] = (h(1)^k + h(−1)^k)
    E[max(V,0)^k]`` with ``1/√(2π), 1/2, 2/√(2π), 3/2``.  Saliency and DeconvNet have no odd moments: ``μ₄ − 3 μ₂² = 15/4``,
    and an excess kurtosis of ``15/N``.

    Examples
    --------
    For one patch of one pixel and 8 filters, the excess kurtosis is 15/8.

    >>> grid = PatchGrid((1, 1, 1), kernel=1)
    >>> kappa = fourth_cumulant_map(np.ones((1, 1, 1)), grid, "saliency", 8)
    >>> float((kappa / law_of(np.ones((1, 1, 1)), grid, "saliency", 8).variance ** 2).item())
    1.875
    """
    law = law_of(x, grid, rule, n_filters, law=Gaussian(std), unit=unit)
    x, _ = _windows.scaled(law.x)
    coverage, active = grid.coverage, active_coverage(x, grid)
    # For a single patch κ = 1/‖y‖, so u = x κ; u means nothing elsewhere.
    u = np.where(coverage == 1, x * local_contrast(x, grid), 0.0)
    root, shut = math.sqrt(2 * math.pi), law.shut
    of_readout = [1 / root, 1 / 2, 2 / root, 3 / 2]
    of_half = [u / root, 1 / 2, (3 * u - u**3) / root, 3 / 2]  # E[w^k 1(w·y > 0)]
    first, second, third, fourth = (
        (law.rule.up**k + law.rule.down**k) * v * _gated(k, w, shut, active)
        for k, v, w in zip((1, 2, 3, 4), of_readout, of_half, strict=True)
    )
    of_filter = fourth - 4 * third * first - 3 * second**2 + 12 * second * first**2 - 6 * first**4
    return np.where(coverage > 1, np.nan, np.where(coverage > 0, law.n_filters * std**8 * of_filter, 0.0))


def _gated(k: int, half: float | np.ndarray, shut: float, active: np.ndarray) -> np.ndarray:
    """Return ``E[g'^k w^k]`` from ``E[w^k 1(w·y > 0)]``; the gate of a patch of zeros is closed."""
    closed = shut**k * (half if k % 2 == 0 else -np.asarray(half))
    # The closed gate of a patch of zeros multiplies all of w^k: E[w^k] is twice the half for even k and 0 for odd k.
    return np.where(active > 0, half + closed, 2 * closed if k % 2 == 0 else 0.0)
