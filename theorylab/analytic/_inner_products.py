"""Inner products of a random network's activations at neighbouring positions, from the image up; no network is run.

``D_s(pos) = ⟨o_pos, o_(pos+s)⟩`` sums over channels.  In a wide layer it is its own mean, and one layer's mean follows from
the layer below: a convolution adds ``D`` over the taps of a patch, a ReLU applies the arc-cosine kernel of degree 1,
a max-pool takes moments of the largest of a few jointly normal numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from theorylab.analytic import _equal, _windows
from theorylab.analytic._gaussian_rule import POINTS
from theorylab.analytic._joint_moments import largest_energy, largest_gap
from theorylab.analytic._plan import HERE, RING, Shift, half, offsets, opposite, times
from theorylab.analytic._windows import moved
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.units import Unit


def arc_cosine(cosine: np.ndarray) -> np.ndarray:
    """Correlation ``E[σ(a) σ(b)]/E[σ(a)²]`` of rectified normals of equal variance, from that of the normals.

    Examples
    --------
    >>> arc_cosine(np.array([-1.0, 0.0, 1.0])).round(6)
    array([0.     , 0.31831, 1.     ])
    """
    cosine = np.clip(cosine, -1.0, 1.0)
    return np.asarray((np.sqrt(1 - cosine**2) + (math.pi - np.arccos(cosine)) * cosine) / math.pi)


def quotient(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """0 where the denominator is 0."""
    return np.asarray(np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0))


Places = tuple[np.ndarray, np.ndarray]
"""Rows and columns, (n,) each."""


def corners(pool: MaxPool, windows: tuple[int, int]) -> Places:
    """Where the first entry of every window lies, which may be outside the plane."""
    number = np.divmod(np.arange(math.prod(windows)), windows[1])
    row, column = (n * step - pad for n, step, pad in zip(number, pool.stride, pool.padding, strict=True))
    return row, column


class InnerProducts:
    """``D_s(pos)`` for a set of shifts ``s`` that is closed under sign and holds ``HERE``.

    Of each pair ``±s`` one plane (H, W) is enough, since ``D_(−s)(pos) = D_s(pos − s)``.  Positions with equal `labels` (H, W)
    have equal activations (:mod:`theorylab.analytic._equal`).
    """

    def __init__(self, planes: dict[Shift, np.ndarray], labels: np.ndarray) -> None:
        self._planes = planes
        self.labels = labels

    @classmethod
    def of_image(cls, x: np.ndarray, shifts: Iterable[Shift]) -> InnerProducts:
        """Those of an image (C, H, W)."""
        labels = _equal.of_vectors(x)
        return cls({s: (x * moved(x, s)).sum(axis=0) for s in half(shifts)}, labels)

    @property
    def shape(self) -> tuple[int, int]:
        """``(H, W)``."""
        height, width = self.energy.shape
        return height, width

    @property
    def energy(self) -> np.ndarray:
        """``‖o_pos‖²``, (H, W)."""
        return self._planes[HERE]

    def at(self, shift: Shift) -> np.ndarray:
        """``D_shift``, (H, W); 0 where ``pos + shift`` lies outside."""
        if shift in self._planes:
            return self._planes[shift]
        return moved(self._planes[opposite(shift)], shift)

    def only(self, shifts: Iterable[Shift]) -> InnerProducts:
        """Those at some of the shifts."""
        return InnerProducts({s: self._planes[s] for s in half(shifts)}, self.labels)

    def gram(self, shifts: Sequence[Shift], at: Places | None = None) -> np.ndarray:
        """``⟨o_(pos+s), o_(pos+s')⟩`` for all pairs of ``S`` shifts, (n, S, S), at some positions or at all of them.

        Rows and columns of positions outside are 0.
        """
        at = np.divmod(np.arange(self.energy.size), self.shape[1]) if at is None else at
        result = np.zeros((len(at[0]), len(shifts), len(shifts)))
        places = [self._places(at, s) for s in shifts]
        for i, s in enumerate(shifts):
            for k, t in enumerate(shifts[: i + 1]):
                step = t[0] - s[0], t[1] - s[1]
                plane, (place, inside) = (
                    (self._planes[step], places[i])
                    if step in self._planes
                    else (self._planes[opposite(step)], places[k])
                )
                # Where the other one lies outside the plane is 0 already.
                result[:, i, k] = result[:, k, i] = inside * plane.ravel()[place]
        return result

    def _places(self, at: Places, shift: Shift) -> tuple[np.ndarray, np.ndarray]:
        """Flat positions ``at + shift``, and whether they lie inside; 0 where they do not."""
        height, width = self.shape
        row, column = at[0] + shift[0], at[1] + shift[1]
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return np.where(inside, row * width + column, 0), inside

    def of_patches(self, grid: PatchGrid, shifts: Iterable[Shift], bias: float = 0.0) -> InnerProducts:
        """Inner products of the patches of this plane; shifts counted in patches.

        A bias, of this variance over the weights', is one more entry that all patches share.
        """
        ones = np.ones(grid.output_shape)
        planes = {}
        for s in half(shifts):
            padded = _windows.padded(self.at(times(s, grid.stride))[None], grid)[0]
            # Patch j + s is an output only if it is one of the grid's.
            planes[s] = (_windows.window_sums(padded, grid) + bias) * moved(ones, s)
        return InnerProducts(planes, _equal.of_patches(self.labels, grid))

    def activated(self, gain: float, shifts: Iterable[Shift], unit: Unit) -> InnerProducts:
        """Activations behind filters and a unit, of which these are the patches; ``gain`` is ``n c²``.

        ``n E[σ(w·y) σ(w·y')] = n c² √(q q') k(ρ)/2`` with ``k(ρ) = [sin θ + (π − θ) cos θ]/π``.  For a unit of slope ``a`` below
        0, ``φ(z) = σ(z) − a σ(−z)`` and ``k(−ρ) = k(ρ) − ρ`` make ``(1 − a)² k(ρ) + 2aρ`` of ``k(ρ)``.
        """
        a = unit.slope
        planes = {}
        for s in half(shifts):
            kernel = (1 - a) ** 2 * self._rectified_cosine(s) + 2 * a * self._cosine(s)
            planes[s] = gain * self._sizes(s) * kernel / 2
        return InnerProducts(planes, self.labels)

    def _sizes(self, s: Shift) -> np.ndarray:
        return np.asarray(np.sqrt(self.energy * moved(self.energy, s)))

    def _cosine(self, s: Shift) -> np.ndarray:
        # Exactly 1 at no distance, also for a patch of zeros, whose size is 0 anyway.
        return quotient(self.at(s), self._sizes(s)) if s != HERE else np.ones(self.shape)

    def _rectified_cosine(self, s: Shift) -> np.ndarray:
        return arc_cosine(self._cosine(s))

    def pooled(
        self, gain: float, pool: MaxPool, shifts: Iterable[Shift], integrated: Iterable[Shift] | None = None
    ) -> InnerProducts:
        """Activations behind filters, a ReLU and max-pool windows, which may overlap.

        ``n E[max(0, z_1, …, z_k) max(0, z'_1, …, z'_k)]``: for the shifts in `integrated`, all of them unless given, by an
        integral over both windows.  For others, which lie farther apart, one minus the cosine is that of the activations at
        equal positions in the two, times what it falls short of it, locally, at two steps.  (A maximum is smoother than its
        entries.)  Equal windows have equal products.
        """
        windows, within = pool.output_shape(self.shape), offsets(pool)
        first = corners(pool, windows)
        energy = gain * largest_energy(self.gram(within, first)).reshape(windows)
        planes = {HERE: energy}
        # Windows that share entries differ by little, and a pool above tells them apart by that.
        points = POINTS if pool.disjoint else 4 * POINTS
        near = half(shifts) - {HERE} if integrated is None else integrated
        for s in sorted(near, key=lambda s: (s[0] ** 2 + s[1] ** 2, s)):
            inside = moved(np.ones(windows), s) > 0
            down, right = times(s, pool.stride)
            both = within + [(i + down, k + right) for i, k in within]
            gap = np.zeros(windows)
            gap[inside] = gain * largest_gap(
                self.gram(both, (first[0][inside.ravel()], first[1][inside.ravel()])), points
            )
            planes[s] = inside * (energy + moved(energy, s) - gap) / 2
        far = sorted(half(shifts) - set(planes))
        share = self._share_of_distance(pool, planes) if far else energy
        for s in far:
            distance = (share + moved(share, s)) / 2 * (1 - self._cosine_of_entries(pool, s))
            planes[s] = np.maximum(1 - distance, 0) * np.sqrt(energy * moved(energy, s))
        labels = _equal.of_windows(self.labels, pool)
        return InnerProducts(_equal.shared(planes, labels), labels)

    def _share_of_distance(self, pool: MaxPool, planes: dict[Shift, np.ndarray]) -> np.ndarray:
        """``1 − cosine`` of pooled activations over that of the activations at equal positions, at two steps, in the mean."""
        energy = planes[HERE]
        pooled, entries = np.zeros(energy.shape), np.zeros(energy.shape)
        for s in RING:
            sizes = np.sqrt(energy * moved(energy, s))
            known = sizes > 0
            for total, cosine in (
                (pooled, quotient(planes[s], sizes)),
                (entries, self._cosine_of_entries(pool, s)),
            ):
                distance = known * (1 - cosine)
                total += distance + moved(distance, opposite(s))
        return np.where(entries > 0, quotient(pooled, entries), 1.0)

    def _cosine_of_entries(self, pool: MaxPool, s: Shift) -> np.ndarray:
        held = pool.windows(self.shape)
        cosine = self._rectified_cosine(times(s, pool.stride)).ravel()[held] * (held >= 0)
        mean = cosine.sum(axis=1) / (held >= 0).sum(axis=1)
        return np.asarray(mean.reshape(pool.output_shape(self.shape)))
