"""Two logits of one network: closed forms, quadrature, brute force and draws for how far apart their gradients are."""

import dataclasses
import functools
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats
from strategies import OTHERS

import theorylab as tl
from theorylab import ConvSpec, Dense, MaxPool, analytic
from theorylab.analytic import depth
from theorylab.analytic._pair_moments import higher, pair_moments
from theorylab.analytic._scale_fields import Form, Transfer
from theorylab.analytic._unit_moments import lost_between, unit_moments
from theorylab.model.rules import PAPER, Rule
from theorylab.model.units import RELU, LeakyReLU
from theorylab.networks.from_stack import Blueprint

RULES = (*PAPER, Rule.LINEAR, *OTHERS)
SLACK = 0.08  # of a distance: what the docstrings say the limits are off by at such widths


def positive_part(mean, std):
    """``E[v₊]`` and ``E[v₊²]`` of a normal."""
    p, density = stats.norm.cdf(mean / std), stats.norm.pdf(mean / std)
    return mean * p + std * density, (mean**2 + std**2) * p + mean * std * density


def rectified(rule, mean, std):
    """``E[h(v)]`` and ``E[h(v)²]`` of a normal, from those of its positive part and of its mirror's."""
    (up, up2), (down, down2) = positive_part(mean, std), positive_part(-mean, std)
    return rule.up * up + rule.down * down, rule.up**2 * up2 + rule.down**2 * down2


