import math
import pathlib

import naive
import numpy as np
import pytest
from scipy import stats
from strategies import OTHERS

from theorylab import images
from theorylab.analytic import mean_map, pooled, pooled_moments
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.laws import Gaussian, TruncatedGaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.units import LeakyReLU

REFERENCE = pathlib.Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "tabby.png"
RULES = ("saliency", "deconvnet", "guided")
EVERY = (*RULES, Rule.LINEAR, *OTHERS)


# h(1), h(−1) and the gate, spelled out.
HANDED = {"saliency": (1, -1, True), "deconvnet": (1, 0, False), "guided": (1, 0, True)}

# --- an independent simulation: one filter at a time, the pool walked window by window ---------------------------


def responses(patches, filters):
    """w·y_j, added in one order for every patch, so that equal patches have equal bits; (draws, J)."""
    total = np.zeros((len(filters), len(patches)))
    for place in range(patches.shape[1]):
        total += filters[:, place, None] * patches[:, place]
    return total


def selection(activations, plane, pool):
    """(draws, windows) flat places of the first maxima of each window."""
    winners = []
    for top in naive.pool_starts(pool, 0, plane[0]):
        for left in naive.pool_starts(pool, 1, plane[1]):
            held = [
                row * plane[1] + column
                for row in range(top, top + pool.size[0])
                for column in range(left, left + pool.size[1])
                if 0 <= row < plane[0] and 0 <= column < plane[1]
            ]
            winners.append(np.array(held)[np.argmax(activations[:, held], axis=1)])
    return np.stack(winners, axis=1)


