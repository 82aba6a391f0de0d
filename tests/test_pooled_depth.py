"""Stacks of convolutions and max-pools: the laws of depth against networks that are drawn and run.

The networks are written out from the definitions and know nothing of the package's; PyTorch only convolves.  What is
compared with a mean over draws has the standard error of those draws, plus a share of one over the width, which is what the
laws leave out.
"""

import dataclasses
import functools
import itertools
import math

import numpy as np
import pytest
from naive_depth import network
from scipy import ndimage, stats
from strategies import OTHERS, cosine, picture, stack

from theorylab import images
from theorylab.analytic import conv_depth, pooled_mean_map, pooled_variance_map
from theorylab.analytic.tolerances import tolerance
from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.specs import ConvSpec

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RULES = ("guided", "deconvnet", "saliency")
POOL = MaxPool(2)


# --- brute force -------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Draws:
    """What a law predicts of one stack and rule, and what networks that were drawn say; axes (draws, layers).

    `along` is ``⟨V̂, o⟩`` over ``Σ_pos α ‖o_pos‖²``, `energy` is ``‖V̂‖²`` over ``Σ_pos (α² ‖o_pos‖² + C β²)``: 1 on average if the
    law is right.
    """

    records: list
    cosines: np.ndarray
    along: np.ndarray
    energy: np.ndarray
    maps: np.ndarray

    @property
    def predicted(self):
        return np.array([record.alignment for record in self.records])


def error(values):
    """Of the mean over the first axis."""
    return values.std(axis=0, ddof=1) / math.sqrt(len(values))


def draw(x, layers, draws, seed, rules=RULES, readout_std=1.0, digits=None):
    rng = np.random.default_rng(seed)
    records = {rule: conv_depth.depth_maps(x, layers, rule, readout_std=readout_std) for rule in rules}
    rows, maps = {rule: [] for rule in rules}, {rule: [] for rule in rules}
    for _ in range(draws):
        for rule, pairs in network(x, layers, rules, rng, readout_std, digits).items():
            row = []
            for (v, o), record in zip(pairs, records[rule], strict=True):
                sizes = (o**2).sum(axis=0)
                signal = (record.alpha * sizes).sum()
                power = (record.alpha**2 * sizes).sum() + len(o) * (record.beta**2).sum()
                row.append((cosine(v, o), (v * o).sum() / signal if signal else 0.0, (v**2).sum() / power))
            rows[rule].append(row)
            maps[rule].append(pairs[-1][0])
    return {
        rule: Draws(records[rule], *np.moveaxis(np.array(rows[rule]), -1, 0), np.array(maps[rule]))
        for rule in rules
    }


def disattenuated(prediction, maps):
    """Cosine to the mean of the draws, over the one that this mean has to its own expectation."""
    n = len(maps)
    c = np.mean([cosine(a, b) for a, b in itertools.combinations(maps, 2)])
    return cosine(prediction, maps.mean(axis=0)) / math.sqrt(n * c / (1 + (n - 1) * c))


def gain(prediction, control, maps):
    """How much nearer a prediction is to the draws than a control, in standard errors."""
    gains = np.array([cosine(m, prediction) - cosine(m, control) for m in maps])
    return gains.mean() / error(gains)


# --- stacks ------------------------------------------------------------------------------------------------------


def with_zeros(size):
    x = picture(size)
    x[:, :14, :14] = 0
    return x


N = 256
STACKS = {
    "conv conv pool": (picture(24), stack(N, N, POOL)),
    "conv pool conv": (picture(24), stack(N, POOL, N)),
    "two pools": (picture(24), stack(N, POOL, N, N, POOL, N)),
    "stride 2, no padding": (picture(31), stack((N, 3, 2, 0), POOL, (N, 3, 1, 0))),
    "a row left out": (picture(25), stack(N, POOL, N, N, POOL)),
    "rows of windows apart": (picture(26), stack(N, MaxPool(2, stride=(3, 2)), N)),
    "2x1": (picture(24), stack(N, MaxPool((2, 1)), N)),
    "3x3": (picture(24), stack(N, N, MaxPool(3), N)),
    "scales": (7 * picture(24), stack(N, N, POOL, N, gain=0.6)),
    "zeros": (with_zeros(24), stack(N, POOL, N)),
}


@functools.cache
def drawn(name):
    x, layers = STACKS[name]
    return draw(x, layers, 16, seed=1, readout_std=0.3 if name == "scales" else 1.0)


