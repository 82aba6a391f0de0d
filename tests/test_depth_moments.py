"""The pieces of the laws of depth behind max-pooling: closed forms, quadrature over circle and sphere, brute force.

Everything that is integrated here is homogeneous of degree 2 in a few standard normals, so its expectation is that many
times its mean over the unit circle or sphere: a witness that shares no formula with the package.
"""

import functools
import math

import numpy as np
import pytest
from scipy import integrate, stats
from strategies import OTHERS, picture, rule_of

from theorylab.analytic import pooled_mean_map
from theorylab.analytic._conditioning import chunks
from theorylab.analytic._gaussian_rule import POINTS, factors, normals, rectified_normal
from theorylab.analytic._inner_products import InnerProducts, arc_cosine, moved
from theorylab.analytic._joint_moments import largest_energy, largest_gap, neighbour_moments, pooled_moments
from theorylab.analytic._plan import RING, differences, half, pool_needs
from theorylab.analytic._unit_moments import unit_moments
from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.units import RELU, LeakyReLU

RULES = ("saliency", "deconvnet", "guided")
RECTIFYING = ("deconvnet", "guided")
guided_moments, deconvnet_moments = (
    functools.partial(unit_moments, rule, RELU) for rule in (Rule.GUIDED, Rule.DECONVNET)
)
CLOSED = {"guided": guided_moments, "deconvnet": deconvnet_moments}
FINE = 2**15  # points: what is left of the quadrature error is below half a percent


# --- witnesses ---------------------------------------------------------------------------------------------------


@functools.cache
def circle(points=10_000):
    """Directions in the plane, equally spaced: (points, 2)."""
    angle = (np.arange(points) + 0.5) * 2 * math.pi / points
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@functools.cache
def sphere(points=100_000):
    """Directions in space, at equal heights and the golden angle apart: (points, 3)."""
    height = (np.arange(points) + 0.5) * 2 / points - 1
    angle = np.arange(points) * math.pi * (3 - math.sqrt(5))
    return np.stack([np.cos(angle), np.sin(angle), height / np.sqrt(1 - height**2)], axis=1) * np.sqrt(
        1 - height[:, None] ** 2
    )


def on_circle(values):
    return 2 * values.mean(axis=0)


def on_sphere(values):
    return 3 * values.mean(axis=0)


def masked(rule, v, opened):
    """What a unit hands on, spelled out."""
    if isinstance(rule, Rule):
        v = np.where(v > 0, rule.up * v, -rule.down * v)
        return v * opened if rule.gate else v
    if rule != "saliency":
        v = v * (v > 0)
    return v if rule == "deconvnet" else v * opened


def pool_hands_on(rule, z, xi, alpha, beta):
    """``T_j`` for all places of a window: the first maximum of the rectified values gets ``V̂``; (draws, k)."""
    activations = z * (z > 0)
    winner = activations.argmax(axis=1)
    value = np.take_along_axis(z, winner[:, None], axis=1)[:, 0]
    t = masked(rule, alpha * activations.max(axis=1) + beta * xi, value > 0)
    result = np.zeros(z.shape)
    np.put_along_axis(result, winner[:, None], t[:, None], axis=1)
    return result


def neighbour_hands_on(rule, z, xi, a, beta, centre):
    return masked(rule, (z * (z > 0)) @ a + beta * xi, z[:, centre] > 0)


