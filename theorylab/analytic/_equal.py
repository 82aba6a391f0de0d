"""Which positions of a plane hold equal activations in every network, because the areas below are equal.

Over an exactly flat area, a drawing's background or a clipped highlight, patches are equal, so their activations are, and so are
the largest of windows that hold the same activations.  A max-pool above breaks such ties by position: the first wins, not any one
at random.  Inner products above a pool are integrals with an error, which would break them at random.  So equality is kept as
integers: positions with equal labels hold equal vectors; 0 is a vector of zeros.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab.analytic._windows import moved
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool

Shift = tuple[int, int]


def _numbered(rows: np.ndarray, plane: tuple[int, int]) -> np.ndarray:
    """Label rows (n, k): equal rows have equal labels, a row of zeros the label 0."""
    labels = np.unique(rows, axis=0, return_inverse=True)[1].reshape(plane) + 1
    return np.asarray(labels * rows.any(axis=1).reshape(plane))


def none(plane: tuple[int, ...]) -> np.ndarray:
    """Label the positions of a plane that are all different, or whose equality does not matter."""
    return np.arange(1, math.prod(plane) + 1).reshape(plane)


def of_vectors(x: np.ndarray) -> np.ndarray:
    """Label the vectors of an image (C, H, W) at its positions: (H, W).

    Examples
    --------
    >>> of_vectors(np.array([[[2.0, 0.0, 2.0, 3.0]]]))
    array([[2, 0, 2, 3]])
    """
    return _numbered(x.reshape(len(x), -1).T + 0.0, (x.shape[1], x.shape[2]))


def of_patches(labels: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Label patches: equal where they hold equal vectors at every tap.

    Examples
    --------
    >>> of_patches(np.array([[1, 1, 1, 2]]), PatchGrid((1, 1, 4), (1, 2)))
    array([[1, 1, 2]])
    """
    if len(np.unique(labels)) == labels.size and labels.all():
        return none(grid.output_shape)
    rows, columns = grid.padding
    padded = np.pad(labels, ((rows, rows), (columns, columns)))
    (height, width), (down, right) = grid.output_shape, grid.stride
    taps = [
        padded[i : i + down * (height - 1) + 1 : down, k : k + right * (width - 1) + 1 : right].ravel()
        for i in range(grid.kernel[0])
        for k in range(grid.kernel[1])
    ]
    return _numbered(np.stack(taps, axis=1), (height, width))


def of_windows(labels: np.ndarray, pool: MaxPool) -> np.ndarray:
    """Label windows: equal where they hold the same set of activations, whose largest is the same.

    Examples
    --------
    >>> of_windows(np.array([[1, 2, 2, 2, 2, 1]]), MaxPool((1, 2)))
    array([[2, 1, 2]])
    """
    held = np.sort(np.append(labels, 0)[pool.windows(labels.shape)], axis=1)  # padding is −1, the last
    repeated = np.zeros(held.shape, dtype=bool)
    repeated[:, 1:] = held[:, 1:] == held[:, :-1]
    # Closed units add nothing to a maximum of what is not negative: 0 is as good as absent.
    return _numbered(np.sort(np.where(repeated, 0, held), axis=1), pool.output_shape(labels.shape))


def shared(planes: dict[Shift, np.ndarray], labels: np.ndarray) -> dict[Shift, np.ndarray]:
    """Give equal pairs of vectors one inner product, the first that is listed, and equal vectors their energy.

    Examples
    --------
    >>> planes = {(0, 0): np.array([[1.0, 1.1, 2.0]]), (0, 1): np.array([[0.9, 0.7, 0.0]])}
    >>> shared(planes, np.array([[1, 1, 2]]))[0, 1]
    array([[1. , 0.7, 0. ]])
    """
    count = int(labels.max()) + 1
    if len(np.unique(labels)) == labels.size:
        return planes
    ones = np.ones(labels.shape, dtype=bool)
    keys, values = [], []
    for s, plane in planes.items():
        other = moved(labels, s)
        pair = np.minimum(labels, other) * count + np.maximum(labels, other)
        keys.append(np.where(moved(ones, s), pair, -1).ravel())  # −1: outside, where products are 0
        values.append(plane.ravel())
    _, first, inverse = np.unique(np.concatenate(keys), return_index=True, return_inverse=True)
    found = np.concatenate(values)[first][inverse].reshape(len(planes), *labels.shape)
    return {s: plane for s, plane in zip(planes, found, strict=True)}
