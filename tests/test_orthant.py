import math

import numpy as np
import pytest
from scipy import integrate, stats

from theorylab.analytic import orthant, orthant_moments


def equicorrelated(k, rho):
    return np.full((k, k), rho) + (1 - rho) * np.eye(k)


def random_rows(k, p, seed):
    rows = np.random.default_rng(seed).standard_normal((k, p)) + 0.4
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def one_factor(k, rho):
    """``∫ Φ(t √(ρ/(1−ρ)))^k φ(t) dt``: given the common factor the coordinates are independent."""
    slope = math.sqrt(rho / (1 - rho))
    return integrate.quad(
        lambda t: stats.norm.cdf(slope * t) ** k * stats.norm.pdf(t), -12, 12, epsabs=1e-13, limit=200
    )[0]


def arc(rows):
    """Directions of the plane, finely, and which of them satisfy every row."""
    angles = np.linspace(0, 2 * math.pi, 400_001)[:-1]
    holds = (np.stack([np.cos(angles), np.sin(angles)], axis=1) @ rows.T > 0).all(axis=1)
    return angles, holds


@pytest.mark.parametrize("k", range(9))
def test_the_least_of_k_plus_one(k):
    # z_i = g_i − g_0 has correlations ½, and all are positive where g_0 is the least of k + 1 independent normals.
    value, error = orthant.orthant_probability_with_error(equicorrelated(k, 0.5))
    assert abs(value - 1 / (k + 1)) <= error + 1e-14
    assert error <= (0 if k < 4 else 1e-12 if k < 6 else 5e-5)


@pytest.mark.parametrize("rho", [0.05, 0.3, 0.8, 0.97])
@pytest.mark.parametrize("k", [2, 3, 4, 5, 6, 8])
def test_one_common_factor(k, rho):
    value, error = orthant.orthant_probability_with_error(equicorrelated(k, rho))
    assert abs(value - one_factor(k, rho)) <= error + 1e-10


@pytest.mark.parametrize(("k", "p"), [(2, 2), (3, 3), (4, 4), (4, 9), (5, 5), (6, 6), (7, 9)])
def test_scipy(k, p):
    rows = random_rows(k, p, 10 * k + p)
    matrix = rows @ rows.T
    value, error = orthant.orthant_probability_with_error(matrix)
    reference = stats.multivariate_normal(cov=matrix, seed=1, maxpts=10**6, abseps=1e-7, releps=0).cdf(
        np.zeros(k)
    )
    assert abs(value - reference) <= error + 1e-5
    assert orthant.orthant_probability(matrix) == value


@pytest.mark.parametrize(("k", "p"), [(4, 4), (4, 2), (5, 3), (6, 4), (8, 3), (9, 9)])
def test_simulation_also_where_singular(k, p):
    rows = random_rows(k, p, 100 * k + p)
    value, error = orthant.orthant_probability_with_error(rows @ rows.T)
    n = 400_000
    share = (np.random.default_rng(1).standard_normal((n, p)) @ rows.T > 0).all(axis=1).mean()
    scatter = math.sqrt(max(value * (1 - value), 1 / n) / n)
    assert abs(share - value) <= 4 * math.hypot(scatter, error / 3), (share, value, scatter, error)


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6, 8])
def test_rows_in_a_plane(k):
    # A cone of the plane has the probability of its arc: exact, and singular from three rows on.
    turns = np.linspace(-0.4, 0.7, k)
    rows = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    value, error = orthant.orthant_probability_with_error(rows @ rows.T)
    expected = (math.pi - (turns[-1] - turns[0])) / (2 * math.pi)
    assert abs(value - expected) <= error + (1e-14 if k < 6 else 1e-4)


def test_correlations_of_one():
    assert orthant.orthant_probability(np.ones((6, 6))) == 0.5
    opposite = np.eye(6)
    opposite[0, 5] = opposite[5, 0] = -1
    assert orthant.orthant_probability_with_error(opposite) == (0.0, 0.0)
    twice = np.repeat(np.repeat(equicorrelated(4, 0.5), 2, axis=0), 2, axis=1)
    assert orthant.orthant_probability(twice) == pytest.approx(1 / 5, abs=1e-12)
    rounded = np.array([[1, 1 - 1e-16], [1 - 1e-16, 1]])
    assert orthant.orthant_probability(rounded) == 0.5


@pytest.mark.parametrize("k", range(2, 8))
def test_opposite_coordinates_are_never_positive_together(k):
    """Exactly: no quadrature, whose error would be about 1e-16, and no points."""
    for seed in range(5):
        rows = random_rows(k, 8, seed)
        rows[-1] = -rows[0]
        assert orthant.orthant_probability_with_error(rows @ rows.T) == (0.0, 0.0)


@pytest.mark.parametrize("k", [2, 3])
def test_closed_form_needs_no_merging(k):
    matrix = np.ones((k, k))
    assert orthant.closed_orthants(matrix) == pytest.approx(0.5)
    matrix[0, 1:] = matrix[1:, 0] = -1
    assert orthant.closed_orthants(matrix) == 0


def test_many_at_once():
    for k in range(4):
        matrices = np.stack([(rows := random_rows(k, 4, seed)) @ rows.T for seed in range(8)])
        expected = [orthant.orthant_probability(matrix) for matrix in matrices]
        np.testing.assert_allclose(orthant.closed_orthants(matrices), expected, rtol=0, atol=1e-15)
    matrices = np.stack([(rows := random_rows(5, 7, seed)) @ rows.T for seed in range(8)])
    expected = [orthant.orthant_probability(matrix) for matrix in matrices]
    np.testing.assert_allclose(orthant.small_orthants(matrices)[0], expected, rtol=0, atol=1e-15)


