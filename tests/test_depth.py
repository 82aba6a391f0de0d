"""Depth: closed forms, quadrature and brute force for the modified gradient of deep random networks.

The simulations below are written from the definitions with NumPy alone and know nothing of the package's networks.
"""

import functools
import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats
from strategies import OTHERS, cosine, picture, stack

from theorylab.analytic import conv_depth, depth, gates, shallow
from theorylab.analytic._unit_moments import unit_moments
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import PAPER, Rule
from theorylab.model.specs import ConvSpec, Residual
from theorylab.model.units import RELU, LeakyReLU, Unit

RULES = ("saliency", "deconvnet", "guided")
ZERO_MEAN = ("saliency", "deconvnet")
DENSE = [200] + [600] * 4


def fan_in(size):
    return math.sqrt(2 / size)


def hand_on(rule, gradient, pre_activation, unit=RELU):
    """What a unit hands on, spelled out."""
    rule = Rule(rule)
    gates = np.where(pre_activation > 0, 1.0, unit.slope if rule.gate else 1.0)
    return np.where(gradient > 0, rule.up * gradient, -rule.down * gradient) * gates


def guided_moments(signal, noise):
    return unit_moments(Rule.GUIDED, RELU, signal, noise)


def angle_functions(psi):
    """``K₁`` and ``K₂``: the two moments of guided backpropagation as functions of ``ψ = atan2(β, αs)``."""
    return (math.pi - psi) * np.cos(psi) + np.sin(psi), (math.pi - psi) / 2 + np.sin(2 * psi) / 4


# --- witnesses ---------------------------------------------------------------------------------------------------


def quadrature_moments(alpha, s, beta):
    """``E[z T]`` and ``E[T²]`` for guided backpropagation over the region of the plane where ``T`` is not 0."""

    def expectation(function):
        def integrand(xi, z):
            value = alpha * s * z + beta * xi
            return function(s * z, value) * math.exp(-(z * z + xi * xi) / 2) / (2 * math.pi)

        low = -alpha * s / beta
        return integrate.dblquad(
            integrand, 0, 12, lambda z: max(-12.0, low * z), 12, epsabs=1e-11, epsrel=1e-10
        )[0]

    return expectation(lambda z, value: z * value), expectation(lambda z, value: value * value)


def network(x, weights, forward, back, rng, rules, unit):
    """For each rule a list of (V̂, o) from the top layer down; the readout is N(0, 1)."""
    before, outputs = [], [x]
    for w in weights:
        before.append(forward(outputs[-1], w))
        outputs.append(np.where(before[-1] > 0, before[-1], unit.slope * before[-1]))
    readout, maps = rng.standard_normal(outputs[-1].shape), {}
    for rule in rules:
        gradient, maps[rule] = readout, []
        for layer in range(len(weights) - 1, -1, -1):
            gradient = back(hand_on(rule, gradient, before[layer], unit), weights[layer])
            maps[rule].append((gradient, outputs[layer]))
    return maps


def dense_network(widths, rng, rules=RULES, unit=RELU):
    """Brute force, fan-in scaling, as :func:`network` returns it."""
    weights = [
        fan_in(below) * rng.standard_normal((below, above)) for below, above in itertools.pairwise(widths)
    ]
    return network(np.eye(widths[0])[0], weights, np.matmul, lambda t, w: w @ t, rng, rules, unit)


def dense_statistics(widths, draws, seed, rules=RULES, unit=RELU):
    """Per rule: (alignment, ⟨V̂, o⟩/‖o‖², mean square of V̂), each (draws, layers)."""
    rng = np.random.default_rng(seed)
    rows = {rule: [] for rule in rules}
    for _ in range(draws):
        for rule, pairs in dense_network(widths, rng, rules, unit).items():
            rows[rule].append([(cosine(v, o), v @ o / max(o @ o, 1e-300), v @ v / v.size) for v, o in pairs])
    return {rule: np.moveaxis(np.array(row), -1, 0) for rule, row in rows.items()}


@functools.cache
def dense_reference():
    return dense_statistics(DENSE, draws=100, seed=11)


def guided_chain(widths, draws, rng):
    """Alignments of guided backpropagation, (layers, draws): the exact law in O(n) a layer, without weight matrices.

    A unit's weights enter through ``z`` along the layer below and a part across it, which is independent of all else:
    ``V̂ = A ô + B P g`` with ``A = Σ z T/‖o‖`` and ``B² = c² Σ T²``.  A map of zeros counts as alignment 0.
    """
    outputs, norms, before = [None], [np.ones(draws)], [None]
    for below, above in itertools.pairwise(widths):
        before.append(fan_in(below) * norms[-1][:, None] * rng.standard_normal((draws, above)))
        outputs.append(np.maximum(before[-1], 0))
        norms.append(np.linalg.norm(outputs[-1], axis=1))
    gradient, rows = rng.standard_normal((draws, widths[-1])), []
    for layer in range(len(widths) - 2, -1, -1):
        t = hand_on("guided", gradient, before[layer + 1])
        along = (before[layer + 1] * t).sum(axis=1) / np.maximum(norms[layer], 1e-300)
        noise = fan_in(widths[layer]) * np.linalg.norm(t, axis=1)
        across = noise**2 * rng.chisquare(widths[layer] - 1, draws)
        if layer:
            unit = outputs[layer] / np.maximum(norms[layer], 1e-300)[:, None]
            g = rng.standard_normal((draws, widths[layer]))
            g -= (g * unit).sum(axis=1, keepdims=True) * unit
            gradient = along[:, None] * unit + noise[:, None] * g
            across = noise**2 * (g**2).sum(axis=1)
        rows.append(along / np.maximum(np.sqrt(along**2 + across), 1e-300))
    return np.array(rows)


