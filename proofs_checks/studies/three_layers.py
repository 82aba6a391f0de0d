"""Simulations that several claims share: each draws networks and keeps a few numbers of each.

Functions of a module, so that worker processes can import them.  Every one has the signature of
:data:`theorylab.montecarlo.engine.Simulation` once its leading arguments are bound.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from theorylab import PatchGrid, Rule, montecarlo
from theorylab.model.laws import Gaussian, WeightLaw
from theorylab.montecarlo import ArrayMoments, Measurement
from theorylab.sampling import MapSampler


def unit(array: np.ndarray) -> np.ndarray:
    """Return `array` over its norm; zeros stay zeros."""
    return np.asarray(array / (np.linalg.norm(array) or 1.0))


def inner(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Euclidean inner product in float64."""
    return float(np.vdot(a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)))


def between(parts: np.ndarray) -> np.ndarray:
    """Return the mean inner product of two different rows, (..., G, d) to (...): ``‖E S‖²`` of independent maps ``S``.

    All ``G (G − 1)/2`` pairs serve, at the cost of one: ``‖Σ S‖² − Σ ‖S‖²`` holds each twice.  If the mean is zero they are
    uncorrelated, and the error is that of as many independent pairs.

    Examples
    --------
    >>> float(between(np.array([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0]])))  # (2 + 0 + 3)/3
    1.6666666666666667
    """
    count = parts.shape[-2]
    whole = (parts.sum(axis=-2) ** 2).sum(axis=-1)
    return np.asarray((whole - (parts**2).sum(axis=(-2, -1))) / (count * (count - 1)))