def by_quadrature(rule, unit, signal, noise, own):
    """``E[Var T]`` over what one logit has alone, given the pre-activation and what both share: Gauss and Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(300)
    total = 0.0
    for gate, z in ((1.0, 4.5 * (nodes + 1)), (rule.shut(unit), 4.5 * (nodes - 1))):
        z, eta = np.meshgrid(z, 9 * nodes, indexing="ij")
        first, second = rectified(
            rule, signal * unit.forward(z) + math.sqrt(noise**2 - own) * eta, math.sqrt(own)
        )
        density = np.exp(-(z**2 + eta**2) / 2) / (2 * math.pi)
        total += 4.5 * 9 * gate**2 * weights @ ((second - first**2) * density) @ weights
    return total


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_what_two_logits_lose_by_quadrature(rule):
    for unit, signal, noise, own in (
        (RELU, 0.9, 1.0, 0.6),
        (RELU, -0.5, 0.7, 0.05),
        (LeakyReLU(-0.5), 0.8, 1.1, 1.0),
    ):
        found = float(lost_between(rule, unit, signal, noise, own))
        assert found == pytest.approx(by_quadrature(rule, unit, signal, noise, own), rel=1e-9)


@settings(max_examples=200, deadline=None)
@given(
    some.sampled_from(RULES),
    some.sampled_from((RELU, LeakyReLU(0.2), LeakyReLU(-0.5))),
    some.floats(-5, 5),
    some.floats(0.01, 5),
    some.floats(0, 1),
    some.floats(0.1, 10),
)
def test_what_two_logits_lose(rule, unit, signal, noise, share, scale):
    """Nothing without own noise, never more than the whole, more with more own noise, and it has the degree of a square."""
    lost = functools.partial(lost_between, rule, unit)
    own = share * noise**2
    here, whole = float(lost(signal, noise, own)), float(unit_moments(rule, unit, signal, noise)[1])
    assert lost(signal, noise, 0.0) == 0
    assert 0 <= here <= whole * (1 + 1e-12)
    assert here <= float(lost(signal, noise, min(1.1 * own, noise**2))) * (1 + 1e-9)
    assert float(lost(scale * signal, scale * noise, scale**2 * own)) == pytest.approx(
        scale**2 * here, rel=1e-9
    )


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_little_own_noise_keeps_its_digits(rule):
    """Price's theorem: to first order ``δ² E[h'(V̂)²]``, here by a difference quotient of ``E[T²]`` in the noise."""
    signal, noise, step = 0.8, 1.0, 1e-5
    for own in (1e-12, 1e-24):
        slope = float(lost_between(rule, RELU, signal, noise, own)) / own
        energies = [float(unit_moments(rule, RELU, signal, noise + e)[1]) for e in (-step, step)]
        # ½ d²/dv² E[h(v)²] = E[h'²] holds for a square with a kink at 0 too, and the variance is noise².
        assert slope == pytest.approx((energies[1] - energies[0]) / (2 * step) / (2 * noise), rel=1e-4)


# --- dense -------------------------------------------------------------------------------------------------------


def test_the_known_distances_of_dense_networks():
    """An independent simulation had 1.108(5) 0.798(5) 0.567(4) 0.400(3) 0.241(4), and 1.164(3) … 0.737(11) for DeconvNet."""
    guided, deconvnet = (
        analytic.depth_profile([1000] + [3000] * 5, rule) for rule in ("guided", "deconvnet")
    )
    assert [round(record.class_distance, 3) for record in guided] == [1.113, 0.805, 0.570, 0.405, 0.243]
    assert [round(record.class_distance, 3) for record in deconvnet] == [1.168, 1.006, 0.889, 0.799, 0.727]
    assert [record.class_distance for record in deconvnet] == pytest.approx(
        [math.sqrt(2 - 2 * depth.deconvnet_correlation(n)) for n in range(1, 6)], rel=1e-12
    )
    for unit in (RELU, LeakyReLU(0.3)):
        for record in analytic.depth_profile([1000] + [3000] * 5, "saliency", unit=unit):
            assert record.class_distance == pytest.approx(math.sqrt(2), rel=1e-14)


@functools.cache
def dense_distances(unit):
    """Unit-norm distances of two logits by brute force, (networks, rules, layers)."""
    widths, rng, rows = [60] + [240] * 4, np.random.default_rng(3), []
    for _ in range(60):
        o, layers = rng.standard_normal(widths[0]), []
        for below, above in itertools.pairwise(widths):
            w = rng.standard_normal((below, above)) * math.sqrt(2 / below)
            layers.append((w, o @ w))
            o = unit.forward(layers[-1][1])
        readout, row = rng.standard_normal((6, widths[-1])), []
        for rule in RULES:
            v = readout
            row.append([])
            for w, z in reversed(layers):
                v = rule.backward(v, z, unit) @ w.T
                u = v / np.linalg.norm(v, axis=1, keepdims=True)
                row[-1].append(np.mean([np.linalg.norm(a - b) for a, b in itertools.combinations(u, 2)]))
        rows.append(row)
    return widths, np.array(rows)


@pytest.mark.parametrize("unit", [RELU, LeakyReLU(0.3)], ids=str)
def test_dense_networks_by_brute_force(unit):
    widths, found = dense_distances(unit)
    for rule, rows in zip(RULES, np.moveaxis(found, 1, 0), strict=True):
        law = np.array([record.class_distance for record in analytic.depth_profile(widths, rule, unit=unit)])
        error = rows.std(axis=0, ddof=1) / math.sqrt(len(rows))
        assert (abs(rows.mean(axis=0) - law) < 4.5 * error + 0.02 * law).all(), rule
        assert (
            rule.up + rule.down == 0 or (abs(rows.mean(axis=0) - 1.15 * law) > 4.5 * error + 0.02 * law).any()
        )


def test_infinite_depth():
    decay = analytic.infinite_depth_class_distance
    # At the fixed angle, where the alignment's tangent is cot ψ/√2: λ in terms of ψ.
    psi = math.atan2(1, math.sqrt(2) * math.tan(math.asin(analytic.infinite_depth_alignment())))
    share = math.sin(psi) ** 2 * (math.pi - psi) / (math.pi - psi + math.sin(2 * psi) / 2)
    assert decay("guided").factor == pytest.approx(math.sqrt(share), rel=1e-12)
    assert share == pytest.approx(0.5393, abs=5e-5)
    for rule in RULES:
        last = [record.class_distance for record in analytic.depth_profile([500] * 1001, rule)]
        if rule.gate and rule not in PAPER:
            with pytest.raises(tl.NoLaw, match=re.escape(repr(rule.value))):
                decay(rule)
            continue
        law = decay(rule)
        assert last[60] / last[59] == pytest.approx(law.factor, rel=0.03 if law.power else 1e-6)
        if not math.isnan(law.coefficient):
            assert last[-1] * 1000**law.power == pytest.approx(law.coefficient, rel=0.02)


# --- integrals over windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_powers_of_normals(rule):
    for mean, std in ((0.7, 1.3), (-1.1, 0.4)):
        v = np.linspace(mean - 10 * std, mean + 10 * std, 400001)
        weight = stats.norm.pdf(v, mean, std) * (v[1] - v[0])
        h = rule.h(v)
        expected = (h * np.where(v > 0, rule.up, -rule.down), h**3, h**4)
        found = higher(rule, np.array(mean), np.array(std))
        assert found == pytest.approx([float((e * weight).sum()) for e in expected], rel=1e-6)


@pytest.mark.parametrize("rule", [Rule.GUIDED, Rule.DECONVNET, OTHERS[0]], ids=str)
@pytest.mark.parametrize("size", [1, 2])
def test_pair_moments_by_brute_force(rule, size):
    rng = np.random.default_rng(7)
    y = rng.standard_normal((3 * size, 5)) + 1
    gram, a, shared, own = y @ y.T, np.array([0.5, 0.3, -0.2]), 0.8, 0.6
    draws = 400_000
    z = rng.standard_normal((draws, 5)) @ y.T
    windows = z.reshape(draws, 3, size)
    mean = np.maximum(windows.max(axis=2), 0) @ a
    received = mean + shared * rng.standard_normal(draws)
    t = rule.h(received[:, None] + own * rng.standard_normal((draws, 2)))  # two logits
    one = windows[:, 0]
    winner = np.where(one.max(axis=1) > 0, one.argmax(axis=1), -1 if rule.gate else 0)
    passes = winner[:, None] == np.arange(size)
    variance = np.diag(gram)[:size]
    lost = (t[:, 0] ** 2 - t[:, 0] * t[:, 1])[:, None]
    mixed = (t[:, 0] ** 3 - t[:, 0] * t[:, 1] ** 2)[:, None]
    fourth = (t[:, 0] ** 4 - t[:, 0] ** 2 * t[:, 1] ** 2)[:, None]
    slope = (t[:, :1] != 0) * np.where(t[:, :1] > 0, rule.up, 0.0) if rule.down == 0 else None
    values = {
        "lost": lost,
        "second": t[:, :1] ** 2,
        "along": one * t[:, :1],
        "scatter_along": (one**2 - variance) * lost,
        "scatter_both": one * mixed,
        "scatter_second": fourth,
    }
    if slope is not None:
        values["mean_in_along"] = one * mean[:, None] * slope
        values["mean_in_second"] = mean[:, None] * slope * t[:, :1]
    found = pair_moments(gram[None], a[None], np.array([shared]), np.array([own]), rule, RELU, points=2**14)
    for name, value in values.items():
        value = value * passes
        error = value.std(axis=0) / math.sqrt(draws)
        law = getattr(found, name)[0]
        assert (abs(value.mean(axis=0) - law) < 5 * error + 0.01 * abs(law).max()).all(), name


# --- fields of scale ---------------------------------------------------------------------------------------------


def matrices(layer):
    """``ε' = P ε + Q s`` of one layer, rows for A and B of the input, columns for A and B of the output or the patches."""
    grid, (height, width) = layer.block.grid, layer.block.grid.input_shape[1:]
    rows, columns = grid.output_shape
    holds = np.zeros((height, width, rows, columns))
    for i, k, r, c in itertools.product(
        range(rows), range(columns), range(grid.kernel[0]), range(grid.kernel[1])
    ):
        at = i * grid.stride[0] - grid.padding[0] + r, k * grid.stride[1] - grid.padding[1] + c
        if 0 <= at[0] < height and 0 <= at[1] < width:
            holds[at[0], at[1], i, k] = 1
    holds = holds.reshape(height * width, -1)
    means = [
        holds * w.ravel() / np.maximum((holds * w.ravel()).sum(axis=1, keepdims=True), 1e-300)
        for w in layer.weights
    ]
    zero = np.zeros(holds.shape)
    sources = np.block([[means[0], zero], [zero, means[1]]])
    received = np.eye(rows * columns)
    if layer.block.pool is not None:
        held = layer.block.pool.windows((rows, columns))
        received = np.array([[float(j in window) for window in held] for j in range(rows * columns)])
    follows = np.block([
        [np.diag(part.ravel()) @ received, np.diag(1 - part.ravel()) @ received] for part in layer.follows
    ])  # fmt: skip
    return sources @ follows, sources


