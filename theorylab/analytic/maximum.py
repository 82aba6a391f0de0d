"""The largest of K logits: what choosing it does to the saliency map.

Given the filters, the logits ``f_k = ⟨V_k, a⟩`` are independent ``N(0, c²‖a‖²)``.  The winner's readout is therefore
``c [m â + (I − â âᵀ) g]``, ``m`` the maximum of ``K`` standard normals: choosing the winner adds a mean along ``a``.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import integrate, special

from theorylab import _validation
from theorylab.analytic import _windows
from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid


def maximum_moment(n: int, order: int = 1) -> float:
    """``E[m^order]`` for ``m`` the largest of `n` independent standard normals, by quadrature.

    Parameters
    ----------
    n : int
        ``K``, at least 1.
    order : int
        Of the moment, at least 1.

    Returns
    -------
    float, to about 1e-10

    Notes
    -----
    The density of the maximum is ``n φ(t) Φ(t)^(n−1)``.

    Examples
    --------
    The largest of three: ``3/(2√π)``.

    >>> abs(maximum_moment(3) - 1.5 / math.sqrt(math.pi)) < 1e-10
    True
    """
    n = _validation.positive_integer(n, "n")
    order = _validation.positive_integer(order, "order")

    def integrand(t: float) -> float:
        return t**order * n * math.exp(-t * t / 2 + (n - 1) * special.log_ndtr(t)) / math.sqrt(2 * math.pi)

    # The mass lies near √(2 ln n): tell the quadrature, or it may step over it.
    peak = math.sqrt(2 * math.log(n)) if n > 1 else 0.0
    value, _ = integrate.quad(
        integrand,
        -10.0,
        peak + 12.0,
        points=[peak - 1, peak, peak + 1],
        epsabs=1e-13,
        epsrel=1e-12,
        limit=200,
    )
    return float(value)


@_validation.checked
def maximum_logit_moment(
    x: np.ndarray, grid: PatchGrid, n_filters: int, n_logits: int, *, std: float = 1.0
) -> float:
    """``E[f_max²]`` of a three-layer network with Gaussian weights, exact for every ``N`` and ``K``.

    By homogeneity this is ``E⟨S, x⟩²`` of the winner's saliency map.

    Parameters
    ----------
    x : array, (C, H, W)
    grid : PatchGrid
    n_filters, n_logits : int
        ``N`` and ``K``.
    std : float
        ``c`` of filters and readout.

    Returns
    -------
    float: ``E[m²] c⁴ N/2 Σ_j ‖y_j‖²``, infinite or 0 where that is beyond the numbers of double precision

    Notes
    -----
    ``f_max = m c ‖a‖`` with ``m`` independent of ``a``, and ``E a_ij² = c² ‖y_j‖²/2``.

    Examples
    --------
    With one logit nothing is chosen and the variance of a logit remains:

    >>> grid = PatchGrid((1, 1, 2), kernel=1)
    >>> round(maximum_logit_moment(np.array([[[3.0, 4.0]]]), grid, n_filters=2, n_logits=1), 6)
    25.0
    """
    x, exponent = _windows.scaled(_validation.image(x, grid.input_shape))
    n_filters = _validation.positive_integer(n_filters, "n_filters")
    std = Gaussian(std).std
    energy = maximum_moment(n_logits, 2) * std**4 * n_filters / 2 * _windows.energies(x, grid).sum()
    return float(_windows.rescaled(energy, -2 * exponent))


@_validation.checked
def maximum_logit_mean_map(
    x: np.ndarray, grid: PatchGrid, n_filters: int, n_logits: int, *, std: float = 1.0
) -> np.ndarray:
    """Mean of the winner's saliency map, in the limit of many filters.

    Returns
    -------
    array, (C, H, W): ``E[m] c² √(N/2) (coverage ⊙ x)/√(Σ_j ‖y_j‖²)``

    Notes
    -----
    Given the filters the mean is ``E[m] c/‖a‖ Σ_j D_jᵀ (Σ_i w_i w_iᵀ 1_ij) y_j``, exactly.  The sum over filters tends to
    ``N c²/2`` times the identity and ``‖a‖²`` to ``N c²/2 Σ_j ‖y_j‖²``; the relative error of both is of order
    ``1/√N`` in one network and ``1/N`` in the mean over networks.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 2), kernel=1)
    >>> maximum_logit_mean_map(np.array([[[3.0, 4.0]]]), grid, n_filters=200, n_logits=1000).round(2)
    array([[[19.45, 25.93]]])
    """
    x, _ = _windows.scaled(_validation.image(x, grid.input_shape))
    n_filters = _validation.positive_integer(n_filters, "n_filters")
    std = Gaussian(std).std
    energy = float(_windows.energies(x, grid).sum())
    scale = maximum_moment(n_logits) * std**2 * math.sqrt(n_filters / 2 / energy)
    return np.asarray(scale * grid.coverage * x)
