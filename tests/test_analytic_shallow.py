"""Mean, variance and covariance of the map: against each other, loops over pairs and simulation."""

import math

import naive_laws
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from strategies import EVERY_RULE, RULES, grids, image_with_zeros, seeds

from theorylab.analytic import (
    _windows,
    active_coverage,
    covariance,
    fourth_cumulant_map,
    local_contrast,
    mean_map,
    whole_covariance,
)
from theorylab.analytic import variance_map as variances
from theorylab.model.laws import Gaussian, TruncatedGaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.units import LeakyReLU, ReLU
from theorylab.sampling import three_layer_maps

LAWS = (Gaussian(1.0), Gaussian(0.3), TruncatedGaussian(0.1), TruncatedGaussian(2.0, cutoff=1.0))


def picture(rng, shape):
    """Normal entries, an empty quarter and a part a million times darker than the rest."""
    x = image_with_zeros(rng, shape)
    x[..., -1] *= 1e-6
    if not x.any():
        x[...] = 1.0
    return x


def readout_moments(law):
    return naive_laws.readout_moments(getattr(law, "scale", law.std), getattr(law, "cutoff", None))


laws = st.sampled_from(LAWS)
rules = st.sampled_from(EVERY_RULE)
units = st.sampled_from((ReLU(), LeakyReLU(0.2), LeakyReLU(-0.5), LeakyReLU(1.0)))


@given(grids(), laws, rules, units, seeds)
def test_variance_map_is_the_diagonal_of_the_covariance(grid, law, rule, unit, seed):
    x = picture(np.random.default_rng(seed), grid.input_shape)
    matrix = covariance(x, grid, rule, 5, law=law, filter_std=0.8, unit=unit)
    diagonal = np.diag(matrix).reshape(grid.input_shape)
    scale = diagonal.max() + 1e-300
    # Angles near 0 and π are known to 1e-8, see the half-space tests.
    np.testing.assert_allclose(
        variances(x, grid, rule, 5, law=law, filter_std=0.8, unit=unit) / scale, diagonal / scale, atol=1e-7
    )
    np.testing.assert_allclose(matrix, matrix.T, rtol=0, atol=1e-12 * scale)
    assert np.linalg.eigvalsh(matrix)[0] >= -1e-6 * scale


@settings(max_examples=30)
@given(grids(5), laws, rules, units, seeds)
def test_mean_and_covariance_equal_the_sum_over_pairs_of_patches(grid, law, rule, unit, seed):
    x = picture(np.random.default_rng(seed), grid.input_shape)
    n, std = 6, 1.3
    mean, matrix = naive_laws.moments(
        x, grid.kernel, grid.stride, grid.padding, rule, n, readout_moments(law), std, unit.slope
    )
    computed = covariance(x, grid, rule, n, law=law, filter_std=std, unit=unit)
    scale = abs(matrix).max() + 1e-300
    np.testing.assert_allclose(computed / scale, matrix / scale, atol=1e-7)
    scale = abs(mean).max() + 1e-300
    np.testing.assert_allclose(
        mean_map(x, grid, rule, n, law=law, filter_std=std, unit=unit) / scale, mean / scale, atol=1e-9
    )


@pytest.mark.parametrize(
    "grid",
    [
        PatchGrid((1, 1, 9), (1, 2), stride=(1, 5)),  # strides beyond the kernel leave entries uncovered
        PatchGrid((3, 6, 5), (4, 2), stride=(1, 3), padding=(2, 0)),
        PatchGrid((1, 7, 7), 3, stride=2, padding=2),
        PatchGrid((2, 6, 6), 5),
    ],
)
@pytest.mark.parametrize("kind", ["constant", "two values", "generic", "mostly empty"])
def test_guided_laws_of_particular_pictures(grid, kind):
    """Equal patches (angle 0), opposite patches (angle π) and empty ones."""
    rng = np.random.default_rng(4)
    x = np.ones(grid.input_shape)
    if kind == "two values":
        x[..., 1::2] = -1
    elif kind == "generic":
        x = rng.standard_normal(grid.input_shape)
    elif kind == "mostly empty":
        x[..., :-1] = 0
    readout = readout_moments(Gaussian(1.0))
    mean, matrix = naive_laws.moments(x, grid.kernel, grid.stride, grid.padding, "guided", 3, readout, 1.0)
    scale = abs(matrix).max() + 1e-300
    np.testing.assert_allclose(mean_map(x, grid, "guided", 3), mean, atol=1e-9)
    np.testing.assert_allclose(covariance(x, grid, "guided", 3) / scale, matrix / scale, atol=1e-7)
    diagonal = np.diag(matrix).reshape(grid.input_shape)
    np.testing.assert_allclose(variances(x, grid, "guided", 3) / scale, diagonal / scale, atol=1e-7)


