"""Moments of a filter over the windows of a max-pool that hold one patch, which may overlap: the patch may win several.

``K`` windows send their readout weights to patch ``j``: those that it wins with a positive value; without a gate, also those
that are all closed and begin with it.  ``K`` depends on the filter through the patches of these windows alone, their union.
In an orthonormal basis ``R`` of the span of the union, ``u = Rᵀ w`` is standard normal and what is left of ``w`` independent
of it, so ``E[w √K] = R E[u √K]``: an integral over the rank of the union, of nothing that is inverted.  Its points are
quasi-random, and each comes with its mirror image, because the half of ``√K`` that is even in ``u`` adds nothing to the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import special

from theorylab.analytic import _conditioning
from theorylab.analytic._pool_windows import EQUAL

_ROUNDING = 1e-13  # of a singular value, relative to the largest
_WORK = 2**21  # doubles of the largest work array


class Unions(NamedTuple):
    """Patches whose windows lie alike: where these lie in the union of each patch, and which union that is."""

    patches: np.ndarray  # (n,) numbers
    members: np.ndarray  # (n, m) numbers of the patches of each union, ascending
    own: int  # which member is the patch itself
    windows: tuple[np.ndarray, ...]  # which members each window holds, in the window's order


def unions_of(windows: np.ndarray) -> list[Unions]:
    """Group the patches that windows (n, k) hold, −1 for padding, by how their windows lie.

    Examples
    --------
    >>> for union in unions_of(np.array([[-1, 0], [0, 1], [1, 2]])):
    ...     print(union.patches, union.members.tolist(), union.own, [window.tolist() for window in union.windows])
    [0] [[0, 1]] 0 [[0], [0, 1]]
    [1] [[0, 1, 2]] 1 [[0, 1], [1, 2]]
    [2] [[1, 2]] 1 [[0, 1]]
    """
    which, _ = np.nonzero(windows >= 0)
    held = windows[windows >= 0]
    order = np.argsort(held, kind="stable")
    numbers, starts = np.unique(held[order], return_index=True)
    found: dict[bytes, list[tuple[int, np.ndarray]]] = {}
    lying: dict[bytes, tuple[int, np.ndarray]] = {}
    for j, mine in zip(numbers.tolist(), np.split(which[order], starts[1:]), strict=True):
        union, slots = np.unique(windows[mine], return_inverse=True)
        padded = int(union[0] < 0)
        slots, union = slots.reshape(len(mine), -1) - padded, union[padded:]
        own = int(np.searchsorted(union, j))
        key = np.array([len(union), own, *slots.ravel()]).tobytes()
        found.setdefault(key, []).append((j, union))
        lying.setdefault(key, (own, slots))
    return [
        Unions(
            np.array([j for j, _ in alike]),
            np.stack([union for _, union in alike]),
            lying[key][0],
            tuple(slots[slots >= 0] for slots in lying[key][1]),
        )
        for key, alike in found.items()
    ]


def filter_means(
    patches: np.ndarray,
    windows: np.ndarray,
    gate: bool,
    points: int,
    replicates: int,
    progress: Callable[[int, int], None] | None,
) -> np.ndarray:
    """``E[w √K]`` of every patch (J, p) by independent integrations of `points` mirrored points: (replicates, J, p).

    `progress` is called with the patches done, and with how many the windows hold.
    """
    means = np.zeros((replicates, *patches.shape))
    for part, basis, (one, mirrored), normals in _integrands(
        patches, windows, gate, points, replicates, progress
    ):
        drawn = (np.sqrt(one) - np.sqrt(mirrored)).reshape(len(basis), replicates, points).swapaxes(0, 1)
        first = drawn @ normals.T.reshape(replicates, points, -1)
        means[:, part] = np.einsum("rnd,ndp->rnp", first, basis, optimize=True) / (2 * points)
    return means


def filter_energies(patches: np.ndarray, windows: np.ndarray, gate: bool, points: int) -> np.ndarray:
    """``E[w² K]`` of every patch, (J, p), by `points` mirrored points."""
    energies = np.zeros(patches.shape)
    for part, basis, wins, normals in _integrands(patches, windows, gate, points, 1, None):
        counts = wins.sum(axis=0)
        probability = counts.mean(axis=1) / 2
        # What is left of the filter outside the span is independent of K, and white.
        spread = (counts[:, None] * normals) @ normals.T / (2 * points)
        spread -= probability[:, None, None] * np.eye(len(normals))
        energies[part] = probability[:, None] + np.einsum(
            "ndp,nde,nep->np", basis, spread, basis, optimize=True
        )
    return energies


def _integrands(
    patches: np.ndarray,
    windows: np.ndarray,
    gate: bool,
    points: int,
    replicates: int,
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Numbers of some patches (n,), their bases, ``K`` as of `_wins`, and the normals (d, replicates · points) it is at."""
    unions = unions_of(windows)
    rank = max(min(union.members.shape[1], patches.shape[1]) for union in unions)
    normals = special.ndtri(_conditioning.points(rank, points, replicates)).reshape(-1, rank).T
    total, done = sum(len(union.patches) for union in unions), 0
    for union in unions:
        for part in _parts(union, normals.shape[1]):
            basis, wins = _wins(patches, part, gate, normals)
            yield part.patches, basis, wins, normals[: basis.shape[1]]
            done += len(part.patches)
            if progress is not None:
                progress(done, total)


def _parts(union: Unions, points: int) -> Iterator[Unions]:
    step = max(1, _WORK // (points * union.members.shape[1]))
    for start in range(0, len(union.patches), step):
        part = slice(start, start + step)
        yield union._replace(patches=union.patches[part], members=union.members[part])


def _wins(
    patches: np.ndarray, union: Unions, gate: bool, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bases (n, d, p) of the unions' spans, and ``K`` at normals (d, points) and at their mirror images: (2, n, points)."""
    held, own = patches[union.members], union.own
    # A patch wins where its rows are all positive: itself, and what it has more than the others.  Subtracted pixel by pixel,
    # which loses no digits of a small difference.
    rows = held[:, own, None] - held
    norms = np.linalg.norm(held, axis=2)
    equal = np.linalg.norm(rows, axis=2) <= EQUAL * np.maximum(norms, norms[:, own, None])
    rows[equal] = 0  # an equal patch before takes every win
    equal[:, : own + 1] = False
    equal[:, own] = True
    rows = np.where(equal[:, :, None], held[:, own, None], rows)  # one further on takes none
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    basis *= (sizes > _ROUNDING * sizes[:, :1])[:, :, None]
    normals = normals[: basis.shape[1]]
    across = basis.swapaxes(1, 2)
    values = (rows @ across) @ normals
    wins = np.zeros((2, len(held), normals.shape[1]), dtype=np.int32)
    for window in union.windows:
        wins[0] += _extreme(np.minimum, values, window) > 0
        wins[1] += _extreme(np.maximum, values, window) < 0
        if not gate and window[0] == own:
            closes = (held[:, window] @ across) @ normals
            wins[0] += closes.max(axis=1) <= 0
            wins[1] += closes.min(axis=1) >= 0
    return basis, wins


def _extreme(of: np.ufunc, values: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Least or largest of the window's rows: (n, points), without a copy of them."""
    result = values[:, window[0]].copy()
    for member in window[1:]:
        of(result, values[:, member], out=result)
    return result