def shifts(kernel):
    return [(i, k) for i in range(kernel) for k in range(kernel)]


def convolve(x, w, padding):
    kernel = w.shape[2]
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    height, width = (side - kernel + 1 for side in x.shape[1:])
    return sum(np.tensordot(w[:, :, i, k], x[:, i : i + height, k : k + width], 1) for i, k in shifts(kernel))


def convolve_back(t, w, padding):
    kernel, (height, width) = w.shape[2], t.shape[1:]
    full = np.zeros((w.shape[1], height + kernel - 1, width + kernel - 1))
    for i, k in shifts(kernel):
        full[:, i : i + height, k : k + width] += np.tensordot(w[:, :, i, k].T, t, 1)
    return full[:, padding : full.shape[1] - padding, padding : full.shape[2] - padding]


def conv_network(x, filters, rng, rules=RULES, unit=RELU):
    """3×3 filters, padding 1, fan-in scaling, as :func:`network` returns it."""
    weights = [
        fan_in(9 * below) * rng.standard_normal((above, below, 3, 3))
        for below, above in itertools.pairwise((len(x), *filters))
    ]
    forward, back = (functools.partial(function, padding=1) for function in (convolve, convolve_back))
    return network(x, weights, forward, back, rng, rules, unit)


# --- the two expectations ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alpha", "s", "beta"), [(0, 1, 1), (0.1, 2, 1), (1, 1, 1), (3, 0.5, 0.2), (2, 1, 0)]
)
def test_masked_moments_against_quadrature(alpha, s, beta):
    first, second = guided_moments(alpha * s, beta)
    # Without noise T = α z for positive z: half of α s² and of α² s².
    expected = quadrature_moments(alpha, s, beta) if beta else (alpha * s**2 / 2, (alpha * s) ** 2 / 2)
    np.testing.assert_allclose((s * first, second), expected, rtol=1e-8)


def test_masked_moments_by_stein_and_by_scaling():
    """The slope on the wedge plus the jump at ``z = 0``; degrees 1 and 2 in the gradient."""
    signal = np.array([0.0, 0.3, 2.0, 50.0])
    noise = np.array([1.0, 2.0, 0.5, 0.1])
    psi = np.arctan2(noise, signal)
    first, second = guided_moments(signal, noise)
    np.testing.assert_allclose(first, (signal * (math.pi - psi) + noise) / (2 * math.pi), rtol=1e-14)
    scaled_first, scaled_second = guided_moments(1e100 * signal, 1e100 * noise)
    np.testing.assert_allclose(scaled_first, 1e100 * first, rtol=1e-14)
    np.testing.assert_allclose(scaled_second, 1e200 * second, rtol=1e-14)


# --- dense networks ----------------------------------------------------------------------------------------------


def test_the_known_alignments():
    """Known values for an input of 1000 under five layers of 3000."""
    alignments = [record.alignment for record in depth.depth_profile([1000] + [3000] * 5, "guided")]
    np.testing.assert_allclose(alignments, [0.303, 0.409, 0.442, 0.452, 0.663], atol=6e-4)
    assert alignments[0] == pytest.approx(1 / math.sqrt(1 + math.pi**2), rel=1e-14)


@pytest.mark.parametrize("rule", RULES)
def test_profile_against_the_recursion_by_quadrature(rule):
    """``α`` and ``β`` carried literally, both expectations by numerical integration, uneven widths and scales."""
    widths, stds, readout, norm = [30, 50, 20, 80], [0.3, 0.1, 0.7], 0.4, 2.5
    records = depth.depth_profile(widths, rule, stds=[*stds, readout], input_norm=norm)
    energy = [norm**2]
    for n, c in zip(widths[1:], stds, strict=True):
        energy.append(n * c**2 * energy[-1] / 2)
    alpha, beta = 0.0, readout
    for record, layer in zip(records, (2, 1, 0), strict=True):
        n, c = widths[layer + 1], stds[layer]
        s = c * math.sqrt(energy[layer])
        if rule == "guided":
            first, second = quadrature_moments(alpha, s, beta)
        else:  # by parity in z the first vanishes; half of the mask, or of the normal, remains of the second
            first, second = 0.0, beta**2 / 2
        alpha, beta = n * first / energy[layer], c * math.sqrt(n * second)
        assert record.layer == layer
        assert record.alpha == pytest.approx(alpha, rel=1e-7)
        assert record.beta == pytest.approx(beta, rel=1e-7)
        signal = alpha * math.sqrt(energy[layer])
        assert record.alignment == pytest.approx(signal / math.hypot(signal, beta * math.sqrt(widths[layer])))


