"""Every rule × unit × layer: the law agrees with fresh networks, or refuses by name."""

import dataclasses
import functools
import itertools
import math
import re

import numpy as np
import pytest
import strategies  # noqa: F401 - registers two rules that a user might define
from scipy import stats

import theorylab as tl
from theorylab.model import rules

X = np.random.default_rng(5).standard_normal((2, 6, 6)) + 0.7
X[:, 4:, 4:] = 0  # a patch of zeros
GRID = tl.PatchGrid(X.shape, 3, stride=(2, 1), padding=(1, 0))
UNITS = (tl.ReLU(), tl.LeakyReLU(0.2), tl.LeakyReLU(-0.5))
WIDE = 300


def deep(*layers, **options):
    return lambda unit: tl.Stack(X.shape, layers, unit=unit, **options)


def fan_in(n):
    return math.sqrt(2 / n)


LAYERS = {
    "convolution": lambda unit: tl.models.three_layer(GRID, 12, unit=unit, weights=tl.Gaussian(0.7)),
    "one patch": lambda unit: tl.models.three_layer(tl.PatchGrid(X.shape, X.shape[1:]), 20, unit=unit),
    "two readings": deep(tl.ConvSpec(7, 2, std=1.3), readout=tl.TruncatedGaussian(0.4)),
    "max-pool": lambda unit: tl.models.three_layer(GRID, 12, unit=unit, pool=tl.MaxPool(2)),
    "overlapping max-pool": lambda unit: tl.models.three_layer(GRID, 12, unit=unit, pool=tl.MaxPool(2, stride=1)),
    "biases": lambda unit: tl.models.three_layer(GRID, 12, unit=unit, weights=tl.Gaussian(0.7), bias_std=1.5),
    "max-pool, biases": lambda unit: tl.models.three_layer(GRID, 12, unit=unit, pool=tl.MaxPool(2), bias_std=2.0),
    "dense, deep": deep(*(tl.Dense(WIDE, fan_in(n)) for n in (X.size, WIDE, WIDE))),
    "convolutions, deep": deep(tl.ConvSpec(WIDE, 3, std=fan_in(18)), tl.ConvSpec(WIDE, 2, std=fan_in(4 * WIDE))),
    "convolutions and max-pool, deep": deep(
        tl.ConvSpec(WIDE, 3, padding=1, std=fan_in(18)), tl.MaxPool(2), tl.ConvSpec(WIDE, 2, std=fan_in(4 * WIDE))
    ),
    "dense, deep, biases": deep(*(tl.Dense(WIDE, fan_in(n)) for n in (X.size, WIDE, WIDE)), bias_std=2.0),
    "convolutions and max-pool, deep, biases": deep(
        tl.ConvSpec(WIDE, 3, padding=1, std=fan_in(18)), tl.MaxPool(2), tl.ConvSpec(WIDE, 2, std=fan_in(4 * WIDE)), bias_std=1.5
    ),
    "convolutions, deep, uniform": deep(
        tl.ConvSpec(WIDE, 3, std=tl.Uniform(0.5), bias=tl.Uniform(3.0)),
        tl.ConvSpec(WIDE, 2, std=tl.Uniform(0.1), bias=tl.Uniform(2.0)), readout=tl.Uniform(1.0),
    ),
    "residual": deep(
        tl.ConvSpec(WIDE, 3, padding=1, std=fan_in(18)),
        tl.Residual([tl.ConvSpec(WIDE, 3, padding=1, std=fan_in(9 * WIDE))]),
    ),
}  # fmt: skip
# Where there is a law of at least the mean; everywhere else it must refuse.
EXACT = {"convolution", "one patch", "two readings", "biases"}
POOLED = {"max-pool", "max-pool, biases", "overlapping max-pool"}  # whose means are exact
# What the laws of depth leave out is of order depth over width: of a mean's size, and of what maps scatter about it, where
# the scale of a whole map varies from network to network.
LEFT_OUT, LEFT_OUT_OF_SCATTER = 6 / WIDE, 24 / WIDE
LEVEL = 1e-4  # of the whole walk