SIMULATED = (
    PatchGrid((2, 5, 4), (3, 2), stride=(2, 1), padding=(1, 0)),
    PatchGrid((1, 6, 6), 3),
    PatchGrid((3, 5, 5), 2, stride=3),
)


def scores(maps, mean, matrix):
    """z-scores of all means and all entries of the covariance, with the standard errors of the sample."""
    n = len(maps)
    centred = maps.reshape(n, -1) - mean.ravel()
    errors = centred.std(axis=0, ddof=1) / math.sqrt(n)
    covered = errors > 0
    products = centred.T @ centred / n
    squares = (centred**2).T @ centred**2 / n
    product_errors = np.sqrt((squares - products**2) / n)
    upper = np.triu(np.outer(covered, covered))
    return (
        centred.mean(axis=0)[covered] / errors[covered],
        (products - matrix)[upper] / product_errors[upper],
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", range(len(SIMULATED)))
def test_mean_and_covariance_against_simulated_maps(case, rule):
    grid, n_filters = SIMULATED[case], 4
    law = (Gaussian(1.0), TruncatedGaussian(0.5), Gaussian(0.4))[case]
    x = image_with_zeros(np.random.default_rng(case), grid.input_shape)
    maps = three_layer_maps(x, grid, rule, n_filters, size=5000, law=law, seed=17 + case)
    mean, matrix = (function(x, grid, rule, n_filters, law=law) for function in (mean_map, covariance))
    still = maps.std(axis=0).ravel() == 0  # entries that no patch, or only empty patches, hold
    assert not matrix[still].any()
    of_means, of_products = scores(maps, mean, matrix)
    tests = of_means.size + of_products.size
    # One alarm in a thousand runs, and never more than five standard errors.
    limit = min(5.0, stats.norm.isf(0.5e-3 / tests))
    assert abs(of_means).max() < limit
    assert abs(of_products).max() < limit
    # The controls: an error of a tenth in the sum of the variances, and the law of the next rule.
    total = ((maps - mean) ** 2).sum(axis=(1, 2, 3))
    error = total.std(ddof=1) / math.sqrt(len(maps))
    assert abs(total.mean() - np.trace(matrix)) < 4 * error
    assert abs(total.mean() - 1.1 * np.trace(matrix)) > 4 * error
    other = RULES[(RULES.index(rule) + 1) % 3]
    wrong = scores(maps, mean_map(x, grid, other, n_filters, law=law), matrix)[0]
    wrong_products = scores(maps, mean, covariance(x, grid, other, n_filters, law=law))[1]
    assert max(abs(wrong).max(), abs(wrong_products).max()) > limit


@given(grids(), seeds)
def test_local_contrast_is_what_the_unit_patches_add_up_to(grid, seed):
    x = picture(np.random.default_rng(seed), grid.input_shape)
    patches = grid.extract(x)
    norms = np.linalg.norm(patches, axis=1, keepdims=True)
    units = np.divide(patches, norms, out=np.zeros_like(patches), where=norms > 0)
    kappa = local_contrast(x, grid)
    assert kappa.shape == grid.input_shape[1:]
    np.testing.assert_allclose(x * kappa, grid.fold(units), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(active_coverage(x, grid), grid.fold(np.ones_like(patches) * (norms > 0)))


@given(grids(), rules, laws, seeds)
def test_laws_are_proportional_to_the_number_of_filters(grid, rule, law, seed):
    """Exactly: a power of two moves no digit."""
    x = picture(np.random.default_rng(seed), grid.input_shape)
    for function in (mean_map, variances, covariance):
        one = function(x, grid, rule, 1, law=law)
        np.testing.assert_array_equal(function(x, grid, rule, 16, law=law), 16 * one)
        np.testing.assert_allclose(function(x, grid, rule, 37, law=law), 37 * one, rtol=1e-14)


@given(grids(), rules, seeds, st.floats(0.01, 100))
def test_laws_scale_with_the_weights_and_not_with_the_picture(grid, rule, seed, scale):
    x = picture(np.random.default_rng(seed), grid.input_shape)
    for function, power in ((mean_map, 1), (variances, 2)):
        one = function(x, grid, rule, 2)
        size = abs(one).max() + 1e-300
        np.testing.assert_allclose(function(scale * x, grid, rule, 2) / size, one / size, atol=1e-7)
        wide = function(x, grid, rule, 2, filter_std=scale) / scale**power
        np.testing.assert_allclose(wide, one, rtol=1e-12)
        both = function(x, grid, rule, 2, law=Gaussian(scale)) / scale ** (2 * power)
        np.testing.assert_allclose(both, one, rtol=1e-12)


def test_mean_map_is_zero_without_both_masks():
    grid = PatchGrid((2, 5, 5), 3)
    x = np.random.default_rng(0).standard_normal(grid.input_shape)
    for rule in ("saliency", "deconvnet"):
        np.testing.assert_array_equal(mean_map(x, grid, rule, 100), np.zeros(grid.input_shape))
    assert mean_map(x, grid, "guided", 100).any()


def test_one_patch_is_the_fully_connected_network():
    grid = PatchGrid((3, 4, 5), (4, 5))
    x = np.random.default_rng(1).standard_normal(grid.input_shape)
    unit = x / np.linalg.norm(x)
    n, c = 9, 0.7
    # E[max(V,0)] = c/√(2π), E[max(V,0)²] = c²/2; one filter on the half-space: c û/√(2π) and c²/2.
    np.testing.assert_allclose(
        mean_map(x, grid, "guided", n, law=Gaussian(c)), n * c**2 / (2 * math.pi) * unit, rtol=1e-12
    )
    expected = n * c**4 * (np.eye(60) / 4 - np.outer(unit, unit) / (4 * math.pi**2))
    np.testing.assert_allclose(covariance(x, grid, "guided", n, law=Gaussian(c)), expected, atol=1e-13)
    for rule in ("saliency", "deconvnet"):
        np.testing.assert_allclose(
            covariance(x, grid, rule, n, law=Gaussian(c)), n * c**4 / 2 * np.eye(60), rtol=1e-14
        )


@pytest.mark.parametrize("n_filters", [1, 50])
def test_entries_of_a_deconvnet_map_stay_correlated_at_any_distance(n_filters):
    """1/π with a Gaussian readout, between entries of one channel and stride phase; else 0."""
    grid = PatchGrid((2, 14, 14), 4, stride=2)
    matrix = covariance(np.ones(grid.input_shape), grid, "deconvnet", n_filters).reshape(2, 14, 14, 2, 14, 14)
    variance = matrix[0, 4, 4, 0, 4, 4]
    for far in (6, 8):
        assert matrix[0, 4, 4, 0, 4, far] / variance == pytest.approx(1 / math.pi, rel=1e-12)
        assert matrix[0, 4, 4, 0, far, far] / variance == pytest.approx(1 / math.pi, rel=1e-12)
    assert matrix[0, 4, 4, 0, 4, 5] == matrix[0, 4, 4, 1, 4, 4] == matrix[0, 4, 4, 0, 7, 4] == 0


def test_saliency_is_white_up_to_coverage_by_patches_that_are_not_empty():
    grid = PatchGrid((1, 5, 6), 2)
    x = np.ones(grid.input_shape)
    x[:, :, :3] = 0
    matrix = covariance(x, grid, "saliency", 3)
    assert not (matrix - np.diag(np.diag(matrix))).any()
    # Columns 0 and 1 are seen by empty patches alone; column 2 by one column of patches that are not.
    np.testing.assert_allclose(np.diag(matrix).reshape(5, 6)[2], 3 * 0.5 * np.array([0, 0, 2, 4, 4, 2]))
    np.testing.assert_allclose(
        variances(x, grid, "deconvnet", 3)[0, 2], 3 * 0.5 * np.array([2, 4, 4, 4, 4, 2])
    )


def test_covariance_refuses_two_gigabytes_and_says_what_to_call():
    grid = PatchGrid((1, 128, 129), 3)
    x = np.ones(grid.input_shape)
    with pytest.raises(ValueError, match=r"more than 2 GB; call variance_map"):
        covariance(x, grid, "guided", 4)
    assert variances(x, grid, "guided", 4).shape == grid.input_shape


def test_covariance_limit_is_inclusive(monkeypatch):
    grid = PatchGrid((1, 3, 3), 2)
    monkeypatch.setattr(whole_covariance, "COVARIANCE_LIMIT", 8 * 81)
    assert covariance(np.ones((1, 3, 3)), grid, "saliency", 1).shape == (9, 9)
    monkeypatch.setattr(whole_covariance, "COVARIANCE_LIMIT", 8 * 81 - 1)
    with pytest.raises(ValueError, match="variance_map"):
        covariance(np.ones((1, 3, 3)), grid, "saliency", 1)


@given(grids(), seeds)
def test_window_sums_and_spread_are_adjoint_and_fold_ones(grid, seed):
    rng = np.random.default_rng(seed)
    plane = _windows.padded(rng.standard_normal(grid.input_shape), grid).sum(axis=0)
    values = rng.standard_normal(grid.output_shape)
    full = _windows.spread(values, grid, range(grid.kernel[0]), range(grid.kernel[1]))
    assert (_windows.window_sums(plane, grid) * values).sum() == pytest.approx(
        (plane * full).sum(), abs=1e-10
    )
    ones = np.broadcast_to(values.reshape(-1, 1), (grid.n_patches, grid.patch_size))
    np.testing.assert_allclose(_windows.crop(full, grid), grid.fold(ones.copy())[0], atol=1e-12)


@pytest.mark.parametrize("function", [mean_map, variances, covariance])
def test_bad_input(function):
    grid = PatchGrid((1, 3, 3), 2)
    x = np.ones((1, 3, 3))
    with pytest.raises(ValueError, match="x: expected shape"):
        function(np.ones((1, 3, 4)), grid, "guided", 2)
    with pytest.raises(ValueError, match="zero everywhere"):
        function(0 * x, grid, "guided", 2)
    with pytest.raises(ValueError, match="not finite"):
        function(np.full((1, 3, 3), np.inf), grid, "guided", 2)
    with pytest.raises(ValueError, match="unknown rule 'gbp'"):
        function(x, grid, "gbp", 2)
    with pytest.raises(ValueError, match="n_filters: expected at least 1"):
        function(x, grid, "guided", 0)
    with pytest.raises(TypeError, match="n_filters: expected an integer"):
        function(x, grid, "guided", 2.0)
    with pytest.raises(ValueError, match="filter_std"):
        function(x, grid, "guided", 2, filter_std=-1.0)


@settings(max_examples=30)
@given(rules, units, st.integers(1, 4), seeds)
def test_fourth_cumulant_by_quadrature(rule, unit, size, seed):
    """One patch, one filter: the moments of ``h(V) g'(w·y) w`` by Gauss's rule on each side of the gate."""
    x = np.random.default_rng(seed).standard_normal((1, 1, size))
    up, down, gate = naive_laws.RULES[rule]
    shut = unit.slope if gate else 1.0
    t, weights = np.polynomial.hermite_e.hermegauss(20)
    weights = weights / weights.sum()
    half, half_weights = np.polynomial.legendre.leggauss(200)
    half, half_weights = 6 * (half + 1), 6 * half_weights
    half_weights = half_weights * np.exp(-(half**2) / 2) / math.sqrt(2 * math.pi)
    expected = []
    for u in x.ravel() / np.linalg.norm(x):
        moments = []
        for k in (1, 2, 3, 4):
            readout = (up**k + down**k) * (half_weights @ half**k)
            filters = sum(
                factor**k
                * half_weights
                @ ((u * sign * half[:, None] + math.sqrt(1 - u * u) * t) ** k @ weights)
                for sign, factor in ((1, 1.0), (-1, shut))
            )
            moments.append(readout * filters)
        m1, m2, m3, m4 = moments
        expected.append(m4 - 4 * m3 * m1 - 3 * m2**2 + 12 * m2 * m1**2 - 6 * m1**4)
    grid = PatchGrid(x.shape, (1, size))
    computed = fourth_cumulant_map(x, grid, rule, 7, std=1.3, unit=unit).ravel()
    np.testing.assert_allclose(computed, 7 * 1.3**8 * np.array(expected), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("rule", "slope", "expected"),
    [
        ("saliency", 0.0, 0.0),
        ("guided", 0.0, 0.0),
        ("deconvnet", 0.0, 3.75),
        ("saliency", 0.5, 6 * 0.5**4),
        ("guided", 0.5, 3.75 * 0.5**4),
    ],
)
def test_fourth_cumulant_under_a_patch_of_zeros(rule, slope, expected):
    """The gate is closed and passes ``a h(V) w`` (all of it where there is none): ``E h⁴ 3a⁴ − 3 (E h² a²)²``, a filter.

    ``E V⁴ = 3`` and ``E V² = 1`` make 9 − 3 for saliency, their halves 9/2 − 3/4 for what is rectified.
    """
    x = np.array([[[1.0, 2.0, 0.0, 0.0]]])
    found = fourth_cumulant_map(x, PatchGrid((1, 1, 4), (1, 2), (1, 2)), rule, 5, unit=LeakyReLU(slope))
    np.testing.assert_allclose(found[0, 0, 2:], 5 * expected, rtol=1e-12, atol=1e-12)