def test_one_hidden_layer_is_the_three_layer_network():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((1, 1, 6))
    grid = PatchGrid((1, 1, 6), (1, 6))
    (record,) = depth.depth_profile([6, 90], "guided", stds=1.0, input_norm=float(np.linalg.norm(x)))
    np.testing.assert_allclose(record.alpha * x, shallow.mean_map(x, grid, "guided", 90), rtol=1e-12)


@pytest.mark.parametrize("layer", range(4))
def test_guided_alignments_against_brute_force(layer):
    """Four standard errors and a half, and the bias of finite width (below 0.4/n in the chain's test)."""
    record = depth.depth_profile(DENSE, "guided")[layer]
    alignment, alpha, _ = dense_reference()["guided"]
    draws = len(alignment)
    error = alignment[:, layer].std(ddof=1) / math.sqrt(draws)
    assert abs(alignment[:, layer].mean() - record.alignment) < 4.5 * error + 0.4 / 600
    error = alpha[:, layer].std(ddof=1) / math.sqrt(draws)
    assert abs(alpha[:, layer].mean() - record.alpha) < 4.5 * error + 3 / 600 * record.alpha
    # Controls: no recovery at all is refused, and below the top so is the law of the three-layer network.
    error = alignment[:, layer].std(ddof=1) / math.sqrt(draws)
    assert abs(alignment[:, layer].mean()) / error > 20
    if layer:
        (one_step,) = depth.depth_profile(DENSE[3 - layer : 5 - layer], "guided")
        assert abs(alignment[:, layer].mean() - one_step.alignment) / error > 10


@pytest.mark.parametrize("rule", ZERO_MEAN)
def test_saliency_and_deconvnet_recover_nothing(rule):
    records = depth.depth_profile(DENSE, rule)
    alignment, alpha, square = dense_reference()[rule]
    for values in (alignment, alpha):
        z = values.mean(axis=0) / values.std(axis=0, ddof=1) * math.sqrt(len(values))
        assert abs(z).max() < 4.5, z
    assert abs(alignment.mean(axis=0)).max() < 0.025
    assert all((record.alpha, record.alignment) == (0, 0) for record in records)
    error = square.std(axis=0, ddof=1) / math.sqrt(len(square))
    assert (abs(square.mean(axis=0) - [record.beta**2 for record in records]) < 4.5 * error).all()


def test_noise_of_saliency_and_deconvnet_is_exact_in_narrow_networks():
    widths = [3, 14, 16, 12]
    statistics = dense_statistics(widths, draws=6000, seed=2)
    expected = np.array([record.beta**2 for record in depth.depth_profile(widths, "saliency")])
    for rule in ZERO_MEAN:
        square = statistics[rule][2]
        error = square.std(axis=0, ddof=1) / math.sqrt(len(square))
        assert (abs(square.mean(axis=0) - expected) < 4.5 * error).all()
        # Neither masking nor rectifying halves twice, nor not at all.
        assert (abs(square.mean(axis=0) - expected * 2) > 10 * error).all()


LEAKY = LeakyReLU(0.2)


@pytest.mark.parametrize("rule", [*PAPER, Rule.LINEAR, *OTHERS], ids=str)
@pytest.mark.parametrize("unit", [RELU, LEAKY, LeakyReLU(-0.6)], ids=str)
def test_any_rule_and_unit_against_brute_force(rule, unit):
    """The limit of wide layers, to four standard errors and a half and one over the width."""
    widths, draws = [120] + [300] * 3, 60
    records = depth.depth_profile(widths, rule, unit=unit)
    alignment, _, square = dense_statistics(widths, draws, 20, [rule], unit)[rule]
    predicted = np.array([record.alignment for record in records])
    error = alignment.std(axis=0, ddof=1) / math.sqrt(draws)
    assert (abs(alignment.mean(axis=0) - predicted) < 4.5 * error + 0.5 / 300).all()
    power = np.array([record.beta**2 for record in records]) / (1 - predicted**2)
    error_of_power = square.std(axis=0, ddof=1) / math.sqrt(draws)
    assert (abs(square.mean(axis=0) - power) < 4.5 * error_of_power + 3 / 300 * power).all()
    # Without a gate, or with an h that is odd, nothing is recovered; else what is recovered is seen, and the unit's slope too.
    if not rule.gate or rule.up + rule.down == 0:
        assert not predicted.any()
        return
    assert (abs(alignment.mean(axis=0)) > 10 * error).all()
    other = depth.depth_profile(widths, rule, unit=LeakyReLU(unit.slope + 0.3))
    assert (abs(alignment.mean(axis=0) - [record.alignment for record in other]) > 5 * error).any()


