"""Max-pools in deep networks whose windows overlap or are padded: against three layers, brute force and drawn networks."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_depth import network
from strategies import cosine, picture

import theorylab as tl
from theorylab.analytic import _blocks, depth_maps, pooled_mean_map, pooled_variance_map
from theorylab.analytic._chains import TwoChains
from theorylab.analytic._field import Field
from theorylab.analytic._inner_products import InnerProducts
from theorylab.analytic._plan import HERE
from theorylab.analytic._several_windows import lost_of_sum, moments_of_sum, product_of_pair, sites_of
from theorylab.analytic._unit_moments import unit_moments
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import PAPER, Rule
from theorylab.model.specs import AdaptiveAveragePool, ConvSpec, Residual
from theorylab.model.units import RELU

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RESNETS = MaxPool(3, 2, 1)
POOLS = [
    MaxPool(size, stride, padding)
    for size, stride, padding in itertools.product((2, 3), (1, 2, 3), (0, 1))
    if stride < size or padding
] + [MaxPool(2, ceil_mode=True), MaxPool((2, 3), 2, ceil_mode=True)]


def conv(filters, kernel, reads, stride=1):
    return ConvSpec(filters, kernel, stride, kernel // 2, std=math.sqrt(2 / (reads * kernel**2)))


# --- one hidden layer: the law that knows the patches themselves -----------------------------------------------------


@settings(max_examples=8)
@given(pool=st.sampled_from(POOLS), rule=st.sampled_from(PAPER), seed=st.integers(0, 99))
def test_one_hidden_layer_is_the_three_layer_law(pool, rule, seed):
    x, grid = picture(9, seed), PatchGrid((3, 9, 9), 3, padding=1)
    record = depth_maps(x, [ConvSpec(7, 3, padding=1, std=0.3), pool], rule)[-1]
    mean, variance = (
        law(x, grid, rule, 7, pool=pool, filter_std=0.3) for law in (pooled_mean_map, pooled_variance_map)
    )
    if rule == Rule.SALIENCY:
        np.testing.assert_array_equal(record.mean_map, mean)
    else:
        assert cosine(record.mean_map, mean) > 0.997
        assert np.vdot(record.mean_map, mean) == pytest.approx(np.vdot(mean, mean), rel=0.015)
    # β² leaves out what different entries of a filter share.
    assert record.variance_map.sum() == pytest.approx(variance.sum(), rel=0.04)


# --- a row of patches, by brute force --------------------------------------------------------------------------------

ROW = 6


def units_by_force(y, pool, field, rule, draws, rng):
    """Filters (draws, p) of unit variance and what they hand on at every position (draws, ROW), from the definitions."""
    w = rng.standard_normal((draws, y.shape[1]))
    z = w @ y.T
    windows = pool.windows((1, ROW))
    count = len(windows)
    covariance = np.diag(field.beta[0] ** 2)
    for k in range(count - 1):
        covariance[k, k + 1] = covariance[k + 1, k] = field.shared[0, 1][0, k]
    noise = rng.multivariate_normal(np.zeros(count), covariance, size=draws)
    largest = np.stack([np.maximum(z[:, held[held >= 0]].max(axis=1), 0) for held in windows], axis=1)
    received = np.zeros(z.shape)
    for p, held in enumerate(windows):
        present = held[held >= 0]
        v = field.shifts[HERE][0, p] * largest[:, p] + noise[:, p]
        if p + 1 < count:
            v = v + field.shifts[0, 1][0, p] * largest[:, p + 1]
        winner = present[np.maximum(z[:, present], 0).argmax(axis=1)]
        received[np.arange(draws), winner] += v
    return w, np.where((z > 0) | (not rule.gate), rule.h(received), 0.0)


@pytest.mark.parametrize("rule", PAPER)
@pytest.mark.parametrize(
    "pool",
    [
        MaxPool((1, 3), (1, 2), (0, 1)),
        MaxPool((1, 3), 1),
        MaxPool((1, 2), (1, 2)),
        MaxPool((1, 3), (1, 2), ceil_mode=True),
    ],
)
def test_units_and_pairs_against_brute_force(pool, rule):
    rng = np.random.default_rng([ROW, pool.size[1], pool.stride[1]])
    y = rng.standard_normal((ROW, 4)) + 1.0  # neighbours are alike
    count = pool.output_shape((1, ROW))[1]
    beta = rng.uniform(0.5, 1.5, (1, count))
    shared = np.zeros((1, count))
    shared[0, :-1] = rng.uniform(0.2, 0.5, count - 1) * beta[0, :-1] * beta[0, 1:]
    means = {HERE: rng.uniform(-0.2, 0.5, (1, count)), (0, 1): rng.uniform(0, 0.3, (1, count))}
    field = Field(means, beta, {(0, 1): shared})
    (block,) = _blocks.read((4, 1, ROW), [ConvSpec(3, 1), pool])
    shifts = [(0, k) for k in range(2 * ROW)]
    patches = InnerProducts.of_image(y.T[:, None], shifts).of_patches(block.grid, shifts)
    draws = 400_000
    w, handed = units_by_force(y * block.std, pool, field, rule, draws, rng)
    seen = np.zeros(ROW, dtype=bool)
    for sites in sites_of(block, patches, field):
        b, second = moments_of_sum(sites, rule, points=2**15)
        for n, j in enumerate(sites.columns):
            seen[j] = True
            m = [(k, j + step) for k, (_, step) in enumerate(sites.lying.listed) if 0 <= j + step < ROW]
            # E[w T] = c² Σ b y for filters of deviation c; these have deviation 1 and patches c y.
            law = block.std * sum(b[n, k] * y[at] for k, at in m)
            sample = w * handed[:, j, None]
            error = sample.std(axis=0) / math.sqrt(draws)
            assert (abs(law - sample.mean(axis=0)) < 5 * error + 0.005).all()
            error = (handed[:, j] ** 2).std() / math.sqrt(draws)
            assert second[n] == pytest.approx((handed[:, j] ** 2).mean(), rel=0.01, abs=5 * error)
    assert seen.all()
    for sites in sites_of(block, patches, field, (0, 1)):
        products = product_of_pair(sites, rule, points=2**15)
        for n, j in enumerate(sites.columns):
            sample = handed[:, j] * handed[:, j + 1]
            error = sample.std() / math.sqrt(draws)
            assert products[n] == pytest.approx(sample.mean(), abs=5 * error + 0.004)


@pytest.mark.parametrize("rule", [Rule.GUIDED, Rule.DECONVNET])
def test_what_two_logits_lose_behind_windows_against_brute_force(rule):
    """A half of each noise's variance is a logit's own; what two windows share, both logits share."""
    rng, pool, draws = np.random.default_rng(3), MaxPool((1, 3), (1, 2), (0, 1)), 400_000
    y = rng.standard_normal((ROW, 4)) + 1.0
    (block,) = _blocks.read((4, 1, ROW), [ConvSpec(3, 1), pool])
    shifts = [(0, k) for k in range(2 * ROW)]
    patches = InnerProducts.of_image(y.T[:, None], shifts).of_patches(block.grid, shifts)
    beta, shared = np.array([[1.0, 1.4, 0.7]]), np.array([[0.4, 0.2, 0.0]])
    field = Field({HERE: np.array([[0.3, -0.1, 0.2]])}, beta, {(0, 1): shared})
    alone = Field(field.shifts, beta / math.sqrt(2))
    windows = pool.windows((1, ROW))
    common = np.diag(beta[0] ** 2 / 2) + np.diag(shared[0, :-1], 1) + np.diag(shared[0, :-1], -1)
    z = rng.standard_normal((draws, 4)) @ (block.std * y).T
    noise = rng.multivariate_normal(np.zeros(3), common, size=draws)
    handed = np.zeros((2, *z.shape))
    each = noise + beta[0] / math.sqrt(2) * rng.standard_normal((2, draws, 3))
    for p, held in enumerate(windows):
        present = held[held >= 0]
        open_ = np.maximum(z[:, present], 0)
        v = field.shifts[HERE][0, p] * open_.max(axis=1) + each[:, :, p]
        handed[:, np.arange(draws), present[open_.argmax(axis=1)]] += v
    handed = np.where((z > 0) | (not rule.gate), rule.h(handed), 0.0)
    sample = (handed[0] - handed[1]) ** 2 / 2
    seen = 0
    for sites, own in zip(*(sites_of(block, patches, f) for f in (field, alone)), strict=True):
        for n, lost in enumerate(lost_of_sum(sites, own, rule, points=2**14)):
            column = sample[:, sites.columns[n]]
            assert lost == pytest.approx(column.mean(), rel=0.01, abs=5 * column.std() / math.sqrt(draws))
            seen += 1
    assert seen == ROW


@pytest.mark.parametrize("pool", [RESNETS, MaxPool(3, 1, 1), MaxPool(2, 1)])
def test_two_logits_behind_one_hidden_layer_are_those_of_three_layers(pool):
    x, grid = picture(9, 4), PatchGrid((3, 9, 9), 3, padding=1)
    record = depth_maps(x, [ConvSpec(40, 3, padding=1), pool], "deconvnet")[-1]
    exact = tl.law(tl.models.three_layer(grid, 40, pool=pool), x, "deconvnet").class_distance
    assert record.class_distance == pytest.approx(exact, rel=0.01)
    apart = tl.law(tl.models.three_layer(grid, 40, pool=MaxPool(2)), x, "deconvnet").class_distance
    assert abs(apart / exact - 1) > 0.05  # as behind disjoint windows


def test_a_pair_of_units_alone_is_the_arc_cosine():
    """Without a mean and a gate ``E[σ(v) σ(v')]`` is the kernel of degree 1 of the noises' correlation."""
    (block,) = _blocks.read((2, 1, 2), [ConvSpec(3, 1)])
    patches = InnerProducts.of_image(np.ones((2, 1, 2)), [HERE, (0, 1)])
    for rho in (-0.5, 0.0, 0.8, 1.0):
        field = Field({HERE: np.zeros((1, 2))}, np.array([[1.0, 2.0]]), {(0, 1): np.array([[2 * rho, 0.0]])})
        (sites,) = sites_of(block, patches, field, (0, 1))
        angle = math.acos(rho)
        exact = 2 * (math.sin(angle) + (math.pi - angle) * rho) / (2 * math.pi)
        assert product_of_pair(sites, Rule.DECONVNET, points=2**13)[0] == pytest.approx(exact, abs=5e-3)


# --- residual stages -------------------------------------------------------------------------------------------------


def spread(rng):
    root = rng.standard_normal((1, 2, 2))
    return root @ root.swapaxes(1, 2)


@pytest.mark.parametrize("rule", PAPER)
def test_two_chains_against_brute_force(rule):
    rng = np.random.default_rng(8)
    covariances, noises = [spread(rng) for _ in range(3)], [spread(rng) for _ in range(3)]
    alphas = [rng.uniform(-0.3, 0.5, (1, 2)) for _ in range(3)]
    draws = 400_000
    g, noise = (
        [rng.multivariate_normal(np.zeros(2), c[0], size=draws) for c in some]
        for some in (covariances, noises)
    )
    o, z = [], []
    for step in g:
        z.append(step + (o[-1] if o else 0))
        o.append(np.maximum(z[-1], 0))
    chains = TwoChains(covariances)
    gap = ((o[-1][:, 0] - o[-1][:, 1]) ** 2).mean()
    assert chains.gap(points=2**13)[0] == pytest.approx(gap, rel=0.02)
    handed = 0.0
    for n in range(3):
        handed = rule.backward(handed + alphas[n] * o[2 - n] + noise[n], z[2 - n])
        sample = handed[:, 0] * handed[:, 1]
        law = chains.product(alphas[: n + 1], noises[: n + 1], rule, points=2**13)[0]
        error = sample.std() / math.sqrt(draws)
        assert law == pytest.approx(sample.mean(), abs=5 * error + 0.01 * abs(sample).mean())


def test_a_pair_of_one_position_is_that_position():
    variance, alpha, beta = 1.3, 0.4, 0.7
    both = TwoChains([np.full((1, 2, 2), variance)]).product(
        [np.full((1, 2), alpha)], [np.full((1, 2, 2), beta**2)], Rule.GUIDED, points=2**13
    )
    _, second = unit_moments(Rule.GUIDED, RELU, alpha * math.sqrt(variance), beta)
    assert both[0] == pytest.approx(float(second), rel=0.01)


# --- drawn networks --------------------------------------------------------------------------------------------------

WIDTH = 96
STACKS = {
    "convolutions": [conv(WIDTH, 3, 3), RESNETS, conv(WIDTH, 3, WIDTH), conv(WIDTH, 3, WIDTH)],
    "every position": [conv(WIDTH, 3, 3), MaxPool(3, 1, 1), conv(WIDTH, 3, WIDTH), conv(WIDTH, 3, WIDTH)],
    "global average": [conv(WIDTH, 3, 3), RESNETS, conv(WIDTH, 3, WIDTH), AdaptiveAveragePool(1)],
    "stem": [
        conv(WIDTH, 7, 3, 2),
        RESNETS,
        Residual([conv(WIDTH, 1, WIDTH), conv(WIDTH, 3, WIDTH)], conv(WIDTH, 1, WIDTH)),
        Residual([conv(WIDTH, 3, WIDTH)]),
    ],
    "twice": [conv(WIDTH, 3, 3), RESNETS, conv(WIDTH, 3, WIDTH), RESNETS, conv(WIDTH, 3, WIDTH)],
    "beyond the plane": [
        conv(WIDTH, 3, 3),
        MaxPool(3, 2, ceil_mode=True),
        conv(WIDTH, 3, WIDTH),
        MaxPool(4, ceil_mode=True),
    ],
    "above another": [conv(WIDTH, 3, 3), MaxPool(2), conv(WIDTH, 3, WIDTH), RESNETS],
}
DRAWS = 60


def white(self, shift):
    """A field whose noises are independent at different positions: the law somebody could have believed."""
    return self.beta**2 if shift == HERE else np.zeros(self.beta.shape)


@pytest.mark.parametrize("name", list(STACKS))
def test_drawn_networks(name, monkeypatch):
    x, layers, rules = picture(20 if name == "stem" else 12), STACKS[name], ("guided", "deconvnet")
    rng = np.random.default_rng(5)
    rows = {rule: [] for rule in rules}
    maps = {rule: [] for rule in rules}
    for _ in range(DRAWS):
        for rule, pairs in network(x, layers, rules, rng).items():
            rows[rule].append([cosine(v, o) for v, o in pairs])
            maps[rule].append(pairs[-1][0])
    for rule in rules:
        records = depth_maps(x, layers, rule)
        seen = np.array(rows[rule])
        error = seen.std(axis=0, ddof=1) / math.sqrt(DRAWS)
        law = np.array([record.alignment for record in records])
        # One over the width, mostly of the input's three channels, whose energy varies.
        assert (abs(law - seen.mean(axis=0)) < 4 * error + 2 / WIDTH).all()
        mean, found = records[-1].mean_map, np.mean(maps[rule], axis=0)
        halves = cosine(np.mean(maps[rule][::2], axis=0), np.mean(maps[rule][1::2], axis=0))
        assert cosine(mean, found) > math.sqrt(2 * halves / (1 + halves)) - 0.008
        along = np.array([np.vdot(map_, mean) for map_ in maps[rule]]) / np.vdot(mean, mean)
        assert along.mean() == pytest.approx(1, abs=4 * along.std() / math.sqrt(DRAWS) + 0.04)
    if name == "every position":  # where most windows meet
        monkeypatch.setattr(Field, "noise", white)
        wrong = depth_maps(x, layers, "deconvnet")[-1].mean_map
        along = np.array([np.vdot(map_, wrong) for map_ in maps["deconvnet"]]) / np.vdot(wrong, wrong)
        assert along.mean() > 1.3


def test_resnet50_has_a_law():
    x = picture(32)
    stack = tl.models.resnet50(input_shape=x.shape)
    guided = tl.law(stack, x, "guided")
    assert guided.kind == "limit"
    assert 0.3 < guided.expected_cosine() < 0.8
    assert (guided.variance > 0).all()
    with pytest.raises(tl.NoLaw, match="residual block"):
        _ = guided.class_distance
    assert tl.law(stack, x, "saliency").class_distance == pytest.approx(math.sqrt(2))
    assert 0.1 < tl.law(stack, x, "deconvnet").class_distance < 0.6


def test_a_global_average_is_what_the_stack_says():
    x = picture(10)
    layers = [conv(8, 3, 3), RESNETS, conv(8, 3, 8), AdaptiveAveragePool(1)]
    stack = tl.Stack(x.shape, layers, readout=tl.Gaussian(0.3))
    law = tl.law(stack, x, "guided")
    record = depth_maps(x, layers, "guided", readout_std=0.3)[-1]
    np.testing.assert_array_equal(law.mean, record.mean_map)
    # Positions that receive the same differ from positions that do not: their gradients add where windows meet.
    independent = depth_maps(x, layers[:-1], "guided", readout_std=0.3)[-1]
    assert np.linalg.norm(law.mean) * 25 > 1.02 * np.linalg.norm(independent.mean_map)


def test_what_is_refused():
    x = np.ones((1, 20, 20))
    with pytest.raises(tl.NoLaw, match=r"layers\[1\]: .*depends on 169 positions, more than 121"):
        depth_maps(x, [ConvSpec(4, 3, padding=1), MaxPool(7, 1)], "guided")
    layers = [ConvSpec(4, 3, padding=1), MaxPool(3, 2)]
    with pytest.raises(tl.NoLaw, match=r"overlapping windows, .* under a readout"):
        depth_maps(x, layers, "guided", readout=tl.Uniform(1.0))
    assert depth_maps(x, layers, "saliency", readout=tl.Uniform(1.0))[-1].beta.any()
    averaged = [*layers, ConvSpec(4, 3), AdaptiveAveragePool(1)]
    assert depth_maps(x, averaged, "guided", readout=tl.Uniform(1.0))[-1].alignment > 0
    with pytest.raises(tl.NoLaw, match="two logits through a max-pool with overlapping or padded windows"):
        _ = depth_maps(x, averaged, "guided")[-1].class_distance
    assert depth_maps(x, averaged, "guided")[0].class_distance > 0  # above the pool
    with pytest.raises(tl.NoLaw, match="two logits of a global average through a max-pool with overlapping"):
        _ = depth_maps(x, averaged, "deconvnet")[-1].class_distance
    # A stride of two makes neighbours independent.
    strided = [*layers, ConvSpec(4, 3, stride=2), AdaptiveAveragePool(1)]
    assert depth_maps(x, strided, "deconvnet")[-1].class_distance > 0


def test_a_global_average_hands_one_weight_to_all_positions():
    """Their noises are then one, whatever the law of the readout: E[h²] is passed down, not E[h]², here 18 % less."""
    x = np.random.default_rng(0).normal(0.4, 1, (2, 10, 10))
    layers = (
        ConvSpec(256, 3, padding=1),
        tl.MaxPool(3, stride=1, padding=1),
        ConvSpec(256, 3, padding=1),
        AdaptiveAveragePool(1),
    )
    stack = tl.Stack(x.shape, layers, tl.ReLU(), tl.Uniform(np.sqrt(3)), 1)
    mean = tl.law(stack, x, "deconvnet").mean
    maps = tl.draw(stack, x, ["deconvnet"], size=300, seed=1)[:, 0, 0]
    along = np.tensordot(maps, mean, 3) / (mean**2).sum()
    assert along.mean() == pytest.approx(1, abs=0.04)  # 0.92 with E[h]²
    assert along.std() / np.sqrt(len(along)) < 0.008