def window(k, p, seed, spread=0.4):
    """``k`` patches that have most in common, like those of a photograph; (k, p) of norms near 1."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(p) + spread * rng.standard_normal((k, p))) / math.sqrt(p)


def moments_over_filters(y, c, hands_on, draws, seed):
    """``E[w T_j]``, (k, p), and ``E[T_j²]``, (k,), each with its standard error; filters drawn, nothing derived."""
    rng = np.random.default_rng(seed)
    w = c * rng.standard_normal((draws, y.shape[1]))
    t = hands_on(w @ y.T, rng.standard_normal(draws))
    t = t.reshape(draws, -1)
    first, second = t.T @ w / draws, (t**2).mean(axis=0)
    first_error = np.sqrt(np.maximum((t**2).T @ w**2 / draws - first**2, 0) / draws)
    return first, first_error, second, (t**2).std(axis=0) / math.sqrt(draws)


def distance(estimate, expected):
    """Relative to the norm of what is expected."""
    return float(np.linalg.norm(estimate - expected) / np.linalg.norm(expected))


# --- one unit ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", [-3.0, -0.7, 0.0, 0.4, 2.0])
@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_deconvnet_moments_against_quadrature(signal, noise):
    def expectation(function):
        def integrand(xi, z):
            value = signal * z * (z > 0) + noise * xi
            return function(z, value) * math.exp(-(z * z + xi * xi) / 2) / (2 * math.pi)

        def least(z):
            return float(np.clip(-signal * z / noise, -12, 12)) if z > 0 else 0.0

        halves = [
            integrate.dblquad(integrand, low, high, least, 12, epsabs=1e-11, epsrel=1e-9)[0]
            for low, high in ((-12, 0), (0, 12))
        ]
        return sum(halves)

    expected = expectation(lambda z, value: z * value), expectation(lambda z, value: value * value)
    np.testing.assert_allclose(deconvnet_moments(signal, noise), expected, rtol=1e-7, atol=1e-9)
    # Control: with the forward mask it is another law, by what the noise sends through closed units.
    if signal >= 0:
        first, second = guided_moments(signal, noise)
        assert first - expected[0] == pytest.approx(noise / (2 * math.pi), rel=1e-6)
        assert expected[1] - second == pytest.approx(noise**2 / 4, rel=1e-6)


def circle_moments(rule, unit, signal, noise, points=200_000):
    """``E[z T]`` and ``E[T²]`` from the definitions, ``z`` and ``ξ`` on the circle."""
    z, xi = circle(points).T
    v = signal * np.where(z > 0, z, unit.slope * z) + noise * xi
    t = np.where(v > 0, rule.up * v, -rule.down * v) * np.where(z > 0, 1.0, unit.slope if rule.gate else 1.0)
    return on_circle(z * t), on_circle(t**2)


def random_units(count, seed):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        rule = rule_of(*rng.uniform(-1.5, 1.5, 2), bool(rng.integers(2)))
        unit = RELU if rng.random() < 0.3 else LeakyReLU(rng.uniform(-1, 1.5))
        yield rule, unit, 2 * rng.standard_normal(), rng.exponential()


def test_moments_of_any_rule_and_unit_against_quadrature():
    for rule, unit, signal, noise in random_units(60, seed=30):
        first, second = unit_moments(rule, unit, signal, noise)
        expected = circle_moments(rule, unit, signal, noise)
        scale = (signal**2 + noise**2) * max(abs(rule.up), abs(rule.down)) ** 2 * (1 + unit.slope**2)
        assert first == pytest.approx(expected[0], abs=1e-8 * math.sqrt(scale)), (rule, unit)
        assert second == pytest.approx(expected[1], abs=1e-8 * scale), (rule, unit)


def test_moments_of_any_rule_and_unit_against_monte_carlo():
    rng, draws, wrong = np.random.default_rng(31), 100_000, 0
    for rule, unit, signal, noise in random_units(30, seed=32):
        z = rng.standard_normal(draws)
        t = rule.backward(signal * unit.forward(z) + noise * rng.standard_normal(draws), z, unit)
        law, other = (unit_moments(rule, kind, signal, noise) for kind in (unit, LeakyReLU(unit.slope + 0.3)))
        for sample, expected, control in zip((z * t, t**2), law, other, strict=True):
            error = sample.std(ddof=1) / math.sqrt(draws)
            assert abs(sample.mean() - expected) < 4.5 * error, (rule, unit)
            wrong += abs(sample.mean() - control) > 4.5 * error
    # Control: a neighbouring slope.
    assert wrong > 30


def test_what_has_no_mean_is_exactly_zero():
    noise = np.array([1e-200, 0.3, 1.0, 7e150])
    for slope in (0.0, 0.2, -0.7, 1.0, 3.0):
        for rule in (Rule.SALIENCY, Rule.DECONVNET, Rule.LINEAR, OTHERS[1], rule_of(0.3, -0.3, True)):
            first, second = unit_moments(rule, LeakyReLU(slope), 0.0, noise)
            assert not first.any(), (rule, slope)
            half = noise**2 * (rule.up**2 + rule.down**2) / 4
            np.testing.assert_allclose(second, half * (1 + rule.shut(LeakyReLU(slope)) ** 2), rtol=1e-14)


@pytest.mark.parametrize("ratio", [1e-12, 1e-6, 1e6, 1e12])
def test_moments_at_extreme_angles(ratio):
    """Next to no noise, or next to nothing else: first order in the smaller one."""
    for rule in (Rule.GUIDED, OTHERS[2], rule_of(0.2, 1.1, True)):
        unit = LeakyReLU(0.2)
        first, second = unit_moments(rule, unit, 1.0, ratio)
        if ratio < 1:  # E[ζT] and E[T²] of T = up·ζ above 0 and down·a·|ζ| below, times the gate
            slope = (rule.up - rule.shut(unit) * rule.down * unit.slope) / 2
            energy = (rule.up**2 + (rule.shut(unit) * rule.down * unit.slope) ** 2) / 2
        else:
            slope = (1 - rule.shut(unit)) * (rule.up + rule.down) * ratio / (2 * math.pi)
            energy = (1 + rule.shut(unit) ** 2) * (rule.up**2 + rule.down**2) * ratio**2 / 4
        small = 10 * min(ratio, 1 / ratio)
        assert first == pytest.approx(slope, rel=small)
        assert second == pytest.approx(energy, rel=small)


def test_deconvnet_moments_by_stein_and_by_scaling():
    signal = np.array([-5.0, -1.0, 0.0, 0.3, 2.0, 50.0])
    noise = np.array([1.0, 2.0, 1.0, 2.0, 0.5, 0.1])
    # E[∂T/∂z]: the slope α where both are positive, whose probability is Sheppard's.
    both = 0.25 + np.arcsin(signal / np.hypot(signal, noise)) / (2 * math.pi)
    first, second = deconvnet_moments(signal, noise)
    np.testing.assert_allclose(first, signal * both, rtol=1e-12)
    scaled = deconvnet_moments(1e100 * signal, 1e100 * noise)
    np.testing.assert_allclose(scaled[0], 1e100 * first, rtol=1e-14)
    np.testing.assert_allclose(scaled[1], 1e200 * second, rtol=1e-14)
    # Without noise T = α z where both are positive: half of α and of α², or nothing.
    np.testing.assert_allclose(
        deconvnet_moments(np.array([3.0, -3.0]), 0.0), [[1.5, 0], [4.5, 0]], atol=1e-14
    )


@pytest.mark.parametrize("cosine", [-1.0, -0.8, -0.1, 0.0, 0.5, 0.99, 1.0])
def test_arc_cosine_against_quadrature(cosine):
    """On the circle, with ``E[σ(a)²] = 1/2``."""
    u = circle(200_000)
    a, b = u[:, 0], cosine * u[:, 0] + math.sqrt(1 - cosine**2) * u[:, 1]
    expected = 2 * on_circle(np.maximum(a, 0) * np.maximum(b, 0))
    assert arc_cosine(np.array(cosine)) == pytest.approx(expected, abs=1e-9)
    # Rounding may leave a cosine above 1.
    assert arc_cosine(np.array(cosine * (1 + 1e-12))) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("mean", [-4.0, -0.5, 0.0, 1.0, 6.0])
@pytest.mark.parametrize("std", [0.2, 1.0, 3.0])
def test_rectified_normal_against_quadrature(mean, std):
    law = stats.norm(mean, std)
    low, high = max(0.0, mean - 12 * std), max(0.0, mean) + 12 * std
    expected = [
        integrate.quad(lambda v, k=k: v**k * law.pdf(v), low, high, epsabs=1e-13)[0] for k in range(3)
    ]
    np.testing.assert_allclose(
        rectified_normal(np.array(mean), np.array(std)), expected, rtol=1e-8, atol=1e-12
    )


def test_rectified_normal_without_noise():
    moments = rectified_normal(np.array([-2.0, 0.0, 3.0]), np.zeros(3))
    np.testing.assert_array_equal(moments, [[0, 0, 1], [0, 0, 3], [0, 0, 9]])


# --- the rule of points ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [1, 2, 4, 9, 18, 25])
def test_normals_are_whitened_mirrored_and_cannot_be_written(dimension):
    u = normals(dimension)
    assert u.shape == (POINTS, dimension)
    np.testing.assert_allclose(u.T @ u / POINTS, np.eye(dimension), atol=1e-12)
    np.testing.assert_allclose(u[POINTS // 2 :], -u[: POINTS // 2], rtol=1e-12, atol=1e-12)
    assert normals(dimension) is u
    with pytest.raises(ValueError, match="read-only"):
        u[0, 0] = 0
    # Not only two moments: E[u⁴] = 3, to half of what it misses for as many independent draws, √(Var u⁴/512), Var u⁴ = 96.
    assert np.sqrt((((u**4).mean(axis=0) - 3) ** 2).mean()) < math.sqrt(96 / POINTS) / 2
    # Control: independent draws have second moments off by about √(2/512).
    drawn = np.random.default_rng(0).standard_normal((POINTS, dimension))
    assert abs((drawn**2).mean(axis=0) - 1).max() > 1e-3


def test_chunks_cover_everything_once():
    for count, work in ((0, 10), (1, 2**30), (1000, 2**14), (64, 2**14)):
        places = [n for part in chunks(count, work) for n in range(count)[part]]
        assert places == list(range(count))
    assert len(list(chunks(1000, 2**14))) == math.ceil(1000 / 64)


def test_factors_of_regular_matrices():
    y = np.random.default_rng(1).standard_normal((20, 4, 6)) * np.array([1.0, 2.0, 0.1, 1.0])[:, None]
    gram = y @ y.swapaxes(1, 2)
    root, inverse = factors(gram)
    np.testing.assert_allclose(root @ root.swapaxes(1, 2), gram, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(
        inverse.swapaxes(1, 2) @ root, np.broadcast_to(np.eye(4), gram.shape), atol=1e-9
    )
    assert (np.diff(np.linalg.norm(root, axis=1)) <= 1e-12).all(), "the largest axis first"


def test_factors_of_singular_indefinite_and_zero_matrices():
    y = np.random.default_rng(2).standard_normal((3, 6))
    y = y[[0, 1, 0, 2, 1]]  # two pairs of equal patches
    gram = y @ y.T
    reached = y @ np.linalg.pinv(y)
    for matrix in (
        gram,
        gram - 1e-9 * (np.eye(5) - reached),
    ):  # the second one as if by rounding, only larger
        root, inverse = (f[0] for f in factors(matrix[None]))
        np.testing.assert_allclose(root @ root.T, gram, atol=1e-8)
        # On what the matrix reaches the one inverts the other; elsewhere nothing comes back but rounding's square root, 1e-8
        # or so, over the floor's.
        np.testing.assert_allclose(inverse @ root.T, reached, atol=1e-4)
        assert abs(inverse).max() <= 1.001 / math.sqrt(1e-7 * np.linalg.eigvalsh(matrix)[-1])
    # A matrix that is far from positive loses its negative part.
    rotation = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]
    indefinite = (rotation * [4.0, 1.0, -2.0]) @ rotation.T
    root, _ = factors(indefinite[None])
    np.testing.assert_allclose(root[0] @ root[0].T, (rotation * [4.0, 1.0, 0.0]) @ rotation.T, atol=1e-12)
    root, inverse = factors(np.zeros((2, 3, 3)))
    assert not root.any()
    np.testing.assert_allclose(inverse @ inverse.swapaxes(1, 2), np.broadcast_to(np.eye(3), (2, 3, 3)))
    # A negative matrix is no different from 0.
    root, inverse = factors(-np.eye(2)[None])
    assert not root.any()
    assert np.isfinite(inverse).all()


def test_small_eigenvalues_count_and_rounding_does_not():
    for least, inverse_size in ((1e-3, 1e-3**-0.5), (4e-12, 4e-12**-0.5), (4e-14, 0.0)):
        root, inverse = factors(np.diag([4.0, least])[None])
        np.testing.assert_allclose(
            sorted(np.linalg.norm(inverse[0], axis=0)), sorted([1 / 2, inverse_size]), rtol=1e-12
        )
        assert root.any(axis=1).sum() == (2 if inverse_size else 1)


# --- the largest of a window -------------------------------------------------------------------------------------


def exchangeable(k, rho):
    """``z_i = √ρ g + √(1−ρ) e_i``: energy of the largest of ``k`` and gap between two windows, on two nested grids."""
    g, m = np.linspace(-8, 8, 401), np.linspace(-9, 9, 801)
    density = k * stats.norm.pdf(m) * stats.norm.cdf(m) ** (k - 1)
    value = np.maximum(math.sqrt(rho) * g[:, None] + math.sqrt(1 - rho) * m, 0)
    first = (value * density).sum(axis=1) * (m[1] - m[0])
    second = (value**2 * density).sum(axis=1) * (m[1] - m[0])
    weight = stats.norm.pdf(g) * (g[1] - g[0])
    return float(second @ weight), float(2 * (second - first**2) @ weight)


def exchangeable_gram(k, rho):
    return (rho + (1 - rho) * np.eye(k))[None]


@pytest.mark.parametrize("k", [2, 4, 9])
@pytest.mark.parametrize("spread", [1.0, 0.1])
def test_largest_of_planar_patches_against_quadrature(k, spread):
    """Two-dimensional patches: Gram matrices of rank 2, and integrals over a circle."""
    rng = np.random.default_rng(4)
    y = np.array([1.0, 0.5]) + spread * rng.standard_normal((8, 2 * k, 2))
    values = np.maximum(circle() @ y.swapaxes(1, 2), 0)
    energy = np.array([on_circle(v[:, :k].max(axis=1) ** 2) for v in values])
    gap = np.array([on_circle((v[:, :k].max(axis=1) - v[:, k:].max(axis=1)) ** 2) for v in values])
    gram = y @ y.swapaxes(1, 2)
    # At 512 points half a percent, and what windows differ by to two percent of that or of their energy.
    assert abs(largest_energy(gram[:, :k, :k]) / energy - 1).max() < 0.008
    assert abs((largest_gap(gram) - gap) / energy).max() < 0.02 * min(1, 10 * spread**2)
    assert abs(largest_energy(gram[:, :k, :k], FINE) / energy - 1).max() < 2e-4
    assert abs((largest_gap(gram, FINE) - gap) / energy).max() < 1e-3
    # Control: the energy of one entry, which is what a window without a maximum has.
    assert (energy / (np.trace(gram[:, :k, :k], axis1=1, axis2=2) / (2 * k)) - 1 > 0.02).all()


@pytest.mark.parametrize("k", [2, 4, 9])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.99])
def test_largest_of_exchangeable_entries(k, rho):
    energy, gap = exchangeable(k, rho)
    gram = exchangeable_gram(2 * k, rho)
    # 512 points, in as many dimensions as there are entries; no two patches of a picture are as different as at 0 and 0.5.
    assert largest_energy(gram[:, :k, :k])[0] == pytest.approx(energy, rel=0.03 if k == 9 else 0.015)
    assert largest_gap(gram)[0] == pytest.approx(gap, abs=0.03 * energy * min(1, 10 * (1 - rho)))
    assert largest_energy(gram[:, :k, :k], FINE)[0] == pytest.approx(energy, rel=2e-3)
    assert largest_gap(gram, FINE)[0] == pytest.approx(gap, abs=4e-3 * energy * min(1, 5 * (1 - rho)))
    if (
        k == 2 and rho == 0
    ):  # 1/4 both positive and 1/(2π) for the larger, 1/2 that one is, 1/2 its square: 3/4 + 1/(2π)
        assert energy == pytest.approx(3 / 4 + 1 / (2 * math.pi), abs=1e-4)
    # Control: one window more, or the energy of one entry.
    assert abs(exchangeable(k + 1, rho)[0] / energy - 1) > 2e-3
    assert abs(0.5 / energy - 1) > 0.02


@pytest.mark.parametrize("k", [2, 4, 9])
def test_the_error_shrinks_with_what_a_window_differs_by(k):
    """Neighbouring patches of a photograph are nearly parallel; that is the case which counts."""
    rng, errors = np.random.default_rng(25), {}
    for spread in (0.03, 10.0):
        y = rng.standard_normal((40, 1, 12)) + spread * rng.standard_normal((40, 2 * k, 12))
        gram = y @ y.swapaxes(1, 2)
        energy, gap = largest_energy(gram[:, :k, :k], 8192), largest_gap(gram, 8192)
        off = largest_energy(gram[:, :k, :k]) - energy, largest_gap(gram) - gap
        errors[spread] = [math.sqrt(((one / energy) ** 2).mean()) for one in off]
    for like, unlike in zip(errors[0.03], errors[10.0], strict=True):
        assert like < unlike / 4
        assert like < 0.002 < unlike < 0.03


def test_largest_against_monte_carlo():
    rng, draws = np.random.default_rng(5), 200_000
    for k in (2, 4, 9):
        y = window(2 * k, 12, seed=k)
        z = np.maximum(rng.standard_normal((draws, 12)) @ y.T, 0)
        first, other = z[:, :k].max(axis=1), z[:, k:].max(axis=1)
        for law, sample in ((largest_energy, first**2), (largest_gap, (first - other) ** 2)):
            gram = y @ y.T if law is largest_gap else y[:k] @ y[:k].T
            error = sample.std() / math.sqrt(draws)
            bias = 0.005 * (first**2).mean()
            assert abs(law(gram[None], FINE)[0] - sample.mean()) < 4.5 * error + bias / 5
            assert abs(law(gram[None])[0] - sample.mean()) < 4.5 * error + 4 * bias
        # Control: a window's energy is not that of its largest patch.
        alone = (y[:k] ** 2).sum(axis=1).max() / 2
        assert (first**2).mean() - alone > 10 * (first**2).std() / math.sqrt(draws)


def test_equal_patches_are_one_patch():
    """Whitened and mirrored points know the second moment of one normal; √rounding is what equal rows differ by."""
    for k in (2, 4, 9):
        gram = np.full((1, 2 * k, 2 * k), 3.0)
        assert largest_energy(gram[:, :k, :k])[0] == pytest.approx(3 / 2, rel=1e-7)
        assert largest_gap(gram)[0] == pytest.approx(0, abs=1e-7)
    assert largest_energy(np.zeros((1, 4, 4)))[0] == 0
    gram = (lambda y: (y @ y.T)[None])(window(4, 6, seed=24))
    np.testing.assert_allclose(largest_energy(7 * gram), 7 * largest_energy(gram), rtol=1e-10)
    np.testing.assert_allclose(largest_gap(7 * gram), 7 * largest_gap(gram), rtol=1e-10)


# --- what a window hands on --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RECTIFYING)
@pytest.mark.parametrize("size", [(2, 2), (2, 1), (3, 3)])
def test_pooled_moments_without_signal_are_the_orthant_law(rule, size):
    x, c, beta, pool = picture(18), 0.7, 1.3, MaxPool(size)
    grid = PatchGrid(x.shape, 3, padding=1)
    exact = pooled_mean_map(x, grid, rule, 1, law=Gaussian(beta), pool=pool, filter_std=c, points=8192)
    held = pool.windows(grid.output_shape)
    y = grid.extract(x)[held]
    alpha, noise = np.zeros(len(held)), np.full(len(held), beta)
    errors = []
    for points in (POINTS, 8192):
        coefficients, _ = pooled_moments(c**2 * y @ y.swapaxes(1, 2), alpha, noise, Rule(rule), points=points)
        means = np.zeros((grid.n_patches, grid.patch_size))
        means[held] = c**2 * coefficients @ y
        errors.append(distance(grid.fold(means), exact))
    # Nine entries at 512 points are the hardest integral here.
    assert errors[0] < (0.07 if size == (3, 3) else 0.03)
    assert errors[1] < errors[0] / 3
    # Controls: each position wins as often as any other, and its filter knows only its own patch; the other rule.
    plain = grid.extract(x)
    plain = c * beta / (2 * math.pi * held.shape[1]) * plain / np.linalg.norm(plain, axis=1, keepdims=True)
    assert distance(grid.fold(plain), exact) > 5 * errors[1]
    other, law = RECTIFYING[1 - RECTIFYING.index(rule)], {"law": Gaussian(beta), "filter_std": c}
    assert distance(pooled_mean_map(x, grid, other, 1, pool=pool, **law), exact) > 5 * errors[1]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("alpha", "beta"), [(0.8, 0.5), (2.0, 0.2), (-0.6, 0.5)])
def test_pooled_moments_of_planar_patches_against_quadrature(rule, alpha, beta):
    """Four patches in a plane: a singular Gram matrix, and an integral over a sphere of filters and noise."""
    y, c = window(4, 2, seed=6, spread=0.6), 0.7
    u = sphere()
    w, t = c * u[:, :2], pool_hands_on(rule, c * u[:, :2] @ y.T, u[:, 2], alpha, beta)
    first, second = np.stack([on_sphere(w * column[:, None]) for column in t.T]), on_sphere(t**2)
    law = (c**2 * (y @ y.T)[None], np.array([alpha]), np.array([beta]), Rule(rule))
    b, energy = pooled_moments(*law, points=FINE)
    # Schwarz: a component of E[w T] is at most c √E[T²].
    assert np.linalg.norm(c**2 * b[0] @ y - first) < 0.002 * c * math.sqrt(second.sum())
    assert distance(energy[0], second) < 0.005
    # 512 points miss by less than 512 independent draws would: for degree 4 on the sphere 15 stands for 3.
    b, energy = pooled_moments(*law)
    variance = np.stack([15 * (w**2 * column[:, None] ** 2).mean(axis=0) for column in t.T]) - first**2
    assert np.linalg.norm(c**2 * b[0] @ y - first) < math.sqrt(variance.sum() / POINTS)
    assert np.linalg.norm(energy[0] - second) < math.sqrt(
        (15 * (t**4).mean(axis=0) - second**2).sum() / POINTS
    )


@pytest.mark.parametrize("rule", [*RULES, Rule.LINEAR, *OTHERS], ids=str)
@pytest.mark.parametrize("k", [2, 4])
def test_pooled_moments_against_brute_force(rule, k):
    """Filters drawn in six dimensions; the coefficients of the patches put together give ``E[w T_j]``."""
    y, c, alpha, beta, draws = window(k, 6, seed=7), 0.7, 0.8, 0.5, 200_000
    first, first_error, second, second_error = moments_over_filters(
        y, c, lambda z, xi: pool_hands_on(rule, z, xi, alpha, beta), draws, seed=8
    )
    gram = c**2 * (y @ y.T)[None]
    b, energy = pooled_moments(gram, np.array([alpha]), np.array([beta]), Rule(rule), points=FINE)
    mean = c**2 * b[0] @ y
    assert (abs(mean - first) < 4.5 * first_error + 0.005 * np.linalg.norm(first)).all()
    assert (abs(energy[0] - second) < 4.5 * second_error + 0.005 * np.linalg.norm(second)).all()
    # 512 points miss by less than 512 independent draws would.
    coarse, energy = pooled_moments(gram, np.array([alpha]), np.array([beta]), Rule(rule))
    fewer = math.sqrt(draws / POINTS)
    assert np.linalg.norm(c**2 * coarse[0] @ y - first) < fewer * np.linalg.norm(first_error)
    assert np.linalg.norm(energy[0] - second) < fewer * np.linalg.norm(second_error)
    # Controls: without signal; with what the winner's own patch says alone.
    quiet, _ = pooled_moments(gram, np.zeros(1), np.array([beta]), Rule(rule), points=FINE)
    own = c**2 * np.diagonal(b[0])[:, None] * y
    for wrong in (c**2 * quiet[0] @ y, own):
        assert (abs(wrong - first) / first_error).max() > 15


@pytest.mark.parametrize("rule", RULES)
def test_equal_patches_tie_and_the_first_wins(rule):
    y = window(4, 6, seed=9)
    y[2] = y[1]
    b, second = pooled_moments((y @ y.T)[None], np.array([0.7]), np.array([0.4]), Rule(rule))
    assert not b[0, 2].any()
    assert second[0, 2] == 0
    assert (second[0, [0, 1, 3]] > 0.01).all()
    # The three that are left are a window of three.
    three = np.array([0, 1, 3])
    law = (np.array([0.7]), np.array([0.4]), Rule(rule))
    fine, energy = pooled_moments((y @ y.T)[None], *law, points=FINE)
    other, expected = pooled_moments((y[three] @ y[three].T)[None], *law, points=FINE)
    assert distance(fine[0, three] @ y, other[0] @ y[three]) < 0.01
    assert distance(energy[0, three], expected[0]) < 0.01
    # All four equal: one patch without a pool, exactly but for the jump of the mask at 512 points.
    y[:] = y[0]
    b, second = pooled_moments((y @ y.T)[None], *law)
    assert not b[0, 1:].any()
    assert not second[0, 1:].any()
    if rule != "saliency":
        size = np.linalg.norm(y[0])
        along, energy = CLOSED[rule](0.7 * size, 0.4)
        assert second[0, 0] == pytest.approx(energy, rel=5e-3)
        assert b[0, 0].sum() * size == pytest.approx(along, rel=5e-3)


def test_windows_of_zeros():
    nothing, alpha, beta = np.zeros((1, 4, 4)), np.array([0.7]), np.array([0.4])
    for rule in ("guided", "saliency"):
        b, second = pooled_moments(nothing, alpha, beta, Rule(rule))
        assert not b.any()
        assert not second.any()
    # DeconvNet has no mask: half of the noise's energy, to the first entry, and it knows no filter.
    b, second = pooled_moments(nothing, alpha, beta, Rule.DECONVNET)
    np.testing.assert_allclose(b, 0, atol=1e-12)
    np.testing.assert_allclose(second, [[0.4**2 / 2, 0, 0, 0]], rtol=1e-12)


def test_patches_of_zeros_never_win():
    """A zero patch is not a positive maximum; DeconvNet's closed windows go to the first entry all the same."""
    y = window(3, 5, seed=10)
    y[1] = 0
    for rule in RULES:
        first, first_error, second, second_error = moments_over_filters(
            y, 1.0, lambda z, xi, rule=rule: pool_hands_on(rule, z, xi, 0.5, 0.8), draws=100_000, seed=11
        )
        b, energy = pooled_moments((y @ y.T)[None], np.array([0.5]), np.array([0.8]), Rule(rule), points=FINE)
        assert energy[0, 1] == second[1] == 0
        assert (abs(b[0] @ y - first) < 4.5 * first_error + 0.005 * np.linalg.norm(first)).all()
        assert (abs(energy[0] - second) < 4.5 * second_error + 0.005 * np.linalg.norm(second)).all()