CASES = list(itertools.product([rule.value for rule in rules.registered()], UNITS, LAYERS))


@functools.cache
def drawn(unit, layer):
    """Maps of fresh networks, every rule on the same ones: (networks, rules, entries)."""
    size = 4000 if layer in EXACT | POOLED else 300
    maps = tl.draw(
        LAYERS[layer](unit), X, [case[0] for case in CASES[:: len(UNITS) * len(LAYERS)]], size=size, seed=3
    )
    return maps[:, :, 0].reshape(size, -1, X.size)


def p_values_of(values, expected, left_out):
    """p-values of means against a law, which may itself be off by `left_out`."""
    error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    beyond = np.maximum(np.abs(values.mean(axis=0) - expected) - left_out, 0)
    return 2 * stats.t.sf(
        np.divide(beyond, error, out=np.zeros_like(beyond), where=error > 0), len(values) - 1
    )


def law_of(stack, rule):
    """The law and its mean, or None where it refuses."""
    try:
        law = tl.law(stack, X, rule)
        return law, law.mean.ravel()
    except tl.NoLaw:
        return None


@pytest.mark.parametrize(("rule", "unit", "layer"), CASES, ids=str)
def test_the_law_is_that_of_the_draws_or_refuses(rule, unit, layer):
    stack = LAYERS[layer](unit)
    known = law_of(stack, rule)
    if known is None:
        assert layer not in EXACT
        with pytest.raises(tl.NoLaw, match=re.escape(f"'{rule}' with {unit!r}")) as refusal:
            assert tl.law(stack, X, rule).mean is None
        assert "\n" not in str(refusal.value)
        assert str(refusal.value).endswith(refusal.value.instead)
        assert (refusal.value.rule, refusal.value.unit) == (tl.Rule(rule), unit)
        return
    law, mean = known
    assert law.kind == ("exact" if layer in EXACT | POOLED else "limit")
    maps = drawn(unit, layer)[:, [r.value for r in rules.registered()].index(rule)]
    left_out = 0.0 if law.kind == "exact" else LEFT_OUT
    rng = np.random.default_rng(1)
    # Directions that see the whole map: the image, the predicted mean, and three that know nothing.
    directions = [X.ravel(), *([mean] if mean.any() else []), *rng.standard_normal((3, X.size))]
    p_values = []
    for direction in directions:
        along = maps @ (direction / np.linalg.norm(direction))
        expected = mean @ (direction / np.linalg.norm(direction))
        p_values.append(p_values_of(along[:, None], expected, left_out * np.linalg.norm(mean)))
    variance = law.variance.ravel()
    weights = np.concatenate([np.ones((1, X.size)), rng.random((3, X.size))])
    # About the draws' own mean: an error of the law's is seen above.
    energies = (maps - maps.mean(axis=0)) ** 2 @ weights.T * (len(maps) / (len(maps) - 1))
    slack = (LEFT_OUT_OF_SCATTER if law.kind == "limit" else 0.0) * (weights @ variance)
    p_values.append(p_values_of(energies, weights @ variance, slack))
    wrong = p_values_of(energies, weights @ variance * 1.5, slack)
    assert wrong.min() < LEVEL / len(CASES), "an error of a half would not be seen"
    p = np.concatenate([np.ravel(values) for values in p_values])
    assert p.min() * len(p) * len(CASES) > LEVEL, (p.min(), p)


