"""Gaussian orthants by Genz' sequential conditioning, one coordinate at a time and many orthants at once.

Rows ``n_1 .. n_k`` and a standard normal ``w`` define the event ``n_r·w > 0`` for every ``r``.  In an orthonormal basis along
the rows, the conditions are triangular: given the first ``i − 1`` coordinates, condition ``i`` is a lower bound on coordinate
``i``.  The method draws each coordinate beyond its bound and multiplies the probabilities of the bounds.  Probability and first
moment of the event become smooth integrals over a cube, which suit a quasi-random rule.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy import special

DEPENDENT = 1e-9
"""A row counts as a combination of earlier rows if its part outside them is smaller than this, relative to the row."""

_BUDGET = 2**20  # numbers in a working array: small enough to stay near the cache


def chunks(count: int, work: int) -> Iterator[slice]:
    """Slices of `count` items that need `work` doubles each."""
    step = max(1, _BUDGET // work)
    for start in range(0, count, step):
        yield slice(start, start + step)


def points(dimension: int, count: int, replicates: int) -> np.ndarray:
    """Return digitally shifted Sobol points, the same in every call: (replicates, count, dimension), inside (0, 1).

    Each replicate is an unbiased rule; the scatter between replicates measures its error.  `count` is a power of 2.
    """
    from scipy.stats import qmc

    base = qmc.Sobol(max(dimension, 1), scramble=False).random_base2(count.bit_length() - 1)
    integers = (base * 2**32).astype(np.uint64)
    shifts = np.random.default_rng(20180531).integers(
        0, 2**32, (replicates, 1, integers.shape[1]), dtype=np.uint64
    )
    return np.asarray(((integers ^ shifts) + 0.5)[..., :dimension] / 2.0**32)


def error(replicates: np.ndarray) -> np.ndarray:
    """Error of the mean of a few independent values along the first axis, three of which hold with probability 0.997.

    That is the standard error times ``t/3``, where Student's ``t`` holds as often as three deviations of a normal: 1.51 standard
    errors for eight values.

    Examples
    --------
    >>> float(error(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])).round(4))
    1.3077
    """
    count = len(replicates)
    wide = special.stdtrit(count - 1, special.ndtr(3.0)) / 3
    return np.asarray(wide * np.std(replicates, axis=0, ddof=1) / math.sqrt(count))


def triangular(rows: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Build orthonormal bases along the active rows (n, k, p), starting with the row that is least likely to hold.

    Returns `lower` (n, k, k), `active` in the new order, where inactive rows come last, and `basis` (n, k, p).
    ``lower[i, j]`` is coordinate ``j`` of the row with the new number ``i``, scaled to unit length.  If that row depends on
    earlier rows, ``lower[i, i]`` and vector ``i`` of the basis are zero.

    Modified Gram–Schmidt on the rows themselves squares nothing, so nearly dependent rows keep their digits.  The next row
    is the least likely to hold, given the means of the coordinates so far (Genz and Bretz' ordering), so that late factors
    vary little.
    """
    n, k, _ = rows.shape
    norms = np.linalg.norm(rows, axis=2, keepdims=True)
    rest = np.divide(rows, norms, out=np.zeros(rows.shape), where=active[:, :, None] & (norms > 0))
    active = active.copy()
    lower, basis = np.zeros((n, k, k)), np.zeros(rows.shape)
    drift = np.zeros((n, k))  # the expected value of each row, from the coordinates so far
    every = np.arange(n)
    for i in range(k):
        sizes = np.linalg.norm(rest[:, i:], axis=2)
        # Dependent rows add no randomness: they follow the independent rows, and inactive rows come last.
        score = np.divide(drift[:, i:], sizes, out=np.full(sizes.shape, 1e300), where=sizes > DEPENDENT)
        score[~active[:, i:]] = np.inf
        best = i + np.argmin(score, axis=1)
        for array in (rest, lower, active, drift):
            array[every, i], array[every, best] = array[every, best], array[every, i].copy()
        size = np.linalg.norm(rest[:, i], axis=1)
        independent = size > DEPENDENT
        size = np.where(independent, size, 0.0)
        basis[:, i] = np.divide(
            rest[:, i], size[:, None], out=np.zeros(rest[:, i].shape), where=independent[:, None]
        )
        lower[:, i, i] = size
        lower[:, i + 1 :, i] = np.einsum("nrp,np->nr", rest[:, i + 1 :], basis[:, i])
        rest[:, i + 1 :] -= lower[:, i + 1 :, i, None] * basis[:, None, i]
        bound = -np.divide(drift[:, i], size, out=np.zeros(n), where=independent)
        # The mean of a standard normal beyond its bound.
        ahead = np.exp(-(bound**2) / 2 - special.log_ndtr(-bound)) / math.sqrt(2 * math.pi)
        drift[:, i + 1 :] += lower[:, i + 1 :, i] * np.where(independent, ahead, 0.0)[:, None]
    return lower, active, basis


def moments(lower: np.ndarray, active: np.ndarray, cube: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities (replicates, n) of events, and first moments ``E[g 1]`` of the coordinates ``g`` in the basis.

    `lower` and `active` come from :func:`triangular`, the cube (replicates, count, k − 1) from :func:`points`.
    """
    n, k = active.shape
    replicates, count, _ = cube.shape
    uniforms = cube.reshape(replicates * count, -1).T
    probability, first = np.empty((replicates, n)), np.empty((replicates, n, k))
    for part in chunks(n, replicates * count):
        weight = np.ones((len(active[part]), uniforms.shape[1]))
        coordinates = np.zeros((k, *weight.shape))
        last = np.zeros(weight.shape)
        for i in range(k):
            size = lower[part, i, i, None]
            independent = size > 0
            value = np.einsum("nj,jnp->np", lower[part, i, :i], coordinates[:i])
            bound = -np.divide(value, size, out=np.zeros(value.shape), where=independent)
            holds = special.ndtr(-bound)
            if i == k - 1:
                # Only the mean needs the last coordinate: φ at its bound.
                last = weight * np.exp(-(bound**2) / 2) * (independent / math.sqrt(2 * math.pi))
            else:
                # Upper tails keep their digits; the floor keeps draws of weight 0 finite.
                beyond = -special.ndtri(np.maximum(holds * uniforms[i], 1e-300))
                np.copyto(coordinates[i], beyond, where=independent)
            if not independent.all():
                certain = (value > 0) | ~active[part, i, None]
                holds = np.where(independent, holds, certain)
            weight *= holds
        probability[:, part] = weight.reshape(-1, replicates, count).mean(axis=2).T
        for i in range(k):
            integrand = last if i == k - 1 else coordinates[i] * weight
            first[:, part, i] = integrand.reshape(-1, replicates, count).mean(axis=2).T
    return probability, first