def unpooled(name, rule):
    """Predicted map of the same convolutions with the pools forgotten."""
    x, layers = STACKS[name]
    convolutions = [layer for layer in layers if isinstance(layer, ConvSpec)]
    return conv_depth.depth_maps(x, convolutions, rule)[-1].mean_map


@pytest.mark.parametrize("name", STACKS)
def test_guided_stacks_against_brute_force(name):
    seen = drawn(name)["guided"]
    off = abs(seen.cosines.mean(axis=0) - seen.predicted)
    assert (off < np.minimum(0.03, 4.5 * error(seen.cosines) + 3 / N)).all(), off
    for ratio in (seen.along, seen.energy):
        assert (abs(ratio.mean(axis=0) - 1) < 4.5 * error(ratio) + 6 / N).all(), ratio.mean(axis=0)
    prediction = seen.records[-1].mean_map
    assert disattenuated(prediction, seen.maps) > 0.99
    # Controls: no recovery; half the size and half the energy; the pools forgotten.
    assert (seen.cosines.mean(axis=0) > 20 * error(seen.cosines)).all()
    assert (np.minimum(seen.along, seen.energy).mean(axis=0) - 0.5 > 4.5 * error(seen.energy) + 6 / N).all()
    assert gain(prediction, unpooled(name, "guided"), seen.maps) > 5


@pytest.mark.parametrize("name", STACKS)
def test_deconvnet_stacks_against_brute_force(name):
    """Behind a pool DeconvNet has a mean too; it is not guided backpropagation's."""
    seen = drawn(name)["deconvnet"]
    off = abs(seen.cosines.mean(axis=0) - seen.predicted)
    assert (off < np.minimum(0.03, 4.5 * error(seen.cosines) + 3 / N)).all(), off
    assert (abs(seen.energy.mean(axis=0) - 1) < 4.5 * error(seen.energy) + 6 / N).all()
    prediction = seen.records[-1].mean_map
    assert disattenuated(prediction, seen.maps) > 0.99
    sizes = (seen.maps * prediction).sum(axis=(1, 2, 3)) / (prediction**2).sum()
    assert abs(sizes.mean() - 1) < 4.5 * error(sizes) + 6 / N
    # Above the topmost pool, and only there, nothing is recovered.
    for record, values in zip(seen.records, seen.cosines.T, strict=True):
        assert record.alpha.any() == (record.alignment != 0)
        if record.alignment == 0:
            assert abs(values.mean()) < 4.5 * error(values)
    # Controls: a map of zero, and guided backpropagation's.
    assert sizes.mean() > 20 * error(sizes)
    assert gain(prediction, drawn(name)["guided"].records[-1].mean_map, seen.maps) > 5


@pytest.mark.parametrize("name", STACKS)
def test_saliency_stacks_against_brute_force(name):
    seen = drawn(name)["saliency"]
    for record in seen.records:
        assert not record.alpha.any()
        assert record.alignment == 0
    assert not seen.records[-1].mean_map.any()
    bound = stats.t(len(seen.maps) - 1).isf(1e-4)
    assert (abs(seen.cosines.mean(axis=0)) < bound * error(seen.cosines)).all()
    energy = seen.energy.mean(axis=0)
    assert (abs(energy - 1) < 4.5 * error(seen.energy) + 6 / N).all(), energy
    # A window passes on with the probability that one of its entries is open; the half of one entry would be seen.
    assert (4.5 * error(seen.energy) + 6 / N < 0.2).all()


@pytest.mark.parametrize("rule", [Rule.LINEAR, *OTHERS], ids=str)
def test_stacks_of_any_rule_against_brute_force(rule):
    x, layers = STACKS["two pools"]
    seen = draw(x, layers, 16, seed=1, rules=[rule])[rule]
    off = abs(seen.cosines.mean(axis=0) - seen.predicted)
    assert (off < np.minimum(0.03, 4.5 * error(seen.cosines) + 3 / N)).all(), off
    assert (abs(seen.energy.mean(axis=0) - 1) < 4.5 * error(seen.energy) + 6 / N).all(), seen.energy.mean(
        axis=0
    )
    prediction = seen.records[-1].mean_map
    if rule.up + rule.down == 0:
        assert not prediction.any()
        return
    assert disattenuated(prediction, seen.maps) > 0.98
    sizes = (seen.maps * prediction).sum(axis=(1, 2, 3)) / (prediction**2).sum()
    assert abs(sizes.mean() - 1) < 4.5 * error(sizes) + 6 / N
    # Controls: a map of zero, and guided backpropagation's or DeconvNet's.
    assert sizes.mean() > 20 * error(sizes)
    other = conv_depth.depth_maps(x, layers, "deconvnet" if rule.gate else "guided")[-1].mean_map
    assert gain(prediction, other, seen.maps) > 5