def test_the_error_falls_with_the_points():
    matrix = equicorrelated(8, 0.3)
    errors = [orthant.orthant_probability_with_error(matrix, points=2**k)[1] for k in (6, 10, 14)]
    # Quasi-random: faster than the −½ of a simulation, which would give factors of 4.
    assert errors[1] < errors[0] / 6
    assert errors[2] < errors[1] / 6


def test_negative_control_of_the_tolerances():
    # A correlation that is wrong by 0.001 moves the probability by far more than the error that is claimed.
    value, error = orthant.orthant_probability_with_error(equicorrelated(8, 0.301))
    assert abs(value - one_factor(8, 0.3)) > 5 * error


@pytest.mark.parametrize(
    ("matrix", "match"),
    [
        (np.ones(3), "expected"),
        (np.ones((2, 3)), "expected"),
        ([[1, 0.2], [0.3, 1]], "not symmetric"),
        ([[2, 0], [0, 1]], "diagonal"),
        ([[1, 0], [0, 0]], "coordinate 1 has no variance"),
        ([[1, 0.9, 0], [0.9, 1, 0.9], [0, 0.9, 1]], "negative eigenvalue"),
        ([[1, 1.1], [1.1, 1]], "negative eigenvalue"),
        ([[1, np.nan], [np.nan, 1]], "not finite"),
    ],
)
def test_what_is_no_correlation_matrix(matrix, match):
    with pytest.raises(ValueError, match=f"^correlation: .*{match}"):
        orthant.orthant_probability(matrix)


def test_dimensions_without_a_closed_form():
    with pytest.raises(ValueError, match=r"^correlations: "):
        orthant.closed_orthants(np.eye(4))
    with pytest.raises(ValueError, match=r"^correlations: "):
        orthant.closed_orthants(np.ones(3))
    with pytest.raises(ValueError, match=r"^correlations: "):
        orthant.small_orthants(np.eye(6)[None])
    with pytest.raises(TypeError, match=r"^points: "):
        orthant.orthant_probability_with_error(np.eye(2), points=2.5)
    five = np.ones((1, 5, 5))
    for function in (orthant_moments.orthant_mean, orthant_moments.orthant_second_moment):
        with pytest.raises(ValueError, match=r"^rows: "):
            function(five, np.ones((1, 5), dtype=bool))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_moments_in_the_plane(k, seed):
    # Direction and length are independent: E|w| = √(π/2), E|w|² = 2, times integrals over the arc.
    rows = np.random.default_rng(seed).normal([1.5, 0], 1, (k, 2))
    angles, holds = arc(rows)
    direction = np.stack([np.cos(angles), np.sin(angles)]) * holds
    every = np.ones((1, k), dtype=bool)
    mean = orthant_moments.orthant_mean(rows[None], every)[0]
    np.testing.assert_allclose(mean, math.sqrt(math.pi / 2) * direction.mean(axis=1), atol=1e-5)
    second = orthant_moments.orthant_second_moment(rows[None], every)[0]
    expected = 2 * direction @ direction.T / len(angles) - holds.mean() * np.eye(2)
    np.testing.assert_allclose(second, expected, atol=1e-5)
    probability, error = orthant_moments.event_probabilities(rows[None], every)
    assert abs(probability[0] - holds.mean()) <= error[0] + 1e-5


@pytest.mark.parametrize(("k", "p"), [(2, 5), (3, 3), (4, 4), (4, 6), (4, 3)])
def test_moments_by_simulation(k, p):
    rows = random_rows(k, p, k + p)
    every = np.ones((1, k), dtype=bool)
    n = 200_000
    w = np.random.default_rng(5).standard_normal((n, p))
    w *= (w @ rows.T > 0).all(axis=1, keepdims=True)
    z = (w.mean(axis=0) - orthant_moments.orthant_mean(rows[None], every)[0]) / w.std(axis=0) * math.sqrt(n)
    assert abs(z).max() < 4
    products = w[:, :, None] * w[:, None, :]
    expected = orthant_moments.orthant_second_moment(rows[None], every)[0]
    expected = expected + orthant_moments.event_probabilities(rows[None], every)[0] * np.eye(p)
    z = (products.mean(axis=0) - expected) / products.std(axis=0) * math.sqrt(n)
    assert abs(z).max() < 4.5
    # Negative control: rows that are all reversed have the opposite mean.
    reversed_mean = orthant_moments.orthant_mean(-rows[None], every)[0]
    assert (abs(w.mean(axis=0) - reversed_mean) / w.std(axis=0) * math.sqrt(n)).max() > 20


def test_moments_of_rows_that_repeat_oppose_or_do_not_count():
    rows = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [3.0, 0.0, 0.0], [0.0, -2.0, 0.0]])
    counts = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=bool)
    stack = np.broadcast_to(rows, (5, 4, 3))
    means = orthant_moments.orthant_mean(stack, counts)
    half, quarter = 1 / math.sqrt(2 * math.pi), 0.5 / math.sqrt(2 * math.pi)
    expected = [[quarter, quarter, 0], [quarter, quarter, 0], [0, 0, 0], [0, 0, 0], [0, half, 0]]
    np.testing.assert_allclose(means, expected, atol=1e-15)
    probabilities = orthant_moments.event_probabilities(stack, counts)[0]
    np.testing.assert_allclose(probabilities, [0.25, 0.25, 0, 1, 0.5], atol=1e-12)
    second = orthant_moments.orthant_second_moment(stack, counts)
    assert second[0, 0, 1] == pytest.approx(1 / (2 * math.pi))
    np.testing.assert_allclose(second[1], second[0], atol=1e-15)
    np.testing.assert_allclose(second[2:], 0, atol=1e-15)
