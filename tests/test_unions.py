"""Windows that overlap: how many of them a patch wins, against brute force, orthants in closed form, and draws."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import theorylab as tl
from theorylab import MaxPool, NoLaw, PatchGrid
from theorylab.analytic import _unions, pooled_mean_map, pooled_variance_map
from theorylab.analytic.orthant_moments import orthant_mean
from theorylab.analytic.pooled import pooled_mean_map_with_error, pooled_mean_maps
from theorylab.estimates import pooled_expected_cosine

RULES = ("guided", "deconvnet")


@settings(max_examples=60, deadline=None)
@given(some.integers(0, 2**32 - 1))
def test_wins_by_brute_force(seed):
    """Every pool that fits, patches that may be equal or zero, each filter by itself."""
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 4, 2)
    pool = MaxPool(
        tuple(size.tolist()),
        tuple(rng.integers(1, 4, 2).tolist()),
        tuple((rng.integers(0, 3, 2) % (size // 2 + 1)).tolist()),
    )
    plane, p = tuple(rng.integers(3, 7, 2).tolist()), int(rng.integers(1, 5))
    patches = rng.integers(-1, 2, (math.prod(plane), p)).astype(float)
    normals = rng.standard_normal((p, 5))
    windows = pool.windows(plane)
    unions = _unions.unions_of(windows)
    held = np.concatenate([union.patches for union in unions])
    assert sorted(held) == sorted(set(windows[windows >= 0]))
    for union, gate in itertools.product(unions, (True, False)):
        basis, wins = _unions._wins(patches, union, gate, normals)
        for n, j in enumerate(union.patches):
            for sign, k in ((1, 0), (-1, 1)):
                for point in range(5):
                    w = sign * basis[n].T @ normals[: len(basis[n]), point]
                    expected = 0
                    for window in windows:
                        members = window[window >= 0]
                        # Equal patches have equal bits: products of small integers in one order.
                        values = [
                            max(sum(a * b for a, b in zip(patches[m], w, strict=True)), 0.0) for m in members
                        ]
                        won = members[int(np.argmax(np.round(values, 9)))]
                        expected += won == j and (max(values) > 1e-9 or not gate)
                    assert wins[k, n, point] == expected


@pytest.mark.parametrize("rule", RULES)
def test_windows_of_two_in_closed_form(rule):
    """``√K`` of two windows a, b is ``1(a) + 1(b) + (√2 − 2) 1(a and b)``: three orthants of at most three rows."""
    rng = np.random.default_rng(0)
    x, pool = rng.standard_normal((4, 2, 7)) + 0.4, MaxPool((1, 2), 1)
    grid = PatchGrid(x.shape, 1)
    y = x.reshape(4, 2, 7)

    def mean(*rows):
        return orthant_mean(np.array([rows]), np.ones((1, len(rows)), bool))[0]

    expected, wrong = np.zeros((2, *x.shape))
    for r, c in itertools.product(range(2), range(7)):
        own = y[:, r, c]
        over = [own - y[:, r, d] for d in (c - 1, c + 1) if 0 <= d < 7]
        wrong[:, r, c] = sum(mean(own, gap) for gap in over)
        if rule == "deconvnet" and c < 6:
            wrong[:, r, c] += mean(-own, -y[:, r, c + 1])
        expected[:, r, c] = wrong[:, r, c]
        if len(over) == 2:
            expected[:, r, c] += (math.sqrt(2) - 2) * mean(own, *over)
    expected /= math.sqrt(2 * math.pi)
    found, error = pooled_mean_map_with_error(x, grid, rule, 1, pool=pool, points=4096)
    assert (abs(found - expected) < 4.5 * error + 1e-12).all()
    assert 0 < np.linalg.norm(error) < 0.01 * np.linalg.norm(expected)
    # K in the place of its root: the readout weights of a patch's windows rectified one by one.
    wrong /= math.sqrt(2 * math.pi)
    assert (abs(found - wrong) > 20 * error).any()


@pytest.mark.parametrize("gate", [True, False])
def test_disjoint_windows_agree_with_their_closed_form(gate):
    x, pool = np.random.default_rng(1).standard_normal((2, 6, 7)) + 0.3, MaxPool((2, 1))
    grid = PatchGrid(x.shape, 3, padding=1)
    patches, windows = grid.extract(x), pool.windows(grid.output_shape)
    means = _unions.filter_means(patches, windows, gate, 1024, 8, None)
    maps = np.stack([grid.fold(each) for each in means]) / math.sqrt(2 * math.pi)
    closed = pooled_mean_map(x, grid, "guided" if gate else "deconvnet", 1, pool=pool)
    spread = maps.std(axis=0, ddof=1) / math.sqrt(8)
    assert (abs(maps.mean(axis=0) - closed) < 7 * spread + 1e-12).all()
    assert np.linalg.norm(maps.mean(axis=0) - closed) < 0.01 * np.linalg.norm(closed)


@pytest.mark.parametrize("rule", ["saliency", "linear"])
def test_energies_agree_with_their_closed_form(rule):
    x, pool = np.random.default_rng(2).standard_normal((2, 6, 5)) + 0.3, MaxPool(2, 1, 1)
    grid = PatchGrid(x.shape, 2)
    closed = pooled_variance_map(x, grid, rule, 1, pool=pool)
    found = grid.fold(
        _unions.filter_energies(grid.extract(x), pool.windows(grid.output_shape), tl.Rule(rule).gate, 2**13)
    )
    assert np.linalg.norm(found - closed) < 0.01 * np.linalg.norm(closed)
    white = closed.sum() / grid.coverage.sum() / 2 * grid.coverage
    assert np.linalg.norm(white - closed) > 0.05 * np.linalg.norm(closed)


@pytest.mark.parametrize("rule", RULES)
def test_laws_against_draws(rule):
    """Size and direction of the mean, and both cosines, of a pool of ResNet-50's kind and of stride 1."""
    x = np.random.default_rng(3).standard_normal((2, 11, 11)).cumsum(axis=2) / 2 + 0.5
    for grid, pool in (
        (PatchGrid(x.shape, 3, 2, 1), MaxPool(3, 2, 1)),
        (PatchGrid(x.shape, 4), MaxPool((3, 4), (1, 2))),
    ):
        stack = tl.models.three_layer(grid, 6, pool=pool, weights=tl.Gaussian(0.6))
        maps = tl.draw(stack, x, rule, size=3000, seed=4).reshape(3000, -1)
        mean = tl.law(stack, x, rule).mean.ravel()
        along = maps @ mean / (mean @ mean)
        assert abs(along.mean() - 1) < 4.5 * along.std() / math.sqrt(len(along)) + 0.005
        means = pooled_mean_maps(x, grid, rule, 1, pool=pool)
        for target, toward in (("input", x.ravel()), ("mean", mean)):
            value, error = pooled_expected_cosine(
                x, grid, rule, 6, law=tl.Gaussian(0.6), pool=pool, target=target, unit_mean=means, draws=2000
            )
            near, energy = maps @ toward / np.linalg.norm(toward), (maps**2).sum(axis=1)
            ratio = near.mean() / math.sqrt(energy.mean())
            spread = (near / math.sqrt(energy.mean()) - ratio * energy / energy.mean() / 2).std()
            assert abs(ratio - value) < 4.5 * np.hypot(spread / math.sqrt(len(maps)), error), target
            assert abs(ratio - 1.2 * value) > 4.5 * np.hypot(spread / math.sqrt(len(maps)), error), target