@pytest.mark.parametrize("seed", range(4))
def test_forms_against_matrices(seed):
    rng = np.random.default_rng(seed)
    stacks = (
        (ConvSpec(5, 3, padding=1), ConvSpec(4, 3, padding=1), MaxPool(2), ConvSpec(6, 2)),
        (ConvSpec(5, (2, 3), stride=(2, 1)), MaxPool((1, 2)), ConvSpec(4, 3, padding=1)),
        (ConvSpec(5, 1), MaxPool(3, stride=4), Dense(7), Dense(3)),
        (ConvSpec(5, 3, stride=2, padding=2), ConvSpec(5, 3, padding=1), ConvSpec(5, 3, padding=1)),
    )  # fmt: skip
    shape, blocks = (2, 9, 8), analytic._blocks.read((2, 9, 8), stacks[seed])
    layers = []
    for block in blocks:
        plane = block.grid.output_shape
        roots = rng.standard_normal((2, 3, *plane))
        source = (roots**2).sum(axis=1)
        layers.append(Transfer(
            block,
            tuple(rng.random((2, *plane)) * (rng.random((2, *plane)) > 0.1)),
            tuple(rng.random((2, *plane))),
            (source[0] - 0.5, (roots[0] * roots[1]).sum(axis=0), source[1]),  # some of them indefinite
        ))  # fmt: skip
    energy = rng.random((2, *shape[1:]))
    energy /= energy.sum()
    form, flat = Form(*energy), energy.ravel()
    expected, found, down = 0.0, 0.0, np.eye(flat.size)
    for layer in layers:
        found += form.through(layer)
        step, sources = matrices(layer)
        reach = down @ sources
        aa, ab, bb = (np.diag(plane.ravel()) for plane in layer.sources)
        covariance = reach @ np.block([[aa, ab], [ab, bb]]) @ reach.T
        expected += flat @ np.diag(covariance) - flat @ covariance @ flat
        down = down @ step
    assert found == pytest.approx(expected, rel=1e-9)


