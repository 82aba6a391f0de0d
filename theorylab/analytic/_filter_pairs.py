"""What the windows of a max-pool share of one filter: the covariances of places that lie in several patches.

A filter ``w`` enters the map at every patch that it sends a gradient to: with ``K_j`` the number of windows that send theirs to
patch ``j``, one filter's map is ``m₀ F`` on average over the readout, ``F = Σ_j D_jᵀ w √K_j``.  Its second moment at a pixel
couples all windows near it: an orthant of eight conditions for each pair of patches of 2×2 windows, of more elsewhere, for
which no closed form is known.  The pairs of all pixels are integrated at once, over filters from a quasi-random rule in as many
dimensions as the filter has entries.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from theorylab.analytic import _conditioning
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool

_MOST = 4096  # entries of a filter: thousands of such filters are held at once
_AT_ONCE = 64  # filters: their responses fill the largest work array


def filter_pairs(
    x: np.ndarray,
    grid: PatchGrid,
    pool: MaxPool,
    gate: bool,
    points: int,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """``Σ_{j≠j'} E[w w' √(K_j K_j')] − (E F)²`` at every pixel for standard normal filters, by `points` of them: (C, H, W).

    ``w`` and ``w'`` are the filter's entries that the patches hold at the pixel.  `x` is of order 1, `points` a power of 2.
    """
    if grid.patch_size > _MOST:
        raise NoLaw(None, None, f"filters of {grid.patch_size} entries behind {pool!r}, at most {_MOST}")
    patches, windows = grid.extract(x), pool.windows(grid.output_shape)
    # Equal patches tie in every bit, which a product of matrices would not leave alone.
    held, which = np.unique(patches, axis=0, return_inverse=True)
    place = grid.extract(np.arange(1, x.size + 1).reshape(x.shape))
    every = np.arange(len(windows))
    sums, squares = np.zeros((2, x.size + 1))  # the first entry is that of the padding
    normals = special.ndtri(_conditioning.points(grid.patch_size, points, 1)[0])
    for start in range(0, points, _AT_ONCE):
        filters = normals[start : start + _AT_ONCE]
        values = np.maximum(filters @ held.T, 0)[:, which.ravel()]
        # The last one stands for the padding, which never wins.
        values = np.concatenate([values, np.full((len(filters), 1), -1.0)], axis=1)
        for w, value in zip(filters, values, strict=True):
            each = value[windows]
            first = each.argmax(axis=1)
            sent = windows[every, first]
            if gate:
                sent = sent[each[every, first] > 0]
            wins = np.bincount(sent)
            reached = np.flatnonzero(wins)
            where = place[reached].ravel()
            parts = np.sqrt(wins[reached])[:, None] * w
            whole = np.bincount(where, parts.ravel(), len(sums))
            sums += whole
            squares += whole**2 - np.bincount(where, (parts**2).ravel(), len(sums))
        if progress is not None:
            progress(start + len(filters), points)
    return np.asarray((squares / points - (sums / points) ** 2)[1:].reshape(x.shape))