# --- against exact laws ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
@pytest.mark.parametrize("side", [2, 3, 4, 6])
def test_one_convolution_and_a_pool_have_the_exact_mean(side, rule):
    """All that is approximate here is the integral, and it is as near as `tolerance` says."""
    x, pool = picture(24), MaxPool(side)
    grid, law = PatchGrid(x.shape, 3, padding=1), {"law": Gaussian(0.4), "filter_std": 0.3}
    exact = pooled_mean_map(x, grid, rule, 50, pool=pool, points=2**12, **law)
    layers = [ConvSpec(50, 3, padding=1, std=0.3), pool]
    (record,) = conv_depth.depth_maps(x, layers, rule, readout_std=0.4)
    said = tolerance(x.shape, layers, rule)
    assert np.linalg.norm(record.mean_map) == pytest.approx(np.linalg.norm(exact), rel=said.size)
    assert cosine(record.mean_map, exact) > said.cosine
    assert cosine(record.mean_map, x) == pytest.approx(cosine(exact, x), abs=said.alignment)
    # Controls: no pool, and the other rule where a window may be closed.
    (plain,) = conv_depth.depth_maps(x, layers[:1], "guided", readout_std=0.4)
    assert cosine(plain.mean_map, exact) < 0.98
    if side == 2:
        (other,) = conv_depth.depth_maps(
            x, layers, "deconvnet" if rule == "guided" else "guided", readout_std=0.4
        )
        assert cosine(other.mean_map, exact) < 0.98


def test_one_convolution_and_a_pool_have_the_exact_energy_of_saliency():
    """A winner's filter has an energy that is spread unevenly over its taps, but the same in all."""
    x, pool = picture(24), MaxPool(2)
    grid = PatchGrid(x.shape, 3, padding=1)
    law = {"law": Gaussian(0.4), "filter_std": 0.3}
    exact = pooled_variance_map(x, grid, "saliency", 50, pool=pool, **law)
    layers = [ConvSpec(50, 3, padding=1, std=0.3), pool]
    (record,) = conv_depth.depth_maps(x, layers, "saliency", readout_std=0.4)
    assert record.variance_map.sum() == pytest.approx(exact.sum(), rel=0.005)
    assert np.corrcoef(record.variance_map.sum(axis=0).ravel(), exact.sum(axis=0).ravel())[0, 1] > 0.95
    # Control: a window that passes on half of the time.
    half = 0.5 * 50 * (0.3 * 0.4) ** 2 * grid.patch_size * 12 * 12  # windows of 2×2 in 24×24
    assert abs(exact.sum() / half - 1) > 0.1


@pytest.mark.parametrize("rule", RULES)
def test_windows_of_one_position_are_no_pool(rule):
    """And those of one position at stride 2 are a convolution of that stride."""
    x = picture(16)
    pairs = [
        (stack(64, MaxPool(1), 64), stack(64, 64)),
        (stack(64, MaxPool(1, stride=2), 64), stack((64, 3, 2, 1), 64)),
        (stack(64, 64, MaxPool(1, stride=(2, 1))), stack(64, (64, 3, (2, 1), 1))),
    ]
    for with_pool, without in pairs:
        for record, other in zip(
            conv_depth.depth_maps(x, with_pool, rule), conv_depth.depth_maps(x, without, rule), strict=True
        ):
            assert record.layer == other.layer
            assert record.alignment == pytest.approx(other.alignment, abs=2e-3)
            np.testing.assert_allclose(record.beta, other.beta, rtol=5e-3, atol=1e-12)
            scale = max(abs(other.alpha).max(), abs(other.beta).max())
            np.testing.assert_allclose(record.alpha, other.alpha, rtol=0.01, atol=1e-3 * scale)
        np.testing.assert_allclose(record.variance_map, other.variance_map, rtol=0.01, atol=1e-12)


