"""The simulations behind the claims about depth: against explicit networks, and their estimators against plain loops."""

import itertools
import math

import numpy as np
import pytest

from proofs_checks.claims.equation8 import operator_matrix
from proofs_checks.judge import extrapolated
from proofs_checks.studies import proposition1, shelf
from proofs_checks.studies.depth import Stack, cosine, dense, inner, stacked
from theorylab import layers, montecarlo
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import PAPER, Rule
from theorylab.model.specs import ConvSpec
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.nodes import Activation, Conv, Dense, Flatten, Input
from theorylab.networks.nodes import MaxPool as Pool

SIZE, COPIES = 2, 3


def drawn_weights(stack, seed):
    """The same draws in the same order: signs, each layer's filters, the readout."""
    rng = np.random.default_rng(seed)
    signs = rng.choice(np.array([-1, 1], dtype=np.float32), (len(stack.layers), SIZE, COPIES, 1, 1))
    filters = [
        layer.std * rng.standard_normal((SIZE, grid.patch_size, layer.n_filters), dtype=np.float32)
        for layer, grid in zip(stack.layers, stack.grids, strict=True)
    ]
    plane = stack.grids[-1].output_shape
    if len(stack.layers) - 1 in stack.pools:
        plane = stack.pools[len(stack.layers) - 1].output_shape(plane)
    planes = (stack.layers[-1].n_filters, *plane)
    return signs, filters, rng.standard_normal((SIZE, COPIES, *planes), dtype=np.float32)


def explicit_network(stack, signs, filters, readout):
    """The network of one copy as a graph of layers."""
    nodes, parameters = [Input("x", stack.x.shape)], {}
    for number, (layer, grid, sign, w) in enumerate(
        zip(stack.layers, stack.grids, signs, filters, strict=True)
    ):
        conv = Conv(
            f"conv{number}",
            nodes[-1].name,
            layer.n_filters,
            layer.kernel,
            layer.stride,
            layer.padding,
            bias=False,
        )
        nodes += [conv, Activation(f"relu{number}", conv.name)]
        if number in stack.pools:
            nodes.append(Pool(f"pool{number}", nodes[-1].name, stack.pools[number]))
        parameters[f"{conv.name}.weight"] = (sign * w.T).reshape(-1, grid.input_shape[0], *grid.kernel)
    nodes += [Flatten("flat", nodes[-1].name), Dense("readout", "flat", 1, bias=False)]
    parameters["readout.weight"] = readout.reshape(1, -1)
    return GraphNetwork(nodes, {name: array.astype(np.float64) for name, array in parameters.items()})


SMALL = ConvSpec(6, (2, 3), (1, 2), (0, 1), std=0.4), ConvSpec(5, 2, std=0.5)


@pytest.mark.parametrize(
    ("layers_of_stack", "pools"),
    [
        (stacked(3, [4, 5, 2], [4, 3, 1], [2, 1, 2]), {}),
        (SMALL, {}),
        (SMALL, {0: MaxPool(2), 1: MaxPool((2, 1), 1, (1, 0))}),
        (stacked(3, [4, 5, 2], [3, 3, 1], [1, 1, 1]), {0: MaxPool(3, 2, 1)}),
    ],
)
def test_a_stack_is_the_explicit_network(layers_of_stack, pools):
    x = np.random.default_rng(1).standard_normal((3, 8, 7))
    stack = Stack(x, layers_of_stack, COPIES, pools=pools)
    for layer, output, gradients in stack.descend(np.random.default_rng(2), SIZE, PAPER):
        lowest = layer, output, gradients
    assert lowest[0] == 0
    np.testing.assert_array_equal(lowest[1], np.broadcast_to(x.astype(np.float32), (SIZE, COPIES, *x.shape)))
    signs, filters, readout = drawn_weights(stack, 2)
    different = set()
    for i, k in itertools.product(range(SIZE), range(COPIES)):
        net = explicit_network(stack, signs[:, i, k, 0, 0], [w[i] for w in filters], readout[i, k])
        maps = net.backward(net.forward(x), np.ones((1, 1)), PAPER)[:, 0]
        for rule, expected in zip(PAPER, maps, strict=True):
            np.testing.assert_allclose(lowest[2][rule][i, k], expected, atol=2e-5 * abs(maps).max())
        different.add(float(maps[-1].sum()))
    assert len(different) == SIZE * COPIES


def test_a_stack_hands_out_every_layer_once():
    stack = Stack(np.ones((5, 1, 1)), dense([5, 7, 6]))
    seen = [
        (layer, output.shape, gradients[Rule.GUIDED].shape)
        for layer, output, gradients in stack.descend(np.random.default_rng(0), 4, [Rule.GUIDED])
    ]
    assert seen == [(1, (4, 1, 7, 1, 1), (4, 1, 7, 1, 1)), (0, (4, 1, 5, 1, 1), (4, 1, 5, 1, 1))]
    assert [layer.std for layer in stack.layers] == [math.sqrt(2 / 5), math.sqrt(2 / 7)]


