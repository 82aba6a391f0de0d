"""How far apart two samples are, as distributions."""

from __future__ import annotations

import numpy as np

from theorylab import _validation


@_validation.checked
def sample_distances(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Return Kolmogorov's and Wasserstein's distances of two samples.

    Parameters
    ----------
    first, second : arrays, (n,) and (m,)

    Returns
    -------
    dict of str to float
        ``kolmogorov``, the largest difference of the two empirical distribution functions, and ``wasserstein``, the area
        between them over the standard deviation of both samples about their own means.

    Raises
    ------
    ValueError
        If both samples are constant, so that there is no unit for the second.

    Notes
    -----
    The first knows no scale and sees a shift of the bulk; the second is how far weight has to be moved, tails too.

    Examples
    --------
    >>> sample_distances(np.array([0.0, 2.0]), np.array([1.0, 3.0]))
    {'kolmogorov': 0.5, 'wasserstein': 1.0}
    """
    from scipy import stats

    for name, sample in (("first", first), ("second", second)):
        if _validation.real_array(sample, name).ndim != 1 or not len(sample):
            raise ValueError(f"{name}: expected a sample (n,), got shape {np.shape(sample)}")
    first, second = (np.asarray(sample, dtype=np.float64) for sample in (first, second))
    spread = float(np.sqrt((first.var() + second.var()) / 2))
    if spread == 0:
        raise ValueError("first and second: both samples are constant")
    return {
        "kolmogorov": float(stats.ks_2samp(first, second, method="asymp").statistic),
        "wasserstein": float(stats.wasserstein_distance(first, second)) / spread,
    }
