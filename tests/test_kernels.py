"""Twins against their specification.  Shapes are small: the file also runs with NUMBA_DISABLE_JIT=1."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from strategies import EVERY_RULE, dtypes, grids, image_with_zeros, seeds

from theorylab import kernels, layers
from theorylab._normal import standard_normal
from theorylab.kernels.columns import gather
from theorylab.kernels.three_layer import backward_signal
from theorylab.model.rules import PAPER, Rule
from theorylab.model.units import LeakyReLU, ReLU
from theorylab.sampling import tiled


@given(grids(5), dtypes, seeds)
def test_patches_bit_by_bit(grid, dtype, seed):
    x = image_with_zeros(np.random.default_rng(seed), grid.input_shape, dtype)
    taps = np.empty((grid.patch_size, grid.n_patches), dtype)
    gather(x, grid.kernel, grid.stride, grid.padding, 0, *grid.output_shape, taps)
    np.testing.assert_array_equal(taps.T, grid.extract(x))


@given(grids(4), dtypes, seeds)
def test_conv_to_rounding(grid, dtype, seed):
    rng = np.random.default_rng(seed)
    x = image_with_zeros(rng, (2, *grid.input_shape), dtype)
    weights = rng.standard_normal((3, grid.input_shape[0], *grid.kernel)).astype(dtype)
    bias = rng.standard_normal(3).astype(dtype)
    gradient = rng.standard_normal((2, 3, *grid.output_shape)).astype(dtype)
    for name, arguments in (
        ("forward", (x, weights, grid)),
        ("forward", (x, weights, grid, bias)),
        ("backward_input", (gradient, weights, grid)),
    ):
        got = getattr(kernels.conv, name)(*arguments)
        expected = getattr(layers.conv, name)(*arguments)
        assert got.dtype == expected.dtype == dtype
        # At most a few hundred terms of order 1.
        atol = 1e-12 if dtype == np.float64 else 2e-4
        np.testing.assert_allclose(got, expected, rtol=0, atol=atol, err_msg=name)


@given(dtypes, seeds)
def test_dense_to_rounding(dtype, seed):
    rng = np.random.default_rng(seed)
    batch, n_in, n_out = rng.integers(1, 9, 3)
    x, gradient = (
        rng.standard_normal((batch, n_in)).astype(dtype),
        rng.standard_normal((batch, n_out)).astype(dtype),
    )
    weights, bias = rng.standard_normal((n_out, n_in)).astype(dtype), rng.standard_normal(n_out).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels.dense, "_BLOCK", 3)
        patch.setattr(kernels.dense, "_BLOCK_BYTES", 1)
        for name, arguments in (
            ("forward", (x, weights)),
            ("forward", (x, weights, bias)),
            ("backward_input", (gradient, weights)),
        ):
            got, expected = (getattr(module.dense, name)(*arguments) for module in (kernels, layers))
            assert got.dtype == expected.dtype == dtype
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13 if dtype == np.float64 else 2e-5)


@given(grids(5), seeds)
def test_tiled_replicate_is_the_network_of_its_weights(grid, seed):
    """The sampler's maps against the explicit layers, with the weights drawn again from the same streams."""
    n_filters, n_readouts = 5, 2
    x = np.random.default_rng(seed).standard_normal(grid.input_shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiled, "_TILE", 2 * n_filters * grid.output_shape[1])  # two rows of patches at a time
        sampler = tiled.TiledSampler(x, grid, n_filters)
    found = sampler.draw(np.random.default_rng(seed), list(PAPER), n_readouts=n_readouts)
    rng = np.random.default_rng(seed)
    filters = rng.standard_normal((grid.patch_size, n_filters), dtype=np.float32)
    step = 2 * grid.output_shape[1]
    starts = range(0, grid.n_patches, step)
    drawn = [[] for _ in range(n_readouts)]
    for start, stream in zip(starts, rng.spawn(len(starts)), strict=True):
        for readout in drawn:
            readout.append(standard_normal(stream, (min(step, grid.n_patches - start), n_filters)))
    weights = filters.T.reshape(n_filters, grid.input_shape[0], *grid.kernel)
    z = layers.conv.forward(x[None].astype(np.float32), weights, grid)
    for r, rule in enumerate(PAPER):
        for t, readout in enumerate(drawn):
            upstream = np.concatenate(readout).T.reshape(z.shape)
            expected = layers.conv.backward_input(layers.unit.backward(upstream, z, rule), weights, grid)[0]
            np.testing.assert_allclose(found[r, t], expected, rtol=0, atol=1e-3, err_msg=f"{rule} {t}")


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -1.5, 2.5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("slope", [0, 0.25, -1, 1])
@pytest.mark.parametrize("rule", EVERY_RULE)
def test_unit_and_signal_on_special_values(rule, slope, dtype):
    unit = LeakyReLU(slope) if slope else ReLU()
    gradient, y = (a.astype(dtype) for a in np.meshgrid(SPECIAL, SPECIAL, indexing="ij"))
    expected = layers.unit.backward(gradient, y, rule, unit)
    got = kernels.unit.backward(gradient, y, rule, unit)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)
    out = np.full_like(gradient, 7)
    assert backward_signal(y, gradient, Rule(rule), out, unit) is out
    np.testing.assert_array_equal(out, expected)
    in_place = gradient.copy()
    np.testing.assert_array_equal(backward_signal(y, in_place, Rule(rule), in_place, unit), expected)
    np.testing.assert_array_equal(kernels.unit.forward(y, unit), layers.unit.forward(y, unit))
    np.testing.assert_array_equal(kernels.unit.backward(gradient, y[0], rule, unit),
                                  layers.unit.backward(gradient, y[0], rule, unit))  # fmt: skip


def test_no_rule_at_all_copies():
    readout = np.array([[-1.0, 2.0]])
    assert backward_signal(-readout, readout, Rule.LINEAR, np.empty((1, 2))).tolist() == [[-1, 2]]


@pytest.mark.parametrize("module", ["conv", "dense", "unit"])
def test_same_names_and_signatures(module):
    specification, twin = getattr(layers, module), getattr(kernels, module)
    twins = [name for name, _ in inspect.getmembers(twin, inspect.isfunction) if hasattr(specification, name)]
    assert "forward" in twins
    for name in twins:
        assert inspect.signature(getattr(twin, name)) == inspect.signature(getattr(specification, name)), name


def test_arguments_that_do_not_fit():
    y = np.ones((2, 3))
    for name, arguments in (
        ("readout", (y, np.ones((2, 3), np.float32))),
        ("pre_activation", (np.ones((3, 2)).T, y)),
        ("readout", (y, np.ones((2, 4)))),
    ):
        with pytest.raises(ValueError, match=f"{name}: expected"):
            backward_signal(*arguments, Rule.GUIDED, np.empty((2, 3)))