@pytest.mark.parametrize("rule", [Rule.SALIENCY, Rule.DECONVNET, Rule.LINEAR, OTHERS[1], OTHERS[3]], ids=str)
def test_noise_is_exact_in_narrow_networks_of_any_unit(rule):
    """Without a gate, or with an odd ``h``: at every width."""
    widths = [3, 14, 16, 12]
    square = dense_statistics(widths, 6000, 21, [rule], LEAKY)[rule][2]
    expected = np.array([record.beta**2 for record in depth.depth_profile(widths, rule, unit=LEAKY)])
    error = square.std(axis=0, ddof=1) / math.sqrt(len(square))
    assert (abs(square.mean(axis=0) - expected) < 4.5 * error).all()
    assert (abs(square.mean(axis=0) - 1.3 * expected) > 4.5 * error).all()


def test_the_topmost_step_is_exact_in_narrow_networks():
    """``E⟨V̂, o⟩`` and ``E‖V̂‖²`` of one hidden layer, whatever the rule and the unit."""
    for rule, unit in itertools.product((Rule.GUIDED, *OTHERS), (RELU, LEAKY)):
        rng = np.random.default_rng(22)
        pairs = [dense_network([2, 3], rng, [rule], unit)[rule][0] for _ in range(20_000)]
        along = np.array([v @ o for v, o in pairs])
        (record,) = depth.depth_profile([2, 3], rule, unit=unit)
        error = along.std(ddof=1) / math.sqrt(len(along))
        assert abs(along.mean() - record.alpha) < 4.5 * error
        across = np.array([v[1] ** 2 for v, _ in pairs])
        assert abs(across.mean() - record.beta**2) < 4.5 * across.std(ddof=1) / math.sqrt(len(across))


def test_a_unit_that_is_not_homogeneous_has_no_law():
    class Smooth(Unit):
        homogeneous = False

    with pytest.raises(NoLaw, match=r"with .*Smooth\(slope=0.0\) at"):
        depth.depth_profile([3, 4], "guided", unit=Smooth(0.0))
    with pytest.raises(NoLaw, match=r"with .*Smooth\(slope=0.0\) at"):
        conv_depth.depth_maps(np.ones((1, 3, 3)), [ConvSpec(2, 3)], "guided", unit=Smooth(0.0))
    for layers in ([ConvSpec(2, 3), MaxPool(2)], [ConvSpec(1, 1), Residual([ConvSpec(1, 1)])]):
        with pytest.raises(
            NoLaw, match=r"'guided' with LeakyReLU\(slope=0.2\) at a max-pool or a residual block"
        ):
            conv_depth.depth_maps(np.ones((1, 4, 4)), layers, "guided", unit=LEAKY)


def test_the_chain_has_the_law_of_brute_force():
    widths, draws = [7, 40, 24, 32], 1500
    brute = dense_statistics(widths, draws, seed=3)["guided"][0]
    chain = guided_chain(widths, 20 * draws, np.random.default_rng(4))
    for layer in range(3):
        assert stats.ks_2samp(brute[:, layer], chain[layer]).pvalue > 1e-3
    # Control: the same test refuses a neighbouring width.
    other = guided_chain([7, 40, 24, 48], 20 * draws, np.random.default_rng(4))
    assert stats.ks_2samp(brute[:, 0], other[0]).pvalue < 1e-6


