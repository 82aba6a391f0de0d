"""Laws of relevance propagation: against integrals, against sums written out, and against the package's own methods."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from scipy import stats as scipy_stats

import theorylab as tl
from proofs_checks.literature import rank_one_collapse, relevance_limit
from theorylab.analytic import relevance_collapse, relevance_cosine
from theorylab.networks.from_stack import from_stack

positive = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).exponential(size=(2, 7)))


@given(positive)
def test_one_layer_by_integrals(pair):
    """Mean and mean square of max(w, 0) by quadrature, the inner products written out entry by entry."""
    mean, square = (integrate.quad(lambda w, k=k: w**k * scipy_stats.norm.pdf(w), 0, 12)[0] for k in (1, 2))

    def product(r, s):
        return sum(a * b * (square if i == j else mean**2) for i, a in enumerate(r) for j, b in enumerate(s))

    r, s = pair
    assert relevance_cosine(r, s) == pytest.approx(product(r, s) / math.sqrt(product(r, r) * product(s, s)))
    assert relevance_cosine(1e200 * r, 1e-200 * s) == pytest.approx(relevance_cosine(r, s), rel=1e-12)


def test_many_layers_are_one_layer_many_times():
    """Without activations' own moments: the recursion on vectors whose moments are those of wide layers."""
    n, rng = 40_000, np.random.default_rng(0)
    law = relevance_collapse(np.ones(9), [n, n, n])
    # What leaves the readout: activations times independent positive parts.
    half = np.maximum(rng.standard_normal((4, n)), 0)
    one_below = 1 - relevance_cosine(half[0] * half[1], half[0] * half[2])
    assert law[0] == pytest.approx(1 - 1 / math.pi)
    assert law[1] == pytest.approx(one_below * math.exp(-4.40 / math.sqrt(n)), rel=0.05)
    assert law[2] / law[1] == pytest.approx(
        math.pi * (math.pi - 1) / n * math.exp(-2.88 / math.sqrt(n)), rel=2e-3
    )


def test_the_limit_does_not_depend_on_the_picture_and_the_correction_does():
    wide, narrow = 10**8, 100
    pictures = np.ones(10**4), np.exp(np.random.default_rng(0).standard_normal(10**4))
    limits = [relevance_collapse(x, [wide])[1] * wide for x in pictures]
    assert limits == pytest.approx([math.pi * (math.pi - 1) ** 2] * 2, rel=0.1)
    even, uneven = (relevance_collapse(x[:50], [narrow])[1] for x in pictures)
    assert even != pytest.approx(uneven, rel=0.1)
    assert relevance_collapse(-7e200 * pictures[1], [9, 9]) == pytest.approx(
        relevance_collapse(pictures[1], [9, 9])
    )


def test_the_claims_networks_are_the_methods():
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    net = from_stack(tl.Stack(x.shape, (tl.Dense(7), tl.Dense(6)), n_logits=3), seed=1)
    *hidden, readout = (w for w in net.weights.values() if np.ndim(w) == 2)
    found = rank_one_collapse.descend(x.ravel(), hidden, readout, np.eye(3))
    assert [len(r[0]) for r in found] == [6, 7, 24]
    for k in range(3):
        maps = tl.methods.attribute(net, x, "lrp-alpha1beta0", k, epsilon=0.0)
        np.testing.assert_allclose(found[-1][k] * abs(net.logits(x)[k]), maps.ravel(), rtol=1e-9)


