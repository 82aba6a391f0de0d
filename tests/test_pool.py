import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import assert_adjoint, dtypes, seeds

from theorylab.kernels import pool as compiled
from theorylab.layers import pool as layer
from theorylab.model.pooling import MaxPool

BOTH = pytest.mark.parametrize("module", [layer, compiled], ids=("layer", "kernel"))


@st.composite
def cases(draw, largest=8):
    """A pool and a plane that holds at least one of its windows."""
    size = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    padding = tuple(draw(st.integers(0, side // 2)) for side in size)
    stride = (draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    plane = tuple(
        draw(st.integers(max(1, side - 2 * pad), largest)) for side, pad in zip(size, padding, strict=True)
    )
    return MaxPool(size, stride, padding, draw(st.booleans())), plane


def loops(x, pool):
    """Windows walked one by one; Python's own comparison; the first largest entry."""
    batch, channels, height, width = x.shape
    tops, lefts = (naive.pool_starts(pool, axis, extent) for axis, extent in enumerate((height, width)))
    values = np.zeros((batch, channels, len(tops), len(lefts)), x.dtype)
    winners = np.zeros(values.shape, int)
    for b, c, i, k in np.ndindex(values.shape):
        inside = [
            (row, column)
            for row in range(tops[i], tops[i] + pool.size[0])
            for column in range(lefts[k], lefts[k] + pool.size[1])
            if 0 <= row < height and 0 <= column < width
        ]
        row, column = max(inside, key=lambda place: x[b, c, place[0], place[1]])
        values[b, c, i, k], winners[b, c, i, k] = x[b, c, row, column], row * width + column
    return values, winners


def planes(plane, seed, dtype=np.float64):
    """Small integers, so that ties and windows of zeros abound."""
    return np.maximum(np.random.default_rng(seed).integers(-3, 3, (2, 3, *plane)), 0).astype(dtype)


@BOTH
@given(cases(), dtypes, seeds)
def test_pool_equals_loops(module, case, dtype, seed):
    pool, plane = case
    x = planes(plane, seed, dtype)
    values, winners = module.forward(x, pool)
    expected_values, expected_winners = loops(x, pool)
    np.testing.assert_array_equal(values, expected_values)
    np.testing.assert_array_equal(winners, expected_winners)
    assert (values.dtype, winners.dtype) == (dtype, np.int64)
    assert values.shape[2:] == pool.output_shape(plane)


@BOTH
@given(cases(), seeds)
def test_adjoint(module, case, seed):
    pool, plane = case
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 3, *plane))
    values, winners = module.forward(x, pool)
    v = rng.standard_normal(values.shape)
    # With the choices held fixed the layer is linear, and gives x its own values.
    assert_adjoint(values, v, x, module.backward(v, winners, x.shape), 1e-12)


@given(cases(), dtypes, seeds)
def test_the_twins_agree_bit_by_bit(case, dtype, seed):
    pool, plane = case
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 3, *plane)).astype(dtype)
    x[rng.random(x.shape) < 0.1] = np.nan
    (values, winners), twins = layer.forward(x, pool), compiled.forward(x, pool)
    np.testing.assert_array_equal(twins[0], values)
    np.testing.assert_array_equal(twins[1], winners)
    gradient = rng.standard_normal(values.shape).astype(dtype)
    got = compiled.backward(gradient, winners, plane)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, layer.backward(gradient, winners, plane))