def test_the_error_falls_like_one_over_width():
    rng = np.random.default_rng(6)
    sizes, depth_of_stack = (48, 96, 192, 384), 4
    errors, noises = [], []
    for n in sizes:
        widths = [n] * (depth_of_stack + 1)
        sample = np.hstack([guided_chain(widths, 2**20 // n, rng) for _ in range(6)])
        expected = [record.alignment for record in depth.depth_profile(widths, "guided")]
        # Mean over layers, draw by draw: one bias for each width, and its standard error.
        gap = (sample - np.array(expected)[:, None]).mean(axis=0)
        errors.append(gap.mean())
        noises.append(gap.std(ddof=1) / math.sqrt(gap.size))
    errors, noises = np.array(errors), np.array(noises)
    assert (errors > 3 * noises).all(), "the bias must be seen before its rate can be"
    design = np.stack([np.ones(len(sizes)), np.log(sizes)], axis=1) / (noises / errors)[:, None]
    solution, *_ = np.linalg.lstsq(design, np.log(errors) / (noises / errors), rcond=None)
    slope_error = math.sqrt(np.linalg.inv(design.T @ design)[1, 1])
    assert abs(solution[1] + 1) < 3 * slope_error, (solution[1], slope_error)
    assert slope_error < 0.06, "slopes of -1/2 and of -3/2 must lie out of reach"
    assert (errors * sizes < 0.4).all()


def test_alignments_know_widths_alone_and_survive_any_scale():
    widths = [64] + [500] * 3000
    reference = [record.alignment for record in depth.depth_profile(widths, "guided")]
    for std in (0.1, 30.0, 1e-4):
        records = depth.depth_profile(widths, "guided", stds=std, input_norm=1e-200)
        np.testing.assert_array_equal([record.alignment for record in records], reference)
        assert not any(math.isnan(record.alpha) or math.isnan(record.beta) for record in records)
    assert math.isinf(depth.depth_profile(widths, "saliency", stds=30.0)[-1].beta)


def test_scales_of_alpha_and_beta():
    base = depth.depth_profile([9, 30, 20], "guided")
    stds = [3 * fan_in(9), 5 * fan_in(30), 7.0]
    scaled = depth.depth_profile([9, 30, 20], "guided", stds=stds, input_norm=11.0)
    # V̂ gains every scale above it, o every scale below.
    for record, other, above, below in zip(base, scaled, (5 * 7, 3 * 5 * 7), (3 * 11, 11), strict=True):
        assert other.beta == pytest.approx(above * record.beta, rel=1e-12)
        assert other.alpha == pytest.approx(above / below * record.alpha, rel=1e-12)
    assert depth.depth_profile([9, 30, 20], "guided", stds=[fan_in(9), fan_in(30)]) == base
    assert depth.depth_profile((9, 30, 20), Rule.GUIDED, stds=np.array([fan_in(9), fan_in(30), 1])) == base


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "match"),
    [
        (([10], "guided"), {}, ValueError, "widths"),
        (([10, 0], "guided"), {}, ValueError, "widths"),
        (([10, 2.5], "guided"), {}, TypeError, "widths"),
        (([10, 5], "gradient"), {}, ValueError, "unknown rule"),
        (([10, 5], "guided"), {"stds": [1.0, 1.0, 1.0]}, ValueError, "stds: expected 1"),
        (([10, 5], "guided"), {"stds": [-1.0]}, ValueError, "stds"),
        (([10, 5], "guided"), {"stds": 0.0}, ValueError, "stds"),
        (([10, 5], "guided"), {"input_norm": 0.0}, ValueError, "input_norm"),
    ],
)
def test_profile_refuses(arguments, keywords, error, match):
    with pytest.raises(error, match=match):
        depth.depth_profile(*arguments, **keywords)


def test_infinite_depth():
    limit = depth.infinite_depth_alignment()
    ratio = limit / math.sqrt(1 - limit**2)
    psi = math.atan2(1, math.sqrt(2) * ratio)
    first, second = angle_functions(psi)
    assert first / (2 * math.sqrt(math.pi * second)) == pytest.approx(ratio, rel=1e-13)
    profile = [record.alignment for record in depth.depth_profile([100] * 30, "guided")]
    assert profile[-1] == pytest.approx(limit, rel=1e-14)
    assert (np.diff(profile[:15]) > 0).all()
    assert abs(profile[4] - limit) > 1e-3 > abs(profile[5] - limit)
    gaps = limit - np.array(profile[:12])
    assert gaps[11] / gaps[10] == pytest.approx(0.28624, abs=1e-4)
    # Another start: a wide layer on top puts the gradient above the limit, and it comes down to it.
    above = [record.alignment for record in depth.depth_profile([100] * 30 + [100_000], "guided")]
    assert above[0] > 0.9
    assert above[-1] == pytest.approx(limit, rel=1e-12)
    # The contraction that makes the root unique, on a grid of angles.
    angles = np.linspace(1e-3, math.pi / 2, 2001)
    values = angle_functions(angles)[0] / np.sqrt(2 * math.pi * angle_functions(angles)[1])
    slopes = np.diff(values) / np.diff(1 / np.tan(angles))
    assert slopes.min() > 0
    assert slopes.max() < 1


# --- DeconvNet's positions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth_of_stack", [1, 2, 3])
def test_deconvnet_correlation_against_quadrature(depth_of_stack):
    correlation = 0.0
    for _ in range(depth_of_stack):
        across = math.sqrt(1 - correlation**2)

        def integrand(b, a, correlation=correlation, across=across):
            value = a * max(correlation * a + across * b, 0)
            return value * math.exp(-(a * a + b * b) / 2) / math.pi

        slope = correlation / across
        correlation = integrate.dblquad(integrand, 0, 12, lambda a, slope=slope: -slope * a, 12)[0]
    assert depth.deconvnet_correlation(depth_of_stack) == pytest.approx(correlation, abs=1e-7)


def test_deconvnet_correlation_against_brute_force():
    """One line of positions, kernel 3, no border: neighbours and a distance of 7, standard errors from the draws."""
    rng, filters, layers, draws = np.random.default_rng(8), 128, 4, 120
    products, squares = np.empty((draws, layers, 2)), np.empty((draws, layers))
    for draw in range(draws):
        gradient = rng.standard_normal((filters, 9 + 2 * layers))
        for layer in range(layers):
            w = fan_in(3 * filters) * rng.standard_normal((3, filters, filters))
            t = np.maximum(gradient, 0)
            gradient = sum(w[r] @ t[:, r : r + t.shape[1] - 2] for r in range(3))
            products[draw, layer] = (gradient[:, 0] @ gradient[:, 1], gradient[:, 0] @ gradient[:, 7])
            squares[draw, layer] = (gradient[:, [0, 1, 7]] ** 2).sum() / 3
    for layer in range(layers):
        expected = depth.deconvnet_correlation(layer + 1)
        residual = products[:, layer] - expected * squares[:, layer, None]
        z = residual.mean(axis=0) / residual.std(axis=0, ddof=1) * math.sqrt(draws)
        assert abs(z).max() < 4.5, (layer, z)
        # Control: the correlation of the layer above.
        wrong = depth.deconvnet_correlation(layer) if layer else 0.0
        residual = products[:, layer] - wrong * squares[:, layer, None]
        assert (residual.mean(axis=0) / residual.std(axis=0, ddof=1) * math.sqrt(draws) > 5).all()


def test_deconvnet_correlation_tends_to_one():
    values = [depth.deconvnet_correlation(n) for n in (1, 10, 100, 10_000)]
    assert values[0] == pytest.approx(1 / math.pi, rel=1e-15)
    assert (np.diff(values) > 0).all()
    assert (1 - values[-1]) * 2e8 / (9 * math.pi**2) == pytest.approx(1, abs=0.01)
    with pytest.raises(ValueError, match="depth"):
        depth.deconvnet_correlation(0)


# --- convolutional networks --------------------------------------------------------------------------------------


@functools.cache
def conv_reference(filters, draws=10):
    """Alignments by rule, (draws, layers), and the guided maps, (draws, C, H, W)."""
    rng, x = np.random.default_rng(9), picture(24)
    alignments, maps = {rule: [] for rule in RULES}, []
    for _ in range(draws):
        drawn = conv_network(x, filters, rng)
        for rule in RULES:
            alignments[rule].append([cosine(v, o) for v, o in drawn[rule]])
        maps.append(drawn["guided"][-1][0])
    return {rule: np.array(rows) for rule, rows in alignments.items()}, np.array(maps)


@pytest.mark.parametrize("filters", [(256,) * 3, (128,) * 5])
def test_depth_maps_against_brute_force(filters):
    x = picture(24)
    records = conv_depth.depth_maps(x, stack(*filters), "guided")
    alignments, maps = conv_reference(filters)
    predicted = np.array([record.alignment for record in records])
    assert abs(alignments["guided"].mean(axis=0) - predicted).max() < 0.03
    mean = maps.mean(axis=0)
    assert cosine(records[-1].mean_map, mean) > 0.97
    # Size as well as shape.
    sizes = (maps * records[-1].mean_map).sum(axis=(1, 2, 3)) / (records[-1].mean_map ** 2).sum()
    assert abs(sizes.mean() - 1) < 4.5 * sizes.std(ddof=1) / math.sqrt(len(sizes)) + 0.02
    # Controls: no recovery; the three-layer law at this depth, for the alignments and for the map.
    error = alignments["guided"].std(axis=0, ddof=1) / math.sqrt(len(maps))
    assert (alignments["guided"].mean(axis=0) > 10 * error).all()
    assert abs(alignments["guided"].mean(axis=0)[1:-1] - predicted[0]).min() > 0.06
    one_layer = conv_depth.depth_maps(x, stack(*filters[:1]), "guided")[-1]
    assert alignments["guided"].mean(axis=0)[-1] - one_layer.alignment > 5 * error[-1]
    contrast = gates.local_contrast(x, PatchGrid(x.shape, 3, padding=1)) * x
    gain = np.array([cosine(m, records[-1].mean_map) - cosine(m, contrast) for m in maps])
    assert gain.mean() > 5 * gain.std(ddof=1) / math.sqrt(len(gain))


@pytest.mark.parametrize("rule", ZERO_MEAN)
def test_depth_maps_of_saliency_and_deconvnet(rule):
    """The mean is zero; the noise is compared as energy, layer by layer."""
    x, filters = picture(24), (256,) * 3
    records = conv_depth.depth_maps(x, stack(*filters), rule)
    alignment = conv_reference(filters)[0][rule]
    z = alignment.mean(axis=0) / alignment.std(axis=0, ddof=1) * math.sqrt(len(alignment))
    assert abs(z).max() < 5, z
    for record in records:
        assert not record.alpha.any()
        assert record.alignment == 0
    np.testing.assert_array_equal(records[-1].mean_map, np.zeros(x.shape))
    # Unrolled: n c² = 2·256/(9 C); each layer halves the energy and adds the patches that hold a position.
    coverage = PatchGrid((1, 24, 24), 3, padding=1).coverage[0]
    np.testing.assert_allclose(records[0].beta ** 2, coverage / 9, rtol=1e-12)


def test_energy_of_every_rule_against_brute_force():
    """Mean of ``V̂²`` at the input: ``α²x² + β²``."""
    rng, x = np.random.default_rng(10), picture(12)
    filters, draws = (64, 64), 150
    drawn = [conv_network(x, filters, rng) for _ in range(draws)]
    for rule in RULES:
        record = conv_depth.depth_maps(x, stack(*filters), rule)[-1]
        expected = float((record.alpha**2 * x**2 + record.beta**2).sum())
        energy = np.array([(maps[rule][-1][0] ** 2).sum() for maps in drawn])
        error = energy.std(ddof=1) / math.sqrt(draws)
        # The dropped terms and the finite width: a share of 2/64 is allowed beside the standard error.
        assert abs(energy.mean() - expected) < 4.5 * error + expected * 2 / 64, rule


@pytest.mark.parametrize("rule", [Rule.SALIENCY, Rule.GUIDED, Rule.LINEAR, *OTHERS], ids=str)
@pytest.mark.parametrize("unit", [RELU, LEAKY], ids=str)
def test_depth_maps_of_any_rule_and_unit_against_brute_force(rule, unit):
    """Sums over a layer, each a mean over networks: ``⟨V̂, o⟩``, and ``‖V̂‖²`` as ``Σ α²‖o‖² + C β²``."""
    x, filters, draws = picture(10), (64, 64), 80
    rng = np.random.default_rng(23)
    records = conv_depth.depth_maps(x, stack(*filters), rule, unit=unit)
    drawn = [conv_network(x, filters, rng, [rule], unit)[rule] for _ in range(draws)]
    for layer, record in enumerate(records):
        along = np.array([(v * o).sum() for v, o in (pairs[layer] for pairs in drawn)])
        energy = np.array([(v**2).sum() for v, _ in (pairs[layer] for pairs in drawn)])
        sizes = np.mean([(pairs[layer][1] ** 2).sum(axis=0) for pairs in drawn], axis=0)
        channels = len(drawn[0][layer][0])
        signal = (record.alpha * sizes).sum()
        power = (record.alpha**2 * sizes + channels * record.beta**2).sum()
        error = along.std(ddof=1) / math.sqrt(draws)
        assert abs(along.mean() - signal) < 4.5 * error + 3 / 64 * abs(signal)
        assert record.alignment == pytest.approx(signal / math.sqrt(sizes.sum() * power), abs=0.02)
        # What the noise leaves out at the image is twice as much for |R| as for guided backpropagation.
        allowed = 3 / 64 + (0.07 if layer == len(filters) - 1 else 0)
        error = energy.std(ddof=1) / math.sqrt(draws)
        assert abs(energy.mean() - power) < 4.5 * error + allowed * power
        if not rule.gate or rule.up + rule.down == 0:
            assert not record.alpha.any()
        else:
            assert abs(along.mean()) > 5 * along.std(ddof=1) / math.sqrt(draws)


def test_one_convolution_is_the_three_layer_network():
    rng = np.random.default_rng(12)
    x = rng.standard_normal((3, 9, 10)) + 0.5
    x[:, :5, :5] = 0  # whole patches of zeros
    for kernel, stride, padding in ((3, 1, 1), (4, (2, 3), 0)):
        grid = PatchGrid(x.shape, kernel, stride, padding)
        layers = [ConvSpec(40, kernel, stride, padding, std=0.3)]
        for rule, unit in itertools.product((*PAPER, Rule.LINEAR, *OTHERS), (RELU, LEAKY)):
            (record,) = conv_depth.depth_maps(x, layers, rule, readout_std=0.3, unit=unit)
            exact = shallow.mean_map(x, grid, rule, 40, law=Gaussian(0.3), unit=unit)
            np.testing.assert_allclose(record.mean_map, exact, rtol=1e-12, atol=1e-15)
            variance = shallow.variance_map(x, grid, rule, 40, law=Gaussian(0.3), unit=unit)
            if exact.any():  # β² drops terms of order 1/C together, and keeps the whole of E[T²]
                assert (record.beta**2).mean() == pytest.approx(
                    variance.mean(), rel=0.04 if rule is OTHERS[0] else 0.02
                )
            else:
                np.testing.assert_allclose(
                    np.broadcast_to(record.beta**2, x.shape), variance, rtol=1e-12, atol=1e-15
                )


@pytest.mark.parametrize("channels", [1, 3, 16])
def test_what_the_noise_leaves_out(channels):
    """Without contrast it is most: the exact trace of three layers is 9.4 % lower, divided by the channels."""
    x = np.ones((channels, 24, 24))
    (record,) = conv_depth.depth_maps(x, [ConvSpec(1, 3, padding=1)], "guided")
    exact = shallow.variance_map(x, PatchGrid(x.shape, 3, padding=1), "guided", 1).sum()
    share = 1 - exact / (channels * (record.beta**2).sum())
    assert 0.090 < channels * share < 0.098


@pytest.mark.parametrize("unit", [RELU, LEAKY], ids=str)
@pytest.mark.parametrize("rule", [*RULES, Rule.LINEAR, *OTHERS], ids=str)
def test_one_pixel_is_a_dense_network(rule, unit):
    widths, stds = [6, 40, 30, 50], [0.4, 0.2, 0.3]
    x = np.random.default_rng(13).standard_normal((6, 1, 1))
    layers = [ConvSpec(n, 1, std=c) for n, c in zip(widths[1:], stds, strict=True)]
    maps = conv_depth.depth_maps(x, layers, rule, readout_std=0.7, unit=unit)
    norm = float(np.linalg.norm(x))
    dense = depth.depth_profile(widths, rule, stds=[*stds, 0.7], input_norm=norm, unit=unit)
    for record, other in zip(maps, dense, strict=True):
        assert record.layer == other.layer
        values = (record.alpha.item(), record.beta.item(), record.alignment)
        np.testing.assert_allclose(values, (other.alpha, other.beta, other.alignment), rtol=1e-12)


def test_depth_maps_are_homogeneous_and_survive_any_scale():
    x = picture(8)
    layers = [ConvSpec(16, 3, padding=1, std=0.1)] * 200
    plain = conv_depth.depth_maps(x, layers, "guided")
    loud = conv_depth.depth_maps(1e150 * x, [ConvSpec(16, 3, padding=1, std=1e6)] * 200, "guided")
    for record, other in zip(plain, loud, strict=True):
        assert np.isfinite(record.alignment)
        assert other.alignment == pytest.approx(record.alignment, rel=1e-9)
        assert not np.isnan(other.alpha).any()
        assert not np.isnan(other.beta).any()
    scaled = conv_depth.depth_maps(3 * x, [ConvSpec(16, 3, 2, std=0.2), ConvSpec(9, 2, std=0.5)], "guided")
    base = conv_depth.depth_maps(x, [ConvSpec(16, 3, 2, std=0.1), ConvSpec(9, 2, std=1.0)], "guided")
    np.testing.assert_allclose(scaled[0].alpha, base[0].alpha / 12, rtol=1e-12)  # 1/2 above; 3 · 2 below
    np.testing.assert_allclose(scaled[1].mean_map, base[1].mean_map, rtol=1e-12)
    np.testing.assert_allclose(scaled[1].alpha, base[1].alpha / 3, rtol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_what_overflows_is_infinite_and_zeros_stay(rule):
    x = picture(8)
    x[:, :4, :4] = 0  # whole patches of zeros
    layers = [ConvSpec(16, 3, padding=1, std=1e140)] * 3
    plain = [ConvSpec(16, 3, padding=1, std=1.0)] * 3
    for record, other in zip(
        conv_depth.depth_maps(x, layers, rule), conv_depth.depth_maps(x, plain, rule), strict=True
    ):
        assert record.alignment == pytest.approx(other.alignment, rel=1e-9)
        for name in ("alpha", "beta", "mean_map", "variance_map"):
            values = getattr(record, name)
            if values is not None:
                assert not np.isnan(values).any()
                np.testing.assert_array_equal(values == 0, getattr(other, name) == 0)
    assert np.isinf(record.variance_map).any()


def test_depth_maps_refuse():
    x = np.ones((3, 8, 8))
    for layers, error, match in (
        ([MaxPool(2), ConvSpec(4, 3)], ValueError, r"layers\[0\]: a MaxPool stands behind a ConvSpec"),
        (
            [ConvSpec(4, 3), MaxPool(2), MaxPool(2)],
            ValueError,
            r"layers\[2\]: a MaxPool stands behind a ConvSpec",
        ),
        ([ConvSpec(4, 3), MaxPool(7)], ValueError, r"layers\[1\]: pool: size 7 exceeds the height 6"),
    ):
        with pytest.raises(error, match=match):
            conv_depth.depth_maps(x, layers, "guided")
    with pytest.raises(ValueError, match="at least one"):
        conv_depth.depth_maps(x, [], "guided")
    with pytest.raises(TypeError, match=r"layers: expected a sequence .*ConvSpec.*, got list of tuple"):
        conv_depth.depth_maps(x, [(4, 3)], "guided")
    with pytest.raises(ValueError, match="kernel"):
        conv_depth.depth_maps(x, [ConvSpec(4, 5), ConvSpec(4, 5)], "guided")
    with pytest.raises(ValueError, match=r"expected \(C, H, W\)"):
        conv_depth.depth_maps(x[0], [ConvSpec(4, 3)], "guided")
    with pytest.raises(ValueError, match="zero everywhere"):
        conv_depth.depth_maps(0 * x, [ConvSpec(4, 3)], "guided")


def test_conv_spec_checks_its_numbers():
    spec = ConvSpec(8, (3, 1), stride=2, padding=(1, 0), std=2)
    assert (spec.n_filters, spec.kernel, spec.stride, spec.padding, spec.std) == (
        8,
        (3, 1),
        (2, 2),
        (1, 0),
        2.0,
    )
    assert spec == ConvSpec(8, (3, 1), (2, 2), (1, 0), 2.0)
    with pytest.raises(AttributeError):
        spec.std = 1.0
    for arguments, error in (((0, 3), ValueError), ((8, 0), ValueError), ((8, 3, 0), ValueError)):
        with pytest.raises(error):
            ConvSpec(*arguments)
    with pytest.raises(ValueError, match="padding"):
        ConvSpec(8, 3, padding=-1)
    with pytest.raises(ValueError, match="std"):
        ConvSpec(8, 3, std=math.inf)
    with pytest.raises(TypeError, match="n_filters"):
        ConvSpec(8.0, 3)