# A slope at which what is negative counts: applied twice, it would be seen.
@pytest.mark.parametrize("unit", [*UNITS, tl.LeakyReLU(4.0)], ids=str)
@pytest.mark.parametrize("layer", ["convolution", "one patch", "max-pool", "overlapping max-pool"])
def test_the_largest_of_many_logits(unit, layer):
    """Each quick sampler against whole graphs, whose samplers share no code with it."""
    stack, size, rng = LAYERS[layer](unit), 1500, np.random.default_rng(0)
    quick = tl.draw(stack, X, "saliency", size=size, n_logits=200, seed=4).reshape(size, -1)
    slow = tl.sampling.GraphSampler(stack, X)
    plain = np.stack([slow.draw(rng, [tl.Rule.SALIENCY], n_logits=200) for _ in range(size)]).reshape(
        size, -1
    )
    few = np.stack([slow.draw(rng, [tl.Rule.SALIENCY], n_logits=2) for _ in range(size)]).reshape(size, -1)
    direction = np.random.default_rng(1).standard_normal(X.size)
    for number in (lambda m: m @ X.ravel(), lambda m: m @ direction, lambda m: (m**2).sum(axis=1)):
        assert stats.ks_2samp(number(quick), number(plain)).pvalue > 1e-4
    assert stats.ks_2samp(quick @ X.ravel(), few @ X.ravel()).pvalue < 1e-4


def distance_of(stack, rule):
    """Of two logits, or None where it is refused by name."""
    try:
        return tl.law(stack, X, rule).class_distance
    except tl.NoLaw as refusal:
        assert refusal.rule is rule  # noqa: PT017
        assert str(refusal).endswith(refusal.instead)  # noqa: PT017
        return None


@pytest.mark.parametrize("unit", UNITS, ids=str)
@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer != "two readings"])
def test_two_logits(unit, layer):
    stack, exact = LAYERS[layer](unit), layer in EXACT
    laws = {rule: distance_of(stack, rule) for rule in rules.registered()}
    known = [rule for rule, distance in laws.items() if distance is not None]
    assert known == list(laws) or not exact
    exact = layer in EXACT | POOLED
    if all(laws[rule] == math.sqrt(2) for rule in known):
        return  # whatever the layers are
    size = 800 if exact else 100
    maps = tl.draw(stack, X, [rule.value for rule in known], size=size, n_readouts=2, seed=1)
    for number, rule in enumerate(known):
        pairs = maps[:, number].reshape(size, 2, -1)
        if not exact:  # what the scale of a whole map varies by is no distance
            pairs = pairs / np.linalg.norm(pairs, axis=2, keepdims=True)
        product, energy = (pairs[:, 0] * pairs[:, 1]).sum(axis=1), (pairs**2).sum(axis=2).mean(axis=1)
        ratio = product.mean() / energy.mean()
        error = ((product - ratio * energy) / energy.mean()).std(ddof=1) / math.sqrt(size)
        left_out = 0.0 if exact else 2 * LEFT_OUT * laws[rule] ** 2
        assert abs(ratio - (1 - laws[rule] ** 2 / 2)) < 5 * error + left_out, (rule, unit, layer)


def test_the_fourth_rule_has_laws_of_its_own():
    """`h = id` without a gate: no mean, twice the energy of saliency, two logits uncorrelated."""
    stack = tl.models.three_layer(tl.PatchGrid((1, 4, 4), 2), 9)
    linear, saliency = (tl.law(stack, np.ones((1, 4, 4)), rule) for rule in ("linear", "saliency"))
    assert not linear.mean.any()
    np.testing.assert_allclose(linear.variance, 2 * saliency.variance)
    assert linear.class_distance == math.sqrt(2)


