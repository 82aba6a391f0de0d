"""Minimal filtering against the explicit im2col layer.  Shapes are small: the file also runs with NUMBA_DISABLE_JIT=1."""

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, seeds

from theorylab import kernels, layers
from theorylab.kernels import conv, winograd
from theorylab.model.patches import PatchGrid


@st.composite
def shapes(draw, largest=9):
    """(B, C, N, H, W, padding) of a convolution of 3×3: odd sides, sides below a tile, planes of one output."""
    padding = draw(st.integers(0, 2))
    height, width = (draw(st.integers(max(1, 3 - 2 * padding), largest)) for _ in range(2))
    batch, channels, filters = (draw(st.integers(1, 3)) for _ in range(3))
    return batch, channels, filters, height, width, padding


def drawn(shape, dtype, seed):
    batch, channels, filters, height, width, padding = shape
    rng = np.random.default_rng(seed)
    grid = PatchGrid((channels, height, width), 3, padding=padding)
    x = rng.standard_normal((batch, channels, height, width)).astype(dtype)
    weights = rng.standard_normal((filters, channels, 3, 3)).astype(dtype)
    bias = rng.standard_normal(filters).astype(dtype)
    gradient = rng.standard_normal((batch, filters, *grid.output_shape)).astype(dtype)
    return grid, x, weights, bias, gradient


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """Small layers too, in chunks of one row of tiles and blocks of two filters."""
    monkeypatch.setattr(winograd, "worth_it", lambda *sizes: True)


@pytest.mark.parametrize("few_filters", [0, 10**9])
@given(shape=shapes(), dtype=dtypes, seed=seeds)
def test_is_the_convolution(few_filters, shape, dtype, seed):
    grid, x, weights, bias, gradient = drawn(shape, dtype, seed)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("_FEW_FILTERS", few_filters),
            ("_FEW_TILES", 1),
            ("_TILE_BYTES", 1),
            ("_CHUNK_TILES", 3),
            ("_BLOCK", 2),
        ):
            patch.setattr(winograd, name, value)
        forward = conv.forward(x, weights, grid, bias)
        backward = conv.backward_input(gradient, weights, grid)
    assert forward.dtype == backward.dtype == dtype
    # Sums of at most 27 products of standard normal numbers, with twice the rounding error of a plain sum.
    atol = 1e-13 if dtype == np.float64 else 6e-5
    np.testing.assert_allclose(forward, layers.conv.forward(x, weights, grid, bias), rtol=0, atol=atol)
    np.testing.assert_allclose(
        backward, layers.conv.backward_input(gradient, weights, grid), rtol=0, atol=atol
    )


@given(shape=shapes(), seed=seeds)
def test_backward_is_the_adjoint(shape, seed):
    grid, x, weights, _, gradient = drawn(shape, np.float64, seed)
    above = np.vdot(conv.forward(x, weights, grid), gradient)
    below = np.vdot(x, conv.backward_input(gradient, weights, grid))
    assert abs(above - below) < 1e-11, (above, below)


@given(shape=shapes(), seed=seeds)
def test_a_shifted_filter_is_seen(shape, seed):
    """The comparison above would notice a filter read in another order."""
    grid, x, weights, bias, _ = drawn(shape, np.float64, seed)
    wrong = conv.forward(x, np.ascontiguousarray(np.roll(weights, 1, axis=-1)), grid, bias)
    assert np.abs(wrong - layers.conv.forward(x, weights, grid, bias)).max() > 1e-6


def test_the_points_recover_a_polynomial():
    """One dimension: values of inputs times values of filters, interpolated, are the correlation; in exact fractions."""
    from fractions import Fraction

    points = [Fraction(0), Fraction(3, 4), -Fraction(3, 4), Fraction(3, 2), -Fraction(3, 2)]
    assert (Fraction(winograd._A), Fraction(winograd._B)) == (points[1], points[3])
    x = np.array([[3.0, -1.0, 4.0, 1.0, -5.0, 9.0]]).T
    g = np.array([[2.0, -7.0, 1.0]]).T
    v, u, y = np.empty((6, 1)), np.empty((6, 1)), np.empty((4, 1))
    winograd._input_values(x, v)
    winograd._filter_values(g, u)
    winograd._outputs(u * v, y)
    np.testing.assert_allclose(y[:, 0], np.correlate(x[:, 0], g[:, 0], "valid"), atol=1e-13)
    factors = [np.prod([p - q for q in points if q != p]) for p in points]
    np.testing.assert_allclose(
        u[:5, 0], [float(sum(c * p**k for k, c in enumerate([2, -7, 1])) / f) for p, f in zip(points, factors, strict=True)]
    )  # fmt: skip


def test_rounding_is_at_most_three_times_that_of_a_sum_in_order():
    """At the size of a layer of VGG-16, against double precision: the points are worth their odd constants."""
    rng = np.random.default_rng(0)
    grid = PatchGrid((64, 8, 8), 3, padding=1)
    x = np.maximum(rng.standard_normal((1, 64, 8, 8)), 0).astype(np.float32)
    weights = (rng.standard_normal((8, 64, 3, 3)) * np.sqrt(2 / (9 * 64))).astype(np.float32)
    exact = layers.conv.forward(x.astype(float), weights.astype(float), grid)
    products = grid.extract(x)[:, None] * weights.reshape(1, 8, 1, -1)  # (1, 8, 64, 576)
    in_order = np.cumsum(products, axis=-1, dtype=np.float32)[..., -1].reshape(exact.shape)
    plain = (in_order - exact).std()
    assert plain > 1e-8
    assert (conv.forward(x, weights, grid) - exact).std() < 3 * plain


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_of_threads_changes_no_bit(dtype, monkeypatch):
    monkeypatch.setattr(winograd, "_FEW_TILES", 4)
    monkeypatch.setattr(winograd, "_TILE_BYTES", 1)
    rng = np.random.default_rng(1)
    for channels, filters in ((3, 5), (5, 130)):  # tile by tile, filter by filter
        grid = PatchGrid((channels, 14, 10), 3, padding=1)
        monkeypatch.setattr(winograd, "_FEW_FILTERS", 64)
        x = rng.standard_normal((2, *grid.input_shape)).astype(dtype)
        weights = rng.standard_normal((filters, channels, 3, 3)).astype(dtype)
        found = []
        for threads in (1, 2, 3):
            with threadpoolctl.threadpool_limits(threads, user_api="blas"):
                out = kernels.conv.forward(x, weights, grid)
                found.append((out.tobytes(), kernels.conv.backward_input(out, weights, grid).tobytes()))
        assert found[0] == found[1] == found[2]
