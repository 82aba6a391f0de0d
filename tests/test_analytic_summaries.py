"""Cosines, distances, filter counts and the largest logit: arithmetic, integrals, simulation."""

import itertools
import math
import pathlib

import naive_laws
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special
from strategies import EVERY_RULE, RULES, grids, image_with_zeros, seeds

from theorylab import images
from theorylab.analytic import (
    class_distance,
    estimation_error,
    expected_class_product,
    expected_cosine,
    expected_energy,
    filters_needed,
    local_contrast,
    maximum_logit_mean_map,
    maximum_logit_moment,
    maximum_moment,
    mean_map,
)
from theorylab.model.laws import Gaussian, TruncatedGaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import Rule
from theorylab.model.units import LeakyReLU, ReLU
from theorylab.sampling import MapSampler, three_layer_maps

REFERENCE = pathlib.Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "tabby.png"
needs_reference = pytest.mark.skipif(not REFERENCE.exists(), reason="reference picture not present")

# (kernel, stride): cos(x⊙κ, x); expected cosines at N = 16, 64, 256, 1024; class distance at N = 256.
FIGURES = {
    (7, 2): (0.8953, (0.311, 0.533, 0.742, 0.848), 0.655),
    (7, 1): (0.9146, (0.540, 0.755, 0.865, 0.902), 0.382),
    (3, 1): (0.9207, (0.548, 0.763, 0.872, 0.908), 0.379),
}
COUNTS = (16, 64, 256, 1024)


def crop(seed=0, shape=(2, 9, 8)):
    return image_with_zeros(np.random.default_rng(seed), shape)


def contrast_cosine(x, grid):
    target = x * local_contrast(x, grid)
    return float((target * x).sum() / np.linalg.norm(target) / np.linalg.norm(x))


@settings(max_examples=40)
@given(grids(5), st.sampled_from(EVERY_RULE), st.sampled_from((ReLU(), LeakyReLU(0.3))), seeds)
def test_energies_and_products_equal_the_sum_over_pairs_of_patches(grid, rule, unit, seed):
    """Two logits: the same sum with ``E[h]²`` in place of ``E[h²]`` where a patch meets itself."""
    x = image_with_zeros(np.random.default_rng(seed), grid.input_shape)
    x[0, -1, -1] = 2.0
    law, n, std = TruncatedGaussian(0.5), 3, 1.2
    readout = naive_laws.readout_moments(law.scale, law.cutoff)
    geometry = grid.kernel, grid.stride, grid.padding
    energy, product = (
        float((mean**2).sum() + np.trace(matrix))
        for mean, matrix in (
            naive_laws.moments(x, *geometry, rule, n, readout, std, unit.slope, shared)
            for shared in (False, True)
        )
    )
    kwargs = {"law": law, "filter_std": std, "unit": unit}
    assert expected_energy(x, grid, rule, n, **kwargs) == pytest.approx(energy, rel=1e-6)
    assert expected_class_product(x, grid, rule, n, **kwargs) == pytest.approx(
        product, rel=1e-6, abs=1e-9 * energy
    )
    if energy:
        distance = math.sqrt(max(0.0, 2 - 2 * product / energy))
        assert class_distance(x, grid, rule, n, **kwargs) == pytest.approx(distance, rel=1e-5)


def test_expected_cosine_is_made_of_the_two_moments():
    x, grid = crop(), PatchGrid((2, 9, 8), 3, stride=2)
    readout = naive_laws.readout_moments(1.0)
    mean, matrix = naive_laws.moments(x, grid.kernel, grid.stride, grid.padding, "guided", 20, readout, 1.0)
    noise = np.trace(matrix) / (mean**2).sum()
    alone = 1 / math.sqrt(1 + noise)
    assert expected_cosine(x, grid, "guided", 20, target="mean") == pytest.approx(alone, rel=1e-7)
    assert expected_cosine(x, grid, "guided", 20) == pytest.approx(alone * contrast_cosine(x, grid), rel=1e-7)
    assert expected_cosine(7 * x, grid, "guided", 20) == pytest.approx(
        alone * contrast_cosine(x, grid), rel=1e-7
    )


