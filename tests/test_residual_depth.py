"""Residual stages: the laws of depth through them against simulation, Monte Carlo and what they must reduce to."""

import functools
import math

import numpy as np
import pytest
from strategies import OTHERS, picture

from theorylab.analytic import depth_maps
from theorylab.analytic._chains import Chain
from theorylab.analytic._unit_moments import lost_between, unit_moments
from theorylab.analytic.nolaw import NoLaw
from theorylab.analytic.tolerances import TOLERANCE, TOLERANCE_OF_INTEGRALS, tolerance
from theorylab.model.laws import Gaussian
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import PAPER, Rule
from theorylab.model.specs import ConvSpec, Residual
from theorylab.model.units import RELU
from theorylab.networks import GraphNetwork
from theorylab.networks.nodes import Activation, Add, Conv, Dense, Flatten, Input
from theorylab.networks.parameters import draw_parameters

WIDTH = 48


def fan_in(channels, kernel):
    return math.sqrt(2 / (channels * kernel**2))


def conv(channels, n_filters, kernel, stride=1, scale=1.0):
    return ConvSpec(n_filters, kernel, stride, kernel // 2, std=scale * fan_in(channels, kernel))


def bottleneck(channels, width, stride=1, project=False, scale=1.0):
    wide = 2 * width
    branch = [conv(channels, width, 1), conv(width, width, 3, stride), conv(width, wide, 1, scale=scale)]
    return Residual(branch, conv(channels, wide, 1, stride) if project else None)


def stack(width=WIDTH, scale=1.0):
    """A first convolution, a stage of three bottlenecks, and a stage of two with a stride; all branches `scale` times."""
    return [
        conv(3, width, 3),
        bottleneck(width, width, project=True, scale=scale),
        bottleneck(2 * width, width, scale=scale),
        bottleneck(2 * width, width, scale=scale),
        bottleneck(2 * width, 2 * width, stride=2, project=True, scale=scale),
        bottleneck(4 * width, 2 * width, scale=scale),
    ]


def graph(layers, shape):
    """The stack as explicit nodes, and the nodes that each record speaks of, from the top."""
    nodes, read = [Input("x", shape)], []

    def add_conv(name, source, spec):
        nodes.append(Conv(name, source, spec.n_filters, spec.kernel, spec.stride, spec.padding, bias=False))
        return name

    for n, layer in enumerate(layers):
        source = nodes[-1].name
        read.insert(0, source)
        if isinstance(layer, ConvSpec):
            nodes.append(Activation(f"relu{n}", add_conv(f"conv{n}", source, layer)))
            continue
        end = source
        for k, spec in enumerate(layer.branch):
            end = add_conv(f"conv{n}.{k}", end, spec)
            if k + 1 < len(layer.branch):
                nodes.append(Activation(f"relu{n}.{k}", end))
                end = nodes[-1].name
        skip = source if layer.shortcut is None else add_conv(f"shortcut{n}", source, layer.shortcut)
        nodes.append(Add(f"add{n}", (end, skip)))
        nodes.append(Activation(f"relu{n}", f"add{n}"))
    nodes += [Flatten("flat", nodes[-1].name), Dense("readout", "flat", 1, bias=False)]
    return nodes, read


def scales(layers):
    """Standard deviation of every convolution by the name of its parameter."""
    found = {}
    for n, layer in enumerate(layers):
        if isinstance(layer, ConvSpec):
            found[f"conv{n}.weight"] = layer.std
        else:
            found |= {f"conv{n}.{k}.weight": spec.std for k, spec in enumerate(layer.branch)}
            if layer.shortcut is not None:
                found[f"shortcut{n}.weight"] = layer.shortcut.std
    return found


@functools.cache
def simulated(scale, draws=16):
    """By rule: alignments (draws, layers), and maps (draws, C, H, W)."""
    x, layers = picture(16), stack(scale=scale)
    nodes, read = graph(layers, x.shape)
    alignments, maps = {rule: [] for rule in PAPER}, {rule: [] for rule in PAPER}
    for seed in range(draws):
        drawn = draw_parameters(nodes, law=Gaussian(1.0), seed=seed, dtype=np.float64)
        weights = {name: array * scales(layers).get(name, 1.0) for name, array in drawn.items()}
        net = GraphNetwork(nodes, weights)
        trace = net.forward(x, keep=read)
        gradients = net.layer_gradients(trace, np.ones((1, 1)), list(PAPER), read)
        for r, rule in enumerate(PAPER):
            row = []
            for name in read:
                v, o = gradients[name][0][r, 0], trace.activations[name]
                row.append((v * o).sum() / np.sqrt((v**2).sum() * (o**2).sum()))
            alignments[rule].append(row)
            maps[rule].append(gradients["x"][0][r, 0])
    return {rule: np.array(rows) for rule, rows in alignments.items()}, {
        rule: np.array(rows) for rule, rows in maps.items()
    }


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("rule", list(PAPER))
def test_alignments_against_simulation(rule, scale):
    records = depth_maps(picture(16), stack(scale=scale), rule)
    measured = simulated(scale)[0][rule]
    error = measured.std(axis=0, ddof=1) / math.sqrt(len(measured))
    predicted = np.array([record.alignment for record in records])
    assert [record.layer for record in records] == [13, 10, 7, 4, 1, 0]
    # Widths of 48 leave 1/48, and the input's three channels more.
    assert (abs(measured.mean(axis=0) - predicted) < 4.5 * error + np.array([0.02] * 5 + [0.03])).all()
    # Controls: nothing recovered, for guided; and DeconvNet's alignment inside a stage is no accident.
    if rule is Rule.GUIDED:
        assert (measured.mean(axis=0) > 10 * error).all()
    inside = [0, 2, 3]
    if rule is Rule.DECONVNET:
        assert (measured.mean(axis=0)[inside] > 10 * error[inside]).all()
        assert abs(predicted[[1, 4, 5]]).max() < 1e-3  # 0 but for the quadrature
    if rule is Rule.SALIENCY:
        assert not predicted.any()


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_predicted_map(scale):
    last = depth_maps(picture(16), stack(scale=scale), "guided")[-1]
    maps = simulated(scale)[1][Rule.GUIDED]
    n = len(maps)
    flat = maps.reshape(n, -1) / np.linalg.norm(maps.reshape(n, -1), axis=1)[:, None]
    pairs = ((flat @ flat.T).sum() - n) / (n * (n - 1))
    ceiling = math.sqrt(n * pairs / (1 + (n - 1) * pairs))
    mean = maps.mean(axis=0)
    cosine = (mean * last.mean_map).sum() / np.linalg.norm(mean) / np.linalg.norm(last.mean_map)
    assert cosine > 0.99 * ceiling
    # Control: x itself is farther away.
    assert (mean * picture(16)).sum() / np.linalg.norm(mean) < cosine - 0.01
    sizes = (maps * last.mean_map).sum(axis=(1, 2, 3)) / (last.mean_map**2).sum()
    assert abs(sizes.mean() - 1) < 4.5 * sizes.std(ddof=1) / math.sqrt(n) + 6 / WIDTH


@pytest.mark.parametrize("rule", list(PAPER))
def test_energy_of_the_map(rule):
    last = depth_maps(picture(16), stack(), rule)[-1]
    energy = (simulated(1.0)[1][rule] ** 2).sum(axis=(1, 2, 3))
    expected = float((last.mean_map**2).sum() + last.variance_map.sum())
    error = energy.std(ddof=1) / math.sqrt(len(energy))
    assert abs(energy.mean() - expected) < 4.5 * error + 6 / WIDTH * expected


def brute_moments(variances, fields, rule, rng, draws=2_000_000):
    """The chain by plain Monte Carlo: slope, second moment, ⟨V̂, o⟩ and ‖V̂‖² of the last unit, one position."""
    g = [math.sqrt(v) * rng.standard_normal(draws) for v in variances]
    z, o = [g[0]], [np.maximum(g[0], 0)]
    for step in g[1:]:
        z.append(o[-1] + step)
        o.append(np.maximum(z[-1], 0))
    handed, k = 0.0, len(variances)
    for alpha, beta in fields:
        k -= 1
        v = handed + alpha * o[k] + beta * rng.standard_normal(draws)
        handed = np.where(v > 0, rule.up * v, -rule.down * v)
        if rule.gate:
            handed = handed * (z[k] > 0)
    terms = np.array([g[k] * handed / variances[k], handed**2, v * o[k], v**2])
    return terms.mean(axis=1), terms.std(axis=1) / math.sqrt(draws)


@pytest.mark.parametrize("rule", [*PAPER, Rule.LINEAR, *OTHERS], ids=str)
@pytest.mark.parametrize(
    ("variances", "fields"),
    [
        ([0.7], [(0.4, 1.1)]),
        ([1.3, 0.5], [(0.3, 0.8), (0.2, 0.5)]),
        ([0.6, 0.9, 0.4], [(0.5, 0.7), (-0.1, 0.6), (0.2, 0.3)]),
        ([0.6, 0.9, 0.4], [(0.5, 0.7)]),
    ],
)
def test_chain_against_monte_carlo(rule, variances, fields):
    if rule.up + rule.down == 0:
        fields = [(0.0, beta) for _, beta in fields]
    arrays = [(np.array([a]), np.array([b])) for a, b in fields]
    chain = Chain([np.array([v]) for v in variances])
    found = np.array(chain.moments(arrays, rule, points=2**15)).ravel()
    expected, error = brute_moments(variances, fields, rule, np.random.default_rng(3))
    assert (abs(found - expected) < 4.5 * error + 1e-3).all(), (found, expected)
    # The rule with the points that the law uses is within 2 %.
    few = np.array(chain.moments(arrays, rule)).ravel()
    assert (abs(few - found) < 0.02 * abs(found) + 2e-3).all()


@pytest.mark.parametrize("rule", [*PAPER, *OTHERS], ids=str)
@pytest.mark.parametrize("own", [(0.5, 0.25, 0.09), (1.0, 0.0, 0.0), (0.02, 0.004, 0.01)])
def test_what_two_logits_lose_in_a_chain_against_monte_carlo(rule, own):
    """Of three levels, whose noises have the variances 1, 0.25 and 0.09."""
    rng, draws = np.random.default_rng(4), 1_000_000
    variances, fields = [0.6, 0.9, 0.4], [(0.5, 1.0), (-0.1, 0.5), (0.2, 0.3)]
    own = [min(apart, beta**2) for apart, (_, beta) in zip(own, fields, strict=True)]
    g = [math.sqrt(v) * rng.standard_normal(draws) for v in variances]
    z, o = [g[0]], [np.maximum(g[0], 0)]
    for step in g[1:]:
        z.append(o[-1] + step)
        o.append(np.maximum(z[-1], 0))
    handed = np.zeros((2, draws))
    arrays = [(np.array([a]), np.array([b])) for a, b in fields]
    for n, ((alpha, beta), apart) in enumerate(zip(fields, own, strict=True)):
        common = math.sqrt(beta**2 - apart) * rng.standard_normal(draws)
        v = handed + alpha * o[2 - n] + common + math.sqrt(apart) * rng.standard_normal((2, draws))
        handed = np.where(v > 0, rule.up * v, -rule.down * v) * ((z[2 - n] > 0) | (not rule.gate))
        sample = (handed[0] - handed[1]) ** 2 / 2
        apart = [np.array([value]) for value in own[: n + 1]]
        chain = Chain([np.array([v]) for v in variances])
        found = chain.lost(arrays[: n + 1], apart, rule, points=2**15).item()
        assert found == pytest.approx(sample.mean(), rel=0.01, abs=4.5 * sample.std() / math.sqrt(draws))
        # With the points that the law uses, for rules without a gate.
        assert rule.gate or chain.lost(arrays[: n + 1], apart, rule).item() == pytest.approx(found, rel=0.03)


def test_a_chain_of_one_is_the_closed_form():
    alpha, beta, variance = np.array([0.6]), np.array([0.9]), np.array([1.7])
    size = math.sqrt(1.7)
    for rule in (Rule.GUIDED, Rule.DECONVNET):
        first, second = unit_moments(rule, RELU, alpha * size, beta)
        slope, energy, _, power = Chain([variance]).moments([(alpha, beta)], rule, points=2**14)
        np.testing.assert_allclose(slope, first / size, rtol=2e-3)
        np.testing.assert_allclose(energy, second, rtol=2e-3)
        np.testing.assert_allclose(power, alpha**2 * variance / 2 + beta**2, rtol=2e-3)
        own = np.array([0.2])
        lost = Chain([variance]).lost([(alpha, beta)], [own], rule, points=2**14)
        np.testing.assert_allclose(lost, lost_between(rule, RELU, alpha * size, beta, own), rtol=5e-3)


def test_a_faint_branch_leaves_the_projection():
    """A first block whose branch adds nothing is its shortcut convolution."""
    x = picture(12)
    faint = [conv(3, 20, 3), Residual([conv(20, 30, 3, scale=1e-9)], conv(20, 30, 3)), conv(30, 10, 3)]
    plain = [conv(3, 20, 3), conv(20, 30, 3), conv(30, 10, 3)]
    for rule in PAPER:
        for one, other in zip(depth_maps(x, faint, rule), depth_maps(x, plain, rule), strict=True):
            np.testing.assert_allclose(one.alignment, other.alignment, atol=2e-3)
            np.testing.assert_allclose(one.beta, other.beta, rtol=1e-2)
            np.testing.assert_allclose(one.alpha, other.alpha, rtol=1e-2, atol=1e-3 * abs(other.alpha).max())


def test_scales_of_a_stage():
    """A sum knows the scale of its terms: all of them together change no alignment, one alone does."""
    x = picture(12)

    def alignments(head, skip, tail):
        layers = [
            conv(3, 12, 3),
            Residual([conv(12, 8, 1), conv(8, 16, 3, scale=head)], conv(12, 16, 1, scale=skip)),
            Residual([conv(16, 8, 1, scale=tail), conv(8, 16, 3)]),
        ]
        return np.array([record.alignment for record in depth_maps(x, layers, "guided")])

    base = alignments(1, 1, 1)
    np.testing.assert_allclose(alignments(7, 7, 1), base, rtol=1e-9)
    assert abs(alignments(7, 1, 1) - base).max() > 0.01
    assert abs(alignments(1, 1, 7) - base).max() > 0.01


def test_the_tolerance_of_a_residual_network_is_that_of_the_pools_below():
    pooled = [conv(3, 8, 3), MaxPool(2), conv(8, 8, 3), MaxPool(2), bottleneck(8, 8, project=True)]
    for layers, expected in (
        (stack(), TOLERANCE_OF_INTEGRALS),
        (pooled[2:], TOLERANCE_OF_INTEGRALS),
        (pooled, TOLERANCE),
    ):
        assert tolerance((3, 16, 16), layers, "guided") == expected


def test_what_has_no_law_is_refused():
    x = picture(8)
    first, identity = conv(3, 6, 3), Residual([conv(6, 6, 3)])
    for layers, error, match in (
        ([identity], NoLaw, r"layers\[0\]: a Residual without a shortcut convolution, on the image"),
        ([first, MaxPool(2), identity], NoLaw, r"layers\[2\]: a Residual without a shortcut convolution"),
        (
            [first, identity, conv(6, 6, 3), MaxPool(2)],
            NoLaw,
            r"layers\[3\]: .* max-pooling above a residual block",
        ),
        (
            [first, Residual([conv(6, 7, 3)])],
            ValueError,
            r"layers\[1\]: the branch ends in \(7, 8, 8\), what it is added to",
        ),
        (
            [first, Residual([conv(6, 7, 3)], conv(6, 8, 3))],
            ValueError,
            r"layers\[1\]: the branch ends in \(7, 8, 8\), the short",
        ),
    ):
        with pytest.raises(error, match=match):
            depth_maps(x, layers, "guided")
    for arguments, error, match in (
        (([],), ValueError, "branch: expected at least one"),
        ((first,), TypeError, "branch: expected a sequence"),
        (([first, MaxPool(2)],), TypeError, r"branch\[1\]: expected a ConvSpec, got MaxPool"),
        (([first], MaxPool(2)), TypeError, "shortcut: expected a ConvSpec, got MaxPool"),
    ):
        with pytest.raises(error, match=match):
            Residual(*arguments)
