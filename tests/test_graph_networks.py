"""Networks as graphs: against PyTorch, in and out of float32's range, and with every kind of bad input."""

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import RULES, assert_adjoint, image_with_zeros, seeds

from theorylab.model import models, specs
from theorylab.model.laws import Gaussian, TruncatedGaussian
from theorylab.model.pooling import MaxPool as PoolWindows
from theorylab.model.specs import ConvSpec, Residual
from theorylab.networks import _scaling, graph
from theorylab.networks.deep import resnet50, resnet_nodes, vgg16, vgg16_nodes
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.nodes import (
    Activation,
    AdaptiveAveragePool,
    Add,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    Input,
    MaxPool,
)
from theorylab.networks.parameters import draw_parameters, trace_shapes
from theorylab.visualization import visualize, visualize_many

KINDS = ("conv", "shared", "relu", "max", "average", "adaptive", "norm", "add", "twice", "flat")


@st.composite
def graphs(draw):
    """Layers of every kind on tensors chosen at random: branches, sums, tensors and weights used twice."""
    x = Input("x", (draw(st.integers(1, 2)), draw(st.integers(3, 7)), draw(st.integers(3, 7))))
    # Without a bias an empty corner of the image gives pre-activations of exactly 0, which every mask must close.
    made = [
        x,
        Conv("first", "x", 3, kernel=3, padding=1, bias=draw(st.booleans())),
        Activation("relu", "first"),
    ]
    outer = {"first": 3, "relu": 3}  # channels of the tensors with the input's plane
    heads = []
    for place, kind in enumerate(draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=7))):
        name, source = f"{kind}{place}", draw(st.sampled_from(sorted(outer)))
        match kind:
            case "conv":
                made.append(Conv(name, source, outer[source], 3, padding=1, bias=draw(st.booleans())))
            case "shared":
                made.append(Conv(name, source, 3, kernel=1, prefix="reused"))
            case "relu":
                made.append(Activation(name, source))
            case "norm":
                made.append(BatchNorm(name, source, eps=1e-2))
            case "add":
                made.append(Add(name, (source, draw(st.sampled_from(sorted(outer))))))
            case "twice":
                made.append(Add(name, (source, source, "relu")))
            case "max":
                heads.append(
                    MaxPool(name, source, PoolWindows((2, 3), stride=draw(st.integers(1, 2)), padding=1))
                )
            case "average":
                heads.append(AveragePool(name, source, 3, 2, 1, include_padding=draw(st.booleans())))
            case "adaptive":
                heads.append(AdaptiveAveragePool(name, source, (draw(st.integers(1, 4)), 2)))
            case "flat":
                heads.append(Flatten(name, source))
        if made[-1].name == name:
            outer[name] = 3
    used = {name for node in (*made, *heads) for name in node.inputs}
    heads += [AdaptiveAveragePool(f"{name}.end", name, 2) for name in outer if name not in used]
    ends = []
    for head in heads:
        flat = [] if isinstance(head, Flatten) else [Flatten(f"{head.name}.flat", head.name)]
        last = flat[0].name if flat else head.name
        ends += [
            head,
            *flat,
            Dense(f"{head.name}.fc", last, 4),
            Activation(f"{head.name}.relu", f"{head.name}.fc"),
        ]
    tops = tuple(node.name for node in ends if isinstance(node, Activation))
    return [*made, *ends, Add("sum", tops), Dense("logits", "sum", 3)]


def random_parameters(layers, rng, scale=1.0):
    """Every parameter random, biases and statistics too; sizes that keep activations near 1."""
    drawn = {}
    for name, shape in trace_shapes(layers)[1].items():
        if name.endswith("running_var"):
            drawn[name] = rng.uniform(0.5, 2, shape)
        else:
            drawn[name] = rng.standard_normal(shape) * scale * np.sqrt(2 / max(1, np.prod(shape[1:])))
    return drawn


def in_torch():
    """The twins in PyTorch; skips where PyTorch is missing."""
    pytest.importorskip("torch")
    import torch_graphs

    return torch_graphs


def torch_maps(function, x, n_logits):
    """Logits of a torch function and the gradient of each in the image, (K, C, H, W)."""
    torch = pytest.importorskip("torch")
    image = torch.tensor(x[None], requires_grad=True)
    f = function(image)
    rows = [torch.autograd.grad(f[k], image, retain_graph=True)[0][0].numpy() for k in range(n_logits)]
    return f.detach().numpy(), np.array(rows)


