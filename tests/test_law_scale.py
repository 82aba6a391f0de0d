"""Laws of pictures of any size: a power of two changes no digit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

from theorylab import analytic
from theorylab.analytic import halfspace
from theorylab.estimates import pooled_expected_cosine
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool

GRID, POOL = PatchGrid((2, 5, 5), 2), MaxPool(2)
DEGREES = {
    "mean_map": (lambda x: analytic.mean_map(x, GRID, "guided", 3), 0),
    "variance_map": (lambda x: analytic.variance_map(x, GRID, "guided", 3), 0),
    "covariance": (lambda x: analytic.covariance(x, GRID, "guided", 3), 0),
    "expected_energy": (lambda x: analytic.expected_energy(x, GRID, "guided", 3), 0),
    "expected_cosine": (lambda x: analytic.expected_cosine(x, GRID, "guided", 3), 0),
    "class_distance": (lambda x: analytic.class_distance(x, GRID, "guided", 3), 0),
    "class_product": (lambda x: analytic.expected_class_product(x, GRID, "guided", 3), 0),
    "active_coverage": (lambda x: analytic.active_coverage(x, GRID), 0),
    "local_contrast": (lambda x: analytic.local_contrast(x, GRID), -1),
    "fourth_cumulant": (
        lambda x: analytic.fourth_cumulant_map(x, PatchGrid((2, 5, 5), 2, 2), "guided", 3),
        0,
    ),
    "maximum_logit_moment": (lambda x: analytic.maximum_logit_moment(x, GRID, 3, 10), 2),
    "maximum_logit_mean": (lambda x: analytic.maximum_logit_mean_map(x, GRID, 3, 10), 0),
    "pooled_mean": (lambda x: analytic.pooled_mean_map(x, GRID, "guided", 3, pool=POOL), 0),
    "pooled_deconvnet": (lambda x: analytic.pooled_mean_map(x, GRID, "deconvnet", 3, pool=POOL), 0),
    "pooled_large": (lambda x: analytic.pooled_mean_map(x, GRID, "guided", 3, pool=MaxPool(3), points=64), 0),
    "pooled_variance": (lambda x: analytic.pooled_variance_map(x, GRID, "saliency", 3, pool=POOL), 0),
    "pooled_patch_variance": (lambda x: analytic.pooled_patch_variance(x, GRID, "guided", 3, pool=POOL), 0),
    "selection": (lambda x: analytic.selection_probabilities(x, GRID, pool=POOL).all_zero, 0),
    "pooled_cosine": (lambda x: pooled_expected_cosine(x, GRID, "guided", 3, pool=POOL, draws=8), 0),
    "halfspace.mean": (halfspace.mean, 0),
    "pair_matrix": (lambda x: halfspace.pair_matrix(x[0].ravel(), x[1].ravel()), 0),
}


@pytest.mark.parametrize("name", DEGREES)
@settings(max_examples=12, deadline=None)
@given(seeds, st.one_of(st.integers(-1000, 1000), st.sampled_from([-1000, -532, -512, 511, 513, 1000])))
def test_laws_of_pictures_of_any_size(name, seed, exponent):
    law, degree = DEGREES[name]
    x = np.random.default_rng(seed).uniform(0.5, 2, GRID.input_shape) * (-1) ** (seed % 2)
    x[:, :2, :2] = 0  # a patch of zeros
    expected, got = np.asarray(law(x)), np.asarray(law(np.ldexp(x, exponent)))
    with np.errstate(over="ignore"):
        # 2^exponent changes no digit; what is beyond double precision is infinite or 0.
        expected = np.ldexp(expected, degree * exponent)
    np.testing.assert_allclose(got, expected, rtol=1e-13, equal_nan=True)


def test_the_factor_of_a_decimal_picture():
    x = np.random.default_rng(8).standard_normal(GRID.input_shape)
    for size in (1e-300, 1e-160, 1e154, 1e300):
        for name in ("mean_map", "variance_map", "expected_cosine", "pooled_mean", "pooled_cosine"):
            np.testing.assert_allclose(DEGREES[name][0](size * x), DEGREES[name][0](x), rtol=1e-11)
