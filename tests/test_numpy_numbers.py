"""A number of NumPy's says the same as Python's, whatever its width: nothing is squared in half precision or eight bits."""

import dataclasses
import inspect
import math
import types
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_arguments import GOOD, NOT_CALLED, OWN, PUBLIC, X, good

import theorylab as tl

GRID = tl.PatchGrid(X.shape, 3)
WIDTHS = (np.float16, np.float32, np.float64, np.longdouble, np.int8, np.int16, np.int32, np.int64, np.uint8)
LAWS = (tl.Gaussian, tl.Uniform, tl.TruncatedGaussian, tl.Constant)
PROBES = (1e-4, 0.3, 0.7, 12, 100)
"""Squares vanish in half precision, are rounded there, and wrap around in eight bits."""
NOT_FED = {"jobs": "starts processes"}
SLOW = ("check", "checking.check", "networks.resnet50", "networks.vgg16")
"""Whose seed is that of all others."""


@st.composite
def numbers(draw):
    """Draw a positive number of NumPy's."""
    width = np.dtype(draw(st.sampled_from(WIDTHS))).type
    if issubclass(width, np.integer):
        return width(draw(st.integers(1, int(np.iinfo(width).max))))
    least = max(float(np.finfo(width).smallest_normal), 1e-140)
    most = min(float(np.finfo(width).max), 1e140)
    return width(math.exp(draw(st.floats(math.log(least) + 1e-3, math.log(most) - 1e-3))))


@given(number=numbers(), law=st.sampled_from(LAWS))
def test_a_law_of_weights_is_that_of_pythons_number(number, law):
    with np.errstate(all="raise"):
        one, other = law(number), law(float(number))
        assert repr(one) == repr(other)
        for name in ("std", "variance", "relu_mean", "relu_second_moment", "excess_kurtosis"):
            assert getattr(one, name, None) == getattr(other, name, None), name
        assert type(getattr(one, "variance", 0.0)) is float


@given(cutoff=numbers())
def test_so_is_where_a_law_is_cut(cutoff):
    one, other = tl.TruncatedGaussian(0.1, cutoff), tl.TruncatedGaussian(0.1, float(cutoff))
    assert repr(one) == repr(other)
    assert one.variance == other.variance


@pytest.mark.parametrize(
    "std", [np.float16(1e-4), np.int8(12), np.int8(100), np.int32(10**5), np.int64(5 * 10**9)]
)
def test_laws_of_maps_do_not_wrap_around(std):
    one, other = (
        tl.law(tl.models.three_layer(GRID, 8, weights=std), X, "guided")
        for std in (tl.Gaussian(std), tl.Gaussian(float(std)))
    )
    assert one.expected_cosine() == other.expected_cosine()
    assert one.class_distance == other.class_distance > 0
    np.testing.assert_array_equal(one.variance, other.variance)


def same(one, other, depth=0):
    """Whether two results are the same numbers, of the same types."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, (float, np.number)):
        return one == other or (one != one and other != other)
    if (
        isinstance(one, (str, bytes, int, type(None), type, types.FunctionType, types.ModuleType))
        or depth > 6
    ):
        return True if depth > 6 or callable(one) else one == other
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(one[key], other[key], depth + 1) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same(a, b, depth + 1) for a, b in zip(one, other, strict=True))
    if isinstance(one, np.random.Generator):
        return one.bit_generator.state == other.bit_generator.state
    if type(one).__module__.partition(".")[0] == "theorylab":
        # Behind an underscore there may be arrays that nothing has been written to.
        public = (
            {key: part for key, part in getattr(each, "__dict__", {}).items() if key[0] != "_"}
            for each in (one, other)
        )
        return same(*public, depth + 1)
    return True


def answer(name, arguments):
    """Return what `name` says to arguments, or of which kind its error is."""
    fresh = {
        key: np.random.default_rng(0)
        for key, one in arguments.items()
        if isinstance(one, np.random.Generator)
    }
    try:
        with np.errstate(all="ignore"):
            result = PUBLIC[name](**arguments | fresh)
            return list(result) if inspect.isgenerator(result) else result
    except Exception as error:
        return Refused(type(error))


@dataclasses.dataclass
class Refused:
    kind: type


def as_numpy(number):
    """Yield a number in each width that can hold it, with Python's number of the same value."""
    for width in WIDTHS:
        if np.can_cast(np.min_scalar_type(number), width) and isinstance(number, float) == (
            np.dtype(width).kind == "f"
        ):
            yield width(number), type(number)(width(number))
            yield np.array(number, width), type(number)(width(number))


def each_as_numpy(numbers):
    """Yield a sequence of numbers, each in a width that can hold it, with Python's."""
    for several in zip(*map(as_numpy, numbers), strict=True):
        if isinstance(several[0][0], np.number):
            yield tuple(type(numbers)(part) for part in zip(*several, strict=True))


def fed():
    """Every parameter that takes a number, with numbers for it."""
    for name, function in PUBLIC.items():
        if name in NOT_CALLED:
            continue
        for parameter in inspect.signature(function).parameters.values():
            usual = OWN.get(name, {}).get(parameter.name, GOOD.get(parameter.name))
            listed = usual if type(usual) in (list, tuple) and usual else [usual]
            if (
                {type(one) for one in listed} <= {int, float}
                and parameter.name not in NOT_FED
                and not (parameter.name == "seed" and name in SLOW)
            ):
                yield name, parameter.name, usual


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "parameter", "usual"), list(fed()))
def test_every_number_may_be_numpys(name, parameter, usual, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in [usual] + [probe for probe in PROBES if type(probe) is type(usual)]:
        known = good(name)
        for value, plain in (each_as_numpy if type(number) in (list, tuple) else as_numpy)(number):
            wanted, given = (answer(name, known | {parameter: one}) for one in (plain, value))
            if isinstance(wanted, Refused):
                continue  # in other words
            if (
                isinstance(value, np.ndarray)
                and isinstance(given, Refused)
                and issubclass(given.kind, TypeError)
            ):
                continue  # an array is not taken for a number everywhere
            assert same(wanted, given), (value, plain, wanted, given)