def test_products_over_the_last_axes():
    a, b = np.random.default_rng(0).standard_normal((2, 4, 3, 2, 5, 6)).astype(np.float32)
    expected = np.einsum("abijk,abijk->ab", a.astype(float), b.astype(float))
    assert inner(a, b).dtype == np.float64
    np.testing.assert_allclose(inner(a, b), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(cosine(a, 3 * a), 1, rtol=1e-6)


def test_extrapolation_leaves_no_term_in_one_over_the_width():
    rng = np.random.default_rng(3)
    law, bias, spread = 0.7, 5.0, 0.2

    def study(n, count):
        noise = rng.standard_normal(count)
        noise = spread * (noise - noise.mean()) / noise.std(ddof=1)
        return montecarlo.measurement({"a": law + bias / n + noise})

    value, error, replicates = extrapolated({40: study(40, 300), 10: study(10, 100)}, lambda mean: mean["a"])
    assert value == pytest.approx(law, rel=1e-12)
    # Weights 4/3 and 1/3.
    assert error == pytest.approx(spread * math.hypot(4 / 3 / math.sqrt(300), 1 / 3 / math.sqrt(100)))
    assert replicates == 100


def test_components_across_an_axis():
    rng = np.random.default_rng(4)
    axis, vectors = abs(rng.standard_normal((2, 3, 6))), rng.standard_normal((2, 3, 6))
    axis[0, 0] = 0  # a layer of closed units has no direction
    axis[0, 1] = [2, 0, 0, 0, 0, 0]
    before = axis.copy()
    along, rest = proposition1.across(vectors, axis)
    np.testing.assert_array_equal(axis, before)
    assert rest.shape == (2, 3, 5)
    unit = axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-300)
    np.testing.assert_allclose(along, (vectors * unit).sum(axis=-1), rtol=1e-12)
    energy = (vectors**2).sum(axis=-1)
    np.testing.assert_allclose(
        (along**2 + (rest**2).sum(axis=-1))[axis.any(axis=-1)], energy[axis.any(axis=-1)]
    )
    # The axis itself has no component across.
    np.testing.assert_allclose(proposition1.across(axis, axis)[1], 0, atol=1e-15)


class OneGradient(Stack):
    """A stack whose gradients are given."""

    given = np.random.default_rng(5).standard_normal((4, 1, 2, 5, 5)).astype(np.float32)

    def descend(self, rng, size, rules):
        yield 1, None, {Rule.SALIENCY: self.given}
        yield 0, None, {}


def test_products_between_positions():
    stack = OneGradient(np.ones((1, 5, 5)), stacked(1, [2, 2], [3, 3], [1, 2]))
    found = proposition1.Positions(stack, Rule.SALIENCY, (1,), 2)(np.random.default_rng(0), 2)
    mean = dict(zip(found.statistics.names, found.statistics.mean, strict=True))
    maps = stack.given[:, 0].astype(float)
    places = list(itertools.product(range(1, 4), repeat=2))
    products = [
        maps[i, c][s] * maps[i, c][t]
        for i in range(4)
        for c in range(2)
        for s, t in itertools.permutations(places, 2)
    ]
    assert found.replicates == 2
    assert mean["product_1"] == pytest.approx(2 * np.mean(products))
    assert mean["power_1"] == pytest.approx(2 * (maps[:, :, 1:4, 1:4] ** 2).mean())
    assert mean["energy"] == pytest.approx((maps**2).sum() / 4)
    assert mean["common"] == pytest.approx(((maps[0] * maps[1]).sum() + (maps[2] * maps[3]).sum()) / 2)
    # At stride 2 two patches hold the odd rows and columns (but the ends, one).
    held = np.array([1, 2, 1, 2, 1])
    often = np.outer(held, held) > np.outer(held, held).mean()
    assert mean["dense"] == pytest.approx((maps**2)[:, :, often].sum() / 4)
    assert mean["sparse"] == pytest.approx((maps**2)[:, :, ~often].sum() / 4)


def test_operator_matrix_is_the_convolution():
    rng = np.random.default_rng(6)
    grid = PatchGrid((2, 5, 4), (3, 2), (2, 1), (1, 1))
    x, weights = rng.standard_normal((1, 2, 5, 4)), rng.standard_normal((3, 2, 3, 2))
    matrix = operator_matrix(grid, weights.reshape(3, -1))
    expected = layers.conv.forward(x, weights, grid)
    np.testing.assert_allclose(matrix.T @ x.ravel(), expected.ravel(), rtol=1e-12, atol=1e-12)


def test_thumbnail():
    x = np.arange(3 * 9 * 12, dtype=float).reshape(3, 9, 12)
    small = shelf.thumbnail(x, 4)
    means = x[:, :8].reshape(3, 4, 2, 6, 2).mean(axis=(2, 4))[:, :, 1:5]
    np.testing.assert_allclose(small, means / np.linalg.norm(means), rtol=1e-12)
    # A picture smaller than that is only cropped, one whose means vanish too.
    np.testing.assert_allclose(shelf.thumbnail(x, 20), x / np.linalg.norm(x), rtol=1e-12)
    stripes = np.tile([1.0, -1.0], (1, 8, 4))
    np.testing.assert_allclose(np.linalg.norm(shelf.thumbnail(stripes, 4)), 1)
