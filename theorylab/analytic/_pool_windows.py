"""The pool windows of an image as sets of linear conditions on a filter."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from theorylab import _validation
from theorylab.analytic import _windows
from theorylab.analytic.nolaw import NoLaw
from theorylab.analytic.three_layer import ThreeLayerLaw, law_of
from theorylab.model.laws import STANDARD_NORMAL, Gaussian, WeightLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.units import RELU, Unit

EQUAL = 1e-12
"""Patches that differ by less than this, relative to the larger, are equal: their units tie and the first wins."""

_CHUNK = 2**23  # doubles of the largest work array


@dataclasses.dataclass(frozen=True)
class Windows:
    """Some windows: their patches in coordinates of their own span, and which of them exist or repeat."""

    numbers: np.ndarray  # (n, k) of the patches, −1 for padding of the pool
    basis: np.ndarray  # (n, p, d) orthonormal columns
    patches: np.ndarray  # (n, k, d)
    gaps: np.ndarray  # (n, k, k, d), of patch m less patch l: subtracted pixel by pixel, which loses no digits of a small one
    equal: np.ndarray  # (n, k, k) pairs of equal patches, the diagonal left out

    @property
    def present(self) -> np.ndarray:
        """Positions that lie in the plane and not in the pool's padding, (n, k)."""
        return self.numbers >= 0

    @property
    def nonzero(self) -> np.ndarray:
        """Patches that are not all zero, (n, k)."""
        return np.asarray(self.patches.any(axis=2))

    def events(self, gate: bool) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]]:
        """Events that send a gradient to a position: windows and their positions, the rows of the event, which of them count.

        Patch `m` is the first maximum, and positive.  Without a gate a window that closes sends its gradient to its first
        present position.
        """
        for m in range(self.numbers.shape[1]):
            rows = self.gaps[:, m].copy()
            rows[:, m] = self.patches[:, m]
            # An equal patch further on never takes the win, one before always does.
            active = self.present & ~self.equal[:, m]
            active[:, m] = possible = self.nonzero[:, m] & ~self.equal[:, m, :m].any(axis=1)
            which = np.flatnonzero(possible)
            yield (which, np.full(which.shape, m)), rows[which], active[which]
        if not gate:
            yield (np.arange(len(self.numbers)), self.present.argmax(axis=1)), *self.closes()

    def closes(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of "no unit of the window is positive", and which of them count."""
        return -self.patches, self.nonzero


def windows_of(x: np.ndarray, grid: PatchGrid, pool: MaxPool, work: int) -> Iterator[Windows]:
    """All windows, in chunks; `work` is the number of doubles that each needs beside its patches."""
    patches = grid.extract(_windows.scaled(x)[0])
    numbers = pool.windows(grid.output_shape)
    k = numbers.shape[1]
    step = max(1, _CHUNK // max(k * grid.patch_size, k * k, work))
    for start in range(0, len(numbers), step):
        part = numbers[start : start + step]
        held = patches[part] * (part >= 0)[:, :, None]
        norms = np.linalg.norm(held, axis=2)
        # All conditions live in the span of the window's patches: k coordinates instead of p.
        span = held - held[:, :1]
        span[:, 0] = held[:, 0]
        basis, _ = np.linalg.qr(span.swapaxes(1, 2))
        gaps = np.zeros((len(part), k, k, basis.shape[2]))
        for m in range(k - 1):
            gaps[:, m, m + 1 :] = (held[:, m, None] - held[:, m + 1 :]) @ basis
            gaps[:, m + 1 :, m] = -gaps[:, m, m + 1 :]
        equal = np.linalg.norm(gaps, axis=3) <= EQUAL * np.maximum(norms[:, None], norms[:, :, None])
        equal[:, range(k), range(k)] = False
        equal &= (part >= 0)[:, None, :] & (part >= 0)[:, :, None]
        yield Windows(part, basis, held @ basis, gaps, equal)


def require_law(pool: MaxPool, rule: Rule, unit: Unit = RELU, readout: WeightLaw = STANDARD_NORMAL) -> None:
    """Raise NoLaw for other units than the ReLU, and for overlapping windows under a readout that is not Gaussian.

    One unit can win ``k`` of them, and its rule then acts on a sum of readout weights: ``√k`` times one where they are normal.
    """
    if unit != RELU:
        raise NoLaw(rule, unit, repr(pool))
    if not isinstance(readout, Gaussian) and rule.mean(readout) != 0:
        require_disjoint(pool, rule, f" below a readout of the law {readout!r}")


def require_disjoint(pool: MaxPool, rule: Rule | None = None, where: str = "") -> None:
    """Raise NoLaw for overlapping windows."""
    if not pool.disjoint:
        what = f"max-pooling whose windows overlap, of size {pool.size} at stride {pool.stride}"
        raise NoLaw(rule, RELU, what + where)


@_validation.checked
def checked(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    law: WeightLaw = STANDARD_NORMAL,
    pool: MaxPool,
    filter_std: float | None = None,
) -> tuple[ThreeLayerLaw, MaxPool]:
    """Check the arguments of a law behind a max-pool; return the law without the pool, and the pool."""
    plain = law_of(x, grid, rule, n_filters, law=law, filter_std=filter_std)
    require_law(pool, plain.rule, readout=law)
    pool.output_shape(grid.output_shape)
    return plain, pool