def test_closed_windows_of_deconvnet_go_to_the_first_entry():
    """Two opposite patches cannot both be closed; two equal ones are closed half of the time."""
    y = np.array([[1.0, 0.0], [-1.0, 0.0]])
    _, second = pooled_moments((y @ y.T)[None], np.zeros(1), np.ones(1), Rule.DECONVNET)
    np.testing.assert_allclose(second, [[1 / 4, 1 / 4]], rtol=1e-12)
    _, second = pooled_moments(np.ones((1, 2, 2)), np.zeros(1), np.ones(1), Rule.DECONVNET)
    np.testing.assert_allclose(second, [[1 / 2, 0]], rtol=1e-12)
    # Two orthogonal ones: both closed with probability 1/4, and the second entry wins with 3/8.
    _, second = pooled_moments(np.eye(2)[None], np.zeros(1), np.ones(1), Rule.DECONVNET, points=FINE)
    np.testing.assert_allclose(second, [[5 / 16, 3 / 16]], rtol=5e-3)


@pytest.mark.parametrize("rule", RULES)
def test_degrees_of_pooled_moments(rule):
    """``T`` has degree 1 in ``(α, β)`` together; the patches' scale only changes what ``α`` means."""
    gram = (lambda y: (y @ y.T)[None])(window(4, 6, seed=12))
    alpha, beta = np.array([0.7]), np.array([0.4])
    b, second = pooled_moments(gram, alpha, beta, Rule(rule))
    louder = pooled_moments(gram, 9 * alpha, 9 * beta, Rule(rule))
    np.testing.assert_allclose(louder[0], 9 * b, rtol=1e-10)
    np.testing.assert_allclose(louder[1], 81 * second, rtol=1e-10)
    larger = pooled_moments(25 * gram, alpha / 5, beta, Rule(rule))
    np.testing.assert_allclose(larger[0], b / 5, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(larger[1], second, rtol=1e-10)


def test_many_windows_are_as_many_single_ones():
    """They are worked off in chunks."""
    rng = np.random.default_rng(26)
    y, alpha, beta = rng.standard_normal((1200, 4, 5)), rng.uniform(size=1200), rng.uniform(0.1, 1, 1200)
    gram, some = y @ y.swapaxes(1, 2), [0, 1, 511, 512, 1023, 1024, 1199]
    many = pooled_moments(gram, alpha, beta, Rule.GUIDED)
    units = neighbour_moments(gram, y[:, :, 0], beta, Rule.GUIDED, 2)
    energies, gaps = largest_energy(gram), largest_gap(gram)
    for n in some:
        one = slice(n, n + 1)
        single = pooled_moments(gram[one], alpha[one], beta[one], Rule.GUIDED)
        unit = neighbour_moments(gram[one], y[one, :, 0], beta[one], Rule.GUIDED, 2)
        for all_, alone in ((many, single), (units, unit)):
            for part in range(2):
                np.testing.assert_allclose(all_[part][n], alone[part][0], rtol=1e-9, atol=1e-12)
        assert energies[n] == pytest.approx(largest_energy(gram[one])[0], rel=1e-12)
        assert gaps[n] == pytest.approx(largest_gap(gram[one])[0], rel=1e-12)


# --- what a unit with neighbours hands on ------------------------------------------------------------------------


def neighbourhood(count, p, seed):
    """Neighbouring patches, one of which does not exist, and coefficients of either sign."""
    y = window(count, p, seed)
    y[1] = 0
    return y, 0.1 + 0.3 * np.random.default_rng(seed + 1).standard_normal(count)


@pytest.mark.parametrize("rule", [*RECTIFYING, *OTHERS], ids=str)
@pytest.mark.parametrize("count", [3, 9])
def test_neighbour_moments_against_brute_force(rule, count):
    (y, a), c, beta, centre = neighbourhood(count, 12, seed=13), 0.7, 0.5, count - 1
    first, first_error, second, second_error = moments_over_filters(
        y, c, lambda z, xi: neighbour_hands_on(rule, z, xi, a, beta, centre), draws=200_000, seed=14
    )
    gram = c**2 * (y @ y.T)[None]
    for points, bias in ((POINTS, 0.015), (FINE, 0.001)):
        b, energy = neighbour_moments(gram, a[None], np.array([beta]), Rule(rule), centre, points)
        assert (abs(c**2 * b @ y - first) < 4.5 * first_error + bias * np.linalg.norm(first)).all()
        assert abs(energy - second) < 4.5 * second_error + bias * second
    # Controls: what the unit knows of itself alone, and another unit of the same window.
    alone, _ = neighbour_moments(
        gram, np.where(np.arange(count) == centre, a, 0)[None], np.array([beta]), Rule(rule), centre, FINE
    )
    assert (abs(c**2 * alone @ y - first) / first_error).max() > 10
    if Rule(rule).gate:
        other, _ = neighbour_moments(gram, a[None], np.array([beta]), Rule(rule), 0, FINE)
        assert (abs(c**2 * other @ y - first) / first_error).max() > 10


@pytest.mark.parametrize("rule", RECTIFYING)
def test_neighbour_moments_of_planar_patches_against_quadrature(rule):
    (y, a), c, beta = neighbourhood(5, 2, seed=15), 0.7, 0.5
    u = sphere()
    t = neighbour_hands_on(rule, c * u[:, :2] @ y.T, u[:, 2], a, beta, 2)
    first, second = on_sphere(c * u[:, :2] * t[:, None]), on_sphere(t**2)
    b, energy = neighbour_moments(c**2 * (y @ y.T)[None], a[None], np.array([beta]), Rule(rule), 2, FINE)
    assert distance(c**2 * b[0] @ y, first) < 0.003
    assert energy[0] == pytest.approx(second, rel=0.003)


@pytest.mark.parametrize(
    ("rule", "alpha"),
    [("deconvnet", -0.8), *((rule, alpha) for rule in RECTIFYING for alpha in (0.0, 0.8, 5.0))],
)
def test_a_unit_alone_has_the_closed_form(rule, alpha):
    y, beta, centre = window(9, 12, seed=16), 0.5, 4
    a = np.where(np.arange(9) == centre, alpha, 0.0)
    b, second = neighbour_moments((y @ y.T)[None], a[None], np.array([beta]), Rule(rule), centre)
    size = np.linalg.norm(y[centre])
    along, energy = CLOSED[rule](alpha * size, beta)
    np.testing.assert_allclose(b[0, centre] * size, along, rtol=0.03, atol=1e-12)
    np.testing.assert_allclose(second[0], energy, rtol=0.03)
    assert not np.delete(b[0], centre).any()
    fine, second = neighbour_moments((y @ y.T)[None], a[None], np.array([beta]), Rule(rule), centre, FINE)
    np.testing.assert_allclose(fine[0, centre] * size, along, rtol=3e-3, atol=1e-12)
    np.testing.assert_allclose(second[0], energy, rtol=3e-3)


def test_a_centre_of_zeros():
    """Guided backpropagation has a strict mask; DeconvNet hears the neighbours all the same."""
    y, a = neighbourhood(5, 6, seed=17)
    gram = (y @ y.T)[None]
    b, second = neighbour_moments(gram, a[None], np.array([0.5]), Rule.GUIDED, 1)
    assert not b.any()
    assert not second.any()
    b, second = neighbour_moments(gram, a[None], np.array([0.5]), Rule.DECONVNET, 1, FINE)
    first, first_error, energy, energy_error = moments_over_filters(
        y, 1.0, lambda z, xi: neighbour_hands_on("deconvnet", z, xi, a, 0.5, 1), draws=100_000, seed=18
    )
    assert (abs(b @ y - first) < 4.5 * first_error + 0.001 * np.linalg.norm(first)).all()
    assert abs(second - energy) < 4.5 * energy_error + 0.001 * energy
    assert np.linalg.norm(first) > 10 * np.linalg.norm(first_error)


# --- inner products ----------------------------------------------------------------------------------------------


SHIFTS = [(0, 0), (0, 1), (1, -1), (2, 0), (-1, -2)]


def inside(plane, row, column):
    return 0 <= row < plane[0] and 0 <= column < plane[1]


def test_inner_products_of_an_image_against_loops():
    x = np.random.default_rng(19).standard_normal((3, 5, 4))
    products = InnerProducts.of_image(x, SHIFTS)
    assert products.shape == (5, 4)
    np.testing.assert_allclose(products.energy, (x**2).sum(axis=0), rtol=1e-14)
    for s in [*SHIFTS, *((-a, -b) for a, b in SHIFTS)]:
        for row in range(5):
            for column in range(4):
                other = row + s[0], column + s[1]
                expected = x[:, row, column] @ x[:, *other] if inside((5, 4), *other) else 0.0
                assert products.at(s)[row, column] == pytest.approx(expected, abs=1e-14)
    # Nothing lies farther away than the picture is large.
    assert not InnerProducts.of_image(x, [(0, 9)]).at((0, 9)).any()


def test_gram_matrices_against_loops():
    x = np.random.default_rng(20).standard_normal((3, 5, 4))
    listed = [(0, 0), (0, 1), (1, 0), (-1, 1)]
    products = InnerProducts.of_image(x, differences(listed))
    gram = products.gram(listed)
    assert gram.shape == (20, 4, 4)
    for position in range(20):
        values = np.zeros((4, 3))
        for n, s in enumerate(listed):
            place = position // 4 + s[0], position % 4 + s[1]
            if inside((5, 4), *place):
                values[n] = x[:, *place]
        np.testing.assert_allclose(gram[position], values @ values.T, atol=1e-14)
    at = np.array([7, 0, 19])
    np.testing.assert_array_equal(products.gram(listed, np.divmod(at, products.shape[1])), gram[at])


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 1), ((2, 3), (2, 1), (1, 2)), (3, (1, 2), 0), (1, 1, 0)]
)
def test_inner_products_of_patches_against_patch_matrices(kernel, stride, padding):
    x = np.random.default_rng(21).standard_normal((2, 8, 7))
    grid = PatchGrid(x.shape, kernel, stride, padding)
    y = grid.extract(x).reshape(*grid.output_shape, -1)
    steps = [(a * grid.stride[0], b * grid.stride[1]) for a, b in SHIFTS]
    products = InnerProducts.of_image(x, steps).of_patches(grid, SHIFTS)
    assert products.shape == grid.output_shape
    for s in [*SHIFTS, *((-a, -b) for a, b in SHIFTS)]:
        expected = np.zeros(grid.output_shape)
        for row, column in np.ndindex(grid.output_shape):
            other = row + s[0], column + s[1]
            if inside(grid.output_shape, *other):
                expected[row, column] = y[row, column] @ y[other]
        np.testing.assert_allclose(products.at(s), expected, atol=1e-13)


