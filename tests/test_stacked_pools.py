"""Max-pools above max-pools: the law of depth on pictures that are hard for it, against networks that are drawn and run.

The networks are written out from the definitions in double precision, and pre-activations are rounded, so that equal patches tie
as they do in exact arithmetic.
"""

import itertools
import math

import numpy as np
import pytest
from naive_depth import network
from strategies import stack

from theorylab import images
from theorylab.analytic import _equal, _gradient_field, _plan, conv_depth, tolerances
from theorylab.analytic._joint_moments import contradictory, mixed_moments, pooled_moments, regression
from theorylab.analytic.tolerances import TOLERANCE
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RULES = ("guided", "deconvnet")
CAT = images.load("cat", 24, preset="authors")
HALVES = np.repeat(np.where(np.arange(24) < 12, 1.0, -1.0)[None, None], 24, axis=1).repeat(3, axis=0)
BRIGHT = 200 + CAT / 25
_RNG = np.random.default_rng(2018)
NIGHT = _RNG.poisson(4.0, (24, 24, 3)).astype(np.uint8)
NIGHT[_RNG.integers(0, 24, 6), _RNG.integers(0, 24, 6)] = 255
NIGHT = images.prepare(NIGHT, size=24)


class Seen:
    """Alignments as ratios of means, with errors; the size of the mean map along a prediction; the mean map's own direction."""

    def __init__(self, draws, records):
        sums = np.array([[((g * o).sum(), (g**2).sum(), (o**2).sum()) for g, o in draw] for draw in draws])
        mean = sums.mean(axis=0)
        self.alignment = mean[:, 0] / np.sqrt(mean[:, 1] * mean[:, 2])
        influence = self.alignment * ((sums / mean) @ [1, -1 / 2, -1 / 2])
        self.error = influence.std(axis=0, ddof=1) / math.sqrt(len(draws))
        maps = np.array([draw[-1][0].ravel() for draw in draws])
        law = records[-1].mean_map.ravel()
        along = maps @ law / (law @ law)
        self.size, self.size_error = along.mean(), along.std(ddof=1) / math.sqrt(len(draws))
        square = (maps.sum(axis=0) @ maps.sum(axis=0) - (maps**2).sum()) / (
            len(maps) * (len(maps) - 1)
        )  # from pairs
        self.cosine = self.size * np.linalg.norm(law) / math.sqrt(square)
        self.scatter = ((maps**2).sum(axis=1).mean() - square) / records[-1].variance_map.sum()


def draw(x, layers, draws):
    rng = np.random.default_rng(1)
    x = x / np.linalg.norm(x)
    seen = [network(x, layers, RULES, rng, digits=10) for _ in range(draws)]
    records = {rule: conv_depth.depth_maps(x, layers, rule) for rule in RULES}
    return records, {rule: Seen([maps[rule] for maps in seen], records[rule]) for rule in RULES}


TWO = stack(96, MaxPool(2), 128, MaxPool(2), 128)
STACKS = {
    "exactly flat areas, pools of 3 and 2": (HALVES, stack((96, 5, 1, 2), MaxPool(3), 128, MaxPool(2), 128)),
    "exactly flat areas": (HALVES, TWO),
    "bright, little contrast": (BRIGHT, TWO),
    "bright, less contrast": (200 + CAT / 500, TWO),
    "bright, three pools": (BRIGHT, stack(96, MaxPool(2), 128, MaxPool(2), 128, MaxPool(2), 128)),
    "cat, pools of 2 and 3": (CAT, stack(96, MaxPool(2), 128, MaxPool(3), 128)),
}


@pytest.mark.parametrize("name", STACKS)
def test_alignments_and_maps_within_the_stated_tolerance(name):
    records, seen = draw(*STACKS[name], draws=60)
    for rule in RULES:
        predicted, found = np.array([record.alignment for record in records[rule]]), seen[rule]
        off = abs(predicted - found.alignment)
        assert (off < TOLERANCE.alignment + 3.5 * found.error).all(), (rule, off, found.error)
        assert abs(found.size - 1) < TOLERANCE.size + 3.5 * found.size_error, (rule, found.size)
        assert found.cosine > TOLERANCE.cosine - 0.005, (rule, found.cosine)  # and what sixty maps leave open
        # The variance map is a limit of wide layers: a whole map's scale varies besides.
        assert 0.85 < found.scatter < 1.3, (rule, found.scatter)