def test_unequal_widths_and_an_uneven_picture():
    """A simulation that needs the O(1/√n) correction: without it the law of the second layer is a third too high."""
    rng = np.random.default_rng(3)
    x, widths = rng.exponential(size=60), (500, 150, 300)
    law = relevance_collapse(x, widths)
    rows = []
    for _ in range(30):
        weights = [rng.standard_normal((n, m)) for n, m in zip(widths, (x.size, *widths[:-1]), strict=True)]
        found = rank_one_collapse.descend(x, weights, rng.standard_normal((24, 300)), np.eye(24))
        rows.append([rank_one_collapse.apart(r) for r in found])
    mean, error = np.mean(rows, axis=0), np.std(rows, axis=0) / math.sqrt(30)
    assert (abs(mean / law - 1) < 5 * error / law + np.array([0.01, 0.05, 0.1, 0.13])).all()
    assert mean[1] < 0.8 * math.pi * (math.pi - 1) ** 2 / 300


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: relevance_cosine(np.ones(2), np.ones(3)),
            "second: expected as many numbers as in first, 2, got 3",
        ),
        (lambda: relevance_cosine(np.zeros(2), np.ones(2)), "first: is zero everywhere"),
        (lambda: relevance_collapse(np.ones(2), []), "widths: expected those of one hidden layer"),
        (lambda: relevance_collapse(np.ones(2), [0]), "widths: expected at least 1"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Maps of one hidden layer


METHODS = relevance_limit.METHODS


def two_pixels(seed, size=5, **changes):
    """A picture of patches of two entries, for integrals over the angle of a filter."""
    x = np.random.default_rng(seed).standard_normal((1, 1, size))
    grid = tl.PatchGrid(x.shape, (1, 2), (1, 1), **changes)
    return x, grid


def mean_over_filters(function):
    """E of a function of the filter that is homogeneous of degree 1, two entries: its length has the mean √(π/2)."""
    value = integrate.quad(
        lambda t: function(np.array([math.cos(t), math.sin(t)])), -math.pi, math.pi, limit=400
    )[0]
    return math.sqrt(math.pi / 2) * value / (2 * math.pi)


@pytest.mark.parametrize("seed", range(3))
def test_deep_taylor_by_integrals(seed):
    """Mean map and distance of two logits: every expectation an integral over the angle of a filter."""
    x, grid = two_pixels(seed)
    law = tl.law(tl.models.three_layer(grid, 50), x, "deep-taylor")
    patches = grid.extract(x)

    def share(w, t):
        return w[t] ** 2

    means = np.array(
        [
            [mean_over_filters(lambda w, y=y, t=t: max(w @ y, 0) * share(w, t)) for t in (0, 1)]
            for y in patches
        ]
    )
    mean = grid.fold(means)
    np.testing.assert_allclose(law.direction, mean / mean.sum(), rtol=1e-6)
    assert law.expected_cosine() == pytest.approx(
        float((mean * x).sum()) / np.linalg.norm(mean) / np.linalg.norm(x)
    )
    assert law.expected_cosine("mean") == pytest.approx(1)
    strength = float((mean * abs(x)).sum()) / np.linalg.norm(mean) / np.linalg.norm(x)
    assert law.absolute_cosine == pytest.approx(strength)
    assert law.absolute_class_distance == law.class_distance
    d = grid.extract(mean / np.linalg.norm(mean))
    # Squares are homogeneous of degree 2, and E‖w‖² = 2.
    across = (
        2
        / math.sqrt(math.pi / 2)
        * sum(
            mean_over_filters(
                lambda w, y=y, e=e: (
                    max(w @ y, 0) ** 2
                    * (sum(share(w, t) ** 2 for t in (0, 1)) - sum(e[t] * share(w, t) for t in (0, 1)) ** 2)
                )
            )
            for y, e in zip(patches, d, strict=True)
        )
    )
    expected = math.sqrt(2 * (math.pi - 1) * across / 50) / np.linalg.norm(mean)
    assert law.class_distance == pytest.approx(expected, rel=1e-6)


@given(st.floats(0.01, 1))
def test_alpha1beta0_weighs_by_an_integral(u):
    """``E[σ(w·y) (y_t w_t)⁺]`` of two entries, over the angle of the filter."""
    y = np.array([u, -math.sqrt(1 - u**2)])
    expected = np.array(
        [mean_over_filters(lambda w, t=t: max(w @ y, 0) * max(w[t] * y[t], 0)) for t in (0, 1)]
    )
    law = tl.law(
        tl.models.three_layer(tl.PatchGrid((1, 1, 2), (1, 2)), 9), y.reshape(1, 1, 2), "lrp-alpha1beta0"
    )
    np.testing.assert_allclose(law.direction.ravel(), expected / expected.sum(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("padding", [0, 1])
def test_the_claims_maps_are_the_methods_and_their_mean_is_the_law(method, padding):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((3, 6, 6))
    grid = tl.PatchGrid(x.shape, 3, 2, padding)
    law = tl.law(tl.models.three_layer(grid, 400), x, method)
    total = np.zeros(x.shape)
    for seed in range(20):
        filters = rng.standard_normal((400, grid.patch_size))
        readout = rng.standard_normal((2, grid.n_patches, 400))
        maps = relevance_limit.relevances(x, grid, filters, readout)[method]
        total += maps.mean(axis=0)
        if seed:
            continue
        planes = readout.swapaxes(1, 2).reshape(2, 400, *grid.output_shape)
        net = tl.networks.ThreeLayerNetwork(grid, filters.reshape(400, 3, 3, 3), planes)
        for k in range(2):
            found = tl.methods.attribute(net, x, method, k, epsilon=0.0)
            np.testing.assert_allclose(maps[k] * abs(net.logits(x)[k]), found, rtol=1e-8, atol=1e-10)
    cosine = (total * law.mean).sum() / np.linalg.norm(total) / np.linalg.norm(law.mean)
    assert 0.998 < cosine < 1
    np.testing.assert_allclose(law.direction.sum(), 1, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_the_size_of_a_relevance_map_is_that_of_a_logit(method):
    """Against the law of a logit as ⟨S, x⟩, which is made otherwise; at any scale of picture and weights."""
    x = np.random.default_rng(1).standard_normal((2, 5, 5))
    grid = tl.PatchGrid(x.shape, 3)
    square = tl.analytic.maximum_logit_moment(x, grid, 40, 1)
    law = tl.law(tl.models.three_layer(grid, 40), x, method)
    assert law.energy / np.linalg.norm(law.direction) ** 2 == pytest.approx(square)
    assert law.mean.sum() == pytest.approx(math.sqrt(2 / math.pi * square))
    np.testing.assert_allclose(law.variance, (math.pi / 2 - 1) * law.mean**2)
    stack = tl.models.three_layer(grid, 40, weights=tl.Gaussian(0.5))
    large = tl.law(stack, 1e200 * x, method)
    np.testing.assert_allclose(large.mean, 1e200 * 0.25 * law.mean)


def test_what_has_no_law_is_refused_by_name():
    x = np.ones((1, 6, 6))
    grid = tl.PatchGrid(x.shape, 3)
    for stack in (
        tl.models.three_layer(grid, 4, pool=tl.MaxPool(2)),
        tl.models.three_layer(grid, 4, unit=tl.LeakyReLU(0.1)),
        tl.models.three_layer(grid, 4, bias_std=0.1),
        tl.Stack(x.shape, (tl.Dense(7), tl.Dense(6))),
    ):
        for method in METHODS:
            with pytest.raises(tl.NoLaw, match=f"no law for method '{method}'"):
                tl.law(stack, x, method)
    with pytest.raises(tl.NoLaw, match="method 'lrp-alpha1beta0' at two logits"):
        tl.law(tl.models.three_layer(grid, 4), x, "lrp-alpha1beta0").class_distance  # noqa: B018
