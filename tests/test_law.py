"""What `law` returns, part by part: by arithmetic where there is any, else by the functions that it should call."""

import math
import pickle

import numpy as np
import pytest
from scipy import signal

import theorylab as tl
from theorylab import (
    AdaptiveAveragePool,
    ConvSpec,
    Dense,
    Gaussian,
    MaxPool,
    PatchGrid,
    Stack,
    analytic,
)
from theorylab.analytic.of_stack import _OF_METHODS
from theorylab.estimates import pooled_expected_cosine

PICTURE = np.random.default_rng(0).normal(0.5, 1.0, (2, 8, 7))
READOUT = Gaussian(0.7)


def cosine_of(law, target):
    """Of a map with these moments to a target, as a ratio of expectations."""
    energy = (law.mean**2).sum() + law.variance.sum()
    return float((law.mean * target).sum() / (np.linalg.norm(target) * math.sqrt(energy)))


def dense():
    return Stack(PICTURE.shape, [Dense(40, std=0.3), Dense(30, std=0.2)], readout=READOUT)


def convolutional(*more):
    return Stack(PICTURE.shape, [ConvSpec(8, 3, std=0.4), ConvSpec(6, 2, std=0.3), *more], readout=READOUT)


def pooled():
    return Stack(PICTURE.shape, [ConvSpec(8, 3, std=0.4), MaxPool(2)], readout=READOUT)


def test_saliency_of_dense_layers():
    """Each layer passes half of the energy: an entry has the variance ``c_V² (n₂ c₂²/2) (n₁ c₁²/2)``."""
    law = tl.law(dense(), PICTURE, "saliency")
    assert not law.mean.any()
    expected = 0.7**2 * (30 * 0.2**2 / 2) * (40 * 0.3**2 / 2)
    np.testing.assert_allclose(law.variance, np.full(PICTURE.shape, expected), rtol=1e-12)
    assert law.expected_cosine() == 0
    assert law.class_distance == pytest.approx(math.sqrt(2), rel=1e-12)


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
def test_dense_layers(rule):
    law = tl.law(dense(), PICTURE, rule)
    norm = float(np.linalg.norm(PICTURE))
    *_, record = analytic.depth_profile([PICTURE.size, 40, 30], rule, stds=[0.3, 0.2, 0.7], input_norm=norm)
    np.testing.assert_allclose(law.mean, record.alpha * PICTURE, rtol=1e-12)
    np.testing.assert_allclose(law.variance, record.beta**2, rtol=1e-12)
    assert law.expected_cosine() == pytest.approx(cosine_of(law, PICTURE), rel=1e-12)
    if rule == "guided":
        assert law.expected_cosine() == pytest.approx(record.alignment, rel=1e-12) != 0
        assert law.expected_cosine("mean") == pytest.approx(record.alignment, rel=1e-12)
    # The scales of the two logits' means and noises, of order one over the width, are no part of the profile.
    assert law.class_distance == pytest.approx(record.class_distance, rel=4 / 30)
    assert law.class_distance < 1.3


def held(plane, kernel):
    """Add each value to the pixels of its patch: ``Σ_{j∋t} value_j`` at stride 1."""
    return signal.convolve2d(plane, np.ones((kernel, kernel)))


def test_saliency_of_convolutions():
    """Patch by patch each layer passes half of the energy."""
    law = tl.law(convolutional(), PICTURE, "saliency")
    top = np.full((5, 4), 0.7**2)
    below = 8 * 0.4**2 / 2 * held(6 * 0.3**2 / 2 * held(top, 2), 3)
    assert not law.mean.any()
    np.testing.assert_allclose(law.variance, np.broadcast_to(below, PICTURE.shape), rtol=1e-12)
    assert law.class_distance == pytest.approx(math.sqrt(2), rel=1e-12)


def test_guided_backpropagation_of_convolutions():
    stack = convolutional()
    law = tl.law(stack, PICTURE, "guided")
    *_, record = analytic.depth_maps(PICTURE, stack.layers, "guided", readout_std=0.7)
    np.testing.assert_allclose(law.mean, record.mean_map, rtol=1e-12)
    np.testing.assert_allclose(law.variance, record.variance_map, rtol=1e-12)
    for target, direction in (("input", PICTURE), ("mean", law.mean)):
        assert law.expected_cosine(target) == pytest.approx(cosine_of(law, direction), rel=1e-12) != 0