def test_windows_that_all_overlap():
    """9×9 windows at stride 1: unions of up to 289 patches."""
    x = np.random.default_rng(5).standard_normal((1, 20, 20))
    calls = []
    mean, error = pooled_mean_map_with_error(
        x,
        PatchGrid(x.shape, 3),
        "guided",
        1,
        pool=MaxPool(9, 1),
        points=64,
        progress=lambda *c: calls.append(c),
    )
    assert calls[-1] == (18 * 18, 18 * 18)
    assert 0 < np.linalg.norm(error) < 0.2 * np.linalg.norm(mean)


def test_what_overlapping_windows_refuse():
    x = np.random.default_rng(6).standard_normal((1, 8, 8))
    grid, pool = PatchGrid(x.shape, 3), MaxPool(3, 2)
    stack = tl.models.three_layer(grid, 4, pool=pool, weights=tl.TruncatedGaussian(0.1))
    with pytest.raises(
        NoLaw, match=r"'guided' with ReLU\(\) at max-pooling whose windows overlap.*TruncatedGaussian"
    ):
        _ = tl.law(stack, x, "guided").mean
    # Rules that are linear in the readout do not ask for its law.
    gaussian = tl.models.three_layer(grid, 4, pool=pool, weights=tl.Gaussian(tl.TruncatedGaussian(0.1).std))
    for part in ("mean", "variance"):
        assert np.allclose(
            getattr(tl.law(stack, x, "saliency"), part), getattr(tl.law(gaussian, x, "saliency"), part)
        )
    guided = tl.law(gaussian, x, "guided")
    assert guided.mean.any()
    assert (guided.variance >= 0).all()