def test_a_rule_is_defined_once():
    rule = rules.define("test-once", h="relu", gate=True, title="guided again")
    try:
        assert rules.define("test-once", h=lambda r: np.maximum(r, 0), gate=True) is rule
        with pytest.raises(ValueError, match="rule 'test-once' is already defined, with another h or gate"):
            rules.define("test-once", h="relu", gate=False)
    finally:
        rules._KNOWN.pop("test-once")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"name": 3}, TypeError, "name: expected a string"),
        ({"name": "Two Words"}, ValueError, "name: expected lower-case"),
        ({"name": "all"}, ValueError, "name: expected lower-case"),
        ({"gate": 1}, TypeError, "gate: expected True or False"),
        ({"title": 1}, TypeError, "title: expected a string"),
        ({"h": "id"}, ValueError, "h: expected 'identity', 'relu' or a callable"),
        ({"h": 1.0}, TypeError, "h: expected a string or a callable"),
        ({"h": np.square}, ValueError, r"h: not positively homogeneous of degree 1: h\(-1000\)"),
        ({"h": lambda r: r + 1}, ValueError, "h: not positively homogeneous"),
        ({"h": np.zeros_like}, ValueError, "h: it is zero everywhere"),
        ({"h": np.sum}, ValueError, "h: expected an array of shape"),
        ({"h": lambda r: r / 0.0}, ValueError, "h: expected finite values"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_rule_of_another_form_is_refused(arguments, error, words):
    known = rules.registered()
    with pytest.raises(error, match=f"^{words}"):
        rules.define(**({"name": "test-bad", "h": "relu", "gate": True} | arguments))
    assert rules.registered() == known


def test_layers_are_replaced_with_their_laws():
    truncated = tl.ConvSpec(4, 3, std=tl.TruncatedGaussian(0.1))
    assert dataclasses.replace(truncated, n_filters=8).weights == tl.TruncatedGaussian(0.1)
    assert dataclasses.replace(truncated, std=2.0).weights == tl.Gaussian(2.0)
    assert dataclasses.replace(tl.Dense(4, 0.5), n_units=2) == tl.Dense(2, 0.5)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: tl.law(3, X, "guided"), TypeError, "stack: expected a Stack, got int"),
        (lambda: tl.law(LAYERS["convolution"](tl.ReLU()), X[:1], "guided"), ValueError, "x: expected shape"),
        (lambda: tl.law(LAYERS["convolution"](tl.ReLU()), X, "nope"), ValueError, "unknown rule 'nope'"),
        (lambda: tl.draw(3, X, "guided", size=1), TypeError, "stack: expected a Stack, got int"),
        (
            lambda: tl.draw(LAYERS["convolution"](tl.ReLU()), X, 3, size=1),
            TypeError,
            "rules: expected a sequence",
        ),
        (
            lambda: tl.draw(LAYERS["convolution"](tl.ReLU()), X, "guided", size=0),
            ValueError,
            "size: expected",
        ),
        (
            lambda: tl.draw(LAYERS["convolution"](tl.ReLU()), X, "guided", size=1, dtype=np.float16),
            ValueError,
            "dtype",
        ),
        (lambda: tl.models.three_layer(3, 4), TypeError, "grid: expected a PatchGrid, got int"),
        (lambda: tl.models.three_layer(GRID, 0), ValueError, "n_filters: expected at least 1"),
        (lambda: tl.models.three_layer(GRID, 4, unit="relu"), TypeError, "unit: expected"),
        (lambda: tl.models.three_layer(GRID, 4, bias_std=-1.0), ValueError, "bias_std: expected"),
        (lambda: tl.Stack((3, 8), [tl.Dense(2)]), ValueError, "input_shape: expected"),
        (lambda: tl.Stack(X.shape, []), ValueError, "layers: expected at least one layer"),
        (lambda: tl.Stack(X.shape, tl.Dense(2)), TypeError, "layers: expected a sequence"),
        (lambda: tl.Stack(X.shape, [tl.MaxPool(9)]), ValueError, r"layers\[0\]: pool: size 9 exceeds"),
        (
            lambda: tl.Stack(X.shape, [tl.Dense(2), tl.MaxPool(2)]),
            ValueError,
            r"layers\[1\]: MaxPool reads planes",
        ),
        (lambda: tl.Stack(X.shape, [tl.ReLU()]), TypeError, r"layers\[0\]: expected a ConvSpec, Dense, "),
        (lambda: tl.LeakyReLU("0.2"), TypeError, "slope: expected a number, got str"),
        (lambda: tl.LeakyReLU(math.nan), ValueError, "slope: expected a finite number"),
    ],
)
def test_bad_arguments_end_in_one_line_that_names_them(call, error, words):
    with pytest.raises(error, match=f"^{words}") as caught:
        call()
    assert "\n" not in str(caught.value)