# --- convolutions ------------------------------------------------------------------------------------------------

X = np.random.default_rng(2).normal(0.6, 1.0, (3, 16, 16)).cumsum(axis=2) / 4
POOLED = (
    ConvSpec(96, 3, padding=1),
    MaxPool(2),
    ConvSpec(96, 3, padding=1),
    MaxPool(2),
    ConvSpec(96, 3, padding=1),
)
PLAIN = (ConvSpec(96, 3), ConvSpec(96, 3, stride=2), ConvSpec(96, 2))


def fan_in(layers):
    """The same layers with standard deviations ``√(2/fan-in)``."""
    channels, result = X.shape[0], []
    for layer in layers:
        if isinstance(layer, ConvSpec):
            layer = dataclasses.replace(layer, std=math.sqrt(2 / (channels * math.prod(layer.kernel))))
            channels = layer.n_filters
        result.append(layer)
    return result


@functools.cache
def drawn(layers, size):
    """Unit-norm distance of two logits, (networks, rules), and product and energy."""
    stack = tl.Stack(X.shape, fan_in(layers))
    maps = tl.draw(stack, X, PAPER, size=size, n_readouts=2, seed=5).reshape(size, len(PAPER), 2, -1)
    u = maps / np.linalg.norm(maps, axis=3, keepdims=True)
    return np.linalg.norm(u[:, :, 0] - u[:, :, 1], axis=2)


@pytest.mark.parametrize("layers", [POOLED, PLAIN], ids=["pooled", "plain"])
@pytest.mark.parametrize("rule", PAPER, ids=str)
def test_convolutions_against_draws(rule, layers):
    found = drawn(layers, 80)[:, PAPER.index(rule)]
    law = tl.law(tl.Stack(X.shape, fan_in(layers)), X, rule).class_distance
    error = found.std(ddof=1) / math.sqrt(len(found))
    assert abs(found.mean() - law) < 4 * error + SLACK * law
    if rule is Rule.SALIENCY:
        assert law == math.sqrt(2)
        return
    wrong = (0.75 * law, 1.25 * law)
    assert all(abs(found.mean() - other) > 4 * error + SLACK * law for other in wrong)


