"""Samplers against whole networks, brute force and exact laws."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from scipy import stats
from strategies import RULES, dtypes, grids, image_with_zeros, seeds

from theorylab.analytic import mean_map, variance_map
from theorylab.kernels import three_layer as kernels
from theorylab.model.laws import Gaussian, TruncatedGaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import PAPER, Rule
from theorylab.networks import three_layer_cnn, three_layer_fcn
from theorylab.sampling import MapSampler, TiledSampler, fcn_maps, three_layer_maps
from theorylab.visualization import visualize

GRID = PatchGrid((2, 6, 5), (3, 2), stride=(2, 1), padding=(0, 1))
SIZE = 2500


def crop(grid=GRID, seed=0):
    return image_with_zeros(np.random.default_rng(seed), grid.input_shape)


def projections(maps, x):
    """⟨S, x̂⟩, a fixed direction orthogonal to x, and the norm of each map."""
    flat = maps.reshape(len(maps), -1)
    unit = x.ravel() / np.linalg.norm(x)
    other = np.random.default_rng(99).standard_normal(unit.size)
    other -= (other @ unit) * unit
    return {
        "along": flat @ unit,
        "across": flat @ (other / np.linalg.norm(other)),
        "norm": np.linalg.norm(flat, axis=1),
    }


def worst_p_value(maps, others, x, names=("along", "across", "norm")):
    one, two = projections(maps, x), projections(others, x)
    return min(stats.ks_2samp(one[name], two[name]).pvalue for name in names)


def brute_force(x, grid, rule, n_filters, n_logits, size, seed):
    """Maps of the largest of explicit logits of explicit standard normal networks."""
    rng, rule = np.random.default_rng(seed), Rule(rule)
    patches = grid.extract(x)
    maps = np.empty((size, *grid.input_shape))
    for i in range(size):
        w = rng.standard_normal((grid.patch_size, n_filters))
        pre = patches @ w
        readouts = rng.standard_normal((n_logits, *pre.shape))
        logits = (readouts * np.maximum(pre, 0)).sum(axis=(1, 2))
        maps[i] = grid.fold(rule.backward(readouts[logits.argmax()], pre) @ w.T)
    return maps


def z_scores(maps, mean):
    """Of the means of entries that vary at all."""
    errors = maps.std(axis=0, ddof=1) / math.sqrt(len(maps))
    return ((maps.mean(axis=0) - mean)[errors > 0]) / errors[errors > 0]


def variance_scores(maps, mean, variance):
    squares = (maps - mean) ** 2
    return z_scores(squares, variance)


@pytest.mark.parametrize("rule", RULES)
def test_maps_have_the_law_of_whole_networks(rule):
    """Against layers, networks and visualization: another set of code from weights to maps."""
    x, n, law = crop(), 3, Gaussian(0.5)
    networks = np.stack(
        [
            visualize(three_layer_cnn(GRID, n_filters=n, n_logits=2, law=law, seed=seed), x, rule, 1)
            for seed in range(700)
        ]
    )
    maps = three_layer_maps(x, GRID, rule, n, size=SIZE, law=law, seed=4)
    assert worst_p_value(maps, networks, x) > 1e-4
    # Means and covariances, entry by entry, at z-scores of two independent samples.
    flat, other = maps.reshape(SIZE, -1), networks.reshape(700, -1)
    kept = flat.std(axis=0) > 0
    assert not other[:, ~kept].any()
    flat, other = flat[:, kept], other[:, kept]
    tests = 0
    worst = 0.0
    for one, two in (
        (flat, other),
        *(
            (
                (flat - flat.mean(0)) * (flat - flat.mean(0))[:, [k]],
                (other - other.mean(0)) * (other - other.mean(0))[:, [k]],
            )
            for k in range(0, kept.sum(), 5)
        ),
    ):
        error = np.sqrt(one.var(axis=0) / len(one) + two.var(axis=0) / len(two))
        worst = max(worst, abs((one.mean(axis=0) - two.mean(axis=0)) / error).max())
        tests += error.size
    assert worst < min(5.0, stats.norm.isf(0.5e-3 / tests))
    # The control: twice the filters.
    assert (
        worst_p_value(three_layer_maps(x, GRID, rule, 2 * n, size=SIZE, law=law, seed=4), networks, x) < 1e-4
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("law", [Gaussian(1.0), TruncatedGaussian(0.1)], ids=["Gaussian", "truncated"])
def test_maps_have_the_exact_mean_and_variance(rule, law):
    x = crop()
    maps = three_layer_maps(x, GRID, rule, 4, size=SIZE, law=law, seed=6)
    mean, variance = (function(x, GRID, rule, 4, law=law) for function in (mean_map, variance_map))
    limit = stats.norm.isf(0.5e-3 / mean.size)
    assert abs(z_scores(maps, mean)).max() < limit < 5
    assert abs(variance_scores(maps, mean, variance)).max() < 5
    assert abs(variance_scores(maps, mean, 1.5 * variance)).max() > 5


def test_another_law_of_the_filters():
    x = crop()
    maps = three_layer_maps(
        x, GRID, "saliency", 4, size=SIZE, law=Gaussian(1.0), filter_law=Gaussian(3.0), seed=6
    )
    same = three_layer_maps(x, GRID, "saliency", 4, size=SIZE, law=Gaussian(1.0), seed=6)
    np.testing.assert_allclose(maps, 3 * same, rtol=1e-12, atol=1e-12)
    # Truncated filters on patches of one pixel: E S = N E[max(V, 0)] E[max(w, 0)] sign(x).
    grid, law = PatchGrid((1, 2, 2), 1), TruncatedGaussian(1.0)
    x = np.array([[[1.0, -2.0], [0.5, 3.0]]])
    maps = three_layer_maps(x, grid, "guided", 5, size=SIZE, law=law, filter_law=law, seed=1)
    assert abs(z_scores(maps, 5 * law.relu_mean**2 * np.sign(x))).max() < 4
    assert abs(z_scores(maps, 5 * Gaussian().relu_mean ** 2 * np.sign(x))).max() > 5


@pytest.mark.parametrize("rule", RULES)
def test_largest_logit_has_the_law_of_explicit_logits(rule):
    x, n, k = crop(), 3, 20
    explicit = brute_force(x, GRID, rule, n, k, SIZE, seed=2)
    maps = three_layer_maps(x, GRID, rule, n, size=SIZE, n_logits=k, seed=3)
    assert worst_p_value(maps, explicit, x) > 1e-4
    # The controls: a logit chosen beforehand, and the largest of fewer.
    fixed = three_layer_maps(x, GRID, rule, n, size=SIZE, seed=3)
    assert worst_p_value(fixed, explicit, x) < 1e-4
    fewer = three_layer_maps(x, GRID, rule, n, size=SIZE, n_logits=4, seed=3)
    assert worst_p_value(fewer, explicit, x) < 1e-4


def test_largest_of_one_logit_is_a_logit():
    x = crop()
    one = three_layer_maps(x, GRID, "saliency", 4, size=SIZE, n_logits=1, seed=3)
    assert worst_p_value(one, three_layer_maps(x, GRID, "saliency", 4, size=SIZE, seed=8), x) > 1e-4
    assert abs(z_scores(one, np.zeros(x.shape))).max() < 4.5


def test_largest_logit_where_no_unit_is_active():
    """One filter, one pixel: in half of the networks every logit is 0 and the first wins."""
    x, grid = np.ones((1, 1, 1)), PatchGrid((1, 1, 1), 1)
    maps = three_layer_maps(x, grid, "deconvnet", 1, size=SIZE, n_logits=30, seed=0)
    explicit = brute_force(x, grid, "deconvnet", 1, 30, SIZE, seed=1)
    assert np.isfinite(maps).all()
    assert stats.ks_2samp(maps.ravel(), explicit.ravel()).pvalue > 1e-4
    guided = three_layer_maps(x, grid, "guided", 1, size=SIZE, n_logits=30, seed=0).ravel()
    assert abs((guided == 0).mean() - 0.5) < 4 * 0.5 / math.sqrt(SIZE)
    fcn = fcn_maps(x, 1, "guided", size=SIZE, n_logits=30, seed=5).ravel()
    assert np.isfinite(fcn).all()
    assert abs((fcn == 0).mean() - 0.5) < 4 * 0.5 / math.sqrt(SIZE)


@pytest.mark.parametrize("n_logits", [None, 12])
@pytest.mark.parametrize("rule", RULES)
def test_fully_connected_maps_have_the_law_of_explicit_weights(rule, n_logits):
    shape, n = (2, 3, 3), 5
    x = np.random.default_rng(0).standard_normal(shape)
    explicit = brute_force(x, PatchGrid(shape, shape[1:]), rule, n, n_logits or 1, SIZE, seed=2)
    maps = fcn_maps(x, n, rule, size=SIZE, n_logits=n_logits, seed=3)
    assert worst_p_value(maps, explicit, x) > 1e-4
    assert worst_p_value(fcn_maps(x, 2 * n, rule, size=SIZE, n_logits=n_logits, seed=3), explicit, x) < 1e-4
    if n_logits:
        assert worst_p_value(fcn_maps(x, n, rule, size=SIZE, seed=3), explicit, x) < 1e-4


def test_fully_connected_maps_have_the_law_of_the_network():
    shape, law = (1, 3, 4), Gaussian(0.4)
    x = np.random.default_rng(1).standard_normal(shape)
    networks = np.stack(
        [
            visualize(three_layer_fcn(shape, 6, 5, law=law, seed=seed), x, "guided", "max")
            for seed in range(800)
        ]
    )
    maps = fcn_maps(x, 6, "guided", size=SIZE, std=0.4, n_logits=5, seed=0)
    assert worst_p_value(maps, networks, x) > 1e-4
    assert worst_p_value(maps / 0.4, networks, x) < 1e-4


def test_fully_connected_maps_have_the_exact_mean_and_variance():
    x = np.random.default_rng(2).standard_normal((2, 3, 4))
    grid = PatchGrid(x.shape, (3, 4))
    maps = fcn_maps(x, 7, "guided", size=SIZE, std=0.6, seed=1)
    mean, variance = (f(x, grid, "guided", 7, law=Gaussian(0.6)) for f in (mean_map, variance_map))
    assert abs(z_scores(maps, mean)).max() < 4.5
    assert abs(variance_scores(maps, mean, variance)).max() < 4.5
    assert abs(variance_scores(maps, mean, 1.5 * variance)).max() > 5


@pytest.mark.parametrize("n_logits", [None, 9])
def test_a_longer_run_begins_with_the_same_maps(n_logits):
    x = crop()
    for rule in RULES:
        few, many = (
            three_layer_maps(x, GRID, rule, 3, size=size, n_logits=n_logits, seed=11) for size in (3, 8)
        )
        np.testing.assert_array_equal(few, many[:3])
        few, many = (fcn_maps(x, 30, rule, size=size, n_logits=n_logits, seed=11) for size in (3, 8))
        np.testing.assert_array_equal(few, many[:3])
        assert len(np.unique(many.reshape(8, -1), axis=0)) == 8


@pytest.mark.parametrize("draw", ["cnn", "fcn"])
def test_determinism(draw):
    def maps(seed):
        if draw == "cnn":
            return three_layer_maps(crop(), GRID, "guided", 3, size=2, seed=seed)
        return fcn_maps(crop(), 3, "guided", size=2, seed=seed)

    np.testing.assert_array_equal(maps(5), maps(5))
    assert (maps(5) != maps(6)).any()
    rng = np.random.default_rng(5)
    first = maps(rng)
    assert (first != maps(rng)).any()  # a generator moves on
    np.testing.assert_array_equal(first, maps(np.random.default_rng(5)))


@pytest.mark.parametrize("rule", RULES)
def test_groups_add_up_to_the_map(rule):
    sampler = MapSampler(crop(), GRID, 7, law=Gaussian(1.0))
    whole, parts = (sampler.draw(np.random.default_rng(3), [Rule(rule)], groups=groups) for groups in (1, 3))
    assert parts.shape == (1, 1, 3, *GRID.input_shape)
    np.testing.assert_allclose(parts.sum(axis=2), whole[:, :, 0], atol=1e-12)
    assert all(parts[0, 0, part].any() for part in range(3))


def test_groups_are_independent():
    """⟨S¹, S²⟩ has mean ⟨E S¹, E S²⟩: without the filters in common there is no noise in common."""
    x, sampler, rng = crop(), MapSampler(crop(), GRID, 4, law=Gaussian(1.0)), np.random.default_rng(0)
    halves = np.stack([sampler.draw(rng, [Rule.GUIDED], groups=2)[0, 0] for _ in range(SIZE)])
    products = (halves[:, 0] * halves[:, 1]).sum(axis=(1, 2, 3))
    expected = (mean_map(x, GRID, "guided", 2) ** 2).sum()
    error = products.std(ddof=1) / math.sqrt(SIZE)
    assert abs(products.mean() - expected) < 4 * error
    assert abs(products.mean() - expected - variance_map(x, GRID, "guided", 2).sum()) > 10 * error


def test_readouts_share_the_filters_and_rules_share_both():
    """One patch, one filter: every DeconvNet map of one network is a multiple of the filter."""
    grid = PatchGrid((1, 3, 3), 3)
    sampler = MapSampler(np.ones((1, 3, 3)), grid, 1, law=Gaussian(1.0))
    compared = distinct = 0
    for seed in range(40):
        maps = sampler.draw(np.random.default_rng(seed), [Rule.DECONVNET, Rule.SALIENCY], n_readouts=4)
        assert maps.shape == (2, 4, 1, 1, 3, 3)
        flat = maps.reshape(8, 9)
        assert np.linalg.matrix_rank(flat) <= 1
        # Saliency is ±the DeconvNet map where both are there: the same readout.
        for deconvnet, saliency in zip(flat[:4], flat[4:], strict=True):
            if deconvnet.any() and saliency.any():
                np.testing.assert_array_equal(deconvnet, saliency)
                compared += 1
        distinct += len(np.unique(flat[:4], axis=0))
    assert compared > 10
    assert distinct > 80  # the readouts of one network differ


def test_rules_of_one_draw_hang_together():
    """Asking for one more rule that masks does not move the numbers."""
    sampler = MapSampler(crop(), GRID, 6, law=Gaussian(1.0))
    both = sampler.draw(np.random.default_rng(2), [Rule.SALIENCY, Rule.GUIDED])
    alone = sampler.draw(np.random.default_rng(2), [Rule.GUIDED])
    np.testing.assert_array_equal(both[1], alone[0])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n_logits", [None, 10])
def test_single_precision_has_the_same_law(rule, n_logits):
    x = crop()
    sampler = MapSampler(x, GRID, 4, law=Gaussian(1.0), dtype=np.float32)
    rng = np.random.default_rng(21)
    single = np.stack([sampler.draw(rng, [Rule(rule)], n_logits=n_logits)[0, 0, 0] for _ in range(SIZE)])
    assert single.dtype == np.float32
    double = three_layer_maps(x, GRID, rule, 4, size=SIZE, n_logits=n_logits, seed=22)
    assert double.dtype == np.float64
    assert worst_p_value(single.astype(float), double, x) > 1e-4


@given(grids(), dtypes, seeds)
def test_active_signal_is_the_backward_signal_of_spread_values(grid, dtype, seed):
    rng = np.random.default_rng(seed)
    n = 4
    pre = rng.standard_normal((grid.n_patches, n)).astype(dtype)
    pre[rng.random(pre.shape) < 0.3] = 0  # no unit is open at exactly 0
    values = rng.standard_normal(int((pre > 0).sum())).astype(dtype)
    spread = np.full(pre.shape, np.nan, dtype=dtype)  # what closed units hold must not matter
    spread[pre > 0] = values
    for rule, h in (
        (Rule.SALIENCY, lambda v: v),
        (Rule.GUIDED, lambda v: max(v, 0)),
        (Rule("test-abs"), abs),
    ):
        found = kernels.active_signal(pre, values, rule, np.empty_like(pre))
        expected = kernels.backward_signal(pre, spread, rule, np.empty_like(pre))
        np.testing.assert_array_equal(found, expected)
        loops = [[h(v) if y > 0 else 0 for y, v in zip(*rows, strict=True)]
                 for rows in zip(pre, spread, strict=True)]  # fmt: skip
        np.testing.assert_array_equal(found, np.array(loops, dtype=dtype))


def test_active_signal_refuses_arrays_that_do_not_fit():
    y = np.ones((2, 3))
    with pytest.raises(ValueError, match="pre_activation: expected"):
        kernels.active_signal(y, np.ones(6), Rule.GUIDED, np.empty((3, 2)))
    with pytest.raises(ValueError, match="pre_activation: expected"):
        kernels.active_signal(y, np.ones(6), Rule.GUIDED, np.empty((2, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="C-contiguous"):
        kernels.active_signal(np.ones((3, 2)).T, np.ones(6), Rule.GUIDED, np.empty((2, 3)))


def test_active_drawing_has_the_law_of_drawing_everything():
    """Rules that mask draw what open units need; drawn beside DeconvNet they draw all, in the same law."""
    x = crop()
    sampler, rng = MapSampler(x, GRID, 4, law=Gaussian(1.0)), np.random.default_rng(1)
    dense = np.stack([sampler.draw(rng, [Rule.GUIDED, Rule.DECONVNET])[0, 0, 0] for _ in range(SIZE)])
    sparse = np.stack([sampler.draw(rng, [Rule.GUIDED])[0, 0, 0] for _ in range(SIZE)])
    assert worst_p_value(dense, sparse, x) > 1e-4


def test_bad_input():
    x = crop()
    with pytest.raises(
        ValueError, match="n_logits: the law of the winner is exact for a Gaussian readout only"
    ):
        three_layer_maps(x, GRID, "guided", 3, size=2, law=TruncatedGaussian(0.1), n_logits=5)
    for function in (
        lambda **kwargs: three_layer_maps(x, GRID, "guided", 3, **kwargs),
        lambda **kwargs: fcn_maps(x, 3, "guided", **kwargs),
    ):
        with pytest.raises(ValueError, match="size: expected at least 1"):
            function(size=0)
        with pytest.raises(TypeError, match="size: expected an integer"):
            function(size=1.0)
        with pytest.raises(ValueError, match="n_logits: expected at least 1"):
            function(size=1, n_logits=0)
        with pytest.raises(ValueError, match="seed: expected an integer of at least 0"):
            function(size=1, seed=-1)
        with pytest.raises(TypeError, match="seed: expected an integer"):
            function(size=1, seed=None)
    with pytest.raises(ValueError, match="x: expected shape"):
        three_layer_maps(x[:1], GRID, "guided", 3, size=2)
    with pytest.raises(ValueError, match="zero everywhere"):
        three_layer_maps(0 * x, GRID, "guided", 3, size=2)
    with pytest.raises(ValueError, match="n_filters: expected at least 1"):
        three_layer_maps(x, GRID, "guided", 0, size=2)
    with pytest.raises(ValueError, match="unknown rule"):
        three_layer_maps(x, GRID, "gradient", 3, size=2)
    with pytest.raises(ValueError, match="unknown rule"):
        fcn_maps(x, 3, "gradient", size=2)
    with pytest.raises(ValueError, match="n_hidden: expected at least 1"):
        fcn_maps(x, 0, "guided", size=2)
    with pytest.raises(ValueError, match="zero everywhere"):
        fcn_maps(0 * x, 3, "guided", size=2)
    with pytest.raises(ValueError, match="std: expected a finite number above 0"):
        fcn_maps(x, 3, "guided", size=2, std=0.0)
    with pytest.raises(TypeError, match="std: expected a number, got TruncatedGaussian"):
        fcn_maps(x, 3, "guided", size=2, std=TruncatedGaussian(0.1))  # exact for a Gaussian alone


def test_normal_numbers_in_single_precision_are_normal():
    draws = Gaussian(1.0).sample((4, 1_000_000), seed=1, dtype=np.float32)
    assert draws.dtype == np.float32
    flat = draws.ravel().astype(float)
    assert stats.kstest(flat, "norm").pvalue > 1e-4
    assert stats.kstest(1.002 * flat, "norm").pvalue > 1e-4 > stats.kstest(1.01 * flat, "norm").pvalue
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        values = flat**power
        assert abs(values.mean() - moment) < 4.5 * values.std() / math.sqrt(flat.size)
    # Every hundredth of the half-line up to the tail, the layer's edge at 3.654 and the tail itself.
    edges = np.append(np.linspace(0, 3.6, 361), [3.654152885361009, 3.75, 4.0, 4.5, np.inf])
    seen, _ = np.histogram(abs(flat), edges)
    expected = 2 * np.diff(stats.norm.cdf(edges)) * flat.size
    assert stats.chi2.sf(((seen - expected) ** 2 / expected).sum(), len(seen) - 1) > 1e-4
    # Neighbours, which share a word of 64 bits, are independent.
    assert abs(np.corrcoef(flat[::2], flat[1::2])[0, 1]) < 4.5 / math.sqrt(flat.size / 2)
    assert abs(np.corrcoef(abs(flat[::2]), abs(flat[1::2]))[0, 1]) < 4.5 / math.sqrt(flat.size / 2)


def test_normal_numbers_in_single_precision_follow_from_the_seed():
    law = Gaussian(0.5)
    one, two = (law.sample((3, 5), seed=2, dtype=np.float32) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (one != law.sample((3, 5), seed=3, dtype=np.float32)).all()
    np.testing.assert_array_equal(2 * one, Gaussian(1.0).sample((3, 5), seed=2, dtype=np.float32))
    assert law.sample(0, seed=1, dtype=np.float32).size == 0
    x = crop()
    sampler = MapSampler(x, GRID, 4, law=Gaussian(1.0), dtype=np.float32)
    rng = np.random.default_rng(8)
    maps = np.stack([sampler.draw(rng, [Rule.GUIDED])[0, 0, 0] for _ in range(SIZE)]).astype(float)
    assert worst_p_value(maps, three_layer_maps(x, GRID, "guided", 4, size=SIZE, seed=9), x) > 1e-4


@pytest.mark.parametrize("rule", RULES)
def test_tiles_have_the_law_of_the_whole(rule, monkeypatch):
    x, n = crop(), 3
    for tile, seed in ((2**17, 1), (4 * n, 2)):  # all patches at once, and four at a time
        monkeypatch.setattr("theorylab.sampling.tiled._TILE", tile)
        sampler, rng = TiledSampler(x, GRID, n), np.random.default_rng(seed)
        drawn = np.stack([sampler.draw(rng, [Rule(rule)], n_readouts=2)[0] for _ in range(SIZE)])
        maps, siblings = drawn.astype(float).swapaxes(0, 1)
        plain = MapSampler(x, GRID, n, law=Gaussian(1.0))
        rng = np.random.default_rng(seed)
        both = np.stack([plain.draw(rng, [Rule(rule)], n_readouts=2)[0, :, 0] for _ in range(SIZE)])
        assert worst_p_value(maps, both[:, 0], x) > 1e-4
        assert worst_p_value(siblings, both[:, 1], x) > 1e-4
        # What two logits of one network have in common.
        products = (maps * siblings).sum(axis=(1, 2, 3)), both.prod(axis=1).sum(axis=(1, 2, 3))
        assert stats.ks_2samp(*products).pvalue > 1e-4
        assert (
            stats.ks_2samp((maps * np.roll(maps, 1, axis=0)).sum(axis=(1, 2, 3)), products[1]).pvalue < 0.01
        )
        assert worst_p_value(1.2 * maps, both[:, 0], x) < 1e-4
    mean, variance = (f(x, GRID, rule, n) for f in (mean_map, variance_map))
    assert abs(z_scores(maps, mean)).max() < 4.5
    assert abs(variance_scores(maps, mean, variance)).max() < 5


def test_rules_of_a_tile_share_filters_and_readout():
    x = crop()
    sampler = TiledSampler(x, GRID, 5)
    every = sampler.draw(np.random.default_rng(3), list(PAPER), n_readouts=2)
    alone = sampler.draw(np.random.default_rng(3), [Rule.GUIDED], n_readouts=2)
    np.testing.assert_array_equal(every[2], alone[0])
    with pytest.raises(ValueError, match="n_filters: expected at least 1"):
        TiledSampler(x, GRID, 0)
    with pytest.raises(ValueError, match="zero everywhere"):
        TiledSampler(0 * x, GRID, 2)


# VmHWM, not ru_maxrss: that one begins with the memory of the process that started this one.
STREAMED = """
import numpy as np
import theorylab as tl
x = tl.images.load(size=64)
net = tl.networks.three_layer_fcn(x.shape, 70_000, 2, law=tl.TruncatedGaussian(0.1), dtype=np.float32,
                                  memory_limit=64 * 2**20)
found = tl.visualize(net, x, "guided", 1)
assert np.isfinite(found).all() and found.any()
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_streamed_weights_stay_small():
    """70 000 hidden units on 64×64×3: dense, the hidden weights alone are 3.4 GB in single precision."""
    done = subprocess.run([sys.executable, "-c", STREAMED], capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1000 < 300