def assert_close(got, expected, tolerance):
    """Relative to the largest entry."""
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * np.abs(expected).max() + 1e-300)


@settings(max_examples=80)
@given(graphs(), seeds)
def test_graphs_are_torchs(layers, seed):
    torch_graphs = in_torch()
    rng = np.random.default_rng(seed)
    net = GraphNetwork(layers, random_parameters(layers, rng))
    x = image_with_zeros(rng, net.input_shape)
    maps = visualize_many(net, x, ["saliency", *RULES], range(3))
    for rule, found in zip((None, *RULES), maps, strict=True):  # None: PyTorch's own ReLU
        run = functools.partial(torch_graphs.run, net.nodes, net.parameters, rule=rule)
        logits, expected = torch_maps(run, x, 3)
        assert_close(net.logits(x), logits, 1e-10)
        assert_close(found, expected, 1e-10)


@given(graphs(), seeds)
def test_saliency_is_the_derivative(layers, seed):
    """Along a line: f is piecewise linear, so a central difference is exact up to rounding."""
    rng = np.random.default_rng(seed)
    net = GraphNetwork(layers, random_parameters(layers, rng))
    x, u = rng.standard_normal((2, *net.input_shape))
    step = 1e-7
    slope = (net.logits(x + step * u) - net.logits(x - step * u)) / (2 * step)
    maps = visualize_many(net, x, ["saliency"], range(3))[0]
    assert_close((maps * u).sum(axis=(1, 2, 3)), slope, 1e-6)


@pytest.mark.parametrize(
    "node",
    [
        Conv("n", "x", 4, (2, 3), (2, 1), 1, bias=False),
        AveragePool("n", "x", (3, 2), 2, 1),
        AdaptiveAveragePool("n", "x", (4, 5)),
        BatchNorm("n", "x"),
        Flatten("n", "x"),
        Add("n", ("x", "x")),
    ],
    ids=lambda node: type(node).__name__,
)
def test_linear_nodes_have_their_adjoints(node):
    rng = np.random.default_rng(0)
    shape = (2, 6, 7)
    wanted = node.parameter_shapes(shape)
    p = {name: rng.uniform(0.5, 1, size) for name, size in wanted.items()}
    p |= {name: np.zeros(size) for name, size in wanted.items() if name.endswith(("bias", "mean"))}
    u = rng.standard_normal((3, *shape))
    y, _ = node.forward(p, *[u] * len(node.inputs))
    assert y.shape[1:] == node.output_shape(*[shape] * len(node.inputs))
    _, saved = node.forward(p, *[u[:1]] * len(node.inputs))  # one forward pass, a batch of gradients
    v = rng.standard_normal(y.shape)
    assert_adjoint(y, v, u, sum(node.backward(p, v, saved, [])), 1e-13)


@pytest.fixture(scope="module")
def narrow():
    """A residual network of two stages, and a picture."""
    layers = resnet_nodes((3, 33, 31), 5, blocks=(2, 1), width=4)
    net = GraphNetwork(layers, random_parameters(layers, np.random.default_rng(3)))
    return net, np.random.default_rng(4).standard_normal(net.input_shape)


@pytest.mark.parametrize("rule", RULES)
def test_narrow_residual_network_is_torchs(narrow, rule):
    torch_graphs = in_torch()
    net, x = narrow
    module = torch_graphs.loaded(lambda: torch_graphs.ResNet(rule, 5, (2, 1), 4), net.parameters)
    logits, expected = torch_maps(lambda image: module(image)[0], x, 5)
    assert_close(net.logits(x), logits, 1e-10)
    assert_close(visualize_many(net, x, [rule], range(5))[0], expected, 1e-10)


def test_vgg16_is_torchs():
    torch_graphs = in_torch()
    net = vgg16(input_shape=(3, 32, 32), n_logits=3, dtype=np.float64, dense_bias=1.0)
    assert (
        sum(array.size for array in net.parameters.values()) == 138_357_544 - 997 * 4097
    )  # 1000 logits: fewer
    x = np.random.default_rng(1).standard_normal(net.input_shape)
    maps = visualize_many(net, x, RULES, range(3))
    for rule, found in zip(RULES, maps, strict=True):
        module = torch_graphs.loaded(functools.partial(torch_graphs.VGG16, rule, 3), net.parameters)
        logits, expected = torch_maps(lambda image, module=module: module(image)[0], x, 3)
        assert_close(net.logits(x), logits, 1e-10)
        assert_close(found, expected, 1e-10)