def test_the_scales_count():
    """What is white alone leaves out much of guided backpropagation's distance behind pools."""
    found = drawn(POOLED, 80)[:, PAPER.index(Rule.GUIDED)]
    wide = [dataclasses.replace(s, n_filters=96 * 10**6) if isinstance(s, ConvSpec) else s for s in POOLED]
    white = analytic.depth_maps(X, wide, "guided")[-1].class_distance
    assert white < (1 - SLACK) * found.mean() - 4 * found.std(ddof=1) / math.sqrt(len(found))


@pytest.mark.parametrize("unit", [RELU, LeakyReLU(0.3)], ids=str)
def test_one_convolution_is_the_three_layer_network(unit):
    """The lost part is exact there; energies at the image are approximate, by 10 % over the channels at most."""
    grid = tl.PatchGrid(X.shape, 3)
    zeros = X.copy()
    zeros[:, :9, :9] = 0  # a quarter of the patches
    for rule, x in itertools.product(RULES, (X, zeros)):
        exact = tl.law(tl.models.three_layer(grid, 10**6, unit=unit), x, rule).class_distance
        found = analytic.depth_maps(x, [ConvSpec(10**6, 3)], rule, unit=unit)[-1].class_distance
        assert found == pytest.approx(exact, rel=0.04), rule
    assert analytic.depth_maps(X, [ConvSpec(8, 3)], "deconvnet")[-1].class_distance == pytest.approx(
        math.sqrt(2 - 2 / math.pi), rel=1e-12
    )


@pytest.mark.parametrize("unit", [RELU, LeakyReLU(-0.5)], ids=str)
def test_one_pixel_is_a_dense_network(unit):
    """In the limit of wide layers: at one position two logits' scales differ, but their directions hardly do."""
    n, x = 10**7, np.array([2.0, -1.0, 0.5]).reshape(3, 1, 1)
    for rule in RULES:
        records = analytic.depth_maps(x, [Dense(n), ConvSpec(n, 1), Dense(n)], rule, unit=unit)
        profile = analytic.depth_profile([3, n, n, n], rule, unit=unit)
        for record, dense in zip(records, profile, strict=True):
            assert record.class_distance == pytest.approx(dense.class_distance, rel=1e-5)


def test_windows_of_one_position_are_no_pool():
    with_pools = [ConvSpec(50, 3), MaxPool(1), ConvSpec(50, 3)]
    for rule in ("guided", "deconvnet"):
        one, other = (analytic.depth_maps(X, layers, rule) for layers in (with_pools, with_pools[::2]))
        for record, plain in zip(one, other, strict=True):
            assert record.class_distance == pytest.approx(plain.class_distance, rel=0.01)


def test_layers_may_be_asked_in_any_order_and_at_any_scale():
    one = analytic.depth_maps(X, POOLED, "guided")
    other = analytic.depth_maps(1e-9 * X, fan_in(POOLED), "guided", readout_std=1e7)
    upwards = [record.class_distance for record in reversed(one)][::-1]
    assert upwards == pytest.approx([record.class_distance for record in other], rel=1e-6)


def test_residual_blocks_are_refused_where_scales_count():
    layers = [ConvSpec(8, 3, padding=1), tl.Residual([ConvSpec(8, 3, padding=1)]), ConvSpec(4, 3)]
    top, *rest = analytic.depth_maps(X, layers, "guided")
    assert 0 < top.class_distance < math.sqrt(2)
    for record in rest:
        with pytest.raises(tl.NoLaw, match=r"'guided' .* two logits through a residual block"):
            _ = record.class_distance
    for record in analytic.depth_maps(X, layers, "saliency"):
        assert record.class_distance == math.sqrt(2)


