import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from theorylab.display import min_max, shades, to_rgb, unit_norm

stacks = st.sampled_from(("float32", "float64")).flatmap(
    lambda kind: hnp.arrays(kind, (2, 3, 2, 2), elements=st.floats(-100, 100, width=32))
)


@given(stacks)
def test_unit_norm(maps):
    scaled = unit_norm(maps)
    assert scaled.dtype == maps.dtype
    for one, raw in zip(scaled, maps, strict=True):
        norm = np.linalg.norm(one.astype(np.float64))
        assert norm == pytest.approx(1 if raw.any() else 0, rel=1e-5)
        assert np.vdot(one.astype(float), raw.astype(float)) == pytest.approx(
            np.linalg.norm(raw.astype(float)), rel=1e-5, abs=1e-44
        )


@given(stacks)
def test_min_max(maps):
    scaled = min_max(maps)
    assert scaled.dtype == maps.dtype
    for one, raw in zip(scaled, maps, strict=True):
        if np.ptp(raw) > 1e-5 * np.abs(raw).max():
            assert (one.min(), one.max()) == (0, 1)
            expected = (raw.astype(float) - raw.min()) / (float(raw.max()) - float(raw.min()))
            np.testing.assert_allclose(one, expected, atol=0.03 if maps.dtype == np.float32 else 1e-9)


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_extreme_sizes(size):
    raw = np.array([[[3.0, -4.0]]])
    np.testing.assert_allclose(unit_norm(size * raw), raw / 5)
    np.testing.assert_allclose(min_max(size * raw), [[[1, 0]]])
    np.testing.assert_allclose(shades(size * raw), [[[1, 0]]])


def test_flat_maps_stay_flat():
    zero, constant = np.zeros((1, 2, 2)), np.full((1, 2, 2), 3.0)
    for function in (unit_norm, min_max):
        assert function(zero).tolist() == zero.tolist()
    assert min_max(constant).tolist() == zero.tolist()
    np.testing.assert_allclose(unit_norm(constant), 0.5)


@pytest.mark.parametrize("flat", [np.zeros((1, 2, 2)), np.full((1, 2, 2), 3.0)])
def test_a_picture_of_a_flat_map_is_mid_grey(flat):
    assert (shades(flat) == 0.5).all()
    assert (to_rgb(flat) == 128).all()


@given(stacks)
def test_shades(maps):
    for raw in maps:
        shown = shades(raw)
        assert shown.dtype == np.float64
        if np.ptp(raw) > 1e-5 * np.abs(raw).max():
            np.testing.assert_allclose(shown, min_max(raw.astype(float)), atol=1e-9)
        own = (float(raw.min()), float(raw.max()))
        assert shades(raw, own).tolist() == shown.tolist()


def test_shades_on_a_given_span():
    raw = np.array([[[-1.0, 0.0, 3.0]]])
    np.testing.assert_allclose(shades(raw, (-4.0, 4.0)), [[[0.375, 0.5, 0.875]]])
    assert shades(raw, (0.0, 2.0)).tolist() == [[[0, 0, 1]]]  # what is beyond is cut
    zero = np.zeros((1, 1, 1))
    assert shades(zero, (-1.0, 3.0)).item() == 0.25  # where the zero of the others is
    np.testing.assert_allclose(shades(1e300 * raw, (-1.7e308, 1.7e308)), 0.5, atol=1e-7)


def test_channels_and_pixels_share_one_scale():
    raw = np.array([[[0.0]], [[1.0]], [[4.0]]])
    assert min_max(raw).ravel().tolist() == [0, 0.25, 1]
    assert to_rgb(raw).tolist() == [[[0, 64, 255]]]  # 255 / 4 = 63.75


def test_to_rgb_layout():
    raw = np.arange(24.0).reshape(3, 2, 4)
    picture = to_rgb(raw)
    assert (picture.shape, picture.dtype) == ((2, 4, 3), np.uint8)
    assert picture[1, 2].tolist() == [round(255 * raw[c, 1, 2] / 23) for c in range(3)]
    grey = to_rgb(raw[:1])
    assert grey.shape == (2, 4, 3)
    assert (grey[..., 0] == grey[..., 2]).all()
    assert grey.max() == 255
    grey[:] = 0  # writable, as savers want it


def test_integers_become_floats():
    assert unit_norm(np.array([[[3, 4]]])).tolist() == [[[0.6, 0.8]]]


def test_arguments_are_left_alone():
    raw = np.array([[[3.0, -4.0]]])
    for function in (unit_norm, min_max, shades, to_rgb):
        function(raw)
    assert raw.tolist() == [[[3, -4]]]


@pytest.mark.parametrize("function", [unit_norm, min_max, shades, to_rgb])
def test_bad_maps(function):
    with pytest.raises(ValueError, match="map: not finite at index"):
        function(np.array([[[1.0, np.nan]]]))
    with pytest.raises(ValueError, match="map: expected"):
        function(np.ones((2, 2)))
    with pytest.raises(TypeError, match=r"(maps|image): expected real numbers"):
        function(np.ones((1, 2, 2), complex))


def test_to_rgb_wants_one_or_three_channels():
    with pytest.raises(ValueError, match="map: expected"):
        to_rgb(np.ones((2, 4, 4)))