@pytest.mark.parametrize("init", ["law", "fan-in"])
def test_resnet50_is_torchs(init):
    torch_graphs = in_torch()
    net = resnet50(input_shape=(3, 64, 64), dtype=np.float64, init=init)
    # 25,557,032 trainable parameters, and 26,560 channels of batch normalisation with two statistics each.
    assert sum(array.size for array in net.parameters.values()) == 25_557_032 + 2 * 26_560
    x = np.random.default_rng(1).standard_normal(net.input_shape)
    maps = visualize_many(net, x, RULES, [0, 1])
    for rule, found in zip(RULES, maps, strict=True):
        module = torch_graphs.loaded(functools.partial(torch_graphs.ResNet, rule, 1000), net.parameters)
        logits, expected = torch_maps(lambda image, module=module: module(image)[0], x, 2)
        assert_close(net.logits(x), logits, 1e-10)
        assert_close(found, expected, 1e-10)


@pytest.mark.parametrize(
    "build",
    [
        functools.partial(vgg16, input_shape=(3, 48, 40), n_hidden=256, n_logits=20),
        functools.partial(resnet50, input_shape=(3, 64, 64), n_logits=20),
    ],
    ids=["vgg16", "resnet50"],
)
def test_float32_with_one_law_everywhere(build):
    """Standard deviation 0.1 in every layer and an input of 0–255: large numbers, the same maps."""
    net = build(seed=2)
    double = GraphNetwork(net.nodes, {name: array.astype(float) for name, array in net.parameters.items()})
    x = np.random.default_rng(2).uniform(-120, 135, net.input_shape)
    trace = net.forward(x)
    assert net.dtype == trace.logits.dtype == np.float32
    assert np.abs(trace.logits).max() > 1e6
    maps = visualize_many(net, x, RULES, [3, 7])
    # Through the same gates and winners: among millions of units some lie so near a tie that rounding decides.
    expected = double.backward(dataclasses.replace(trace, network=double), np.eye(20)[[3, 7]], RULES)
    assert maps.dtype == np.float32
    for found, true in zip(maps.reshape(6, -1).astype(float), np.reshape(expected, (6, -1)), strict=True):
        distance = np.linalg.norm(found / np.linalg.norm(found) - true / np.linalg.norm(true))
        assert distance < 1e-4
    saliency = visualize_many(double, x, ["saliency"], [3, 7])[0]
    np.testing.assert_allclose((saliency * x).sum(axis=(1, 2, 3)), double.logits(x)[[3, 7]], rtol=1e-10)


def stack(depth, dtype, std, seed=0):
    """`depth` convolutions without biases, each with its ReLU, and a residual connection in the middle."""
    layers = [Input("x", (1, 6, 6))]
    for place in range(depth):
        layers.append(Conv(f"conv{place}", layers[-1].name, 4, 3, padding=1, bias=False))
        layers.append(Activation(f"relu{place}", layers[-1].name))
        if place == depth // 2:
            layers.append(Add("skip", (layers[-1].name, "relu0")))
    layers += [Flatten("flat", layers[-1].name), Dense("fc", "flat", 3, bias=False)]
    return GraphNetwork(layers, draw_parameters(layers, law=Gaussian(std), seed=seed, dtype=dtype))


@pytest.mark.parametrize(("std", "size", "sign"), [(1e8, 1e-38, 1), (1e-12, 1e38, -1)])
def test_gradients_beyond_the_range_of_float32(std, size, sign):
    """Gradients of 1e50 and 1e-50: neither is a float32."""
    net = stack(8, np.float32, std)
    wide = GraphNetwork(net.nodes, {name: array.astype(float) for name, array in net.parameters.items()})
    x = np.random.default_rng(0).uniform(0.5, 1, net.input_shape) * size
    wide_trace = wide.forward(x)
    # The masks of the float64 pass beside float32 weights: only the backward passes are compared.
    trace = graph.GraphTrace(net, wide_trace.logits, wide_trace.saved)
    maps, exponents = net.backward_scaled(trace, np.eye(3), RULES)
    expected, zeros = wide.backward_scaled(wide_trace, np.eye(3), RULES)
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()
    assert not zeros.any()
    alive = expected.reshape(9, -1).any(axis=1)
    assert alive.sum() >= 6
    assert (sign * exponents.ravel()[alive] > 0).all()
    undone = np.ldexp(maps.astype(float), exponents[..., None, None, None])
    for found, true in zip(undone.reshape(9, -1), expected.reshape(9, -1), strict=True):
        assert_close(found, true, 1e-5)
    np.testing.assert_array_equal(net.backward(trace, np.eye(3), RULES), maps)


