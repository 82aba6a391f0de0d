"""Numerical errors of the laws: singular and nearly singular sets of patches, nearly equal patches, integrals, ties."""

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab import analytic
from theorylab.analytic import _cones, halfspace, orthant_moments
from theorylab.analytic.pooled import pooled_mean_maps
from theorylab.estimates import pooled_expected_cosine
from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.specs import ConvSpec
from theorylab.model.stack import Stack
from theorylab.networks.from_stack import from_stack
from theorylab.sampling import GraphSampler, MapSampler

seeds = st.integers(0, 2**32 - 1)


def units(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def probability(rows):
    return orthant_moments.event_probabilities(rows[None], np.ones((1, len(rows)), dtype=bool))[0][0]


# --- orthants of singular conditions ---------------------------------------------------------------------------------


def arc(rows):
    """First and last direction of the plane that satisfy every row; equal if none does."""
    turns = np.sort(np.arctan2(rows[:, 1], rows[:, 0]))
    gaps = np.diff(np.append(turns, turns[0] + 2 * math.pi))
    last = int(np.argmax(gaps))  # the rows lie between the end of the largest gap and its start, one turn on
    low, high = turns[(last + 1) % len(turns)], turns[last]
    high += 2 * math.pi * (high < low)
    return high - math.pi / 2, max(high - math.pi / 2, low + math.pi / 2)


def solid_angle(rows):
    """Share of the sphere inside a pointed cone of three dimensions: a fan of triangles (Van Oosterom and Strackee)."""
    rays = [s * np.cross(a, b) for a, b in itertools.combinations(rows, 2) for s in (1, -1)]
    rays = [v / np.linalg.norm(v) for v in rays]
    rays = np.array([v for v in rays if (rows @ v > -1e-12).all()])
    if len(rays) < 3:
        return None
    centre = rays.mean(axis=0)
    axis = np.cross(centre, rays[0] - centre)
    across = np.cross(axis, centre)
    rays = rays[
        np.argsort(np.arctan2(rays @ axis / np.linalg.norm(axis), rays @ across / np.linalg.norm(across)))
    ]
    total = 0.0
    for b, c in itertools.pairwise(rays[1:]):
        a = rays[0]
        total += 2 * np.arctan2(abs(np.linalg.det([a, b, c])), 1 + a @ b + b @ c + c @ a)
    return total / (4 * math.pi)


def plackett(rows):
    """Four conditions by Plackett's identity, in 30 digits."""
    with mp.workdps(30):
        rows = [[mp.mpf(float(v)) for v in row] for row in rows]
        rows = [[v / mp.sqrt(sum(w * w for w in row)) for v in row] for row in rows]
        rho = [[sum(a * b for a, b in zip(p, q, strict=True)) for q in rows] for p in rows]

        def slope(root):
            t, total = 1 - root * root, mp.mpf(0)
            for r, s in itertools.combinations(range(4), 2):
                p, q = (i for i in range(4) if i not in (r, s))
                free = 1 - (t * rho[r][s]) ** 2

                def given(a, b, r=r, s=s, free=free, t=t):
                    of = {i: {j: 1 if i == j else t * rho[i][j] for j in range(4)} for i in range(4)}
                    cross = of[a][r] * of[b][s] + of[a][s] * of[b][r]
                    return of[a][b] - (of[a][r] * of[b][r] + of[a][s] * of[b][s] - of[r][s] * cross) / free

                inner = mp.asin(given(p, q) / mp.sqrt(given(p, p) * given(q, q)))
                total += rho[r][s] / (2 * mp.pi * mp.sqrt(free)) * (mp.mpf(1) / 4 + inner / (2 * mp.pi))
            return 2 * root * total

        ends = [0, *(mp.mpf(10) ** -e for e in range(10, 0, -1)), mp.mpf("0.4"), 1]
        return float(mp.mpf(1) / 16 + mp.quad(slope, ends, maxdegree=5))


def test_four_patches_in_a_plane():
    # The second of them wins: π less the angle between the extreme conditions, over 2π.
    patches = np.array([[-0.569, -1.03], [-1.043, 0.268], [0.359, 1.322], [-0.014, 1.042]])
    rows = patches[1] - patches
    rows[1] = patches[1]
    low, high = arc(rows)
    assert (high - low) / (2 * math.pi) == pytest.approx(0.20308624, abs=1e-8)
    assert probability(rows) == pytest.approx((high - low) / (2 * math.pi), abs=1e-14)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 5), st.sampled_from(["any", "repeated", "opposite", "one line"]))