def widened(channels, wide, stride):
    """A bottleneck of no fewer channels above."""
    branch = [
        ConvSpec(wide // 2, 1, std=math.sqrt(2 / channels)),
        ConvSpec(wide // 2, 3, stride, 1, std=math.sqrt(4 / (9 * wide))),
        ConvSpec(wide, 1, std=math.sqrt(4 / wide)),
    ]
    skip = ConvSpec(wide, 1, stride, std=math.sqrt(2 / channels)) if channels != wide or stride > 1 else None
    return tl.Residual(branch, skip)


def plain(wide, reads, kernel=3, stride=1):
    return ConvSpec(wide, kernel, stride, kernel // 2, std=math.sqrt(2 / (reads * kernel**2)))


BELOW = {
    "residual": lambda n: (plain(n, 3), tl.Residual([plain(n, n)]), tl.Residual([plain(n, n)]), plain(n, n)),
    "bottlenecks": lambda n: (
        plain(n, 3),
        widened(n, 2 * n, 1),
        widened(2 * n, 2 * n, 1),
        widened(2 * n, 4 * n, 2),
    ),
    "overlapping": lambda n: (plain(n, 3), MaxPool(3, 2, 1), plain(n, n), plain(n, n)),
    "every position": lambda n: (plain(n, 3), MaxPool(3, 1, 1), plain(n, n)),
    "stem": lambda n: (plain(n, 3, 5, 2), MaxPool(3, 2, 1), widened(n, 2 * n, 1), widened(2 * n, 2 * n, 1)),
}


@pytest.mark.parametrize("name", list(BELOW))
def test_rules_without_a_gate_below_skips_and_overlapping_windows(name):
    """In the limit of two widths: a ratio of expectations at every layer."""
    found, size = [], {24: 200, 72: 100}
    for n, count in size.items():
        layers = BELOW[name](n)
        law = [record.class_distance for record in analytic.depth_maps(X, layers, "deconvnet")]
        blueprint = Blueprint(tl.Stack(X.shape, layers), readout=False)
        ends = [str(k) if isinstance(layer, MaxPool) else f"{k}.unit" for k, layer in enumerate(layers)]
        read = [
            end
            for end, layer in zip(["input", *ends], layers, strict=False)
            if not isinstance(layer, MaxPool)
        ]
        rng, rows = np.random.default_rng(n), []
        for _ in range(count):
            net = blueprint.draw(rng, np.float32)
            seeds = rng.standard_normal((4, net.n_logits)).astype(np.float32)
            passed = net.layer_gradients(net.forward(X.astype(np.float32)), seeds, ["deconvnet"], set(read))
            maps = [passed[node][0][0].reshape(4, -1).astype(float) for node in reversed(read)]
            rows.append([[(m**2).sum() / 4, ((m.sum(axis=0) ** 2).sum() - (m**2).sum()) / 12] for m in maps])
        energy, product = np.moveaxis(np.array(rows), 2, 0)
        ratio = (2 - 2 * product.mean(axis=0) / energy.mean(axis=0)) / np.square(law)
        each = 2 * (energy - product) / np.square(law) - ratio * energy
        found.append((ratio, each.std(axis=0, ddof=1) / energy.mean(axis=0) / math.sqrt(count)))
    (near, near_error), (far, far_error) = found
    error = np.hypot(1.5 * far_error, 0.5 * near_error)
    assert (error < 0.1).all()
    assert (abs(1.5 * far - 0.5 * near - 1) < 4 * error + 0.02).all()


def test_planes_with_too_many_pairs_are_refused():
    layers = [ConvSpec(4, 9, padding=4)] * 5
    x = np.random.default_rng(0).standard_normal((1, 80, 80))
    top, *_, last = analytic.depth_maps(x, layers, "guided")
    assert top.class_distance > 1
    with pytest.raises(
        tl.NoLaw, match=r"'guided' .* plane of 80×80 under many layers: take a smaller picture"
    ):
        _ = last.class_distance
    assert analytic.depth_maps(x, layers, "deconvnet")[-1].class_distance > 0.5


def test_patches_of_zeros():
    x = X.copy()
    x[:, :9, :9] = 0
    for rule in PAPER:
        for layers in (POOLED, PLAIN):
            for record in analytic.depth_maps(x, layers, rule):
                assert 0 < record.class_distance <= math.sqrt(2)