def test_rescaling_changes_no_bit(monkeypatch, narrow):
    net, x = narrow
    trace = net.forward(x)
    as_usual = net.backward(trace, np.eye(5), RULES)
    original = _scaling.rescale
    calls = []

    def always(gradient, exponents, slack=0):
        calls.append(1)
        return original(gradient, exponents, 0)

    monkeypatch.setattr(_scaling, "rescale", always)
    np.testing.assert_array_equal(net.backward(trace, np.eye(5), RULES), as_usual)
    # The seed's, and one of each node that can make a gradient larger: a ReLU and a Flatten cannot.
    assert len(calls) >= sum(not isinstance(node, (Activation, Flatten, Input)) for node in net.nodes) + 1


def test_a_dead_branch_does_not_set_the_scale():
    """A row of zeros that was once scaled by 2**2000 beside a live one of 2**-2000."""
    dead = _scaling.rescale(np.zeros((1, 2)), np.array([2000]))
    total, exponents = _scaling.add(dead, (np.array([[1.0, 3.0]]), np.array([-2000])))
    np.testing.assert_array_equal(total, [[1.0, 3.0]])
    assert exponents.tolist() == [-2000]


def test_small_seeds_are_not_lost():
    net = stack(2, np.float32, 1.0)
    trace = net.forward(np.ones(net.input_shape))
    one = net.backward(trace, np.array([[1.0, 0, 0]]), RULES)
    tiny, exponents = net.backward_scaled(trace, np.array([[2.0**-300, 0, 0]]), RULES)
    np.testing.assert_array_equal(np.ldexp(tiny.astype(float), exponents[..., None, None, None] + 300), one)
    zero, exponents = net.backward_scaled(trace, np.zeros((1, 3)), RULES)
    assert not zero.any()
    assert not exponents.any()


def test_chunks_change_nothing(monkeypatch, narrow):
    net, x = narrow
    expected = visualize_many(net, x, RULES, ["max", 1, 2])
    monkeypatch.setattr(graph, "_BACKWARD_BYTES", 1)
    assert_close(visualize_many(net, x, RULES, ["max", 1, 2]), expected, 1e-14)
    np.testing.assert_allclose(visualize(net, x, "guided", 2), expected[2, 2], atol=1e-12)
    assert visualize_many(net, x, [], ["max"]).shape == (0, 1, *net.input_shape)


def test_a_trace_keeps_masks_and_places_only(narrow):
    net, x = narrow
    trace = net.forward(x)
    for node in net.nodes[1:]:
        kept = trace.saved[node.name]
        if isinstance(node, Activation):
            assert kept.dtype == bool
        elif isinstance(node, MaxPool):
            assert kept[0].dtype == np.int32
        else:
            assert not isinstance(kept, np.ndarray)


def test_gradients_inside_are_maps_of_what_stands_above(narrow):
    """Cut the graph at a node that all later ones depend on: the gradient there is the upper network's map."""
    net, x = narrow
    cut = next(place for place, node in enumerate(net.nodes) if isinstance(node, MaxPool))
    name = net.nodes[cut].name
    trace = net.forward(x, keep=[name, net.nodes[0].name])
    assert set(trace.activations) == {name, net.nodes[0].name}
    np.testing.assert_array_equal(trace.activations[net.nodes[0].name], x.astype(net.dtype))
    above = [Input(name, net.shapes[name]), *net.nodes[cut + 1 :]]
    upper = GraphNetwork(above, {key: net.parameters[key] for key in trace_shapes(above)[1]})
    gradients = np.eye(net.n_logits)[:2]
    inside = net.layer_gradients(trace, gradients, RULES, [name])
    expected = upper.backward(upper.forward(trace.activations[name]), gradients, RULES)
    np.testing.assert_array_equal(inside[name][0], expected)
    assert not inside[name][1].any()
    assert abs(expected).max() > 0
    for call in (
        lambda: net.forward(x, keep=["nowhere"]),
        lambda: net.layer_gradients(trace, gradients, RULES, ["nowhere"]),
    ):
        with pytest.raises(ValueError, match="there is no node 'nowhere'"):
            call()


