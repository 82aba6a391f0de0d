"""Which studies the claims share, with their sizes at the standard budget.

The sizes are set so that every check sees an error of 3 % with probability 95 % after the correction for multiplicity;
a test keeps this so.
"""

from __future__ import annotations

import math

import numpy as np
from skimage.transform import resize

from proofs_checks.claim import Bench, Wrong
from proofs_checks.studies.three_layers import ConstantParts, Energies, Noise, Recovery, inner, unit
from theorylab import PatchGrid, Rule, analytic, law
from theorylab.model import models
from theorylab.model.laws import STANDARD_NORMAL, Gaussian, TruncatedGaussian, WeightLaw
from theorylab.montecarlo import Measurement

PAPER_FILTERS = 256
FILTER_COUNTS = (16, 64, 256, 1024)
FEWEST, MOST = FILTER_COUNTS[0], FILTER_COUNTS[-1]
REPLICATES = {16: 2000, 64: 420, 256: 224, 1024: 64}
BLOCKS = {16: 20, 64: 10, 256: 4, 1024: 2}
LAGS = ((0, 1), (0, 2), (8, 8))
ROW_LAGS = tuple((0, k) for k in range(3, 17))
"""Further lags along a row, for the picture of DeconvNet's correlation."""
SMALL_SIDE = 40
HALF_SIDE, HALF_FILTERS = 28, 64
"""Of the crop of which one half is zero, and of its networks."""
CONSTANT_SIDE = 13
"""Of the crop for which the whole covariance is formed."""
CROP_FILTERS = 8
"""Filters of DeconvNet's networks on a crop of that side."""