def test_average_pooling_divides_by_the_number_of_positions():
    law = tl.law(convolutional(AdaptiveAveragePool((1, 1))), PICTURE, "guided")
    whole = tl.law(convolutional(), PICTURE, "guided")
    np.testing.assert_allclose(law.mean, whole.mean / 20, rtol=1e-12)
    np.testing.assert_allclose(law.variance, whole.variance / 20**2, rtol=1e-12)


@pytest.mark.parametrize("rule", ["saliency", "deconvnet", "guided"])
def test_a_max_pool(rule):
    law, grid, arguments = tl.law(pooled(), PICTURE, rule), PatchGrid(PICTURE.shape, 3), {"pool": MaxPool(2)}
    # By the law for unit weights, which is 8 times that of one filter, and the scales of filters and readout.
    unit = 8 * 0.7 * 0.4 * analytic.pooled_mean_map(PICTURE, grid, rule, 1, **arguments)
    np.testing.assert_allclose(law.mean, unit, rtol=1e-12, atol=1e-12)
    unit = 8 * (0.7 * 0.4) ** 2 * analytic.pooled_variance_map(PICTURE, grid, rule, 1, **arguments)
    np.testing.assert_allclose(law.variance, unit, rtol=1e-12)
    if rule == "saliency":
        assert law.expected_cosine() == 0
        assert law.class_distance == pytest.approx(math.sqrt(2), rel=1e-12)
        return
    estimate, error = pooled_expected_cosine(
        PICTURE, grid, rule, 8, law=tl.Gaussian(0.4), filter_std=0.7, draws=4000, **arguments
    )
    assert law.expected_cosine() == pytest.approx(estimate, abs=5 * error)
    assert law.expected_cosine() != pytest.approx(estimate / 1.1, abs=5 * error)
    assert 0 < law.class_distance < math.sqrt(2)


@pytest.mark.parametrize("rule", ["guided", "deconvnet", "saliency"])
def test_an_average_pool_that_does_nothing_has_a_law(rule):
    """The stack of VGG-16 holds one, which other pictures need."""
    layers = [ConvSpec(4, 3), ConvSpec(4, 3)]
    bare = tl.analytic.depth_maps(PICTURE, layers, rule)
    plane = tuple(size - 4 for size in PICTURE.shape[1:])
    idle = tl.analytic.depth_maps(PICTURE, [*layers, AdaptiveAveragePool(plane)], rule)
    np.testing.assert_array_equal(idle[-1].mean_map, bare[-1].mean_map)
    with pytest.raises(tl.NoLaw, match=r"layers\[2\]: AdaptiveAveragePool\(plane=\(2, 1\)\) of a plane of"):
        tl.analytic.depth_maps(PICTURE, [*layers, AdaptiveAveragePool((2, 1))], rule)


@pytest.mark.parametrize(
    "stack",
    [
        Stack(PICTURE.shape, [ConvSpec(8, 3)]),
        dense(),
        convolutional(),
        pooled(),
        Stack(PICTURE.shape, [ConvSpec(8, 3), MaxPool(2)], bias_std=0.1),
        convolutional(tl.Residual([ConvSpec(6, 3, padding=1)])),
    ],
    ids=("three layers", "dense", "deep", "pooled", "pooled, biases", "residual"),
)
def test_a_law_of_any_stack_and_method_can_be_pickled(stack):
    """Before and after its parts are computed, with the same numbers."""
    found = 0
    for name in ("saliency", "deconvnet", "guided", *_OF_METHODS):
        try:
            law = tl.law(stack, PICTURE, name)
        except tl.NoLaw:
            continue
        fresh = pickle.loads(pickle.dumps(law))
        for part in ("mean", "variance", "class_distance"):
            try:
                expected = getattr(law, part)
            except tl.NoLaw:
                continue
            for copy in (fresh, pickle.loads(pickle.dumps(law))):
                np.testing.assert_array_equal(getattr(copy, part), expected)
            found += 1
    assert found >= 3