def test_the_right_values():
    """Of an independent attack: alignments at layer 1 and at the input, with standard errors, 40 networks each."""
    (_, *low), (_, *bright) = (
        [record.alignment for record in conv_depth.depth_maps(*STACKS[name], "guided")]
        for name in ("exactly flat areas, pools of 3 and 2", "bright, little contrast")
    )
    for law, value, error in ((low[0], 0.296, 0.003), (low[1], 0.617, 0.004), (bright[1], 0.573, 0.006)):
        assert abs(law - value) < TOLERANCE.alignment + error
    # As the law was before: neighbours as noise, ties broken at random.
    for law, wrong in ((low[0], 0.206), (low[1], 0.538), (bright[1], 0.632)):
        assert abs(law - wrong) > 0.04
    grey = CAT.mean(axis=0, keepdims=True)
    for x, layers, value, error in (
        (CAT, TWO, 0.622, 0.007),
        (grey, stack(256, MaxPool(2), 256, MaxPool(2), 256, channels=1), 0.784, 0.001),
    ):
        assert (
            abs(conv_depth.depth_maps(x, layers, "deconvnet")[-1].alignment - value)
            < TOLERANCE.alignment + error
        )


def direction(one, other):
    a, b = one[-1].mean_map, other[-1].mean_map
    return np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b), np.vdot(a, b) / np.vdot(a, a)


@pytest.mark.parametrize("name", ["night", "bright", "bright, window of nine"])
def test_where_there_are_too_many_windows_far_inner_products_are_estimates(monkeypatch, name):
    """Against the law that integrates them all; and the two halves of what is done are each needed."""
    layers = stack(96, MaxPool(2), 128, MaxPool(3 if "nine" in name else 2), 128, MaxPool(2), 128)
    x = NIGHT if name == "night" else BRIGHT
    assert tolerances.tolerance(x.shape, layers, "guided") == TOLERANCE
    assert tolerances.tolerance(x.shape, layers[:3], "guided") == tolerances.TOLERANCE_OF_INTEGRALS
    every = conv_depth.depth_maps(x, layers, "guided")
    monkeypatch.setattr(_plan, "PAIRS", 0)
    assert tolerances.tolerance(x.shape, layers, "guided") == tolerances.TOLERANCE_OF_MANY_WINDOWS
    few = conv_depth.depth_maps(x, layers, "guided")
    off = [abs(a.alignment - b.alignment) for a, b in zip(every, few, strict=True)]
    assert 1e-4 < max(off) < 0.006
    cosine, size = direction(every, few)
    assert cosine > 0.998
    assert abs(size - 1) < 0.02
    noises = [records[-1].variance_map.sum() for records in (every, few)]
    assert abs(noises[1] / noises[0] - 1) < 0.02
    # Control: neighbours counted as noise at every upper pool, as the law was before; or told apart where that is unknown.
    alone, trusted = (
        lambda gram, size: np.ones(len(gram), dtype=bool),
        lambda gram, size: np.zeros(len(gram), dtype=bool),
    )
    monkeypatch.setattr(_gradient_field, "contradictory", alone if name == "night" else trusted)
    cosine, size = direction(every, conv_depth.depth_maps(x, layers, "guided"))
    assert cosine < 0.998 or abs(size - 1) > 0.03


def test_estimated_inner_products_against_networks(monkeypatch):
    monkeypatch.setattr(_plan, "PAIRS", 0)
    layers = stack(256, MaxPool(2), 256, MaxPool(2), 256, MaxPool(2), 256)
    records, seen = draw(NIGHT, layers, draws=40)
    for rule in RULES:
        off = abs(np.array([record.alignment for record in records[rule]]) - seen[rule].alignment)
        assert (off < TOLERANCE.alignment + 3.5 * seen[rule].error).all(), (rule, off)
        assert abs(seen[rule].size - 1) < TOLERANCE.size + 3.5 * seen[rule].size_error


def test_contradictory_against_distances():
    """Three points on a line: two neighbours at a distance ``d`` each, and the ends ``2d (1 + e)`` apart, which none can be."""
    for d, e, expected in (
        (0.1, 0.0, False),
        (0.1, 0.1, False),
        (0.1, 2.0, True),
        (0.001, 2.0, True),
        (0.0, 0.0, False),
    ):
        near, far = 1 - d**2 / 2, 1 - (2 * d * (1 + e)) ** 2 / 2
        gram = np.array([[[1, near, far], [near, 1, near], [far, near, 1]]])
        assert contradictory(gram, 2)[0] == expected
        assert not contradictory(gram * 0, 2)[0]  # a black area