def test_expected_cosine_against_simulation():
    x, grid, n = crop(), PatchGrid((2, 9, 8), 3, stride=2), 24
    flat = three_layer_maps(x, grid, "guided", n, size=4000, seed=5).reshape(4000, -1)
    toward, energy = flat @ (x.ravel() / np.linalg.norm(x)), (flat**2).sum(axis=1)
    ratio = toward.mean() / math.sqrt(energy.mean())
    # Delta method: the influence of one map on mean(toward)/√mean(energy).
    influence = ratio * (toward / toward.mean() - energy / energy.mean() / 2 - 0.5)
    error = influence.std(ddof=1) / math.sqrt(4000)
    assert abs(ratio - expected_cosine(x, grid, "guided", n)) < 4 * error
    assert abs(ratio - expected_cosine(x, grid, "guided", 2 * n)) > 10 * error


@pytest.mark.parametrize("rule", ["saliency", "deconvnet"])
def test_cosine_where_the_mean_is_zero(rule):
    x, grid = crop(), PatchGrid((2, 9, 8), 3)
    assert expected_cosine(x, grid, rule, 100) == 0.0
    with pytest.raises(ValueError, match=f"the mean map of {rule} is zero and has no direction"):
        expected_cosine(x, grid, rule, 100, target="mean")


def test_unknown_target():
    with pytest.raises(ValueError, match="target: expected 'input' or 'mean', got 'output'"):
        expected_cosine(crop(), PatchGrid((2, 9, 8), 3), "guided", 4, target="output")


@pytest.mark.parametrize("n", [1, 16, 1000])
def test_class_distances_that_no_number_of_filters_moves(n):
    x, grid = crop(), PatchGrid((2, 9, 8), 3, stride=2)
    assert class_distance(x, grid, "saliency", n) == pytest.approx(math.sqrt(2), rel=1e-14)
    # Gaussian readout: m₀²/m₂ = (1/2π)/(1/2) = 1/π.
    assert class_distance(x, grid, "deconvnet", n) == pytest.approx(math.sqrt(2 - 2 / math.pi), rel=1e-12)
    law = TruncatedGaussian(0.1)
    first, second, _ = naive_laws.readout_moments(0.1, 2.0)
    assert class_distance(x, grid, "saliency", n, law=law) == pytest.approx(math.sqrt(2), rel=1e-14)
    assert class_distance(x, grid, "deconvnet", n, law=law) == pytest.approx(
        math.sqrt(2 - 2 * first**2 / second), rel=1e-9
    )


def test_guided_class_distance_falls_as_the_root_of_the_number_of_filters():
    x, grid = crop(), PatchGrid((2, 9, 8), 3)
    far = [class_distance(x, grid, "guided", n) for n in (10**6, 4 * 10**6)]
    assert far[0] / far[1] == pytest.approx(2, rel=1e-3)
    few = [class_distance(x, grid, "guided", n) for n in (1, 4, 16, 64)]
    assert few == sorted(few, reverse=True)
    assert few[0] < math.sqrt(2)


@pytest.mark.parametrize("rule", RULES)
def test_class_product_against_simulation(rule):
    x, grid, n = crop(), PatchGrid((2, 9, 8), 3, stride=2), 6
    sampler, rng = MapSampler(x, grid, n, law=Gaussian(1.0)), np.random.default_rng(8)
    maps = np.stack([sampler.draw(rng, [Rule(rule)], n_readouts=2)[0, :, 0] for _ in range(3000)])
    products = (maps[:, 0] * maps[:, 1]).sum(axis=(1, 2, 3))
    energies = (maps**2).sum(axis=(2, 3, 4)).mean(axis=1)
    for found, expected in (
        (products, expected_class_product(x, grid, rule, n)),
        (energies, expected_energy(x, grid, rule, n)),
    ):
        assert abs(found.mean() - expected) < 4 * found.std(ddof=1) / math.sqrt(len(found))
    # The control: products are not energies.
    assert abs(products.mean() - energies.mean()) > 4 * (products - energies).std(ddof=1) / math.sqrt(
        len(products)
    )


def test_filters_needed():
    # (27/2 − 1/(2π))/0.01 = 1334.08…
    assert filters_needed(27, 0.1) == 1335
    assert filters_needed(27, 0.1, std=2.0) == math.ceil(4 * (13.5 - 1 / (2 * math.pi)) / 0.01) == 5337
    assert filters_needed(1, 10.0) == 1