def layer_of_filters(x, grid, pool, shifts, filters, batches, seed):
    """Products of activations per filter, in batches: (batches, shifts, H, W); the pool's if there is one."""
    rng, y = np.random.default_rng(seed), grid.extract(x)
    plane = grid.output_shape if pool is None else pool.output_shape(grid.output_shape)
    result = np.zeros((batches, len(shifts), *plane))
    for batch in range(batches):
        activations = np.maximum(rng.standard_normal((filters, y.shape[1])) @ y.T, 0)
        if pool is not None:
            activations = activations[:, pool.windows(grid.output_shape)].max(axis=2)
        activations = activations.reshape(filters, *plane)
        for n, (down, right) in enumerate(shifts):
            for row, column in np.ndindex(plane):
                if inside(plane, row + down, column + right):
                    here, there = activations[:, row, column], activations[:, row + down, column + right]
                    result[batch, n, row, column] = here @ there / filters
    return result


def test_rectified_products_against_a_wide_layer():
    x = picture(12)
    x[:, :4, :4] = 0  # patches of zeros
    grid, batches = PatchGrid(x.shape, 3, padding=1), 64
    products = InnerProducts.of_image(x, SHIFTS).of_patches(grid, SHIFTS)
    law = products.activated(1.0, SHIFTS, RELU)
    expected = np.stack([law.at(s) for s in SHIFTS])
    drawn = layer_of_filters(x, grid, None, SHIFTS, 250, batches, seed=22)
    error = drawn.std(axis=0, ddof=1) / math.sqrt(batches)
    off = drawn.mean(axis=0) - expected
    assert not expected[error == 0].any()
    # Student's t, at some 600 places at once.
    bound = stats.t(batches - 1).isf(1e-4 / off.size)
    assert (abs(off[error > 0]) < bound * error[error > 0]).all()
    # The error of a layer falls like 1/√n: four times as many filters, a quarter of its mean square.
    wide = drawn.reshape(batches // 4, 4, *drawn.shape[1:]).mean(axis=1)
    squares = [((layer - expected) ** 2).mean(axis=(1, 2, 3)) for layer in (drawn, wide)]
    means = [square.mean() for square in squares]
    shares = [s.std(ddof=1) / math.sqrt(len(s)) / m for s, m in zip(squares, means, strict=True)]
    assert abs(math.log(means[0] / means[1] / 4)) < 3 * math.hypot(*shares) < math.log(4)
    # Controls: the gain; the products of patches themselves, halved.
    np.testing.assert_allclose(
        products.activated(2.5, SHIFTS, RELU).at((0, 1)), 2.5 * law.at((0, 1)), rtol=1e-14
    )
    linear = np.stack([products.at(s) / 2 for s in SHIFTS])[1:]
    wrong = (drawn[:, 1:] - linear).sum(axis=(2, 3))
    assert (abs(wrong.mean(axis=0)) > 10 * wrong.std(axis=0, ddof=1) / math.sqrt(batches)).all()


NEIGHBOURS, FAR = [(0, 0), (0, 1), (1, -1), (1, 0), (1, 1)], [(0, 2), (2, 2), (2, -1), (0, 3)]


@pytest.mark.parametrize("size", [(2, 2), (2, 1), (3, 3)])
def test_pooled_products_against_a_wide_layer(size):
    """Relative to the two windows' sizes: neighbours to a percent or two, what lies farther to a tenth or two."""
    x, pool, batches = picture(16), MaxPool(size), 16
    grid, shifts = PatchGrid(x.shape, 3, padding=1), NEIGHBOURS + FAR
    needed = pool_needs(shifts, pool)
    patches = InnerProducts.of_image(x, needed).of_patches(grid, needed)
    law = patches.pooled(1.0, pool, shifts)
    assert law.shape == pool.output_shape((16, 16))
    drawn = layer_of_filters(x, grid, pool, shifts, 1000, batches, seed=23)
    energy = drawn.mean(axis=0)[0]
    places = pool.windows((16, 16))
    for n, s in enumerate(shifts):
        there = moved(energy, s) > 0
        scale = np.sqrt(energy * moved(energy, s))[there]
        off = (drawn[:, n] - law.at(s))[:, there] / scale
        np.testing.assert_array_equal(law.at(s)[~there], 0)
        noise = (off.std(axis=0, ddof=1) ** 2).mean() / batches
        systematic = math.sqrt(max(0, (off.mean(axis=0) ** 2).mean() - noise))
        assert systematic < (0.025 if s in NEIGHBOURS else 0.2), (s, systematic)
        if s == (0, 0):
            continue
        # Control: activations at the same places, their correlation not corrected for the maximum, lie farther off.
        step = s[0] * pool.stride[0], s[1] * pool.stride[1]
        cosine = patches.at(step) / np.sqrt(np.maximum(patches.energy * moved(patches.energy, step), 1e-300))
        plain = arc_cosine(cosine).ravel()[places].mean(axis=1).reshape(energy.shape)[there]
        wrong = math.sqrt(((drawn[:, n][:, there].mean(axis=0) / scale - plain) ** 2).mean())
        assert wrong > (5 if s in NEIGHBOURS else 1.2) * systematic, (s, wrong, systematic)
        np.testing.assert_allclose(law.at((-s[0], -s[1])), moved(law.at(s), (-s[0], -s[1])), rtol=1e-14)


def test_gram_matrices_behind_a_pool_are_nearly_positive():
    """Neighbours come from gaps, so that rounding and quadrature leave no negative eigenvalue of any size."""
    x, pool = picture(16), MaxPool(2)
    grid, listed = PatchGrid(x.shape, 3, padding=1), [(0, 0), (0, 1), (1, 0), (1, 1)]
    needed = pool_needs(differences(listed), pool)
    law = InnerProducts.of_image(x, needed).of_patches(grid, needed).pooled(1.0, pool, differences(listed))
    values = np.linalg.eigvalsh(law.gram(listed))
    assert (values[:, 0] > -1e-3 * values[:, -1]).all()


@pytest.mark.parametrize("size", [(2, 2), (3, 3)])
def test_products_of_far_windows_are_corrected_by_what_near_ones_fall_short(size):
    """Not integrated they come nearer to the integrals than without what the maximum takes from the distance."""
    x, pool = picture(16), MaxPool(size)
    far = [(0, 3), (3, 0), (3, -1), (3, 3), (1, 3)]
    grid, shifts = PatchGrid(x.shape, 3, padding=1), [*NEIGHBOURS, *RING, *far]
    needed = pool_needs(shifts, pool)
    patches = InnerProducts.of_image(x, needed).of_patches(grid, needed)
    integrals, law = (
        patches.pooled(1.0, pool, shifts, near) for near in (None, half([*NEIGHBOURS[1:], *RING]))
    )
    corrected, plain = [], []
    for s in far:
        sizes = np.sqrt(law.energy * moved(law.energy, s))
        there = sizes > 0
        wanted = integrals.at(s)[there] / sizes[there]
        corrected.append(law.at(s)[there] / sizes[there] - wanted)
        plain.append(patches._cosine_of_entries(pool, s)[there] - wanted)
    off, without = (np.sqrt((np.concatenate(each) ** 2).mean()) for each in (corrected, plain))
    assert off < 0.6 * without, (off, without)


def test_equal_windows_have_equal_products_to_the_last_bit():
    """Of a texture that repeats itself: what corrects far windows is local, and differs at the border."""
    x = np.tile(picture(8), (1, 3, 3))
    grid, pool, far = PatchGrid(x.shape, 3), MaxPool(2), (0, 3)
    shifts = [*NEIGHBOURS, *RING, far]
    needed = pool_needs(shifts, pool)
    patches = InnerProducts.of_image(x, needed).of_patches(grid, needed)
    law = patches.pooled(1.0, pool, shifts, half([*NEIGHBOURS[1:], *RING]))
    for plane in (law.energy, law.at((0, 1)), law.at((1, 1)), law.at(far)):
        np.testing.assert_array_equal(plane[:4, :4], plane[4:8, :4])
        np.testing.assert_array_equal(plane[:4, :4], plane[:4, 4:8])