@pytest.mark.parametrize(
    ("graph_of", "layers"),
    [
        (vgg16_nodes(), models.vgg16().layers),
        (resnet_nodes(), models.resnet50().layers),
    ],
    ids=["vgg16", "resnet50"],
)
def test_architectures_are_those_of_the_laws(graph_of, layers):
    """Same filters, kernels, strides and fan-ins, layer by layer."""
    shapes = trace_shapes(graph_of)[1]
    convolutions = []
    for layer in layers:
        if isinstance(layer, Residual):
            convolutions += [*layer.branch, *([] if layer.shortcut is None else [layer.shortcut])]
        elif isinstance(layer, (ConvSpec, specs.Dense)):
            convolutions.append(layer)
    own = [node for node in graph_of if isinstance(node, (Conv, Dense))]
    for node, spec in zip(own, convolutions, strict=False):
        shape = shapes[f"{node.name}.weight"]
        assert shape[0] == (spec.n_filters if isinstance(spec, ConvSpec) else spec.n_units)
        assert spec.std == pytest.approx(np.sqrt(2 / np.prod(shape[1:])))
        if isinstance(node, Conv):
            geometry = ConvSpec(1, node.kernel, node.stride, node.padding)
            assert (geometry.kernel, geometry.stride, geometry.padding) == (
                spec.kernel,
                spec.stride,
                spec.padding,
            )
    assert len(own) == len(convolutions) + 1  # the readout
    pools = sum(isinstance(layer, PoolWindows) for layer in layers)
    assert pools == sum(isinstance(node, MaxPool) for node in graph_of)


def test_each_parameter_has_its_own_stream():
    few = dict(vgg16(input_shape=(3, 32, 32), n_hidden=8, n_logits=4, seed=5).parameters)
    more = dict(vgg16(input_shape=(3, 32, 32), n_hidden=8, n_logits=9, seed=5).parameters)
    for name in list(few)[:-2]:
        np.testing.assert_array_equal(few[name], more[name])
    layers = vgg16_nodes((3, 32, 32), 4, 8)
    fan_in = draw_parameters(layers, law=TruncatedGaussian(0.1), seed=5, init="fan-in")
    unit = draw_parameters(layers, law=Gaussian(1.0), seed=5)
    np.testing.assert_allclose(
        fan_in["features.2.weight"], np.sqrt(2 / 576) * unit["features.2.weight"], rtol=1e-6
    )
    assert not np.array_equal(unit["features.12.weight"], unit["features.14.weight"])
    biased = draw_parameters(layers, law=Gaussian(1.0), seed=5, dense_bias=1.0)
    assert [name for name, array in biased.items() if name.endswith("bias") and array.any()] == [
        "classifier.0.bias", "classifier.3.bias", "classifier.6.bias"]  # fmt: skip


def test_exchanging_parameters(narrow):
    net, x = narrow
    other = net.with_parameters({"fc.weight": 2 * net.parameters["fc.weight"], "fc.bias": np.zeros(5, int)})
    assert other.parameters["conv1.weight"] is net.parameters["conv1.weight"]
    expected = 2 * visualize(net, x, "saliency", 1)
    np.testing.assert_allclose(visualize(other, x, "saliency", 1), expected, rtol=1e-12)
    with pytest.raises(ValueError, match=r"parameters: 'fc\.wait' is in no node"):
        net.with_parameters({"fc.wait": np.ones(3)})
    with pytest.raises(TypeError):
        net.parameters["fc.bias"] = np.ones(5)