@given(cases())
def test_geometry(case):
    pool, plane = case
    windows = pool.windows(plane)
    assert windows.shape == (np.prod(pool.output_shape(plane)), np.prod(pool.size))
    inside = windows[windows >= 0]
    assert (windows >= 0).any(axis=1).all()
    assert (inside < np.prod(plane)).all()
    if pool.disjoint:
        assert len(set(inside)) == len(inside)
    # Row-major within a window, and a window is a product of a range of rows and one of columns.
    for window in windows:
        own = window[window >= 0]
        assert (np.diff(own) > 0).all()
        rows, columns = set(own // plane[1]), set(own % plane[1])
        assert len(own) == len(rows) * len(columns)


@BOTH
def test_ties_go_to_the_first(module):
    pool = MaxPool(2)
    _, winners = module.forward(np.zeros((1, 1, 4, 4)), pool)
    np.testing.assert_array_equal(winners.ravel(), [0, 2, 8, 10])
    x = np.array([[0.0, 5.0], [5.0, 5.0]]).reshape(1, 1, 2, 2)
    assert module.forward(x, pool)[1].item() == 1
    assert module.forward(np.full((1, 1, 2, 2), -np.inf), MaxPool(2, padding=1))[1].ravel().tolist() == [
        0, 1, 2, 3,
    ]  # fmt: skip


@BOTH
def test_overlapping_windows_add(module):
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = 1
    values, winners = module.forward(x, MaxPool(2, 1))
    assert (winners == 4).all()
    expected = np.zeros((1, 1, 3, 3))
    expected[0, 0, 1, 1] = 1 + 2 + 3 + 4
    gradient = np.arange(1.0, 5.0).reshape(values.shape)
    np.testing.assert_array_equal(module.backward(gradient, winners, (1, 3, 3)), expected)


@BOTH
@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(2, None, 0), (3, 2, 1), ((3, 2), (1, 3), (1, 0)), (9, 1, 4)]
)
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_torch(module, size, stride, padding, ceil_mode):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(3).standard_normal((2, 3, 11, 12))
    pool = MaxPool(size, stride, padding, ceil_mode)
    values, winners = module.forward(x, pool)
    tensor = torch.tensor(x, requires_grad=True)
    expected, indices = torch.nn.functional.max_pool2d(
        tensor, pool.size, pool.stride, pool.padding, ceil_mode=ceil_mode, return_indices=True
    )
    np.testing.assert_array_equal(values, expected.detach().numpy())
    np.testing.assert_array_equal(winners, indices.numpy())
    gradient = np.random.default_rng(4).standard_normal(values.shape)
    expected.backward(torch.tensor(gradient))
    # Up to 81 windows of a 9×9 pool add into one entry, in another order: a few rounding errors.
    np.testing.assert_allclose(
        module.backward(gradient, winners, x.shape), tensor.grad.numpy(), rtol=0, atol=1e-13
    )


def test_pool_arguments():
    pool = MaxPool((2, 3))
    assert (pool.size, pool.stride, pool.padding) == ((2, 3), (2, 3), (0, 0))
    assert MaxPool(2) == MaxPool((2, 2), 2)
    assert len({MaxPool(2), MaxPool(2, 2), MaxPool(2, 1)}) == 2
    assert [MaxPool(2, stride).disjoint for stride in (1, (2, 1), (1, 2), 2, (2, 3))] == [
        False, False, False, True, True,
    ]  # fmt: skip
    for bad in (0, -1, (2, 0), (2, 2, 2)):
        with pytest.raises(ValueError, match=r"^size: "):
            MaxPool(bad)
    for bad in (1.5, "2", True):
        with pytest.raises(TypeError, match=r"^size: "):
            MaxPool(bad)
    with pytest.raises(ValueError, match=r"^stride: "):
        MaxPool(2, 0)
    with pytest.raises(ValueError, match=r"^padding: "):
        MaxPool(3, padding=2)
    with pytest.raises(ValueError, match=r"^pool: size 3 exceeds the width 2"):
        MaxPool(3).output_shape((3, 2))


@BOTH
def test_shapes_that_do_not_fit(module):
    x = np.zeros((1, 2, 4, 4))
    values, winners = module.forward(x, MaxPool(2))
    with pytest.raises(ValueError, match=r"^x: "):
        module.forward(x[0], MaxPool(2))
    with pytest.raises(ValueError, match=r"^gradient: "):
        module.backward(values[0], winners, x.shape)
    with pytest.raises(ValueError, match=r"^winners: expected integers"):
        module.backward(values, winners[:, :1], x.shape)
    with pytest.raises(ValueError, match=r"^winners: expected integers"):
        module.backward(values, winners.astype(float), x.shape)
    for bad in (winners + 16, winners - 11):
        with pytest.raises(ValueError, match=r"^winners: an index"):
            module.backward(values, bad, x.shape)
    for shape in ((4,), (3, 4, 4), (2, 2, 4, 4), (1, 1, 2, 4, 4)):
        with pytest.raises(ValueError, match=r"^input_shape: "):
            module.backward(values, winners, shape)