def predicted(
    bench: Bench,
    n_filters: int,
    weights: WeightLaw = STANDARD_NORMAL,
    *,
    stride: int = 2,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and variance map of guided backpropagation on the picture."""
    grid = bench.grid if stride == 2 else stride_one(bench)
    return bench.once(_predicted, grid, n_filters, weights)


def _predicted(
    x: np.ndarray, grid: PatchGrid, n_filters: int, weights: WeightLaw
) -> tuple[np.ndarray, np.ndarray]:
    known = law(models.three_layer(grid, n_filters, weights=weights), x, Rule.GUIDED)
    return known.mean, known.variance


def cosine_curve(x: np.ndarray, grid: PatchGrid, counts: np.ndarray) -> np.ndarray:
    """Evaluate the expected cosine of guided backpropagation to `x` at many filter counts.

    The mean map and the covariance are both proportional to ``N``, so one evaluation serves all counts.
    """
    limit = analytic.expected_cosine(x, grid, Rule.GUIDED, 1)
    alone = analytic.expected_cosine(x, grid, Rule.GUIDED, 1, target="mean")
    return np.asarray(limit / alone / np.sqrt(1 + (alone**-2.0 - 1) / counts))


def unrectified(x: np.ndarray, grid: PatchGrid, n_filters: int) -> Wrong:
    """Return the cosine of a guided map and `x` as it would be if the backward ReLU were forgotten in the noise.

    ``E V² = 1`` then stands for ``E max(V, 0)² = 1/2``; the mean is unchanged.
    """
    mean = analytic.mean_map(x, grid, Rule.GUIDED, n_filters)
    energies = [analytic.expected_energy(x, grid, rule, n_filters) for rule in (Rule.GUIDED, Rule.SALIENCY)]
    cosine = inner(mean, unit(x)) / math.sqrt(energies[0] + energies[1] / 2)
    return Wrong("the noise without the backward ReLU", cosine)


def filters_for(x: np.ndarray, grid: PatchGrid, limit: float, cosine: float) -> float | None:
    """Return from how many filters on a guided map has a cosine to a direction, whose limit is `limit`; None if never."""
    alone = analytic.expected_cosine(x, grid, Rule.GUIDED, 1, target="mean")
    return (alone**-2.0 - 1) / ((limit / cosine) ** 2 - 1) if limit > cosine else None


def distance_curve(x: np.ndarray, grid: PatchGrid, rule: Rule, counts: np.ndarray) -> np.ndarray:
    """Evaluate the distance of two logits' maps at many filter counts, by the same proportionality."""
    energy = analytic.expected_energy(x, grid, rule, 1)
    signal = float((analytic.mean_map(x, grid, rule, 1) ** 2).sum())
    lost = energy - analytic.expected_class_product(x, grid, rule, 1)
    return np.sqrt(2 * lost / (counts * signal + energy - signal))


def filters_for_distance(x: np.ndarray, grid: PatchGrid, distance: float) -> float:
    """Return from how many filters on the guided maps of two logits are as near as `distance`."""
    energy = analytic.expected_energy(x, grid, Rule.GUIDED, 1)
    signal = float((analytic.mean_map(x, grid, Rule.GUIDED, 1) ** 2).sum())
    lost = energy - analytic.expected_class_product(x, grid, Rule.GUIDED, 1)
    return (2 * lost / distance**2 - energy + signal) / signal


def recovery(bench: Bench, n_filters: int) -> Measurement:
    """Measure guided backpropagation on the picture, with the paper's grid and Gaussian weights.

    Few filters give many cheap replicates, for the noise; many filters give little noise, for the mean.
    """
    mean, variance = predicted(bench, n_filters)
    simulate = Recovery(
        bench.x,
        bench.grid,
        n_filters,
        Gaussian(1.0),
        Gaussian(1.0),
        mean,
        classes=n_filters > FEWEST,
        halves=n_filters == MOST,
        variance=variance if n_filters == FEWEST else None,
    )
    return bench.study(
        f"guided, {n_filters} filters", simulate, REPLICATES[n_filters], block=BLOCKS[n_filters]
    )


def dense_recovery(bench: Bench, n_filters: int) -> Measurement:
    """Measure guided backpropagation at stride 1, the stride of the authors' code."""
    grid = stride_one(bench)
    mean, _ = predicted(bench, n_filters, stride=1)
    simulate = Recovery(bench.x, grid, n_filters, Gaussian(1.0), Gaussian(1.0), mean)
    return bench.study(f"guided, stride 1, {n_filters} filters", simulate, 180, block=4)


def stride_one(bench: Bench) -> PatchGrid:
    """Return the grid of the paper's kernel at stride 1."""
    return PatchGrid(bench.x.shape, bench.grid.kernel, stride=1)


def truncated_recovery(bench: Bench) -> Measurement:
    """Measure guided backpropagation with the truncated Gaussian weights of the paper's experiments."""
    weights = TruncatedGaussian(0.1)
    mean, _ = predicted(bench, PAPER_FILTERS, weights)
    simulate = Recovery(bench.x, bench.grid, PAPER_FILTERS, weights, weights, mean)
    return bench.study("guided, truncated weights", simulate, 216, block=4)


def saliency_noise(bench: Bench) -> Measurement:
    """Measure saliency on the picture, with the paper's grid."""
    simulate = Noise(
        bench.x, bench.grid, PAPER_FILTERS, Rule.SALIENCY, Gaussian(1.0), LAGS, networks=2, groups=2
    )
    return bench.study("saliency, 256 filters", simulate, 56, block=2)


def interior_coverage(grid: PatchGrid) -> float:
    """Return how often an entry of the interior is held, on average, over how often one of the whole picture is."""
    taps = math.prod(kernel / stride for kernel, stride in zip(grid.kernel, grid.stride, strict=True))
    return taps / float(grid.coverage.mean())


def half_empty(bench: Bench) -> tuple[np.ndarray, PatchGrid]:
    """Return a crop whose left half is zero, with a grid of the paper's kernel and stride."""
    crop = small_crop(bench.x, HALF_SIDE).copy()
    middle = crop.shape[2] // 2
    crop[..., :middle] = 0
    if not crop.any():
        crop[..., middle:] = 1
    return crop, PatchGrid(crop.shape, min(bench.grid.kernel[0], *crop.shape[1:]), stride=2)


def half_empty_energy(bench: Bench) -> Measurement:
    """Measure the energy of saliency on a crop whose left half is zero."""
    simulate = Energies(*half_empty(bench), HALF_FILTERS, Rule.SALIENCY)
    return bench.study("saliency, half a crop", simulate, 1200, block=35)


def small_crop(x: np.ndarray, side: int) -> np.ndarray:
    """Crop the middle of the picture, to norm 1: for laws that hold at every size and need many networks."""
    _, height, width = x.shape
    h, w = min(side, height), min(side, width)
    top, left = (height - h) // 2, (width - w) // 2
    crop = x[:, top : top + h, left : left + w]
    if not crop.any():  # the mean colour: such a law does not depend on the picture, so take another
        crop = np.ones(crop.shape)
    return np.ascontiguousarray(crop / np.linalg.norm(crop))


def strongest_patch(x: np.ndarray, grid: PatchGrid | None = None) -> np.ndarray:
    """Return the patch of the picture with the most energy, among the 3×3 patches if no grid is given."""
    patches = (grid or PatchGrid(x.shape, min(3, *x.shape[1:]))).extract(x)
    return np.asarray(patches[np.argmax((patches**2).sum(axis=1))])


def shrunk(x: np.ndarray, side: int) -> np.ndarray:
    """Resize the picture."""
    small = np.asarray(resize(x, (x.shape[0], side, side), order=1, anti_aliasing=False))  # type: ignore[no-untyped-call]
    return small if small.any() else np.ones(small.shape)


def thumbnail(x: np.ndarray, side: int) -> np.ndarray:
    """Average the picture over square blocks and crop the middle."""
    channels, height, width = x.shape
    block = max(1, min(height, width) // side)
    rows, columns = height // block, width // block
    cut = x[:, : rows * block, : columns * block]
    means = cut.reshape(channels, rows, block, columns, block).mean(axis=(2, 4))
    return small_crop(means if means.any() else x, side)


def small_picture(bench: Bench) -> tuple[np.ndarray, PatchGrid]:
    """Return a crop with a grid of the paper's kernel and stride."""
    crop = small_crop(bench.x, SMALL_SIDE)
    return crop, PatchGrid(crop.shape, min(bench.grid.kernel[0], *crop.shape[1:]), stride=2)


def deconvnet_noise(bench: Bench) -> Measurement:
    """Measure DeconvNet on a crop, in many networks, because the shared filter leaves few degrees of freedom."""
    crop, grid = small_picture(bench)
    simulate = Noise(
        crop, grid, CROP_FILTERS, Rule.DECONVNET, Gaussian(1.0), LAGS + ROW_LAGS, networks=8, dtype=np.float64
    )
    return bench.study(f"deconvnet, {CROP_FILTERS} filters, crop", simulate, 3000, block=30)


def constant_parts(bench: Bench) -> tuple[PatchGrid, Measurement]:
    """Measure DeconvNet's part along constant pictures of one channel; the law knows the geometry alone."""
    channels = len(bench.x)
    side = min(CONSTANT_SIDE, *bench.x.shape[1:])
    grid = PatchGrid((channels, side, side), min(bench.grid.kernel[0], side), stride=2)
    simulate = ConstantParts(grid, CROP_FILTERS)
    return grid, bench.study("deconvnet along constants", simulate, 80_000, block=500)