def test_records_agree_with_each_other():
    """At the input the mean and its variance say again what ``α``, ``β`` and the alignment do."""
    for name, rule in itertools.product(("two pools", "2x1", "zeros"), ("guided", "deconvnet")):
        x, record = STACKS[name][0], drawn(name)[rule].records[-1]
        mean, variance = record.mean_map, record.variance_map
        assert [other.layer for other in drawn(name)[rule].records] == list(
            range(len(drawn(name)[rule].records))
        )[::-1]
        assert all(other.mean_map is None for other in drawn(name)[rule].records[:-1])
        total = (mean**2).sum() + variance.sum()
        assert record.alignment == pytest.approx((mean * x).sum() / math.sqrt((x**2).sum() * total), rel=1e-9)
        np.testing.assert_allclose(
            record.alpha * (x**2).sum(axis=0), (mean * x).sum(axis=0), atol=1e-9 * total
        )
        assert (record.alpha**2 * x**2 + record.beta**2).sum() == pytest.approx(total, rel=1e-9)
        # What is not along x counts as noise.
        assert (record.beta**2 * (1 + 1e-9) >= variance[0]).all()
        assert not np.allclose(record.alpha * x, mean, rtol=0.1)


# --- how the laws fail: the width, the scatter -------------------------------------------------------------------


def test_the_error_falls_like_one_over_width():
    """Behind one pool the law is a limit, and what a narrow stack misses is ``b/n``."""
    x, sizes, draws = picture(12), np.array([16, 32, 64]), 800
    gaps, errors = [], []
    for n in sizes:
        layers = stack(n, POOL, n, n)
        records, rng = conv_depth.depth_maps(x, layers, "guided"), np.random.default_rng(int(n))
        # The law's alignment is a ratio of expectations, not the mean of ratios.
        sums = np.array(
            [
                [
                    ((v * o).sum(), (v**2).sum(), (o**2).sum())
                    for v, o in network(x, layers, ["guided"], rng)["guided"]
                ]
                for _ in range(draws)
            ]
        )
        mean = sums.mean(axis=0)
        ratio = mean[:, 0] / np.sqrt(mean[:, 1] * mean[:, 2])
        influence = ratio * (sums / mean) @ [1, -1 / 2, -1 / 2]
        gaps.append((ratio - [record.alignment for record in records]).mean())
        errors.append(error(influence.mean(axis=1)))
    gaps, errors = np.array(gaps), np.array(errors)
    assert abs(gaps[0]) > 6 * errors[0], "the error of narrow stacks must be seen before its rate can be"

    def misfit(shape):
        size = (gaps * shape / errors**2).sum() / (shape**2 / errors**2).sum()
        return stats.chi2(len(sizes) - 1).sf((((gaps - size * shape) / errors) ** 2).sum())

    assert misfit(1 / sizes) > 1e-3
    # Control: an error that stays.
    assert misfit(np.ones(3)) < 1e-4
    # Richardson: what is left at infinite width is a part of the quadrature's few in a thousand.
    limit = (4 * gaps[2] - gaps[0]) / 3
    assert abs(limit) < 4.5 * math.hypot(4 * errors[2], errors[0]) / 3 + 0.002


def smooth(variance):
    """Of a map summed over channels, at the scale of two pixels."""
    return ndimage.gaussian_filter(variance.sum(axis=0), 2, mode="nearest").ravel()


def test_the_variance_map():
    """Its pattern is right, its total to a tenth.

    Too low, since a whole map grows and shrinks from network to network; too high below a second pool, where what has a mean
    counts as noise.  For saliency neither happens.
    """
    x, layers, draws = picture(24), stack(64, POOL, 64, 64, POOL, 64), 100
    for rule, seen in draw(x, layers, draws, seed=2).items():
        record = seen.records[-1]
        assert record.variance_map.shape == x.shape
        variance, off = seen.maps.var(axis=0, ddof=1), seen.maps - seen.maps.mean(axis=0)
        expected, sampling = record.variance_map.sum(), error((off**2).sum(axis=(1, 2, 3)))
        allowed = 0.1 if rule != "saliency" else 2 / 64
        assert abs(variance.sum() - expected) < 4.5 * sampling + allowed * expected, (
            rule,
            variance.sum() / expected,
        )
        assert np.corrcoef(smooth(variance), smooth(record.variance_map))[0, 1] > 0.95
        # Controls: it does not follow the picture, and the pools are no detail.
        assert np.corrcoef(smooth(variance), smooth(x**2))[0, 1] < 0.5
        plain = [layer for layer in layers if isinstance(layer, ConvSpec)]
        wrong = conv_depth.depth_maps(x, plain, rule)[-1].variance_map.sum()
        assert abs(variance.sum() - wrong) > 0.5 * wrong
        if rule == "guided":
            # One direction of 1728 holds a twentieth of all that scatters: the mean map's own.
            unit = record.mean_map / np.linalg.norm(record.mean_map)
            assert (seen.maps * unit).sum(axis=(1, 2, 3)).var(ddof=1) > 0.02 * variance.sum()


