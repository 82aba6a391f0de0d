"""Simulations of the three-layer network with max-pooling that several claims share."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from proofs_checks.claim import Bench
from proofs_checks.rows import PerDraw
from proofs_checks.studies.three_layers import between, inner, unit
from theorylab import Gaussian, MaxPool, PatchGrid, Rule, montecarlo
from theorylab.analytic import local_contrast, pooled_mean_map
from theorylab.montecarlo import ArrayMoments, Measurement
from theorylab.sampling import MapSampler

POOL = MaxPool(2)
FILTERS = 1024
SALIENCY_FILTERS = 256
GROUPS = 8
"""Groups of filters of the saliency networks."""
RULES = (Rule.GUIDED, Rule.DECONVNET)


@dataclasses.dataclass(frozen=True)
class PooledRecovery:
    """Guided and DeconvNet maps behind a max-pool, against their predicted means.

    Each replicate is a network with its filters in two halves.  Numbers, per rule and per filter: ``energy`` ‖S‖², ``along``
    ⟨S, m⟩ and ``toward`` ⟨S, x⟩ for the unit predicted mean ``m`` and unit image; ``halves`` and ``halves_along``, whose
    expectations are ‖E S‖² and its part along ``m``; ``unpooled``, ⟨S, x⊙κ⟩ over the norm of the mean map without pooling;
    and ``cross``, of expectation ⟨E S_guided, E S_deconvnet⟩.
    """

    x: np.ndarray
    grid: PatchGrid
    means: tuple[np.ndarray, ...]
    pool: MaxPool = POOL
    n_filters: int = FILTERS

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        sampler = MapSampler(
            self.x, self.grid, self.n_filters, law=Gaussian(1.0), pool=self.pool, dtype=np.float32
        )
        image = unit(self.x).ravel()
        unpooled = unit(self.x * local_contrast(self.x, self.grid)).ravel()
        rows = []
        moments = {rule.value: ArrayMoments.empty(self.grid.input_shape) for rule in RULES}
        for _ in range(size):
            drawn = sampler.draw(rng, RULES, groups=2)[:, 0].astype(np.float64) / self.n_filters
            parts = drawn.reshape(len(RULES), 2, -1)
            row = {"cross": 2 * float(parts[0, 0] @ parts[1, 1] + parts[0, 1] @ parts[1, 0])}
            for rule, (first, second), mean in zip(RULES, parts, self.means, strict=True):
                direction = unit(mean).ravel()
                along = first @ direction, second @ direction
                row[f"{rule.value} along"] = float(sum(along))
                row[f"{rule.value} energy"] = inner(first + second, first + second)
                row[f"{rule.value} toward"] = float((first + second) @ image)
                row[f"{rule.value} unpooled"] = float((first + second) @ unpooled)
                row[f"{rule.value} halves"] = 4 * float(first @ second)
                row[f"{rule.value} halves_along"] = 4 * float(along[0] * along[1])
                moments[rule.value].add((first + second).reshape(self.grid.input_shape))
            rows.append(row)
        return montecarlo.measurement(rows, moments)


@dataclasses.dataclass(frozen=True)
class PooledSaliency:
    """Saliency behind a max-pool: ``energy`` ‖S‖² and ``common``, of expectation ‖E S‖², from all pairs of filter groups.

    Of the variance map v: ``covered``, of expectation ⟨v, k⟩ with ``k`` coverage over its norm, and ``squares`` of ‖v‖².
    """

    x: np.ndarray
    grid: PatchGrid

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        sampler = MapSampler(
            self.x, self.grid, SALIENCY_FILTERS, law=Gaussian(1.0), pool=POOL, dtype=np.float32
        )
        rows = []
        moments = ArrayMoments.empty(self.grid.input_shape)
        coverage = unit(np.broadcast_to(self.grid.coverage, self.x.shape))
        for _ in range(size):
            parts = sampler.draw(rng, [Rule.SALIENCY], groups=GROUPS)[0, 0].astype(np.float64)
            whole, flat = parts.sum(axis=0), parts.reshape(GROUPS, -1)
            rows.append(
                {
                    "energy": inner(whole, whole),
                    "common": GROUPS**2 * float(between(flat)),
                    "covered": inner(whole**2, coverage),
                    "squares": GROUPS**2 * float(between(flat**2)),
                }
            )
            moments.add(whole)
        return montecarlo.measurement(rows, {"map": moments})


@dataclasses.dataclass(frozen=True)
class Selection:
    """How the choice of a max-pool and the sign of an activation agree.

    Shares per window and filter: ``open_winners``, winners that are positive; ``open_units``, positive activations.
    """

    x: np.ndarray
    grid: PatchGrid
    pool: MaxPool = POOL
    n_filters: int = 256

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        patches = self.grid.extract(self.x).astype(np.float32)
        windows = self.pool.windows(self.grid.output_shape)
        rows = []
        for _ in range(size):
            filters = rng.standard_normal((self.grid.patch_size, self.n_filters), dtype=np.float32)
            open_units = ((patches @ filters) > 0)[windows]
            winners, units = open_units.any(axis=1).mean(), open_units.sum(axis=1).mean()
            rows.append({"open_winners": winners, "open_units": units})
        return montecarlo.measurement(rows)


@dataclasses.dataclass(frozen=True)
class OneWindow(PerDraw):
    """One window of a max-pool behind networks of `n_filters`.

    Numbers: ``closed``, the share of filters whose units are all closed; ``strongest``, the energy of the saliency map that
    the patch of most energy is sent alone.
    """

    patches: np.ndarray
    n_filters: int = SALIENCY_FILTERS

    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        patches = self.patches.astype(np.float32)
        strongest = strongest_of(self.patches)
        w = rng.standard_normal((self.n_filters, patches.shape[1]), dtype=np.float32)
        before = w @ patches.T
        chosen = (before.argmax(axis=1) == strongest) & (before[:, strongest] > 0)
        readout = rng.standard_normal(self.n_filters, dtype=np.float32)
        map_ = (chosen * readout) @ w
        return {"closed": (before <= 0).all(axis=1).mean(), "strongest": inner(map_, map_)}


def strongest_of(patches: np.ndarray) -> int:
    """Return the number of the first patch of most energy."""
    return int((patches**2).sum(axis=1).argmax())


def one_window(bench: Bench, pool: MaxPool) -> tuple[np.ndarray, PatchGrid]:
    """Return the part of the picture that one window sees, which holds its strongest patch, with a grid of that window."""
    grid = bench.grid
    row, column = np.unravel_index(strongest_of(grid.extract(bench.x)), grid.output_shape)
    start = [
        min(int(at) // k, n // k - 1) * k * stride
        for at, k, n, stride in zip((row, column), pool.size, grid.output_shape, grid.stride, strict=True)
    ]
    sides = [
        kernel + (k - 1) * stride
        for kernel, k, stride in zip(grid.kernel, pool.size, grid.stride, strict=True)
    ]
    top, left = start
    seen = bench.x[:, top : top + sides[0], left : left + sides[1]]
    return seen, PatchGrid(seen.shape, grid.kernel, grid.stride)


def window_study(bench: Bench, pool: MaxPool) -> Measurement:
    """Measure that window."""
    seen, grid = one_window(bench, pool)
    name = f"one window of {math.prod(pool.size)}"
    # The energy asks for more networks than the share.
    replicates = 5500 if pool == POOL else 1000
    return bench.study(name, OneWindow(grid.extract(seen)), replicates, block=30)


def predicted_means(bench: Bench) -> tuple[np.ndarray, ...]:
    """Return predicted mean maps of one filter, of the rules of `PooledRecovery`."""
    return bench.once(_means, bench.grid)


def _means(x: np.ndarray, grid: PatchGrid) -> tuple[np.ndarray, ...]:
    guided, deconvnet = (pooled_mean_map(x, grid, rule, 1, pool=POOL) for rule in RULES)
    # On a picture of one colour the two parts of DeconvNet's mean cancel, and what is left is rounding.
    vanishes = np.linalg.norm(deconvnet) < 1e-9 * np.linalg.norm(guided)
    return guided, np.zeros_like(guided) if vanishes else deconvnet


def pooled_recovery(bench: Bench) -> Measurement:
    """Return at the paper's geometry, 2×2 windows."""
    simulate = PooledRecovery(bench.x, bench.grid, predicted_means(bench))
    return bench.study(f"max-pool, {FILTERS} filters", simulate, 104, block=2)


def pooled_saliency(bench: Bench) -> Measurement:
    """Return at the paper's geometry, 2×2 windows."""
    return bench.study("max-pool, saliency", PooledSaliency(bench.x, bench.grid), 124, block=2)


def selection(bench: Bench) -> Measurement:
    """Return at the paper's geometry, 2×2 windows."""
    return bench.study("max-pool, selection", Selection(bench.x, bench.grid), 80, block=4)