def test_the_law_does_not_depend_on_how_little_contrast_is_left():
    """One pool: the differences of patches decide who wins, be they small or very small."""
    layers = stack(32, MaxPool(2), 32)
    alignments, maps = zip(
        *(
            (records[-1].alignment, records[-1].mean_map / np.linalg.norm(records[-1].mean_map))
            for contrast in (1e-2, 1e-3, 1e-4)
            for records in [conv_depth.depth_maps(1 + contrast * CAT / 100, layers, "guided")]
        ),
        strict=True,
    )
    np.testing.assert_allclose(alignments, alignments[0], atol=0.003)
    assert (maps[0] * maps[1]).sum() > 0.999
    # Control: an exactly flat picture, where ties are exact, has another one.
    assert (
        abs(conv_depth.depth_maps(np.ones((3, 24, 24)), layers, "guided")[-1].alignment - alignments[0])
        > 0.02
    )


# --- the integral over a window and its neighbours -----------------------------------------------------------------


@pytest.mark.parametrize("rule", [Rule.GUIDED, Rule.DECONVNET], ids=str)
@pytest.mark.parametrize("singular", [False, True])
def test_mixed_moments_against_drawn_normals(rule, singular):
    """``E[z T_j] = G b_j`` for all patches, the neighbours' too."""
    rng = np.random.default_rng(3)
    y = rng.standard_normal((6, 8)) + 1.5 * rng.standard_normal(8)
    if singular:
        y[1] = y[0]
    a, beta, draws = np.array([[0.6, -0.4, 0.5]]), np.array([0.7]), 400_000
    gram = (y @ y.T)[None]
    b, second = mixed_moments(gram, a, beta, rule, points=2**13)
    z = rng.standard_normal((draws, 8)) @ y.T
    z[:, 1] = z[:, 0] if singular else z[:, 1]
    largest = np.maximum(z.reshape(draws, 3, 2).max(axis=2), 0)
    received = largest @ a[0] + beta[0] * rng.standard_normal(draws)
    winner = z[:, :2].argmax(axis=1)
    opened = largest[:, 0] > 0
    if not rule.gate:
        winner = np.where(opened, winner, 0)
    for j in (0, 1):
        t = np.maximum(received, 0) * (winner == j) * (opened if rule.gate else 1)
        assert (
            abs((t**2).mean() - second[0, j]) < 4.5 * (t**2).std() / math.sqrt(draws) + 0.003 * second.max()
        )
        terms = z * t[:, None]
        allowed = 4.5 * terms.std(axis=0) / math.sqrt(draws) + 0.005 * abs(terms.mean(axis=0)).max() + 1e-12
        assert (abs(terms.mean(axis=0) - gram[0] @ b[0, j]) < allowed).all()
    # Control: the neighbours counted as noise.
    alone, _ = pooled_moments(gram[:, :2, :2], a[:, 0], beta, rule, points=2**13)
    assert abs((terms.mean(axis=0) - gram[0, :, :2] @ alone[0, 1])[2:]).max() > 0.02 or singular


def test_regression_against_least_squares():
    rng = np.random.default_rng(4)
    y, b, kept = (
        rng.standard_normal((5, 7)),
        rng.standard_normal((1, 5)),
        np.array([True, False, True, True, False]),
    )
    found = regression((y @ y.T)[None], b, kept)
    expected = np.linalg.lstsq(y[kept].T, y.T @ b[0], rcond=None)[0]
    np.testing.assert_allclose(found[0, kept], expected, rtol=1e-9)
    assert not found[0, ~kept].any()
    np.testing.assert_array_equal(regression((y @ y.T)[None], b, np.ones(5, dtype=bool)), b)


# --- equal activations ----------------------------------------------------------------------------------------------


def test_equal_labels_are_equal_activations():
    """Drawn filters tell patches apart unless they are equal."""
    rng = np.random.default_rng(5)
    x = rng.integers(0, 2, (2, 12, 12)).astype(float)
    x[:, :7, :7] = 1
    x[:, 8:, 8:] = 0
    grid, pool = PatchGrid(x.shape, 3, padding=1), MaxPool(2)
    patches = _equal.of_patches(_equal.of_vectors(x), grid)
    activations = np.maximum(grid.extract(x) @ rng.integers(-9, 9, (18, 40)), 0)  # integers: no rounding
    largest = activations[pool.windows(grid.output_shape)].max(axis=1)
    for values, labels in ((activations, patches), (largest, _equal.of_windows(patches, pool))):
        flat = labels.ravel()
        for a, b in itertools.combinations(range(len(flat)), 2):
            assert (values[a] == values[b]).all() == (flat[a] == flat[b])
        np.testing.assert_array_equal(flat == 0, ~values.any(axis=1))
        assert 1 < len(np.unique(flat)) < len(flat)