# --- what must not matter ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_scales_of_the_picture_and_of_the_weights(rule):
    x, layers = picture(20), stack(16, POOL, 12, POOL)
    base = conv_depth.depth_maps(x, layers, rule)

    def run(size, *gains, readout=1.0):
        gains = iter(gains)
        scaled = [
            ConvSpec(layer.n_filters, layer.kernel, layer.stride, layer.padding, next(gains) * layer.std)
            if isinstance(layer, ConvSpec)
            else layer
            for layer in layers
        ]
        return conv_depth.depth_maps(size * x, scaled, rule, readout_std=readout)

    # Weights: V̂ gains every scale above it, o every scale below; alignments none.
    for record, other, above, below in zip(base, run(1, 3, 5, readout=7), (35, 105), (3, 1), strict=True):
        assert other.alignment == record.alignment
        np.testing.assert_allclose(other.alpha, above / below * record.alpha, rtol=1e-12)
        np.testing.assert_allclose(other.beta, above * record.beta, rtol=1e-12)
    np.testing.assert_allclose(run(1, 3, 5, readout=7)[-1].mean_map, 105 * base[-1].mean_map, rtol=1e-12)
    # The picture: its scale drops out of the map.  A power of 2 rounds nothing.
    for record, other in zip(base, run(4, 1, 1), strict=True):
        assert other.alignment == record.alignment
        np.testing.assert_array_equal(4 * other.alpha, record.alpha)
        np.testing.assert_array_equal(other.beta, record.beta)
    np.testing.assert_array_equal(run(4, 1, 1)[-1].mean_map, base[-1].mean_map)
    # Rounding may mirror an axis of a window's quadrature, and moves the map by that one's error.
    for size in (5, 1e-150, 1e150):
        other = run(size, 1, 1)
        np.testing.assert_allclose(
            [record.alignment for record in other], [record.alignment for record in base], atol=1e-3
        )
        assert np.linalg.norm(other[-1].mean_map - base[-1].mean_map) <= 0.01 * np.linalg.norm(
            base[-1].mean_map
        )
        assert other[-1].variance_map.sum() == pytest.approx(base[-1].variance_map.sum(), rel=1e-3)


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
def test_alignments_survive_what_overflows(rule):
    x = picture(20)
    plain = conv_depth.depth_maps(x, stack(16, 16, POOL, 12, POOL), rule)
    loud = conv_depth.depth_maps(4 * x, stack(16, 16, POOL, 12, POOL, gain=2.0**480), rule)
    for record, other in zip(plain, loud, strict=True):
        assert other.alignment == record.alignment
        assert not np.isnan(other.alpha).any()
    assert np.isinf(loud[-1].beta).all()


def test_patches_of_zeros():
    """No patch that holds one of the first 12×12 pixels has any but zeros in it."""
    x, layers = STACKS["zeros"]
    for rule in RULES:
        records = conv_depth.depth_maps(x, layers, rule)
        for record in records:
            for values in (record.alpha, record.beta):
                assert np.isfinite(values).all()
        assert not records[-1].mean_map[:, :12, :12].any()
        # DeconvNet has no mask, and one first entry in four positions.
        scatter = records[-1].variance_map[:, :12, :12]
        assert (scatter > 0).all() if rule == "deconvnet" else not scatter.any()


