"""What follows from the first two moments of a map: expected cosines, class distances, filters needed."""

from __future__ import annotations

import math

import numpy as np

from theorylab import _validation
from theorylab.analytic import shallow
from theorylab.laws import Gaussian, WeightLaw
from theorylab.patches import PatchGrid
from theorylab.rules import Rule


def expected_energy(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = Gaussian(1.0),  # noqa: B008 - frozen
    filter_std: float | None = None,
) -> float:
    """``E‖S‖²`` of the raw map: squared norm of the mean map plus the trace of the covariance.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 1), kernel=1)
    >>> round(expected_energy(np.ones((1, 1, 1)), grid, "saliency", n_filters=4), 6)
    2.0
    """
    mean = shallow.mean_map(x, grid, rule, n_filters, law=law, filter_std=filter_std)
    variance = shallow.variance_map(x, grid, rule, n_filters, law=law, filter_std=filter_std)
    return float((mean**2).sum() + variance.sum())


def expected_cosine(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = Gaussian(1.0),  # noqa: B008 - frozen
    filter_std: float | None = None,
    target: str = "input",
) -> float:
    """Cosine between a map and a target, as the ratio of expectations ``⟨E S, t⟩ / (‖t‖ √E‖S‖²)``.

    Parameters
    ----------
    x, grid, rule, n_filters, law, filter_std
        As in :func:`~theorylab.analytic.mean_map`.
    target : {"input", "mean"}
        The image ``x``, or the mean map ``E S``.

    Returns
    -------
    float
        To the mean: ``1/√(1 + tr Cov/‖E S‖²)``; to the input: that times ``cos(x ⊙ κ, x)``.  For saliency and
        DeconvNet the mean map is zero and the cosine to the input 0.

    Raises
    ------
    ValueError
        For an unknown target; for ``"mean"`` where the mean map is zero and has no direction.

    Notes
    -----
    The mean of the cosines of single maps differs from this ratio by Jensen's inequality, in the order of the relative
    variance of ``‖S‖²`` (below 0.002 on photographs from 16 filters on).

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> x = np.array([[[3.0, 4.0, 1.0]]])
    >>> round(expected_cosine(x, grid, "guided", n_filters=1000), 4)
    0.9444
    """
    if target not in ("input", "mean"):
        raise ValueError(f"target: expected 'input' or 'mean', got {target!r}")
    mean = shallow.mean_map(x, grid, rule, n_filters, law=law, filter_std=filter_std)
    if not mean.any():
        if target == "mean":
            raise ValueError(
                f"target 'mean': the mean map of {Rule(rule).value} is zero and has no direction"
            )
        return 0.0
    variance = shallow.variance_map(x, grid, rule, n_filters, law=law, filter_std=filter_std)
    toward = np.asarray(x, dtype=np.float64) if target == "input" else mean
    energy = (mean**2).sum() + variance.sum()
    return float((mean * toward).sum() / (np.linalg.norm(toward) * math.sqrt(energy)))


def expected_class_product(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = Gaussian(1.0),  # noqa: B008 - frozen
    filter_std: float | None = None,
) -> float:
    """``E⟨S, S'⟩`` for two logits of one network.

    Notes
    -----
    The two maps share the filters and differ in their independent readouts, so ``E[h(V) h(V')] = E[h]²`` also at equal
    positions.  Against ``E‖S‖²`` the terms ``j = j'`` lose ``E[h²] − E[h]²``: all of them for saliency, and
    ``N c² (m₂ − m₀²)`` times the coverage (DeconvNet) or half the active coverage (guided) otherwise.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 1), kernel=1)
    >>> expected_class_product(np.ones((1, 1, 1)), grid, "saliency", n_filters=4)
    0.0
    """
    rule = Rule(rule)
    energy = expected_energy(x, grid, rule, n_filters, law=law, filter_std=filter_std)
    if rule is Rule.SALIENCY:
        return 0.0
    std = law.std if filter_std is None else filter_std
    shares = grid.coverage if rule is Rule.DECONVNET else shallow.active_coverage(x, grid) / 2
    lost = n_filters * std**2 * (law.relu_second_moment - law.relu_mean**2) * shares.sum()
    return energy - float(lost)


def class_distance(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = Gaussian(1.0),  # noqa: B008 - frozen
    filter_std: float | None = None,
) -> float:
    """l2 distance between the unit-norm maps of two logits of one network: ``√(2 − 2 E⟨S,S'⟩/E‖S‖²)``.

    Parameters
    ----------
    x, grid, rule, n_filters, law, filter_std
        As in :func:`~theorylab.analytic.mean_map`.

    Returns
    -------
    float
        ``√2`` for saliency; ``√(2 − 2 m₀²/m₂)`` for DeconvNet at every ``N`` (``√(2 − 2/π)`` with a Gaussian readout);
        falling to 0 in ``N`` for guided backpropagation.

    Notes
    -----
    A ratio of expectations; the mean of single distances lies 0.2–0.3 % higher at 16–64 filters (Jensen).

    Examples
    --------
    >>> grid = PatchGrid((1, 2, 3), kernel=2)
    >>> round(class_distance(np.ones((1, 2, 3)), grid, "deconvnet", n_filters=8), 4)
    1.1676
    """
    energy = expected_energy(x, grid, rule, n_filters, law=law, filter_std=filter_std)
    product = expected_class_product(x, grid, rule, n_filters, law=law, filter_std=filter_std)
    return math.sqrt(max(0.0, 2 - 2 * product / energy))


def estimation_error(patch_size: int, n_filters: int, *, std: float = 1.0) -> float:
    """Root-mean-square of ``‖(1/N) Σ_i w_i 1(w_i·y) − E[w 1(w·y)]‖``: ``c √((p/2 − 1/(2π))/N)``, exact.

    Notes
    -----
    The variance of a mean is the variance of one term over ``N``; one term has ``E‖w 1‖² = c² p/2`` and a mean of
    squared norm ``c²/(2π)``.

    Examples
    --------
    >>> round(estimation_error(27, 1335), 4)
    0.1
    """
    patch_size = _validation.positive_integer(patch_size, "patch_size")
    n_filters = _validation.positive_integer(n_filters, "n_filters")
    std = _validation.positive_number(std, "std")
    return std * math.sqrt((patch_size / 2 - 1 / (2 * math.pi)) / n_filters)


def filters_needed(patch_size: int, error: float, *, std: float = 1.0) -> int:
    """Least number of filters whose root-mean-square :func:`estimation_error` is at most `error`.

    Parameters
    ----------
    patch_size : int
        ``p``, channels included: 27 for 3×3×3.
    error : float
        ``ε``, absolute; the vector that is estimated has norm ``0.399 c``.
    std : float
        ``c`` of the filters.

    Returns
    -------
    int: ``⌈c² (p/2 − 1/(2π))/ε²⌉``

    Raises
    ------
    TypeError, ValueError
        If an argument is not a positive number.

    Examples
    --------
    The paper's example (below Theorem 1), which it puts at "at most O(10³)":

    >>> filters_needed(27, 0.1)
    1335
    """
    error = _validation.positive_number(error, "error")
    return math.ceil(estimation_error(patch_size, 1, std=std) ** 2 / error**2)
