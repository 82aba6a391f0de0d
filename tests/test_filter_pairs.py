"""What windows share of one filter: against filters in a plane, turned step by step, and the closed form without a pool."""

import numpy as np
import pytest
from strategies import image_with_zeros

from theorylab import MaxPool, NoLaw, PatchGrid
from theorylab.analytic._filter_pairs import filter_pairs
from theorylab.analytic.three_layer import law_of

POINTS = 2**13


def turned(x, grid, pool, gate, steps=20_000):
    """Filters of two entries at every angle: the pairs, and the deviation of their sums for one filter."""
    theta = (np.arange(steps) + 0.5) * 2 * np.pi / steps
    patches = grid.extract(x)
    plane = np.zeros((2, x.size + 1, steps))  # F, and Σ w² K
    place = grid.extract(np.arange(1, x.size + 1).reshape(x.shape))
    w = np.stack([np.cos(theta), np.sin(theta)])
    values = np.round(np.maximum(patches @ w, 0), 12)
    wins = np.zeros(values.shape)
    for window in pool.windows(grid.output_shape):
        held = window[window >= 0]
        winner = held[values[held].argmax(axis=0)]
        wins[winner, np.arange(steps)] += (values[held].max(axis=0) > 0) | (not gate)
    for j in range(len(patches)):
        for k in range(2):
            plane[0, place[j, k]] += np.sqrt(wins[j]) * w[k]
            plane[1, place[j, k]] += wins[j] * w[k] ** 2
    mean, crossed = plane[0, 1:], (plane[0] ** 2 - plane[1])[1:]
    # The radius of a filter is independent of its angle: E r = √(π/2), E r² = 2, E r⁴ = 8.
    pairs = 2 * crossed.mean(axis=1) - np.pi / 2 * mean.mean(axis=1) ** 2
    spread = np.sqrt(8 * (crossed**2).mean(axis=1)) + 2 * np.sqrt(2) * abs(mean).max(axis=1) ** 2
    return pairs.reshape(x.shape), spread.reshape(x.shape)


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize(
    "pool", [MaxPool(2), MaxPool((1, 3), 1), MaxPool(2, 1, 1), MaxPool((3, 2), 2)], ids=str
)
def test_filters_in_a_plane(pool, gate):
    rng = np.random.default_rng(3)
    grid = PatchGrid((1, 4, 7), (1, 2), padding=(0, 1))
    x = image_with_zeros(rng, grid.input_shape)
    expected, spread = turned(x, grid, pool, gate)
    calls = []
    found = filter_pairs(x, grid, pool, gate, POINTS, lambda *call: calls.append(call))
    assert calls[-1] == (POINTS, POINTS)
    # At worst the points are as good as drawn ones.
    assert (abs(found - expected) <= 4.5 * spread / np.sqrt(POINTS) + 1e-9).all()
    # So the pairs forgotten, or the mean left in, would be seen.
    assert np.linalg.norm(found - expected) < 0.03 * np.linalg.norm(expected)


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
def test_windows_of_one_patch_are_no_pool(rule):
    rng = np.random.default_rng(4)
    grid = PatchGrid((2, 6, 6), 3, padding=1)
    x = image_with_zeros(rng, grid.input_shape)
    law = law_of(x, grid, rule, 1)
    expected = law.pairs - law.first**2
    found = filter_pairs(x, grid, MaxPool(1), law.rule.gate, POINTS)
    if rule == "deconvnet":  # nothing is selected, and different entries of a filter are independent
        assert not expected.any()
    assert np.sqrt(((found - expected) ** 2).mean()) < 0.05 * law.second.mean()
    assert np.linalg.norm(found) > (5 if rule == "guided" else 0) * np.linalg.norm(found - expected)


def test_filters_of_too_many_entries_are_refused():
    x = np.ones((1, 1, 4098))
    with pytest.raises(NoLaw, match="4097 entries"):
        filter_pairs(x, PatchGrid(x.shape, (1, 4097)), MaxPool((1, 2)), True, 64)


@pytest.mark.parametrize("gate", [True, False])
def test_equal_patches_tie_and_the_first_wins(gate):
    """On a picture of equal columns every window sends all to its first column: as if there were no other."""
    x = np.repeat(np.random.default_rng(6).standard_normal((3, 11, 1)), 13, axis=2)
    found = filter_pairs(x, PatchGrid(x.shape, 3), MaxPool((1, 2)), gate, 512)
    seen = x[:, :, :-1]  # the last column of patches is in no window
    first = filter_pairs(seen, PatchGrid(seen.shape, 3, stride=(1, 2)), MaxPool(1), gate, 512)
    np.testing.assert_allclose(found[:, :, :-1], first, atol=1e-9)
