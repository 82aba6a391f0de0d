import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import RULES, assert_adjoint, dtypes, grids, image_with_zeros, seeds
from weight_gradients import bias as bias_gradient
from weight_gradients import conv_weights, dense_weights

from theorylab.layers import conv, dense, unit
from theorylab.model.patches import PatchGrid


def conv_case(grid, seed, dtype=np.float64, n_filters=3):
    rng = np.random.default_rng(seed)
    x = image_with_zeros(rng, (2, *grid.input_shape), dtype)
    weights = rng.standard_normal((n_filters, grid.input_shape[0], *grid.kernel)).astype(dtype)
    gradient = rng.standard_normal((2, n_filters, *grid.output_shape)).astype(dtype)
    return x, weights, rng.standard_normal(n_filters).astype(dtype), gradient


@given(grids(5), dtypes, seeds)
def test_conv_equals_loops(grid, dtype, seed):
    x, weights, bias, gradient = conv_case(grid, seed, dtype)
    close = {"rtol": 0, "atol": 1e-12 if dtype == np.float64 else 1e-4}
    y = conv.forward(x, weights, grid, bias)
    np.testing.assert_allclose(y, naive.conv_forward(x, weights, grid.stride, grid.padding, bias), **close)
    got = (
        conv.backward_input(gradient, weights, grid),
        conv_weights(gradient, x, grid),
        bias_gradient(gradient),
    )
    expected = naive.conv_backward(gradient, x, weights, grid.stride, grid.padding)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, **close)
    assert {array.dtype for array in (y, *got)} == {np.dtype(dtype)}


@given(grids(), seeds)
def test_conv_adjoints(grid, seed):
    x, weights, bias, v = conv_case(grid, seed)
    y = conv.forward(x, weights, grid)
    assert_adjoint(y, v, x, conv.backward_input(v, weights, grid), 1e-12)
    assert_adjoint(y, v, weights, conv_weights(v, x, grid), 1e-12)
    ones = np.zeros_like(y) + bias[:, None, None]
    assert_adjoint(ones, v, bias, bias_gradient(v), 1e-12)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), dtypes, seeds)
def test_dense_adjoints(batch, n_in, n_out, dtype, seed):
    rng = np.random.default_rng(seed)
    x, weights, v = (
        rng.standard_normal(shape).astype(dtype) for shape in ((batch, n_in), (n_out, n_in), (batch, n_out))
    )
    bias, rtol = v[0].copy(), 1e-12 if dtype == np.float64 else 1e-5
    y = dense.forward(x, weights)
    assert y.dtype == dtype
    assert_adjoint(y, v, x, dense.backward_input(v, weights), rtol)
    assert_adjoint(y, v, weights, dense_weights(v, x), rtol)
    assert_adjoint(np.zeros_like(y) + bias, v, bias, bias_gradient(v), rtol)
    np.testing.assert_allclose(
        dense.forward(x, weights, bias), np.einsum("bi,oi->bo", x, weights) + bias, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("rule", RULES)
@given(dtypes, seeds)
def test_relu_equals_loops(rule, dtype, seed):
    rng = np.random.default_rng(seed)
    y, gradient = rng.integers(-2, 3, (2, 3, 4)).astype(dtype), rng.integers(-2, 3, (2, 3, 4)).astype(dtype)
    np.testing.assert_array_equal(unit.forward(y), [[[max(t, 0) for t in b] for b in a] for a in y])
    got = unit.backward(gradient, y, rule)
    assert got.dtype == unit.forward(y).dtype == dtype
    np.testing.assert_array_equal(got, naive.relu_backward(gradient, y, rule))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [((3, 2), (2, 1), (1, 0)), ((2, 4), (3, 2), (0, 2))]
)
def test_gradients_by_autograd(kernel, stride, padding):
    torch = pytest.importorskip("torch")
    grid = PatchGrid((3, 8, 7), kernel, stride, padding)
    x, weights, bias, gradient = conv_case(grid, 5, n_filters=4)
    tensors = [torch.tensor(array, requires_grad=True) for array in (x, weights, bias)]
    hidden = torch.relu(torch.nn.functional.conv2d(*tensors, stride=stride, padding=padding))
    matrix = torch.tensor(
        np.random.default_rng(6).standard_normal((5, hidden[0].numel())), requires_grad=True
    )
    offset = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    out = torch.nn.functional.linear(hidden.flatten(1), matrix, offset)
    seed = np.random.default_rng(7).standard_normal(out.shape)
    out.backward(torch.tensor(seed))

    y = conv.forward(x, weights, grid, bias)
    flat = unit.forward(y).reshape(2, -1)
    np.testing.assert_allclose(dense.forward(flat, matrix.detach().numpy()), out.detach(), atol=1e-10)
    upstream = dense.backward_input(seed, matrix.detach().numpy()).reshape(y.shape)
    signal = unit.backward(upstream, y, "saliency")
    assert gradient.shape == signal.shape
    for got, tensor in (
        (conv.backward_input(signal, weights, grid), tensors[0]),
        (conv_weights(signal, x, grid), tensors[1]),
        (bias_gradient(signal), tensors[2]),
        (dense_weights(seed, flat), matrix),
        (bias_gradient(seed), offset),
    ):
        np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=0, atol=1e-10)


def bad(name, call, *arguments):
    with pytest.raises(ValueError, match=f"^{name}: "):
        call(*arguments)


def test_shapes_that_do_not_fit():
    grid = PatchGrid((2, 4, 4), 2)
    x, weights, bias, gradient = conv_case(grid, 0)
    bad("x", conv.forward, x[0], weights, grid)
    bad("x", conv.forward, x[:, :1], weights, grid)
    bad("weights", conv.forward, x, weights[..., :1], grid)
    bad("bias", conv.forward, x, weights, grid, bias[:2])
    bad("gradient", conv.backward_input, gradient[:, :2], weights, grid)
    bad("gradient", conv.backward_input, gradient[..., :2], weights, grid)
    matrix = np.ones((3, 4))
    bad("x", dense.forward, np.ones((2, 5)), matrix)
    bad("weights", dense.forward, np.ones((2, 4)), np.ones(4))
    bad("bias", dense.forward, np.ones((2, 4)), matrix, np.ones(4))
    bad("gradient", dense.backward_input, np.ones((2, 4)), matrix)
    bad("unknown rule 'relu'", unit.backward, x, x, "relu")