X = Input("x", (1, 4, 4))
END = [Flatten("flat", "x"), Dense("fc", "flat", 2)]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "expected an Input first"),
        ([Activation("r", "x")], "expected an Input first"),
        ([X, Input("y", (1, 2, 2)), *END], "node 'y': a second Input"),
        ([Input("x", (1, 4)), *END], "node 'x': expected an input shape"),
        ([X, Flatten("x", "x")], "node 'x': the name is taken"),
        ([X, Activation("r", "s"), *END], "node 'r': reads 's', which does not stand before it"),
        ([X, Activation("r", "x"), *END], "node 'r': its output is read by no other node"),
        ([X, Dense("fc", "x", 2)], r"node 'fc': .* put a Flatten before it"),
        ([X, Conv("c", "x", 2, 9), *END], "node 'c': kernel: 9 exceeds the image's height 4"),
        ([X, Conv("c", "x", 0, 3), *END], "node 'c': n_filters: expected at least 1"),
        ([X, *END, MaxPool("p", "fc", PoolWindows(2))], "node 'p': expected an input of shape"),
        ([X, MaxPool("p", "x", PoolWindows(5)), *END], "node 'p': pool: size 5 exceeds"),
        ([X, Flatten("f", "x"), Add("a", ("x", "f"))], "node 'a': expected inputs of one shape"),
        ([X, Add("a", ())], "node 'a': expected inputs of one shape, got none"),
        ([X, Add("a", "x"), *END], "node 'a': expected a tuple of names"),
        (
            [X, Conv("c", "x", 2, 1, prefix="p"), Conv("d", "c", 2, 1, prefix="p")],
            "node 'd': wants p.weight of shape",
        ),
        ([X, Activation("r", "x")], "node 'r': the last output must be"),
    ],
)
def test_unsound_graphs(layers, message):
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        GraphNetwork(layers, {})
    assert "\n" not in str(caught.value)


def test_other_bad_input(narrow):
    good = {"fc.weight": np.ones((2, 16)), "fc.bias": np.zeros(2)}
    net = GraphNetwork([X, *END], good)
    image = np.ones((1, 4, 4))
    for change, message in (
        ({"fc.bias": np.zeros(3)}, r"fc.bias: expected shape \(2,\)"),
        ({"fc.bias": np.zeros(2, np.float32)}, "one dtype for all"),
        ({"fc.bias": np.full(2, np.nan)}, "fc.bias: not finite at index"),
        ({"more": np.zeros(2)}, "'more' is in no node"),
    ):
        with pytest.raises(ValueError, match=message):
            GraphNetwork([X, *END], {**good, **change})
    with pytest.raises(ValueError, match=r"'fc\.bias' is missing"):
        GraphNetwork([X, *END], {"fc.weight": good["fc.weight"]})
    with pytest.raises(ValueError, match="x: expected shape"):
        net.forward(image[0])
    trace = net.forward(image)
    with pytest.raises(ValueError, match="another network's forward pass"):
        narrow[0].backward(trace, np.eye(5), RULES)
    with pytest.raises(ValueError, match="logit_gradients: expected shape"):
        net.backward(trace, np.eye(3), RULES)
    with pytest.raises(ValueError, match="logit_gradients: not finite"):
        net.backward(trace, np.full((1, 2), np.inf), RULES)
    with pytest.raises(ValueError, match="unknown rule"):
        net.backward(trace, np.eye(2), ["gbp"])
    with pytest.raises(ValueError, match="input_shape: VGG-16 takes 32 × 32 pixels or more, got 31 × 31"):
        vgg16(input_shape=(3, 31, 31))
    with pytest.raises(ValueError, match="init: expected 'law' or 'fan-in'"):
        resnet50(init="he")
    with pytest.raises(TypeError, match="dense_bias"):
        vgg16(dense_bias="authors")
    with pytest.raises(ValueError, match="dense_bias"):
        vgg16(dense_bias=np.inf)
    with pytest.raises(ValueError, match="dtype"):
        vgg16(dtype=np.float16)
    with pytest.raises(TypeError, match="seed"):
        vgg16(seed=None)
    with pytest.raises(ValueError, match="n_logits"):
        resnet50(n_logits=0)


def test_overflow_names_the_layer():
    net = stack(8, np.float32, 1e8)
    with pytest.raises(
        ValueError, match="node 'conv4': activations leave the range of float32; take dtype float64"
    ):
        net.forward(np.ones(net.input_shape))
    huge = GraphNetwork([X, *END], {"fc.weight": np.full((2, 16), 1e300), "fc.bias": np.zeros(2)})
    with pytest.raises(ValueError, match="node 'fc': activations leave the range of float64; take smaller"):
        huge.forward(np.full((1, 4, 4), 1e10))
    layers = [X, Conv("c", "x", 4, 3, bias=False), Flatten("flat", "c"), Dense("fc", "flat", 2, bias=False)]
    steep = GraphNetwork(
        layers, {"c.weight": np.full((4, 1, 3, 3), 1e308), "fc.weight": np.full((2, 16), 1.0)}
    )
    trace = steep.forward(np.full((1, 4, 4), 1e-300))
    with pytest.raises(ValueError, match="node 'c': the gradient leaves the range of float64"):
        steep.backward(trace, np.eye(2), RULES)
