"""Closed form, quadrature and Monte Carlo for the moments of a filter on half-spaces."""

import math

import naive_laws
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from strategies import seeds

from theorylab.analytic import halfspace

ANGLES = (1e-6, 0.03, 0.4, 1.0, math.pi / 2, 2.0, 2.9, math.pi - 1e-6)


def pair_at(angle, p, seed, lengths=(0.3, 40.0)):
    """Two patches of these lengths at this angle, and an orthonormal basis of their plane."""
    basis, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((p, 2)))
    plane = np.array([[1.0, 0.0], [math.cos(angle), math.sin(angle)]])
    y, other = (length * (basis @ arm) for length, arm in zip(lengths, plane, strict=True))
    return y, other, basis


def wedge_moment(low, high, power):
    """``∫∫ r^power (cos φ, sin φ)^⊗(power) N(0, I₂)`` over a wedge of the plane, by quadrature."""

    def entry(*factors):
        def density(r, phi):
            direction = math.prod(math.sin(phi) if f else math.cos(phi) for f in factors)
            return r ** (power + 1) * math.exp(-r * r / 2) / (2 * math.pi) * direction

        return integrate.dblquad(density, low, high, 0, np.inf, epsabs=1e-11, epsrel=1e-10)[0]

    if power == 0:
        return entry()
    if power == 1:
        return np.array([entry(0), entry(1)])
    return np.array([[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]])


def masked_products(y, other, std, seed, n=200_000):
    """Sample mean and standard error of ``w wᵀ 1 1'``, entry by entry."""
    w = std * np.random.default_rng(seed).standard_normal((n, y.size))
    kept = w[(w @ y > 0) & (w @ other > 0)]
    total = kept.T @ kept
    squares = (kept**2).T @ kept**2
    mean = total / n
    return mean, np.sqrt((squares / n - mean**2) / n)


@pytest.mark.parametrize("p", [1, 2, 5, 27])
def test_mean_against_monte_carlo(p):
    std, n = 0.7, 200_000
    rng = np.random.default_rng(p)
    y = 100 * rng.standard_normal(p)
    w = std * rng.standard_normal((n, p))
    masked = w * (w @ y > 0)[:, None]
    errors = masked.std(axis=0, ddof=1) / math.sqrt(n)
    z = (masked.mean(axis=0) - halfspace.mean(y, std=std)) / errors
    assert abs(z).max() < 4.5, z
    # The control: the mean of a filter of twice the variance is refused by the same numbers.
    assert abs((masked.mean(axis=0) - halfspace.mean(y, std=std * math.sqrt(2))) / errors).max() > 20


@pytest.mark.parametrize("direction", [0.0, 0.9, 2.5, 5.0])
def test_mean_and_second_moment_against_quadrature(direction):
    y = 3 * np.array([math.cos(direction), math.sin(direction)])
    wedge = (direction - math.pi / 2, direction + math.pi / 2)
    np.testing.assert_allclose(halfspace.mean(y), wedge_moment(*wedge, 1), atol=1e-9)
    np.testing.assert_allclose(halfspace.second_moment(y), wedge_moment(*wedge, 2), atol=1e-9)


def test_mean_takes_many_patches_and_keeps_a_zero_patch_zero():
    patches = np.array([[[3.0, 4.0], [0.0, 0.0]], [[-1.0, 0.0], [0.0, 1e-150]]])
    expected = np.array([[[0.6, 0.8], [0, 0]], [[-1, 0], [0, 1]]]) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(halfspace.mean(patches), expected, rtol=1e-15)
    np.testing.assert_allclose(halfspace.mean(1e6 * patches, std=2.0), 2 * expected, rtol=1e-15)


def test_second_moment_against_monte_carlo():
    y, std = np.array([1.0, -2.0, 0.5]), 1.5
    mean, errors = masked_products(y, y, std, seed=3)
    matrix = halfspace.second_moment(y, std=std)
    assert abs((mean - matrix) / errors).max() < 4.5
    assert abs((mean - 2 * matrix) / errors).max() > 20
    np.testing.assert_array_equal(matrix, std**2 / 2 * np.eye(3))
    np.testing.assert_array_equal(halfspace.second_moment(np.zeros(3)), np.zeros((3, 3)))