def test_rows_in_a_plane_are_an_arc(seed, k, kind):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((k, 2))
    if kind == "repeated":
        rows[-1] = 3 * rows[0]
    elif kind == "opposite":
        rows[-1] = -rows[0] * (2 if k > 1 else -1)
    elif kind == "one line":
        rows = rng.uniform(0.5, 2, (k, 1)) * rows[0]
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0][:2]  # the plane lies anywhere in five dimensions
    low, high = arc(rows)
    assert probability(rows @ turn) == pytest.approx((high - low) / (2 * math.pi), abs=1e-13)
    if k < 5:
        mean = orthant_moments.orthant_mean(rows[None], np.ones((1, k), dtype=bool))[0]
        expected = [math.sin(high) - math.sin(low), math.cos(low) - math.cos(high)]
        np.testing.assert_allclose(
            mean, np.array(expected) * math.sqrt(math.pi / 2) / (2 * math.pi), atol=1e-13
        )


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from([4, 5]))
def test_rows_in_three_dimensions_are_a_polygon(seed, k):
    rows = units(np.random.default_rng(seed).standard_normal((k, 3)) + np.array([0.8, 0, 0]))
    expected = solid_angle(rows)
    if expected is not None:
        assert probability(rows) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_part_of_a_normal_across_one_that_nearly_coincides_or_opposes(sign):
    rng = np.random.default_rng(3)
    axis = units(rng.standard_normal(5))
    row = units(sign * axis + 1e-9 * rng.standard_normal(5))
    with mp.workdps(50):
        r, a = mp.matrix(row.tolist()), mp.matrix(axis.tolist())
        rest = r - a * (mp.fdot(r, a) / mp.fdot(a, a))
        expected = [float(value) for value in rest / mp.norm(rest)]
    np.testing.assert_allclose(_cones.across(row[None, None], axis[None])[0, 0], expected, atol=1e-13)


