import naive
import numpy as np
import pytest
from hypothesis import given
from strategies import assert_adjoint, dtypes, grids, image_with_zeros, seeds

from theorylab.model.patches import PatchGrid


@given(grids(), dtypes, seeds)
def test_extract_and_fold_equal_loops(grid, dtype, seed):
    rng = np.random.default_rng(seed)
    x = image_with_zeros(rng, grid.input_shape, dtype)
    patches = grid.extract(x)
    assert patches.dtype == dtype
    assert patches.shape == (grid.n_patches, grid.patch_size)
    np.testing.assert_array_equal(patches, naive.extract(x, grid.kernel, grid.stride, grid.padding))
    v = rng.integers(-9, 10, patches.shape).astype(dtype)  # small integers: sums are exact in any order
    folded = grid.fold(v)
    assert folded.dtype == dtype
    np.testing.assert_array_equal(
        folded, naive.fold(v, grid.input_shape, grid.kernel, grid.stride, grid.padding)
    )


@given(grids(), seeds)
def test_fold_is_the_adjoint_of_extract(grid, seed):
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal(grid.input_shape), rng.standard_normal((grid.n_patches, grid.patch_size))
    assert_adjoint(grid.extract(u), v, u, grid.fold(v), 1e-13)


def test_the_adjoint_check_can_fail():
    grid, rng = PatchGrid((2, 6, 5), 3), np.random.default_rng(0)
    u, v = rng.standard_normal(grid.input_shape), rng.standard_normal((grid.n_patches, grid.patch_size))
    with pytest.raises(AssertionError, match="<Au, v> = "):
        assert_adjoint(grid.extract(u), v, u, 1.0005 * grid.fold(v), 1e-13)


@given(grids(), seeds)
def test_coverage_is_the_diagonal_of_fold_after_extract(grid, seed):
    x = np.random.default_rng(seed).integers(-9, 10, grid.input_shape).astype(float)
    np.testing.assert_array_equal(grid.fold(grid.extract(x)), grid.coverage * x)
    assert not grid.coverage.flags.writeable


@given(grids(), seeds)
def test_leading_axes(grid, seed):
    x = np.random.default_rng(seed).standard_normal((2, 3, *grid.input_shape))
    patches = grid.extract(x)
    np.testing.assert_array_equal(patches[1, 2], grid.extract(x[1, 2]))
    np.testing.assert_array_equal(grid.fold(patches)[1, 2], grid.fold(patches[1, 2]))


def test_sizes_of_the_paper():
    grid = PatchGrid((3, 224, 224), 7, 2)
    # (224 - 7) // 2 + 1 = 109 and 7 * 7 * 3 = 147
    assert (grid.output_shape, grid.n_patches, grid.patch_size) == ((109, 109), 11881, 147)


def test_fold_gives_a_new_array():
    grid, x = PatchGrid((1, 3, 3), 1), np.ones((1, 3, 3))
    grid.fold(grid.extract(x))[:] = 7
    assert (x == 1).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (((3, 4), 2), ValueError, "input_shape"),
        (((1, 0, 4), 1), ValueError, "input_shape"),
        (((1, 4.0, 4), 1), TypeError, "input_shape"),
        (((1, 4, 4), 0), ValueError, "kernel"),
        (((1, 4, 4), 5), ValueError, "kernel: 5 exceeds the image's height 4"),
        (((1, 9, 4), (2, 7), 1, 1), ValueError, "kernel: 7 exceeds the image's width 4 padded by 1"),
        (((1, 4, 4), 2, 0), ValueError, "stride"),
        (((1, 4, 4), 2, 1, -1), ValueError, "padding"),
        (((1, 4, 4), (1, 2, 3)), ValueError, "kernel"),
        (((1, 4, 4), "22"), TypeError, "kernel"),
        (((1, 4, 4), True), TypeError, "kernel"),
    ],
)
def test_bad_grids(arguments, error, message):
    with pytest.raises(error, match=message):
        PatchGrid(*arguments)


def test_bad_arrays():
    grid = PatchGrid((1, 4, 4), 2)
    with pytest.raises(ValueError, match=r"^x: expected \(\.\.\., 1, 4, 4\)"):
        grid.extract(np.ones((1, 4, 5)))
    with pytest.raises(ValueError, match=r"^patches: expected"):
        grid.fold(np.ones((9, 5)))
