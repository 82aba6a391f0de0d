"""How alike two maps are, in the numbers that the paper's figures and an audit report.  Imports `display` alone.

A zero map has no direction: measures that need a direction give NaN, never an accident of rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from theorylab import _validation, display


def _pair(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first = _validation.real_array(first, "first").astype(np.float64, copy=False)
    second = _validation.real_array(second, "second").astype(np.float64, copy=False)
    if first.shape != second.shape:
        raise ValueError(f"first, second: expected maps of one shape, got {first.shape} and {second.shape}")
    return first, second


@_validation.checked
def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Return the cosine of the angle between two maps.

    Parameters
    ----------
    first, second : arrays of one shape

    Returns
    -------
    float
        From −1 to 1; NaN if one of the maps is zero.

    Raises
    ------
    TypeError, ValueError
        If an entry is not a finite real number or the shapes differ.

    Notes
    -----
    The measure of image recovery that Theorem 1 leaves implicit: it does not depend on the coefficient of Eq. 4.

    Examples
    --------
    >>> cosine(np.array([3.0, 4.0]), np.array([1.0, 0.0]))
    0.6
    """
    first, second = _pair(first, second)
    largest = float(np.abs(first).max(initial=0.0)), float(np.abs(second).max(initial=0.0))
    if 0.0 in largest:
        return math.nan
    first, second = first / largest[0], second / largest[1]  # squares stay in range
    return float(np.vdot(first, second) / (np.linalg.norm(first) * np.linalg.norm(second)))


@_validation.checked
def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Euclidean distance of two maps, each scaled to norm 1: ``√(2 − 2 cos)``.

    Parameters, errors: as :func:`cosine`.

    Returns
    -------
    float
        From 0 to 2; NaN if one of the maps is zero.

    Notes
    -----
    The paper's Fig. 7, with the largest value of the coefficient of Eq. 4.  ``√2`` for two independent maps of noise.

    Examples
    --------
    >>> distance(np.array([3.0, 4.0]), np.array([3.0, 4.0])), round(distance(np.eye(2)[0], np.eye(2)[1]), 4)
    (0.0, 1.4142)
    """
    return math.sqrt(max(2 - 2 * cosine(first, second), 0.0))


_WINDOW = 7  # of scikit-image


@_validation.checked
def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Return the structural similarity (SSIM) of two maps as a picture shows them: each scaled to [0, 1].

    Parameters
    ----------
    first, second : arrays, (C, H, W), at least 7 × 7

    Returns
    -------
    float
        1 for maps whose pictures are equal.

    Raises
    ------
    TypeError, ValueError
        If an entry is not a finite real number, the shapes differ or the maps are smaller than the window.

    Notes
    -----
    :func:`skimage.metrics.structural_similarity` with its 7 × 7 window; it is in no equation of the paper.

    Examples
    --------
    >>> ramp = np.arange(64.0).reshape(1, 8, 8)
    >>> round(similarity(ramp, 5 * ramp + 2), 6), round(similarity(ramp, -ramp), 2)
    (1.0, -0.95)
    """
    from skimage import metrics

    first, second = _pair(first, second)
    if first.ndim != 3 or 0 in first.shape or min(first.shape[1:]) < _WINDOW:
        raise ValueError(f"first, second: expected maps (C, H, W) of 7 × 7 pixels or more, got {first.shape}")
    ssim: Callable[..., float] = metrics.structural_similarity  # scikit-image has no types
    return float(ssim(display.min_max(first), display.min_max(second), data_range=1.0, channel_axis=0))


@_validation.checked
def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Pearson's correlation of the entries of two maps; NaN if one of them is constant.

    Parameters, errors: as :func:`cosine`.

    Examples
    --------
    >>> round(correlation(np.array([1.0, 2.0, 3.0]), np.array([5.0, 7.0, 9.0])), 6)
    1.0
    """
    first, second = _pair(first, second)
    return cosine(first - first.mean(), second - second.mean())


@_validation.checked
def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's rank correlation of the entries of two maps; NaN if one of them is constant.

    Parameters, errors: as :func:`cosine`.

    Examples
    --------
    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 8.0, 27.0]))
    1.0
    """
    from scipy import stats

    first, second = _pair(first, second)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(stats.spearmanr(first.ravel(), second.ravel()).statistic)