@pytest.mark.parametrize("thin", [1e-1, 1e-3, 1e-5, 1e-8])
@pytest.mark.parametrize("flat", [1, 2, 3])
def test_rows_near_fewer_dimensions(thin, flat):
    rows = np.random.default_rng(flat).standard_normal((4, 4))
    rows[:, flat:] *= thin
    value, error = _cones.small(units(rows)[None])
    assert error[0] < 1e-11
    assert value[0] == pytest.approx(plackett(rows), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_pooled_variance_of_patches_in_a_plane(seed):
    # Patches of two pixels: E[w wᵀ 1] is an integral over an arc, ∫ cos² and ∫ sin² over π.
    rng = np.random.default_rng(seed)
    grid, pool = PatchGrid((2, 4, 4), 1), MaxPool(2)
    x = rng.standard_normal(grid.input_shape)
    x[:, 2:] = rng.standard_normal((2, 1, 1)) * rng.choice([-1.0, 1.0, 2.0], (2, 4))  # a line
    patches, expected = grid.extract(x), np.zeros((grid.n_patches, 2))
    for window in pool.windows(grid.output_shape):
        for place, j in enumerate(window):
            if any((patches[i] == patches[j]).all() for i in window[:place]):
                continue
            rows = [patches[j] - patches[i] for i in window if (patches[i] != patches[j]).any()]
            low, high = arc(np.array([*rows, patches[j]]))
            wave = (math.sin(2 * high) - math.sin(2 * low)) / 2
            expected[j] = [(high - low + wave) / (2 * math.pi), (high - low - wave) / (2 * math.pi)]
    got = analytic.pooled_variance_map(x, grid, "saliency", 1, pool=pool)
    np.testing.assert_allclose(got, grid.fold(expected), rtol=0, atol=1e-13)


# --- nearly equal and nearly opposite patches ------------------------------------------------------------------------


def exact_covariance(x, grid):
    """Covariance of guided maps with N = c = 1 in 40 digits, (d, d), from angles and unit vectors."""
    with mp.workdps(40):
        patches = [[mp.mpf(float(v)) for v in row] for row in grid.extract(x)]
        patches = [mp.matrix(row) / mp.norm(mp.matrix(row)) for row in patches]
        places = grid.extract(np.arange(x.size).reshape(x.shape))
        result = mp.zeros(x.size, x.size)
        for (u, at), (v, to) in itertools.product(zip(patches, places, strict=True), repeat=2):
            gap, total = mp.norm(u - v), mp.norm(u + v)
            angle = 2 * mp.atan2(gap, total)
            matrix = mp.eye(len(u)) * (mp.pi - angle) / (2 * mp.pi) - u * v.T / (2 * mp.pi)
            if total > 0:
                matrix += gap / total / (4 * mp.pi) * (u + v) * (u + v).T
            if gap > 0:
                matrix -= total / gap / (4 * mp.pi) * (u - v) * (u - v).T
            for (r, t), (s, q) in itertools.product(enumerate(at), enumerate(to)):
                result[t, q] += matrix[r, s] / (2 * mp.pi)  # E[h]²
        for t in range(x.size):
            # E[h²] − E[h]² times the half of the coverage
            result[t, t] += (mp.mpf(1) / 2 - 1 / (2 * mp.pi)) * int((places == t).sum()) / 2
        return np.array(result.tolist(), dtype=np.float64)


@pytest.mark.parametrize("size", [0.0, 1e-3, 1e-5, 1e-7, 1e-9, 1e-12])
@pytest.mark.parametrize("kind", ["flat", "brightening", "checkerboard", "slope"])
def test_nearly_equal_and_opposite_patches(kind, size):
    rng = np.random.default_rng(int(size * 1e12))
    rows, columns = np.indices((4, 4))
    base = {
        "flat": np.ones((4, 4)),
        "brightening": 1.3 ** (rows + 2.0 * columns),
        "checkerboard": (-1.0) ** (rows + columns),
        "slope": 100 + columns / 2,
    }[kind]
    grid = PatchGrid((1, 4, 4), (2, 3))
    x = (base * (1 + size * rng.standard_normal((4, 4))))[None]
    expected = exact_covariance(x, grid)
    np.testing.assert_allclose(analytic.covariance(x, grid, "guided", 1), expected, rtol=0, atol=1e-14)
    got = analytic.variance_map(x, grid, "guided", 1).ravel()
    np.testing.assert_allclose(got, np.diag(expected), rtol=1e-14)


@pytest.mark.parametrize("angle", [1e-3, 1e-5, 1e-7, 1e-9])
def test_pair_matrix_at_small_angles(angle):
    # M = (π − θ)/(2π) I + sin θ/(2π) (along alongᵀ − across acrossᵀ).
    y, other = np.array([1.0, 0.0, 0.0]), np.array([math.cos(angle), math.sin(angle), 0.0])
    half = angle / 2
    along, across = (
        np.array([math.cos(half), math.sin(half), 0]),
        np.array([-math.sin(half), math.cos(half), 0]),
    )
    turn = math.sin(angle) / (2 * math.pi) * (np.outer(along, along) - np.outer(across, across))
    expected = (math.pi - angle) / (2 * math.pi) * np.eye(3) + turn
    np.testing.assert_allclose(halfspace.pair_matrix(y, other), expected, rtol=0, atol=1e-16)
    opposite = halfspace.pair_matrix(y, -other)
    expected = angle / (2 * math.pi) * np.eye(3) - turn
    np.testing.assert_allclose(opposite, expected, rtol=0, atol=1e-17)
    np.testing.assert_allclose(np.diag(opposite)[1:], np.diag(expected)[1:], rtol=1e-14)


# --- integrals by quasi-random points --------------------------------------------------------------------------------


def test_errors_of_large_windows():
    grid, pool, scores = PatchGrid((1, 14, 14), 3), MaxPool(3), []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((1, 14, 14)) + 0.3
        if seed % 2:
            x = x.cumsum(axis=1).cumsum(axis=2)
        fine, coarse = (pooled_mean_maps(x, grid, "guided", 1, pool=pool, points=n) for n in (2**14, 1024))
        mean, error = analytic.pooled_mean_map_with_error(x, grid, "guided", 1, pool=pool)
        np.testing.assert_array_equal(mean, coarse.mean(axis=0))
        scores.append(abs(mean - fine.mean(axis=0))[error > 0] / error[error > 0])
        options = {"pool": pool, "draws": 100, "target": "input"}
        right, drawn = pooled_expected_cosine(
            x, grid, "guided", 10**6, unit_mean=fine.mean(axis=0), **options
        )
        value, doubt = pooled_expected_cosine(x, grid, "guided", 10**6, unit_mean=coarse, **options)
        assert abs(value - right) < 3 * doubt
        assert doubt > 5 * drawn  # of which nothing was said
    scores = np.concatenate(scores)
    assert 0.05 < (scores > 1).mean() < 0.4
    assert (scores > 3).mean() < 0.01


def test_errors_of_orthants_and_of_selection():
    """Three of them hold almost surely: of an honest third, a normal value would be 0.33 in root mean square."""
    orthants, selections = [], []
    for k, seed in itertools.product((6, 7, 8, 9, 10), range(8)):
        rows = units(np.random.default_rng(seed).standard_normal((k, k + 3)))
        fine, _ = analytic.orthant_probability_with_error(rows @ rows.T, points=2**11)
        value, error = analytic.orthant_probability_with_error(rows @ rows.T, points=16)
        orthants.append(abs(value - fine) / error)
    grid, pool = PatchGrid((1, 8, 8), 3), MaxPool(3)
    for seed in range(12):
        x = np.random.default_rng(seed).standard_normal((1, 8, 8)) + 0.3
        fine, coarse = (
            analytic.selection_probabilities(x, grid, pool=pool, points=points) for points in (8192, 64)
        )
        selections.append(abs(coarse.all_zero - fine.all_zero) / coarse.error)
    for scores in (orthants, selections):
        assert 0.2 < np.sqrt(np.mean(np.square(scores))) < 0.45


def test_errors_of_four_and_five_conditions():
    """Those of four say how two quadratures differ; that of five adds up those of its fours."""
    rows = units(np.random.default_rng(0).standard_normal((20, 5, 5)))
    _, error = _cones.small(rows)
    of_four = [_cones.small(np.delete(rows, r, axis=1))[1] for r in range(5)]
    assert min(map(np.max, of_four)) > 1e-15
    np.testing.assert_allclose(error, sum(of_four) / 2, rtol=1e-9)


# --- ties ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_graph", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_of_equal_patches_wins_every_window(dtype, by_graph):
    # Patches that share no pixel: only the first of each window hands a gradient on.
    grid = PatchGrid((3, 66, 66), 3, 3)
    x = np.random.default_rng(9).standard_normal((3, 3, 3))
    x = np.tile(x, (1, 22, 22)) * np.repeat([1.0, -0.7], 33)
    if by_graph:
        stack = Stack(x.shape, [ConvSpec(31, 3, 3), MaxPool(2)], readout=Gaussian(1.0))
        sampler = GraphSampler(stack, x, dtype=dtype)
    else:
        sampler = MapSampler(x, grid, 31, law=Gaussian(1.0), pool=MaxPool(2), dtype=dtype)
    maps = sampler.draw(np.random.default_rng(0), [Rule.SALIENCY, Rule.DECONVNET])
    won = np.abs(maps).max(axis=tuple(range(maps.ndim - 2))).reshape(22, 3, 22, 3).max(axis=(1, 3)) > 0
    first = np.zeros((22, 22), dtype=bool)
    first[::2, ::2] = True
    # Where the windows lie across the edge, the two kinds of patches compete.
    first[::2, 11] = True
    np.testing.assert_array_equal(won, first)


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1.0), (np.float64, 1e-300), (np.float64, 1e300)])
def test_equal_patches_and_no_others_have_equal_outputs_below_a_max_pool(dtype, size):
    x = np.random.default_rng(1).standard_normal((3, 45, 45))
    x[:, 3:, 20:] = x[:, :1, :1]
    below = ConvSpec(37, 3, padding=1, std=0.1), ConvSpec(41, 5, padding=2, std=0.02)
    net = from_stack(Stack(x.shape, [*below, MaxPool(3, 2), ConvSpec(5, 3)]), dtype=dtype)
    seen = net.forward(size * x, keep=["input", "0", "0.unit", "1"]).activations
    for read, layer, spec in (("input", "0", below[0]), ("0.unit", "1", below[1])):
        patches = PatchGrid(seen[read].shape, spec.kernel, padding=spec.padding).extract(seen[read])
        outputs = seen[layer].reshape(len(seen[layer]), -1)
        assert np.unique(outputs, axis=1).shape[1] == len(np.unique(patches, axis=0)) < len(patches) - 400
