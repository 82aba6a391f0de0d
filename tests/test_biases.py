"""Biases in the laws: quadrature over the bias, brute force, and networks that are drawn with them."""

import math

import numpy as np
import pytest
from naive import three_layer_map
from scipy import integrate, stats

import theorylab as tl
from theorylab import analytic
from theorylab.analytic import _biases

NORMAL = tl.Gaussian(1.3)
BIASES = (NORMAL, tl.Uniform(1.7), tl.Constant(0.9), tl.Constant(-1.2))
X = np.random.default_rng(3).standard_normal((2, 5, 5)) + 0.5
X[:, 3:, 3:] = 0
GRID = tl.PatchGrid(X.shape, 2, stride=(2, 1), padding=(1, 0))


def average(function, bias):
    """``E function(b)``."""
    if isinstance(bias, tl.Constant):
        return function(bias.value)
    law = (
        stats.norm(scale=bias.std) if bias == NORMAL else stats.uniform(-bias.half_width, 2 * bias.half_width)
    )
    ends = [-9 * bias.std, 9 * bias.std] if bias == NORMAL else law.support()
    return integrate.quad(lambda b: function(b) * law.pdf(b), *ends, points=[0], epsabs=1e-12)[0]


@pytest.mark.parametrize("bias", BIASES, ids=str)
@pytest.mark.parametrize("c", [0.7, 2.0])
def test_moments_of_one_patch_by_quadrature(bias, c):
    """``w = (y z + w⊥)``: ``E[z 1(s z > −b)] = φ(b/s)`` and ``E[z² 1] = Φ(b/s) − (b/s) φ(b/s)``, then over the bias."""
    y = np.array([[[0.6, -1.1, 0.2]]])
    s = c * np.linalg.norm(y)
    first = average(lambda b: stats.norm.pdf(b / s), bias)
    second, share = (
        average(lambda b: stats.norm.cdf(b / s) - b / s * stats.norm.pdf(b / s), bias),
        average(lambda b: stats.norm.cdf(b / s), bias),
    )
    law = tl.law(
        tl.models.three_layer(tl.PatchGrid(y.shape, (1, 3)), 5, weights=tl.Gaussian(c), bias=bias),
        y,
        "guided",
    )
    u = y / np.linalg.norm(y)
    np.testing.assert_allclose(law.first, first * u, rtol=1e-8)
    np.testing.assert_allclose(law.second, share + (second - share) * u**2, rtol=1e-8)
    leaky = analytic.mean_map(y, law.grid, "guided", 5, law=tl.Gaussian(c), unit=tl.LeakyReLU(0.3), bias=bias)
    np.testing.assert_allclose(leaky, 0.7 * law.mean, rtol=1e-12)


def test_two_patches_by_quadrature():
    """One tap and a bias: ``E[w² 1(w y + b > 0) 1(w y' + b > 0)]`` over the angle of ``(w, b/τ)``, of which ``r²`` has mean 2."""
    x, tau = np.array([[[0.8, -0.3]]]), 0.5

    def integrand(angle):
        w, b = math.cos(angle), tau * math.sin(angle)
        return 2 * w * w * (0.8 * w + b > 0) * (-0.3 * w + b > 0) / (2 * math.pi)

    kinks = [math.atan2(-y, tau) + k * math.pi for y in (0.8, -0.3) for k in (0, 1)]
    both = integrate.quad(integrand, -math.pi, math.pi, points=kinks, limit=200)[0]
    means = [y / math.hypot(y, tau) / math.sqrt(2 * math.pi) for y in (0.8, -0.3)]
    matrix = analytic.covariance(x, tl.PatchGrid(x.shape, 1), "guided", 3, bias=tl.Gaussian(tau))
    assert matrix[0, 1] == pytest.approx(3 / (2 * math.pi) * (both - means[0] * means[1]), rel=1e-7)
    assert matrix[0, 0] == pytest.approx(3 * (1 / 4 - means[0] ** 2 / (2 * math.pi)), rel=1e-12)


