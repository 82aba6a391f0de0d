"""How alike two maps are: values worked out by hand, scale, zero maps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from theorylab import measures


def test_values_worked_out_by_hand():
    a, b = np.array([3.0, 4.0]), np.array([4.0, 3.0])
    assert_allclose(measures.cosine(a, b), 24 / 25)
    assert_allclose(measures.distance(a, b), math.sqrt(2 - 48 / 25))
    assert_allclose(measures.distance(a, -a), 2.0)
    # Deviations from the mean: (−1, 0, 1) and (1, −2, 1).
    assert_allclose(measures.correlation(np.array([1.0, 2, 3]), np.array([5.0, 2, 5])), 0.0, atol=1e-12)


@given(st.floats(-150, 150), st.floats(-150, 150))
def test_scale_does_not_matter(one, other):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 8, 8))
    large = a * 10.0**one, b * 10.0**other
    assert_allclose(measures.cosine(*large), measures.cosine(a, b))
    assert_allclose(measures.distance(*large), measures.distance(a, b))


def test_a_zero_map_has_no_direction():
    assert math.isnan(measures.cosine(np.zeros(3), np.ones(3)))
    assert math.isnan(measures.distance(np.ones(3), np.zeros(3)))
    assert math.isnan(measures.correlation(np.ones(3), np.array([1.0, 2, 3])))


def test_similarity_sees_shape_and_not_scale():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 3, 16, 16))
    assert_allclose(measures.similarity(a, 7 * a + 3), 1.0)
    assert abs(measures.similarity(a, b)) < 0.3


@pytest.mark.parametrize(
    "measure", [measures.cosine, measures.distance, measures.similarity, measures.correlation]
)
def test_bad_input_is_refused(measure):
    with pytest.raises(ValueError, match="second"):
        measure(np.ones((1, 8, 8)), np.ones((1, 8, 9)))
    with pytest.raises(ValueError, match="first"):
        measure(np.full((1, 8, 8), np.nan), np.ones((1, 8, 8)))