def simulate(x, grid, pool, n, seed, law=None, filter_std=1.0):
    """Moments of the map of one filter: {rule: (mean, scatter of the mean, mean square, its scatter)}."""
    rng = np.random.default_rng(seed)
    patches = naive.extract(x, grid.kernel, grid.stride, grid.padding)
    places = naive.extract(np.arange(1, x.size + 1).reshape(x.shape), grid.kernel, grid.stride, grid.padding)
    sums = {rule: np.zeros((3, x.size + 1)) for rule in EVERY}
    batch = 20_000
    for _ in range(n // batch):
        w = filter_std * rng.standard_normal((batch, patches.shape[1]))
        z = responses(patches, w)
        winners = selection(np.maximum(z, 0), grid.output_shape, pool)
        v = (law or Gaussian()).sample(winners.shape, seed=rng)
        received = np.zeros(z.shape)
        for won, sent in zip(winners.T, v.T, strict=True):
            received[np.arange(batch), won] += sent
        for rule in EVERY:
            up, down, gate = HANDED.get(rule) or (rule.up, rule.down, rule.gate)
            gradient = np.where(received > 0, up * received, -down * received)
            if gate:
                gradient *= z > 0
            maps = np.zeros((x.size + 1, batch))
            for j, place in enumerate(places):
                maps[place] += w.T * gradient[:, j]
            maps[0] = 0
            sums[rule] += [maps.sum(axis=1), (maps**2).sum(axis=1), (maps**4).sum(axis=1)]
    result = {}
    for rule, total in sums.items():
        mean, square, fourth = (total[:, 1:] / n).reshape(3, *x.shape)
        spread = np.sqrt(np.maximum(square - mean**2, 0) / n)
        result[rule] = mean, spread, square, np.sqrt(np.maximum(fourth - square**2, 0) / n)
    return result


def scores(estimate, expected, scatter):
    """z-scores, where there is any scatter; elsewhere both must be exactly zero."""
    exact = scatter == 0
    assert not estimate[exact].any()
    np.testing.assert_allclose(expected[exact], 0, atol=1e-12)
    return ((estimate - expected) / np.where(exact, np.inf, scatter)).ravel()


# --- pictures that are hard in one way each -----------------------------------------------------------------------


def picture(kind, shape, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) + 0.3
    if kind == "zeros":  # whole patches and whole windows of zeros
        x[:, :, : (shape[2] + 3) // 2] = 0
    elif kind == "flat":
        x[:] = 0.7
    elif kind == "halves":  # flat on one side: ties beside no ties
        x[:, :, : (shape[2] + 2) // 2] = x[:, :1, :1]
    elif kind == "stripes":  # equal columns: patches that repeat down each column
        x[:] = x[:, :1]
    elif kind == "parallel":  # every patch a multiple of one, of either sign
        x[:] = x[:, :1, :1] * rng.choice([-2.0, -1.0, 0.5, 1.0, 3.0], shape[1:])
    elif kind == "smooth":
        x[:] = 1 + 0.1 * np.add.outer(np.arange(shape[1]), 0.3 * np.arange(shape[2]) ** 2) + 0.01 * x
    return x


CASES = {
    "2x2": ("random", PatchGrid((2, 6, 7), 3), MaxPool(2)),
    "odd sizes, parts cut off": ("random", PatchGrid((1, 7, 9), (2, 3), (1, 2)), MaxPool((2, 2), (3, 2))),
    "1x3 with padded patches": ("random", PatchGrid((1, 4, 5), 3, 1, 1), MaxPool((1, 3))),
    "4x1": ("random", PatchGrid((3, 5, 2), (2, 1)), MaxPool((4, 1))),
    "padded pool": ("random", PatchGrid((1, 5, 5), 2), MaxPool(2, padding=1)),
    "no pool": ("random", PatchGrid((1, 4, 4), 2), MaxPool(1)),
    "zeros": ("zeros", PatchGrid((1, 5, 9), 2), MaxPool(2)),
    "flat": ("flat", PatchGrid((1, 5, 5), 2), MaxPool(2)),
    "halves": ("halves", PatchGrid((2, 5, 8), 2), MaxPool(2)),
    "stripes": ("stripes", PatchGrid((1, 5, 7), 2), MaxPool(2)),
    "parallel": ("parallel", PatchGrid((3, 4, 6), 1), MaxPool(2)),
    "smooth": ("smooth", PatchGrid((1, 6, 6), 3), MaxPool(2)),
    "3x3": ("random", PatchGrid((1, 8, 8), 3), MaxPool(3)),
    "3x3 zeros": ("zeros", PatchGrid((1, 5, 8), 3), MaxPool(3)),
    "3x3 flat": ("flat", PatchGrid((1, 5, 5), 3), MaxPool(3)),
    "3x3 halves": ("halves", PatchGrid((1, 4, 7), 2), MaxPool(3)),
    "3x3 parallel": ("parallel", PatchGrid((2, 3, 6), 1), MaxPool(3)),
    "3x3 padded": ("random", PatchGrid((1, 6, 6), 2), MaxPool(3, padding=1)),
    "2x2 beyond the plane": ("random", PatchGrid((1, 6, 6), 2), MaxPool(2, ceil_mode=True)),
    "3x3 overlapping": ("random", PatchGrid((1, 6, 7), 3, padding=1), MaxPool(3, 2, 1)),
    "2x2 overlapping": ("random", PatchGrid((2, 5, 5), 2), MaxPool(2, 1)),
    "overlapping beyond the plane": (
        "random",
        PatchGrid((1, 6, 7), 3, padding=1),
        MaxPool(3, 2, ceil_mode=True),
    ),
    "overlapping zeros": ("zeros", PatchGrid((1, 5, 9), 2), MaxPool((2, 3), (1, 2), 1)),
    "overlapping halves": ("halves", PatchGrid((2, 4, 7), 2), MaxPool(3, 1, 1)),
    "overlapping parallel": ("parallel", PatchGrid((3, 3, 5), 1), MaxPool(2, 1)),
    "overlapping smooth": ("smooth", PatchGrid((1, 6, 6), 3), MaxPool(3, 1)),
    "2x3 more positions than pixels": ("random", PatchGrid((1, 4, 6), (2, 1)), MaxPool((2, 3))),
}


@pytest.mark.parametrize("case", CASES)
def test_mean_map_by_simulation(case):
    kind, grid, pool = CASES[case]
    x = picture(kind, grid.input_shape)
    simulated = simulate(x, grid, pool, 100_000, seed=7)
    for rule in EVERY:
        estimate, scatter, _, _ = simulated[rule]
        mean, error = pooled.pooled_mean_map_with_error(x, grid, rule, 1, pool=pool, points=4096)
        assert (error.any() == 0) or (
            (math.prod(pool.size) > 4 or not pool.disjoint) and rule not in ("saliency", Rule.LINEAR)
        )
        z = scores(estimate, mean, np.where(scatter > 0, np.hypot(scatter, error), 0))
        assert abs(z).max() < 4.5, (rule, abs(z).max())
        # Neighbours share filters, so the z-scores are correlated: no more than this of their mean square.
        assert (z**2).mean() < 2.5, (rule, (z**2).mean())


@pytest.mark.parametrize("case", ["2x2", "zeros", "halves", "3x3", "3x3 overlapping"])
def test_negative_controls(case):
    # The simulation would see a wrong law: the other rule's, that of no pool, the transposed order of ties.
    kind, grid, pool = CASES[case]
    x = picture(kind, grid.input_shape)
    simulated = simulate(x, grid, pool, 100_000, seed=8)
    guided, deconvnet = (pooled.pooled_mean_map(x, grid, rule, 1, pool=pool) for rule in RULES[:0:-1])
    for rule, wrong in (
        ("guided", deconvnet),
        ("deconvnet", guided),
        ("guided", mean_map(x, grid, "guided", 1) / math.prod(pool.size)),
        ("guided", 1.05 * guided),
        ("deconvnet", 0.95 * deconvnet),
    ):
        estimate, scatter, _, _ = simulated[rule]
        assert (abs(estimate - wrong) / np.where(scatter > 0, scatter, np.inf)).max() > 5, rule
    if kind == "halves":
        flipped = PatchGrid(grid.input_shape, grid.kernel)
        last = pooled.pooled_mean_map(x[:, ::-1, ::-1], flipped, "guided", 1, pool=pool)[:, ::-1, ::-1]
        estimate, scatter, _, _ = simulated["guided"]
        assert (abs(estimate - last) / np.where(scatter > 0, scatter, np.inf)).max() > 5


def test_scale():
    grid, pool = PatchGrid((1, 5, 5), 2), MaxPool(2)
    x = picture("random", grid.input_shape)
    one = pooled.pooled_mean_map(x, grid, "guided", 1, pool=pool)
    law = TruncatedGaussian(0.1)
    many = pooled.pooled_mean_map(5 * x, grid, "guided", 30, pool=pool, law=law, filter_std=0.3)
    np.testing.assert_allclose(many, one * 30 * law.relu_mean / Gaussian().relu_mean * 0.3, rtol=1e-12)
    default = pooled.pooled_mean_map(x, grid, "guided", 30, pool=pool, law=law)
    np.testing.assert_allclose(default, many * law.std / 0.3, rtol=1e-12)


def test_a_pool_of_one_is_no_pool():
    grid = PatchGrid((2, 6, 6), 3, 2, 1)
    x = picture("zeros", grid.input_shape)
    got = pooled.pooled_mean_map(x, grid, "guided", 3, pool=MaxPool(1))
    np.testing.assert_allclose(got, mean_map(x, grid, "guided", 3), atol=1e-14)
    np.testing.assert_allclose(
        pooled.pooled_mean_map(x, grid, "deconvnet", 3, pool=MaxPool(1)), 0, atol=1e-14
    )


@pytest.mark.parametrize("size", [2, (1, 3), (4, 1), 3])
def test_every_window_chooses_one(size):
    # With one-pixel patches the map of a window is the sum over its events of E[w 1]; they exhaust the space, E[w] = 0.
    pool = MaxPool(size)
    x = picture("random", (6, 12, 12), seed=3)
    mean, error = pooled.pooled_mean_map_with_error(x, PatchGrid(x.shape, 1), "deconvnet", 1, pool=pool)
    windows = pool.windows((12, 12))
    totals = mean.reshape(6, -1)[:, windows].sum(axis=2)
    limit = 6 * np.sqrt((error.reshape(6, -1)[:, windows] ** 2).sum(axis=2)) + 1e-14
    assert (abs(totals) <= limit).all()
    assert abs(mean).max() > 0.05


@pytest.mark.parametrize("seed", range(3))
def test_expected_maximum(seed):
    # By homogeneity ⟨map, x⟩ of one window of one-pixel patches is m₀ E[max(z)₊], a one-dimensional integral.
    x = picture("random", (5, 2, 2), seed)
    mean = pooled.pooled_mean_map(x, PatchGrid(x.shape, 1), "guided", 1, pool=MaxPool(2))
    y = x.reshape(5, 4).T
    law = stats.multivariate_normal(cov=y @ y.T, seed=1, maxpts=200_000, abseps=1e-6, releps=1e-6)
    edge = 8 * np.linalg.norm(y, axis=1).max()
    t, weights = np.polynomial.legendre.leggauss(60)
    t = edge * (t + 1) / 2
    expected = edge / 2 * weights @ [1 - law.cdf(np.full(4, level)) for level in t]
    assert (mean * x).sum() == pytest.approx(expected / math.sqrt(2 * math.pi), rel=1e-4)


def test_closed_and_numeric_agree():
    # The same windows with and without a padding row of patches that are zero: five and four positions.
    x = picture("random", (3, 4, 6), seed=4)
    closed = pooled.pooled_mean_map(x, PatchGrid(x.shape, 1), "deconvnet", 1, pool=MaxPool((4, 1)))
    taller = np.concatenate([x, np.zeros((3, 1, 6))], axis=1)
    mean, error = pooled.pooled_mean_map_with_error(
        taller, PatchGrid(taller.shape, 1), "deconvnet", 1, pool=MaxPool((5, 1)), points=2**14
    )
    assert not mean[:, 4].any()
    assert 0 < error.max() < 2e-3 * abs(closed).max()
    assert (abs(mean[:, :4] - closed) <= 6 * error[:, :4] + 1e-12).all()


def test_the_error_of_the_numeric_rule_falls():
    x = picture("random", (1, 14, 14), seed=5)
    grid = PatchGrid(x.shape, 3)
    errors = [
        np.linalg.norm(
            pooled.pooled_mean_map_with_error(x, grid, "deconvnet", 1, pool=MaxPool(3), points=n)[1]
        )
        for n in (2**8, 2**11, 2**14)
    ]
    assert errors[1] < errors[0] / 4
    assert errors[2] < errors[1] / 4


def test_progress():
    calls = []
    x = picture("random", (1, 40, 40))
    pooled.pooled_mean_map(
        x,
        PatchGrid(x.shape, 2),
        "guided",
        1,
        pool=MaxPool(3),
        points=1024,
        progress=lambda *call: calls.append(call),
    )
    assert len(calls) > 1
    assert calls[-1] == (169, 169)
    assert all(total == 169 for _, total in calls)


@pytest.mark.parametrize(
    "case", ["2x2", "zeros", "halves", "parallel", "4x1", "padded pool", "3x3", "3x3 zeros"]
)
def test_selection_probabilities(case):
    kind, grid, pool = CASES[case]
    x = picture(kind, grid.input_shape)
    got = pooled.selection_probabilities(x, grid, pool=pool, points=4096)
    n = 100_000
    patches = naive.extract(x, grid.kernel, grid.stride, grid.padding)
    z = responses(patches, np.random.default_rng(9).standard_normal((n, patches.shape[1])))
    winners = selection(np.maximum(z, 0), grid.output_shape, pool)
    won = (np.take_along_axis(z, winners, axis=1) > 0).mean(axis=1)
    held = pool.windows(grid.output_shape)
    opened = (z[:, held[held >= 0]] > 0).sum(axis=1) / winners.shape[1]
    scatter = won.std() / math.sqrt(n)
    assert abs(won.mean() - got.positive_given_chosen) < 4 * scatter + got.error
    # Ratio of two means: the scatter of its linear part.
    ratio = won.mean() / opened.mean()
    scatter = (won - ratio * opened).std() / opened.mean() / math.sqrt(n)
    assert abs(ratio - got.chosen_given_positive) < 4 * scatter + got.error / opened.mean()
    assert got.all_zero + got.positive_given_chosen == pytest.approx(1)
    assert got.error < 1e-3


def test_selection_where_nothing_is_ever_open():
    x = np.zeros((1, 2, 3))
    x[0, 0, 2] = 1  # in no window
    got = pooled.selection_probabilities(x, PatchGrid(x.shape, 1), pool=MaxPool(2))
    assert got == pooled.SelectionProbabilities(1.0, 0.0, 0.0, 0.0)


# --- second moments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [
        "2x2",
        "odd sizes, parts cut off",
        "4x1",
        "padded pool",
        "zeros",
        "flat",
        "halves",
        "parallel",
        "smooth",
        "3x3 halves",
        "2x2 overlapping",
        "3x3 overlapping",
        "overlapping zeros",
        "overlapping halves",
    ],
)
def test_variance_map_by_simulation(case):
    kind, grid, pool = CASES[case]
    x = picture(kind, grid.input_shape)
    simulated = simulate(x, grid, pool, 100_000, seed=11, filter_std=0.5)
    for rule in (*RULES, Rule.LINEAR, OTHERS[2]):
        _, _, square, scatter = simulated[rule]
        options = {"pool": pool, "filter_std": 0.5}
        got = pooled_moments.pooled_variance_map(x, grid, rule, 1, points=2**14, **options)
        z = scores(square, got + pooled.pooled_mean_map(x, grid, rule, 1, **options) ** 2, scatter)
        assert abs(z).max() < 4.5, rule
        assert (z**2).mean() < 2.5
    # Negative control: white up to coverage, with the energy that is right on average.
    _, _, square, scatter = simulated["saliency"]
    white = square.sum() / grid.coverage.sum() / len(x) * grid.coverage
    assert abs((square - white) / np.where(scatter > 0, scatter, np.inf)).max() > 8


def test_energy_is_white():
    # Direction and length of a filter are independent: N v c² p a window that is not all zero.
    x = picture("random", (4, 6, 6))
    grid, pool = PatchGrid(x.shape, 2), MaxPool(2)
    law = TruncatedGaussian(0.2)
    got = pooled_moments.pooled_variance_map(x, grid, "saliency", 7, pool=pool, law=law).sum()
    won = pooled.selection_probabilities(x, grid, pool=pool).positive_given_chosen
    windows = len(pool.windows(grid.output_shape))
    assert got == pytest.approx(7 * law.variance**2 * grid.patch_size * windows * won, rel=1e-7)


# --- bad input ----------------------------------------------------------------------------------------------------


def test_what_is_refused():
    grid = PatchGrid((1, 6, 6), 2)
    x = picture("random", grid.input_shape)
    for call in (
        lambda **k: pooled.pooled_mean_map(x, grid, "guided", 1, law=TruncatedGaussian(0.2), **k),
        lambda **k: pooled.selection_probabilities(x, grid, **k),
        lambda **k: pooled_moments.pooled_patch_variance(x, grid, "guided", 1, **k),
    ):
        with pytest.raises(NoLaw, match=r"max-pooling whose windows overlap.*simulates"):
            call(pool=MaxPool(2, 1))
        with pytest.raises(ValueError, match=r"^pool: size 6 exceeds"):
            call(pool=MaxPool((6, 1)))
    with pytest.raises(ValueError, match="unknown rule"):
        pooled.pooled_mean_map(x, grid, "gradcam", 1, pool=MaxPool(2))
    with pytest.raises(ValueError, match="zero everywhere"):
        pooled.pooled_mean_map(0 * x, grid, "guided", 1, pool=MaxPool(2))
    with pytest.raises(ValueError, match="n_filters"):
        pooled.pooled_mean_map(x, grid, "guided", 0, pool=MaxPool(2))
    with pytest.raises(ValueError, match="filter_std"):
        pooled.pooled_mean_map(x, grid, "guided", 1, pool=MaxPool(2), filter_std=-1.0)
    with pytest.raises(TypeError, match="points"):
        pooled.pooled_mean_map(x, grid, "guided", 1, pool=MaxPool(3), points=1.5)
    with pytest.raises(NoLaw, match=r"LeakyReLU\(slope=0.2\) at MaxPool"):
        mean_map(x, grid, "saliency", 1, pool=MaxPool(2), unit=LeakyReLU(0.2))
    with pytest.raises(NoLaw, match=r"max-pooling whose windows overlap.*Truncated"):
        pooled_moments.pooled_variance_map(
            x, grid, "guided", 1, law=TruncatedGaussian(0.2), pool=MaxPool(2, 1)
        )
    with pytest.raises(TypeError, match="points"):
        pooled_moments.pooled_variance_map(x, grid, "guided", 1, pool=MaxPool(2), points=1.5)


# --- the figures of a photograph ------------------------------------------------------------------------------------


def cosine(a, b):
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference photograph is not beside the repository")
def test_reference_photograph():
    x = images.load(REFERENCE)
    grid, pool = PatchGrid(x.shape, 7, 2), MaxPool(2)
    guided, deconvnet = (
        pooled.pooled_mean_map(x, grid, rule, 1, pool=pool) for rule in ("guided", "deconvnet")
    )
    assert cosine(mean_map(x, grid, "guided", 1), x) == pytest.approx(0.895, abs=0.002)
    assert cosine(guided, x) == pytest.approx(0.655, abs=0.002)
    assert cosine(deconvnet, x) == pytest.approx(0.187, abs=0.002)
    assert cosine(deconvnet, guided) == pytest.approx(0.800, abs=0.002)
    # Simulated with 256 filters in four draws: 0.58, 0.29, 0.42.
    got = pooled.selection_probabilities(x, grid, pool=pool)
    assert got.positive_given_chosen == pytest.approx(0.58, abs=0.005)
    assert got.chosen_given_positive == pytest.approx(0.29, abs=0.005)
    assert got.all_zero == pytest.approx(0.42, abs=0.005)
