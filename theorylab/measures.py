"""How alike two maps are, in the numbers that the paper's figures and an audit report.

A zero map has no direction: what would need one is NaN then, never an accident of rounding.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab import _validation, display


def _pair(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    one = _validation.real_array(one, "one").astype(np.float64, copy=False)
    return one, _validation.real_array(other, "other", one.shape).astype(np.float64, copy=False)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Cosine of the angle between two maps.

    Parameters
    ----------
    one, other : arrays of one shape

    Returns
    -------
    float
        From −1 to 1; NaN where one of them is zero.

    Raises
    ------
    TypeError, ValueError
        If an entry is not a finite real number or the shapes differ.

    Notes
    -----
    The measure of image recovery that Theorem 1 leaves implicit: it does not see the coefficient of Eq. 4.

    Examples
    --------
    >>> cosine(np.array([3.0, 4.0]), np.array([1.0, 0.0]))
    0.6
    """
    one, other = _pair(one, other)
    largest = float(np.abs(one).max(initial=0.0)), float(np.abs(other).max(initial=0.0))
    if 0.0 in largest:
        return math.nan
    one, other = one / largest[0], other / largest[1]  # squares stay in range
    return float(np.vdot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other)))


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Euclidean distance of two maps, each scaled to norm 1: ``√(2 − 2 cos)``.

    Parameters, errors: as :func:`cosine`.

    Returns
    -------
    float
        From 0 to 2; NaN where one of the maps is zero.

    Notes
    -----
    The paper's Fig. 7, with the coefficient of Eq. 4 at its largest.  ``√2`` for two independent maps of noise.

    Examples
    --------
    >>> distance(np.array([3.0, 4.0]), np.array([3.0, 4.0])), round(distance(np.eye(2)[0], np.eye(2)[1]), 4)
    (0.0, 1.4142)
    """
    return math.sqrt(max(2 - 2 * cosine(one, other), 0.0))


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Structural similarity (SSIM) of two maps as they are shown: each moved and scaled to [0, 1].

    Parameters
    ----------
    one, other : arrays, (C, H, W), at least 7 × 7

    Returns
    -------
    float
        1 for maps that are shown alike.

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

    one, other = _pair(one, other)
    return float(
        metrics.structural_similarity(
            display.min_max(one), display.min_max(other), data_range=1.0, channel_axis=0
        )
    )


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation of the entries of two maps; NaN where one of them is constant.

    Parameters, errors: as :func:`cosine`.

    Examples
    --------
    >>> round(correlation(np.array([1.0, 2.0, 3.0]), np.array([5.0, 7.0, 9.0])), 6)
    1.0
    """
    one, other = _pair(one, other)
    return cosine(one - one.mean(), other - other.mean())


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation of the entries of two maps; NaN where one of them is constant.

    Parameters, errors: as :func:`cosine`.

    Examples
    --------
    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 8.0, 27.0]))
    1.0
    """
    from scipy import stats

    one, other = _pair(one, other)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return math.nan
    return float(stats.spearmanr(one.ravel(), other.ravel()).statistic)