def covered(x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Return the picture times the number of patches that hold each pixel: what strides and borders alone make of it."""
    return np.asarray(grid.coverage * x)


def logit_distance(mean: Mapping[str, float], prefix: str = "") -> float:
    """Return the l2 distance of two logits' unit-norm maps, as a ratio of means."""
    return math.sqrt(max(0.0, 2 - 2 * mean[f"{prefix}classes"] / mean[f"{prefix}energy"]))


@dataclasses.dataclass(frozen=True)
class Recovery:
    """Guided-backpropagation maps of one architecture: how they lie to the image and to the predicted mean.

    Each replicate is a network.  Numbers, for the predicted direction ``m`` and the unit image ``x``: ``along`` ⟨S, m⟩,
    ``toward`` ⟨S, x⟩, ``covered`` ⟨S, k⟩ with ``k`` the unit image times coverage, ``energy`` ‖S‖², and by request

    - `classes`: a second logit, and ``classes`` ⟨S, S'⟩;
    - `halves`: the filters in two halves, ``halves`` 4⟨S¹, S²⟩ and ``halves_along`` 4⟨S¹, m⟩⟨S², m⟩, whose expectations
      are ‖E S‖² and its part along ``m``, free of the noise's bias, and the mean of the maps;
    - `variance`, the predicted variance map: ``weighted``, the energy around the mean map weighted by it.
    """

    x: np.ndarray
    grid: PatchGrid
    n_filters: int
    law: WeightLaw
    filter_law: WeightLaw
    mean: np.ndarray
    classes: bool = False
    halves: bool = False
    variance: np.ndarray | None = None

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        sampler = MapSampler(
            self.x, self.grid, self.n_filters, law=self.law, filter_law=self.filter_law, dtype=np.float32
        )
        axes = np.stack([unit(a).ravel() for a in (self.mean, self.x, covered(self.x, self.grid))])
        rows = []
        moments = ArrayMoments.empty(self.grid.input_shape)
        for _ in range(size):
            drawn = sampler.draw(
                rng, [Rule.GUIDED], n_readouts=1 + self.classes, groups=1 + self.halves
            ).astype(np.float64)
            parts = drawn.reshape(1 + self.classes, 1 + self.halves, -1)
            whole = parts.sum(axis=1)
            on_axes, energies = whole @ axes.T, whole @ whole.T
            row = {
                "along": on_axes[:, 0].mean(),
                "toward": on_axes[:, 1].mean(),
                "covered": on_axes[:, 2].mean(),
                "energy": np.trace(energies) / len(whole),
            }
            if self.classes:
                row["classes"] = energies[0, 1]
            if self.halves:
                row["halves"] = 4 * float(parts[0, 0] @ parts[0, 1])
                row["halves_along"] = 4 * float((parts[0, 0] @ axes[0]) * (parts[0, 1] @ axes[0]))
                moments.add(whole[0].reshape(self.grid.input_shape))
            if self.variance is not None:
                row["weighted"] = float((whole[0] - self.mean.ravel()) ** 2 @ self.variance.ravel())
            rows.append(row)
        return montecarlo.measurement(rows, {"map": moments} if self.halves else {})


@dataclasses.dataclass(frozen=True)
class Noise:
    """Saliency or DeconvNet maps of one architecture: how far they are from white noise.

    Each replicate is an even number of `networks`, with their filters in `groups`, and every number a mean over them:
    ``energy`` ‖S‖²; ``common``, of expectation ‖E S‖², from all pairs of groups; ``classes`` ⟨S, S'⟩ between two logits of
    one network, for every second; ``dense`` and ``sparse``, the energy of entries held by more, or not more, patches than
    the mean; for each lag ``product_i`` and ``power_i``, the sums of S_t S_(t+lag) and of (S_t² + S_(t+lag)²)/2 over
    entries of the interior.
    """

    x: np.ndarray
    grid: PatchGrid
    n_filters: int
    rule: Rule
    law: WeightLaw
    lags: tuple[tuple[int, int], ...]
    networks: int
    groups: int = 1
    dtype: type = np.float32

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        sampler = MapSampler(self.x, self.grid, self.n_filters, law=self.law, dtype=self.dtype)
        often = self.grid.coverage > self.grid.coverage.mean()
        names = ["energy", "common", "classes", "dense", "sparse"]
        names += [f"{name}_{i}" for i in range(len(self.lags)) for name in ("product", "power")]
        numbers = {name: np.zeros(size) for name in names}
        moments = ArrayMoments.empty(self.grid.input_shape)
        for i in range(size):
            parts = []
            for number in range(self.networks):
                drawn = sampler.draw(rng, [self.rule], n_readouts=2 - number % 2, groups=self.groups)
                maps = drawn[0].astype(np.float64)
                map_, *siblings = maps.sum(axis=1)
                parts.append(maps[0].reshape(self.groups, -1))
                numbers["classes"][i] += 2 * sum(inner(map_, sibling) for sibling in siblings)
                squares = map_**2
                numbers["energy"][i] += squares.sum()
                numbers["dense"][i] += squares[often].sum()
                numbers["sparse"][i] += squares[~often].sum()
                for k, lag in enumerate(self.lags):
                    here, there = lagged(map_, self.grid, lag)
                    numbers[f"product_{k}"][i] += inner(here, there)
                    numbers[f"power_{k}"][i] += (inner(here, here) + inner(there, there)) / 2
                if number == 0:
                    moments.add(map_)
            numbers["common"][i] = self.networks * self.groups**2 * between(np.concatenate(parts))
        means = {name: values / self.networks for name, values in numbers.items()}
        return montecarlo.measurement(means, {"map": moments})


@dataclasses.dataclass(frozen=True)
class Energies:
    """Maps of one architecture: ``energy`` ‖S‖²."""

    x: np.ndarray
    grid: PatchGrid
    n_filters: int
    rule: Rule

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        sampler = MapSampler(self.x, self.grid, self.n_filters, law=Gaussian(1.0))
        maps = (sampler.draw(rng, [self.rule]) for _ in range(size))
        return montecarlo.measurement({"energy": np.array([inner(map_, map_) for map_ in maps])})


@dataclasses.dataclass(frozen=True)
class ConstantParts:
    """DeconvNet maps: ``constant``, the mean over channels of ⟨S, u⟩², ``u`` the unit picture constant in one channel.

    ``⟨S, u⟩ = Σ_ij max(V_ij, 0) w_i·D_j u`` needs no map.
    """

    grid: PatchGrid
    n_filters: int

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        w = rng.standard_normal((size, self.grid.patch_size, self.n_filters))
        readout = rng.standard_normal((size, self.grid.n_patches, self.n_filters))
        signal = np.maximum(readout, 0)
        patches = (self.grid.extract(picture) for picture in constants(self.grid))
        parts = [((patch @ w) * signal).sum(axis=(1, 2)) for patch in patches]
        return montecarlo.measurement({"constant": np.square(parts).mean(axis=0)})


def constants(grid: PatchGrid) -> np.ndarray:
    """Return the unit pictures that are constant in one channel and zero in the others, (C, C, H, W)."""
    channels, height, width = grid.input_shape
    return np.kron(np.eye(channels)[:, :, None, None], np.full((height, width), (height * width) ** -0.5))


def lagged(map_: np.ndarray, grid: PatchGrid, lag: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return a map's interior and the same shifted by `lag` ≥ 0: entries that border effects do not reach."""
    (kernel_rows, kernel_columns), (_, height, width) = grid.kernel, grid.input_shape
    rows = slice(kernel_rows - 1, height - kernel_rows + 1 - lag[0])
    columns = slice(kernel_columns - 1, width - kernel_columns + 1 - lag[1])
    here = map_[:, rows, columns]
    there = map_[:, rows.start + lag[0] : rows.stop + lag[0], columns.start + lag[1] : columns.stop + lag[1]]
    return here, there