def test_a_flat_picture_ties_everywhere_and_the_first_wins():
    x = np.full((3, 8, 8), 0.7)
    layers = [ConvSpec(50, 1, std=0.3), POOL]
    first = np.zeros((8, 8), dtype=bool)
    first[::2, ::2] = True
    for rule in RULES:
        (record,) = conv_depth.depth_maps(x, layers, rule, readout_std=0.4)
        assert not record.variance_map[:, ~first].any()
        # One patch a window: half of the mask, or no mask at all, and half of the rectifier.
        share = {"guided": 1 / 4, "deconvnet": 1 / 2, "saliency": 1 / 2}[rule]
        np.testing.assert_allclose(record.variance_map[:, first], 50 * (0.3 * 0.4) ** 2 * share, rtol=1e-6)
        # Without signal DeconvNet's first entry hears nothing of its filter: it gets the gradient in any case.
        exact = pooled_mean_map(
            x, PatchGrid(x.shape, 1), rule, 50, pool=POOL, law=Gaussian(0.4), filter_std=0.3
        )
        assert exact.any() == (rule == "guided")
        np.testing.assert_allclose(record.mean_map, exact, rtol=0.01, atol=1e-9)


def test_stacks_on_a_flat_picture():
    """Ties at every pool; brute force rounds, so that it sees them too."""
    x = np.full((3, 26, 26), 0.7)
    bare = (64, 3, 1, 0)
    for layers in (stack(bare, POOL, bare), stack(bare, POOL, bare, bare, POOL, bare)):
        seen = draw(x, layers, 40, seed=4, digits=6)
        for rule in RULES:
            off = abs(seen[rule].cosines.mean(axis=0) - seen[rule].predicted)
            assert (off < np.minimum(0.03, 4.5 * error(seen[rule].cosines) + 3 / 64)).all(), (rule, off)
            ratio = seen[rule].energy
            assert (abs(ratio.mean(axis=0) - 1) < 4.5 * error(ratio) + 6 / 64).all(), (
                rule,
                ratio.mean(axis=0),
            )
        assert disattenuated(seen["guided"].records[-1].mean_map, seen["guided"].maps) > 0.99
        assert abs(seen["deconvnet"].predicted).max() < 1e-15  # some processors leave a last bit
    # With borders, whose patches are not equal, everything stays finite.
    for rule in RULES:
        for record in conv_depth.depth_maps(x, stack(64, POOL, 64, 64, POOL, 64), rule):
            assert np.isfinite(record.alpha).all()
            assert np.isfinite(record.beta).all()
            assert -1 <= record.alignment <= 1


# --- networks of the usual shape ---------------------------------------------------------------------------------


def test_a_small_vgg():
    x, layers = picture(64), stack(32, 32, POOL, 64, 64, POOL, 128, 128, POOL)
    seen = draw(x, layers, 12, seed=3, rules=["guided"])["guided"]
    prediction = seen.records[-1].mean_map
    assert disattenuated(prediction, seen.maps) > 0.99
    assert (abs(seen.cosines.mean(axis=0) - seen.predicted) < 4.5 * error(seen.cosines) + 3 / 32).all()
    # Controls: the pools forgotten; the law of three layers, without its pool and with it; the picture.
    convolutions = [layer for layer in layers if isinstance(layer, ConvSpec)]
    others = [
        conv_depth.depth_maps(x, some, "guided")[-1].mean_map
        for some in (convolutions, layers[:1], [layers[0], POOL])
    ]
    for wrong in (*others, x):
        assert disattenuated(wrong, seen.maps) < 0.985
        assert gain(prediction, wrong, seen.maps) > 5


@pytest.mark.slow
def test_vgg_16():
    """13 convolutions and 5 pools on a photograph; the last pool's windows are the last ones that fit."""
    x = images.load(size=96)
    layers = stack(64, 64, POOL, 128, 128, POOL, *(256,) * 3, POOL, *(512,) * 3, POOL, *(512,) * 3, POOL)
    seen = draw(x, layers, 16, seed=1, rules=["guided"])["guided"]
    assert [record.layer for record in seen.records] == list(range(12, -1, -1))
    prediction = seen.records[-1].mean_map
    assert abs(seen.cosines.mean(axis=0) - seen.predicted).max() < 0.03
    assert disattenuated(prediction, seen.maps) > 0.99
    assert (abs(seen.along.mean(axis=0) - 1) < 4.5 * error(seen.along) + 0.02).all()
    convolutions = [layer for layer in layers if isinstance(layer, ConvSpec)]
    for some in (convolutions, layers[:1], [layers[0], POOL]):
        wrong = conv_depth.depth_maps(x, some, "guided")[-1].mean_map
        assert gain(prediction, wrong, seen.maps) > 5
