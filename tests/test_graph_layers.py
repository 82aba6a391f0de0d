"""Average pooling and batch normalisation: against PyTorch, and against their own adjoints."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import assert_adjoint, dtypes, seeds

from theorylab.layers import average_pool, batch_norm


@st.composite
def windows(draw):
    """A plane, and a window that fits it: unequal sides, remainders, padding, overlap."""
    plane, size, stride, padding = [], [], [], []
    for _ in range(2):
        plane.append(draw(st.integers(1, 8)))
        size.append(draw(st.integers(1, min(4, plane[-1]))))
        stride.append(draw(st.integers(1, 4)))
        padding.append(draw(st.integers(0, size[-1] // 2)))
    return tuple(plane), tuple(size), tuple(stride), tuple(padding)


def torch_pair(function, x, gradient):
    """Value and input gradient of a torch function."""
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(x, requires_grad=True)
    value = function(torch.nn.functional, tensor)
    value.backward(torch.tensor(gradient))
    return value.detach().numpy(), tensor.grad.numpy()


@given(windows(), st.booleans(), dtypes, seeds)
def test_average_pool_is_torchs(window, include_padding, dtype, seed):
    plane, size, stride, padding = window
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 3, *plane)).astype(dtype)
    matrices = average_pool.fixed(plane, size, stride, padding, include_padding=include_padding)
    y = average_pool.forward(x, matrices)
    gradient = rng.standard_normal(y.shape).astype(dtype)
    back = average_pool.backward(gradient, matrices)
    expected, expected_back = torch_pair(
        lambda f, t: f.avg_pool2d(t, size, stride, padding, count_include_pad=include_padding), x, gradient
    )
    close = {"rtol": 0, "atol": 1e-13 if dtype == np.float64 else 1e-5}
    np.testing.assert_allclose(y, expected, **close)
    np.testing.assert_allclose(back, expected_back, **close)
    assert y.dtype == back.dtype == dtype
    assert_adjoint(y, gradient, x, back, 1e-12 if dtype == np.float64 else 1e-5)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    dtypes,
    seeds,
)
def test_adaptive_average_pool_is_torchs(plane, wanted, dtype, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 3, *plane)).astype(dtype)
    gradient = rng.standard_normal((2, 3, *wanted)).astype(dtype)
    matrices = average_pool.adaptive(plane, wanted)
    y, back = average_pool.forward(x, matrices), average_pool.backward(gradient, matrices)
    expected, expected_back = torch_pair(lambda f, t: f.adaptive_avg_pool2d(t, wanted), x, gradient)
    close = {"rtol": 0, "atol": 1e-13 if dtype == np.float64 else 1e-5}
    np.testing.assert_allclose(y, expected, **close)
    np.testing.assert_allclose(back, expected_back, **close)
    assert y.dtype == back.dtype == dtype
    assert_adjoint(y, gradient, x, back, 1e-12 if dtype == np.float64 else 1e-5)


def test_as_many_outputs_as_inputs_is_the_identity():
    x = np.random.default_rng(0).standard_normal((1, 2, 7, 5)).astype(np.float32)
    matrices = average_pool.adaptive((7, 5), (7, 5))
    np.testing.assert_array_equal(average_pool.forward(x, matrices), x)
    np.testing.assert_array_equal(average_pool.backward(x, matrices), x)


@given(st.integers(1, 3), st.integers(1, 4), dtypes, seeds)
def test_batch_norm_is_torchs(batch, channels, dtype, seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    x, gradient = rng.standard_normal((2, batch, channels, 3, 4)).astype(dtype)
    weight, bias, mean = rng.standard_normal((3, channels)).astype(dtype)
    variance = rng.uniform(0, 2, channels).astype(dtype)
    y = batch_norm.forward(x, weight, bias, mean, variance, 1e-3)
    back = batch_norm.backward_input(gradient, weight, variance, 1e-3)
    statistics = [torch.tensor(array) for array in (mean, variance, weight, bias)]
    expected, expected_back = torch_pair(
        lambda f, t: f.batch_norm(t, *statistics, training=False, eps=1e-3), x, gradient
    )
    # The largest scale is 1/√1e-3 = 32 times a weight: float32 keeps five digits of it.
    close = {"rtol": 0, "atol": 1e-11 if dtype == np.float64 else 2e-3}
    np.testing.assert_allclose(y, expected, **close)
    np.testing.assert_allclose(back, expected_back, **close)
    assert y.dtype == back.dtype == dtype
    linear = batch_norm.forward(x, weight, 0 * bias, 0 * mean, variance, 1e-3)
    assert_adjoint(linear, gradient, x, back, 1e-12 if dtype == np.float64 else 1e-5)


def test_bad_input():
    x, one = np.ones((1, 2, 4, 4)), np.ones(2)
    halves = average_pool.fixed((4, 4), 2)
    with pytest.raises(ValueError, match=r"x: expected \(B, C, 4, 4\), got \(2, 4, 4\)"):
        average_pool.forward(x[0], halves)
    with pytest.raises(ValueError, match="size 5 exceeds the height 4"):
        average_pool.fixed((4, 4), 5)
    with pytest.raises(TypeError, match="size"):
        average_pool.fixed((4, 4), 2.0)
    with pytest.raises(ValueError, match=r"gradient: expected \(B, C, 2, 2\), got \(1, 2, 4, 4\)"):
        average_pool.backward(x, halves)
    with pytest.raises(ValueError, match="output_shape: expected at least 1"):
        average_pool.adaptive((4, 4), 0)
    with pytest.raises(ValueError, match=r"gradient: expected \(B, C, 2, 2\), got \(2, 4, 4\)"):
        average_pool.backward(x[0], average_pool.adaptive((4, 4), 2))
    with pytest.raises(ValueError, match=r"x: expected \(B, C, H, W\)"):
        batch_norm.forward(x[0], one, one, one, one)
    with pytest.raises(ValueError, match=r"mean: expected \(2,\), got \(1,\)"):
        batch_norm.forward(x, one, one, one[:1], one)
    with pytest.raises(ValueError, match="variance"):
        batch_norm.backward_input(x, one, -one)
    with pytest.raises(ValueError, match=r"gradient: expected \(B, C, H, W\)"):
        batch_norm.backward_input(x[0], one, one)