@given(st.integers(1, 10_000), st.floats(0.01, 10), st.floats(0.01, 10))
def test_filters_needed_is_the_least_number_that_reaches_the_error(p, error, std):
    n = filters_needed(p, error, std=std)
    assert estimation_error(p, n, std=std) <= error * (1 + 1e-12)
    if n > 1:
        assert estimation_error(p, n - 1, std=std) > error * (1 - 1e-12)


@pytest.mark.parametrize(("p", "n", "std"), [(1, 5, 1.0), (8, 3, 0.4), (27, 50, 2.0)])
def test_estimation_error_against_simulation(p, n, std):
    rng = np.random.default_rng(p)
    y = rng.standard_normal(p)
    w = std * rng.standard_normal((6000, n, p))
    mean = std / math.sqrt(2 * math.pi) * y / np.linalg.norm(y)
    squared = (((w * (w @ y > 0)[..., None]).mean(axis=1) - mean) ** 2).sum(axis=1)
    error = squared.std(ddof=1) / math.sqrt(len(squared))
    assert abs(squared.mean() - estimation_error(p, n, std=std) ** 2) < 4 * error
    assert abs(squared.mean() - std**2 * p / n) > 10 * error  # no mask


@pytest.mark.parametrize("bad", [0, -3])
def test_summaries_refuse_bad_numbers(bad):
    with pytest.raises(ValueError, match="patch_size: expected at least 1"):
        filters_needed(bad, 0.1)
    with pytest.raises(ValueError, match="error: expected a finite number above 0"):
        filters_needed(27, bad)
    with pytest.raises(ValueError, match="std: expected a finite number above 0"):
        estimation_error(27, 10, std=bad)
    with pytest.raises(ValueError, match="n_filters: expected at least 1"):
        estimation_error(27, bad)
    with pytest.raises(ValueError, match="n: expected at least 1"):
        maximum_moment(bad)
    with pytest.raises(ValueError, match="order: expected at least 1"):
        maximum_moment(3, bad)
    with pytest.raises(TypeError, match="patch_size: expected an integer"):
        filters_needed(2.5, 0.1)


def test_moments_of_the_largest_of_a_few_normals():
    assert maximum_moment(1) == pytest.approx(0, abs=1e-10)
    assert maximum_moment(1, 2) == pytest.approx(1, abs=1e-10)
    assert maximum_moment(1, 4) == pytest.approx(3, abs=1e-9)
    assert maximum_moment(2) == pytest.approx(1 / math.sqrt(math.pi), abs=1e-10)
    assert maximum_moment(2, 2) == pytest.approx(1, abs=1e-10)
    assert maximum_moment(3) == pytest.approx(1.5 / math.sqrt(math.pi), abs=1e-10)
    # Order statistics of three: E[m²] = 1 + √3/(2π).
    assert maximum_moment(3, 2) == pytest.approx(1 + math.sqrt(3) / (2 * math.pi), abs=1e-10)


@pytest.mark.parametrize("n", [2, 5, 100, 1000, 10**6])
def test_moments_of_the_largest_normal_by_the_integral_of_the_tails(n):
    """``E[m] = ∫ P(m > t) − P(m < −t)`` and ``E[m²] = ∫ 2t [P(m > t) + P(m < −t)]`` over t > 0."""

    def above(t):
        return -math.expm1(n * special.log_ndtr(t))

    def below(t):
        return math.exp(n * special.log_ndtr(-t))

    steps = np.linspace(0, 15, 31)
    first = sum(
        integrate.quad(lambda t: above(t) - below(t), low, high, epsabs=1e-13)[0]
        for low, high in itertools.pairwise(steps)
    )
    second = sum(
        integrate.quad(lambda t: 2 * t * (above(t) + below(t)), low, high, epsabs=1e-13)[0]
        for low, high in itertools.pairwise(steps)
    )
    assert maximum_moment(n) == pytest.approx(first, abs=1e-9)
    assert maximum_moment(n, 2) == pytest.approx(second, abs=1e-9)


def test_moments_of_the_largest_normal_against_simulation():
    m = np.random.default_rng(6).standard_normal((40_000, 30)).max(axis=1)
    for order in (1, 2, 3):
        powers = m**order
        error = powers.std(ddof=1) / math.sqrt(m.size)
        assert abs(powers.mean() - maximum_moment(30, order)) < 4 * error
        assert abs(powers.mean() - maximum_moment(33, order)) > 4 * error