@pytest.mark.parametrize("bias", BIASES, ids=str)
def test_maps_by_their_definition(bias):
    """Mean and energy of maps that loops of another author make, and the wrong law that forgets the biases."""
    rng, n, size = np.random.default_rng(8), 4, 900
    maps = np.empty((size, *X.shape))
    for i in range(size):
        drawn = bias.sample(n, seed=rng)
        filters, readout = 0.7 * rng.standard_normal((n, 2, 2, 2)), rng.standard_normal(n * GRID.n_patches)
        maps[i] = sum(
            three_layer_map(
                X, filters[k : k + 1], readout.reshape(n, -1)[k : k + 1], (2, 1), (1, 0), "guided", drawn[k]
            )
            for k in range(n)
        )
    law = analytic.mean_map(X, GRID, "guided", n, filter_std=0.7, bias=bias)
    plain = analytic.mean_map(X, GRID, "guided", n, filter_std=0.7)

    def z(expected):
        along = (maps * expected).sum(axis=(1, 2, 3))
        return (along.mean() - (expected**2).sum()) / (along.std(ddof=1) / math.sqrt(size))

    assert abs(z(law)) < 4.5
    assert abs(z(plain)) > 4.5


def test_small_and_large_biases():
    grid = tl.PatchGrid(X.shape, 2)
    for rule in ("guided", "saliency", "deconvnet"):
        without = analytic.variance_map(X[:, :3, :3], tl.PatchGrid((2, 3, 3), 2), rule, 3)
        tiny = analytic.variance_map(
            X[:, :3, :3], tl.PatchGrid((2, 3, 3), 2), rule, 3, bias=tl.Gaussian(1e-9)
        )
        np.testing.assert_allclose(tiny, without, rtol=1e-6)
    covered = X * grid.coverage
    large = analytic.mean_map(X, grid, "guided", 3, bias=tl.Gaussian(1e6))
    np.testing.assert_allclose(
        large * 1e6, 3 / (2 * math.pi) * covered, rtol=1e-9
    )  # Theorem 1, up to coverage
    one, two = (analytic.mean_map(X, grid, "guided", 3, bias=tl.Constant(b)) for b in (0.4, -0.4))
    np.testing.assert_allclose(one, two)


@pytest.mark.parametrize("bias", BIASES[1:], ids=str)
def test_what_is_not_known_is_refused(bias):
    stack = tl.models.three_layer(GRID, 3, bias=bias)
    guided, saliency = tl.law(stack, X, "guided"), tl.law(stack, X, "saliency")
    for part in (
        lambda: guided.variance,
        lambda: guided.class_distance,
        lambda: guided.expected_cosine("mean"),
    ):
        with pytest.raises(tl.NoLaw, match=r"rule 'guided' with ReLU\(\) at biases of the law"):
            part()
    assert saliency.class_distance == math.sqrt(2)
    with pytest.raises(tl.NoLaw, match=r"biases of the law .* behind MaxPool"):
        tl.law(tl.models.three_layer(GRID, 3, bias=bias, pool=tl.MaxPool(2)), X, "guided")
    with pytest.raises(tl.NoLaw, match="biases of the law Trunc"):
        assert tl.law(tl.models.three_layer(GRID, 3, bias=tl.TruncatedGaussian()), X, "guided").mean is None
    with pytest.raises(tl.NoLaw, match="behind biases"):
        analytic.mean_map(X, GRID, "guided", 3, pool=tl.MaxPool(2), bias=bias)
    if isinstance(bias, tl.Constant):
        with pytest.raises(tl.NoLaw, match="covariance"):
            analytic.covariance(X, GRID, "saliency", 3, bias=bias)


def test_a_layers_own_biases_are_drawn_and_come_before_the_stacks():
    own = tl.ConvSpec(3, 2, bias=tl.Constant(-50.0))
    assert "bias=Constant(value=-50.0)" in repr(own)
    stack = tl.Stack(X.shape, [own, tl.Dense(4)], bias_std=0.5)
    assert stack.biased_layers[0].bias == tl.Constant(-50.0)
    assert stack.biased_layers[1].bias == tl.Gaussian(0.5)
    assert not tl.draw(stack, X, "saliency", size=2).any()  # units that biases shut
    with pytest.raises(TypeError, match="bias: expected"):
        tl.ConvSpec(3, 2, bias=0.5)


@pytest.mark.parametrize("size", [0.2, 1.0, 3.0])
def test_the_density_of_a_pre_activation_at_zero_by_quadrature(size):
    """Over the bias: the mean of the density of the sum of weights at minus the bias."""
    normal = stats.norm(scale=size).pdf
    means = {
        tl.Gaussian(0.7): integrate.quad(lambda b: normal(b) * stats.norm(scale=0.7).pdf(b), -9, 9)[0],
        tl.Uniform(1.3): integrate.quad(lambda b: normal(b) / 2.6, -1.3, 1.3, points=[0.0])[0],
        tl.Constant(0.9): normal(0.9),
    }
    for bias, mean in means.items():
        assert float(_biases.density(bias, np.array([size]))[0]) == pytest.approx(mean, rel=1e-7), bias
