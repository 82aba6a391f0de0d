"""Equal patches tie to the last bit, so that behind a max-pool the first of them wins, as definitions and laws say."""

from __future__ import annotations

import numpy as np

from theorylab.model.patches import PatchGrid


def settle(out: np.ndarray, x: np.ndarray, grid: PatchGrid) -> None:
    """Give a patch of `x` (C, H, W) that repeats another the first one's outputs (N, H', W'), in place.

    A product of matrices rounds equal columns differently, depending on where they lie.  Patches are equal where a random sum of
    their entries is: it is added entry by entry in one order, so that its rounding depends on nothing else.

    Examples
    --------
    >>> out = np.array([[[1.0, 2.0, 1.0 + 1e-15]]])
    >>> settle(out, np.array([[[5.0, 6.0, 5.0]]]), PatchGrid((1, 1, 3), kernel=1))
    >>> out
    array([[[1., 2., 1.]]])
    """
    rng = np.random.default_rng(0)
    plane, size = np.zeros((1, *x.shape[1:])), abs(x).max() or 1.0
    for factor, channel in zip(rng.standard_normal(len(x)), x, strict=True):
        plane += factor * np.divide(channel, size, dtype=np.float64)
    taps = PatchGrid(plane.shape, grid.kernel, grid.stride, grid.padding).extract(plane).T
    sums = np.zeros(grid.n_patches)
    for factor, tap in zip(rng.standard_normal(len(taps)), taps, strict=True):
        sums += factor * tap
    _, first, group = np.unique(sums, return_index=True, return_inverse=True)
    if len(first) < len(sums):
        flat = out.reshape(len(out), -1)
        later = np.flatnonzero(first[group] != np.arange(len(sums)))
        flat[:, later] = flat[:, first[group[later]]]