@pytest.mark.parametrize("std", [1.0, 0.5])
def test_second_moment_of_the_largest_logit_against_whole_networks(std):
    x, grid, n, k = crop(), PatchGrid((2, 9, 8), 3, stride=3), 5, 7
    rng, patches = np.random.default_rng(2), grid.extract(crop())
    largest = np.empty(6000)
    for i in range(largest.size):
        activations = np.maximum(patches @ (std * rng.standard_normal((patches.shape[1], n))), 0)
        largest[i] = (std * rng.standard_normal((k, activations.size)) @ activations.ravel()).max()
    squares = largest**2
    error = squares.std(ddof=1) / math.sqrt(squares.size)
    assert abs(squares.mean() - maximum_logit_moment(x, grid, n, k, std=std)) < 4 * error
    assert abs(squares.mean() - maximum_logit_moment(x, grid, n, 1, std=std)) > 10 * error


def test_mean_map_of_the_largest_logit_against_simulation():
    """Size along the prediction and cosine to it, from products of independent blocks (bias of order 1/N)."""
    x, grid, n, k, size = crop(3), PatchGrid((2, 9, 8), 3, stride=2), 150, 50, 500
    predicted = maximum_logit_mean_map(x, grid, n, k)
    length = float(np.linalg.norm(predicted))
    flat = three_layer_maps(x, grid, "saliency", n, size=size, n_logits=k, seed=9).reshape(size, -1)
    along = flat @ (predicted.ravel() / length)
    error = along.std(ddof=1) / math.sqrt(size)
    assert error / length > 1 / n  # the simulation is too coarse to see the bias
    assert abs(along.mean() - length) < 4 * error
    assert abs(along.mean()) > 20 * error  # a logit chosen beforehand has mean 0
    # ‖E S‖² without the noise's bias: products of different blocks.
    blocks = flat.reshape(20, size // 20, -1).mean(axis=1)

    def energy_and_cosines(rows):
        """‖E S‖², and the cosines of E S to the prediction and to another direction."""
        energy = (rows @ rows.T)[np.triu_indices(len(rows), 1)].mean()
        mean = rows.mean(axis=0)
        axes = (predicted.ravel() / length, wrong.ravel() / np.linalg.norm(wrong))
        return np.array([energy, *(float(mean @ axis) / math.sqrt(energy) for axis in axes)])

    wrong = np.sign(x)  # a direction not far from x
    found = energy_and_cosines(blocks)
    jackknife = np.array([energy_and_cosines(np.delete(blocks, i, 0)) for i in range(20)])
    spread = np.sqrt(19 / 20 * ((jackknife - jackknife.mean(axis=0)) ** 2).sum(axis=0))
    assert abs(found[0] - length**2) < 4 * spread[0]
    assert found[0] > 10 * spread[0]
    assert abs(found[1] - 1) < 4 * spread[1]
    assert abs(found[2] - 1) > 5 * spread[2]


@pytest.mark.parametrize(
    ("k", "first", "second"),
    [
        (1, 0.0, 1.0),
        (2, 1 / math.sqrt(math.pi), 1.0),
        (3, 1.5 / math.sqrt(math.pi), 1 + math.sqrt(3) / (2 * math.pi)),
    ],
)
def test_the_largest_of_a_few_logits_in_closed_form(k, first, second):
    """A logit is ⟨S, x⟩ of its saliency map, of variance xᵀ Cov x; Cov by loops over pairs of patches."""
    x, n, std = np.random.default_rng(4).normal(1.0, 1.0, (2, 7, 6)), 5, 0.7
    grid = PatchGrid(x.shape, 3, stride=2, padding=1)
    readout = naive_laws.readout_moments(std)
    _, covariance = naive_laws.moments(x, (3, 3), (2, 2), (1, 1), "saliency", n, readout, std)
    variance = float(x.ravel() @ covariance @ x.ravel())
    assert maximum_logit_moment(x, grid, n, k, std=std) == pytest.approx(second * variance, rel=1e-9)
    # In the limit the mean map gives the logit its mean, and is the image weighted by each entry's variance.
    direction = np.diag(covariance).reshape(x.shape) * x
    expected = first * math.sqrt(variance) / float((direction * x).sum()) * direction
    np.testing.assert_allclose(maximum_logit_mean_map(x, grid, n, k, std=std), expected, rtol=1e-9, atol=1e-9)


def test_mean_map_of_the_largest_logit_scales():
    x, grid = crop(), PatchGrid((2, 9, 8), 3)
    one = maximum_logit_mean_map(x, grid, 100, 10)
    np.testing.assert_allclose(maximum_logit_mean_map(5 * x, grid, 100, 10), one, rtol=1e-12)
    np.testing.assert_allclose(maximum_logit_mean_map(x, grid, 400, 10), 2 * one, rtol=1e-12)
    np.testing.assert_allclose(maximum_logit_mean_map(x, grid, 100, 10, std=3.0), 9 * one, rtol=1e-12)
    assert abs(maximum_logit_mean_map(x, grid, 100, 1)).max() < 1e-9
    with pytest.raises(ValueError, match="n: expected at least 1"):
        maximum_logit_mean_map(x, grid, 100, 0)
    with pytest.raises(ValueError, match="std"):
        maximum_logit_moment(x, grid, 100, 2, std=0.0)


def test_fully_connected_cosines_of_the_paper():
    """``1/√(1 + (π²d − 1)/N)`` whatever the picture."""
    for shape, n, figure in (((3, 224, 224), 4096, 0.052), ((3, 64, 64), 70_000, 0.605)):
        x = np.random.default_rng(0).standard_normal(shape)
        cosine = expected_cosine(x, PatchGrid(shape, shape[1:]), "guided", n)
        assert cosine == pytest.approx(1 / math.sqrt(1 + (math.pi**2 * x.size - 1) / n), rel=1e-9)
        assert cosine == pytest.approx(figure, abs=5e-4)


@needs_reference
@pytest.mark.parametrize("geometry", FIGURES, ids=str)
def test_figures_of_the_reference_picture(geometry):
    x = images.load(REFERENCE)
    grid = PatchGrid(x.shape, geometry[0], stride=geometry[1])
    limit, cosines, distance = FIGURES[geometry]
    assert contrast_cosine(x, grid) == pytest.approx(limit, abs=5e-3)
    for n, cosine in zip(COUNTS, cosines, strict=True):
        assert expected_cosine(x, grid, "guided", n) == pytest.approx(cosine, abs=5e-3)
    assert class_distance(x, grid, "guided", 256) == pytest.approx(distance, abs=5e-3)


@needs_reference
def test_wide_dense_network_lies_between_two_strides_of_the_convolutional_one():
    x = images.load(REFERENCE)
    small = PatchGrid((3, 64, 64), 64)
    dense = expected_cosine(np.ones(small.input_shape), small, "guided", 70_000)
    sparse, full = (
        expected_cosine(x, PatchGrid(x.shape, 7, stride=stride), "guided", 64) for stride in (2, 1)
    )
    assert sparse == pytest.approx(0.533, abs=5e-3)
    assert full == pytest.approx(0.755, abs=5e-3)
    assert sparse < dense < full


def test_order_of_the_figures_on_the_bundled_picture():
    x = images.load()
    limits, at_256 = {}, {}
    for kernel, stride in FIGURES:
        grid = PatchGrid(x.shape, kernel, stride=stride)
        limit = limits[kernel, stride] = contrast_cosine(x, grid)
        cosines = [expected_cosine(x, grid, "guided", n) for n in COUNTS]
        alone = [expected_cosine(x, grid, "guided", n, target="mean") for n in COUNTS]
        assert cosines == sorted(cosines)
        assert cosines[-1] < limit < 1
        np.testing.assert_allclose(np.array(cosines) / alone, limit, rtol=1e-12)
        # Noise over signal is 1/N times a constant: exact.
        np.testing.assert_allclose(
            [(value**-2 - 1) * n for value, n in zip(alone, COUNTS, strict=True)],
            alone[0] ** -2 * 16 - 16,
            rtol=1e-9,
        )
        distances = [class_distance(x, grid, "guided", n) for n in COUNTS]
        assert distances == sorted(distances, reverse=True)
        at_256[kernel, stride] = cosines[2], distances[2]
    assert at_256[7, 1][0] > at_256[7, 2][0]
    assert at_256[7, 1][1] < at_256[7, 2][1]
    mean = mean_map(x, PatchGrid(x.shape, 7, stride=2), "guided", 256)
    assert float((mean * x).sum() / np.linalg.norm(mean)) == pytest.approx(limits[7, 2], rel=1e-12)