@pytest.mark.parametrize("angle", ANGLES)
def test_pair_matrix_against_quadrature(angle):
    p = 4
    y, other, basis = pair_at(angle, p, seed=7)
    # In the plane the first patch lies at angle 0: both half-spaces leave the wedge (angle − π/2, π/2).
    wedge = (angle - math.pi / 2, math.pi / 2)
    inside = wedge_moment(*wedge, 2)
    probability = wedge_moment(*wedge, 0)
    expected = basis @ inside @ basis.T + probability * (np.eye(p) - basis @ basis.T)
    # cos θ carries an error of 1e-16, hence θ near 0 and π one of 1e-8.
    np.testing.assert_allclose(halfspace.pair_matrix(y, other), expected, atol=3e-8)


@pytest.mark.parametrize("angle", [0.4, 1.0, 2.0, 2.9])
def test_probability_of_the_wedge_is_the_bivariate_normal_orthant(angle):
    """An entry off the plane knows nothing of the masks: its second moment is the wedge's probability."""
    y, other = np.array([1.0, 0, 0]), np.array([math.cos(angle), math.sin(angle), 0])
    correlation = [[1, math.cos(angle)], [math.cos(angle), 1]]
    orthant = stats.multivariate_normal(cov=correlation).cdf([0, 0])
    assert halfspace.pair_matrix(y, other)[2, 2] == pytest.approx(orthant, abs=1e-6)


@pytest.mark.parametrize("angle", [0.03, 0.7, math.pi / 2, 2.5])
def test_pair_matrix_against_monte_carlo(angle):
    y, other, _ = pair_at(angle, 4, seed=11)
    std = 0.6
    mean, errors = masked_products(y, other, std, seed=int(1000 * angle))
    assert abs((mean - halfspace.pair_matrix(y, other, std=std)) / errors).max() < 4.5
    # The control: masks that do not know of each other.
    assert abs((mean - std**2 / 4 * np.eye(4)) / errors).max() > 10


@given(seeds, st.integers(1, 6), st.floats(0, math.pi), st.floats(0.01, 100))
def test_pair_matrix_is_symmetric_positive_and_written_in_another_basis(seed, p, angle, std):
    if p == 1:
        y, other = np.array([2.0]), np.array([3.0 if angle < 1 else -3.0])
    else:
        y, other, _ = pair_at(angle, p, seed)
    matrix = halfspace.pair_matrix(y, other, std=std)
    np.testing.assert_allclose(matrix, std**2 * naive_laws.pair_matrix(y, other), atol=3e-8 * std**2)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-15 * std**2)
    np.testing.assert_allclose(matrix, halfspace.pair_matrix(other, y, std=std), atol=1e-15 * std**2)
    np.testing.assert_allclose(matrix, std**2 * halfspace.pair_matrix(7 * y, other), atol=3e-8 * std**2)
    assert np.linalg.eigvalsh(matrix)[0] >= -3e-8 * std**2


@pytest.mark.parametrize("distance", [1e-1, 1e-3, 1e-5, 0.9e-7, 1.1e-7, 1e-9, 0.0])
def test_limits_of_parallel_and_opposite_patches(distance):
    """Both limits are reached as fast as the angle, through the switch of formula at 1e-7."""
    near, other, _ = pair_at(distance, 3, seed=2)
    tolerance = distance / 2 + 3e-8
    np.testing.assert_allclose(halfspace.pair_matrix(near, other), np.eye(3) / 2, atol=tolerance)
    np.testing.assert_allclose(halfspace.pair_matrix(near, -other), np.zeros((3, 3)), atol=tolerance)


def test_exactly_parallel_opposite_and_zero_patches():
    y = np.array([1.0, 2.0, -2.0])
    np.testing.assert_array_equal(halfspace.pair_matrix(y, 5 * y), np.eye(3) / 2)
    np.testing.assert_array_equal(halfspace.pair_matrix(y, -3 * y), np.zeros((3, 3)))
    for pair in ((y, 0 * y), (0 * y, y), (0 * y, 0 * y)):
        np.testing.assert_array_equal(halfspace.pair_matrix(*pair), np.zeros((3, 3)))


def test_bad_input():
    with pytest.raises(ValueError, match="y, other: expected two patches"):
        halfspace.pair_matrix(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="not finite"):
        halfspace.mean([1.0, np.nan])
    for function in (halfspace.mean, halfspace.second_moment):
        with pytest.raises(ValueError, match="std: expected a finite number above 0"):
            function(np.ones(2), std=0.0)
        with pytest.raises(TypeError, match="expected real numbers"):
            function(np.array([1j, 2]))
