"""The methods that people use: against Captum, Zennit and PyTorch, and against each other where they are one and the same."""

import dataclasses
import itertools
import pickle
import sys
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import image_with_zeros, seeds
from test_graph_networks import assert_close, graphs, random_parameters
from test_threads import same
from torch_graphs import module_of

import theorylab as tl
from theorylab.methods import NAMES, NoRule, attribute, method
from theorylab.networks import nodes as kinds
from theorylab.networks.from_stack import from_stack
from theorylab.networks.graph import GraphNetwork
from theorylab.visualization import cost_gradient

torch = pytest.importorskip("torch")
RELEVANCE = ("lrp-epsilon", "lrp-alpha1beta0", "deep-taylor")
TOLERANCE = 1e-10


def zennit():
    """Zennit, which imports two classes of torchvision and needs nothing else of it here."""
    module = types.ModuleType("torchvision.models.resnet")
    module.Bottleneck = module.BasicBlock = type("Block", (), {})
    with pytest.MonkeyPatch.context() as patch:
        for name in ("torchvision", "torchvision.models"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        patch.setitem(sys.modules, module.__name__, module)
        return pytest.importorskip("zennit")


class Sum(torch.nn.Module):
    def forward(self, x):
        return x.sum(-1)


class Twin(torch.nn.Module):
    """A graph as a module with one child for each node, as libraries of attribution want it."""

    def __init__(self, net, total=Sum):
        super().__init__()
        self.nodes = net.nodes
        for node in net.nodes[1:]:
            if isinstance(node, kinds.Flatten):
                continue
            child = total() if isinstance(node, kinds.Add) else module_of(node, net.shapes[node.source])
            child = child.double()
            own = getattr(node, "prefix", None) or node.name
            state = {
                key: torch.tensor(net.parameters[f"{own}.{key}"])
                for key in child.state_dict()
                if key[0] != "n"
            }
            child.load_state_dict(state, strict=False)
            if isinstance(
                node, kinds.BatchNorm
            ):  # Zennit makes the layer that it merged the identity up to eps
                child.running_var += node.eps
            self.add_module(self.word(node.name), child)
        self.eval()

    @staticmethod
    def word(name):
        return name.replace(".", "_")

    def of(self, name):
        return getattr(self, self.word(name))

    def forward(self, x):
        values = {self.nodes[0].name: x}
        for node in self.nodes[1:]:
            given = [values[name] for name in node.inputs]
            if isinstance(node, kinds.Flatten):
                values[node.name] = given[0].flatten(1)
            else:
                stacked = torch.stack(given, -1) if isinstance(node, kinds.Add) else given[0]
                values[node.name] = self.of(node.name)(stacked)
        return values[self.nodes[-1].name]


def merged_norms(layers):
    """The same graph with a convolution of its own before each batch normalisation."""
    found = []
    for node in layers:
        if isinstance(node, kinds.BatchNorm):
            conv = kinds.Conv(f"{node.name}.conv", node.source, 3, 3, padding=1, bias=len(found) % 2 == 0)
            found += [conv, kinds.BatchNorm(node.name, conv.name, eps=node.eps)]
        else:
            found.append(node)
    return found


def case(layers, seed):
    rng = np.random.default_rng(seed)
    net = GraphNetwork(layers, random_parameters(layers, rng))
    return net, image_with_zeros(rng, net.input_shape), rng


def chain(bias, *, norm=False, unit=None, pools=True):
    """Convolutions, pools and dense layers in a row, as Captum and DeepLIFT take them."""
    unit = unit or tl.ReLU()
    layers = [kinds.Input("x", (2, 9, 8)), kinds.Conv("conv1", "x", 6, 3, padding=1, bias=bias)]
    if norm:
        layers.append(kinds.BatchNorm("norm1", "conv1"))
    layers.append(kinds.Activation("relu1", layers[-1].name, unit))
    if pools:
        layers.append(kinds.MaxPool("pool1", "relu1", tl.MaxPool(2)))
    layers += [
        kinds.Conv("conv2", layers[-1].name, 7, 3, bias=bias),
        kinds.Activation("relu2", "conv2", unit),
    ]
    if pools:
        layers.append(kinds.AveragePool("pool2", "relu2", (2, 1), 1))
    layers += [
        kinds.Flatten("flat", layers[-1].name),
        kinds.Dense("fc1", "flat", 9, bias=bias),
        kinds.Activation("relu3", "fc1", unit),
        kinds.Dense("fc2", "relu3", 4, bias=bias),
    ]
    return layers


def residual(bias):
    layers = chain(bias, norm=True)[:4]
    return [
        *layers,
        kinds.Conv("branch", "relu1", 6, 3, padding=1, bias=bias),
        kinds.BatchNorm("branch.norm", "branch"),
        kinds.Add("add", ("branch.norm", "relu1")),
        kinds.Activation("relu2", "add"),
        kinds.AdaptiveAveragePool("mean", "relu2", 2),
        kinds.Flatten("flat", "mean"),
        kinds.Dense("fc", "flat", 4, bias=bias),
    ]


def captum_map(name, net, x, target, *layer, init=(), **options):
    attr = pytest.importorskip("captum.attr")
    module = Twin(net)
    found = getattr(attr, name)(module, *(module.of(one) for one in layer), *init)
    image = torch.tensor(x[None], requires_grad=True)
    return found.attribute(image, target=target, **options)[0].detach().numpy()


@settings(max_examples=40)
@given(graphs(), seeds, st.integers(0, 2))
def test_captums_gradients(layers, seed, target):
    net, x, rng = case(layers, seed)
    start = rng.standard_normal(x.shape)
    last = [
        node.name for node in layers if isinstance(node, kinds.Activation) and len(net.shapes[node.name]) == 3
    ][-1]
    assert_close(
        attribute(net, x, "input-x-gradient", target), captum_map("InputXGradient", net, x, target), TOLERANCE
    )
    assert_close(
        attribute(net, x, "integrated-gradients", target, baseline=start, steps=7),
        captum_map("IntegratedGradients", net, x, target, baselines=torch.tensor(start[None]), n_steps=7),
        1e-6,  # Captum rounds the weights of the quadrature to float32
    )
    plane = captum_map("LayerGradCam", net, x, target, last, relu_attributions=True)
    full = torch.nn.functional.interpolate(torch.tensor(plane[None]), x.shape[1:], mode="bilinear")[0].numpy()
    cam = attribute(net, x, "grad-cam", target)
    assert cam.shape == x.shape
    for channel in cam:
        assert_close(channel, full[0], TOLERANCE)
    guided = cam * tl.visualize(net, x, "guided", target)
    assert_close(attribute(net, x, "guided-grad-cam", target), guided, 1e-14)


@pytest.mark.parametrize(
    ("layers", "layer"), [("chain", "conv1"), ("chain", "pool1"), ("chain", "relu2"), ("residual", "add")]
)
@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
def test_the_layer_of_grad_cam(layers, layer):
    """Graphs in which nothing else reads what a ReLU reads: there Captum's guided backpropagation is right."""
    net, x, _ = case({"chain": chain, "residual": residual}[layers](True), 3)
    seen = 0
    for target in range(4):
        plane = captum_map("LayerGradCam", net, x, target, layer, relu_attributions=True)
        full = torch.nn.functional.interpolate(torch.tensor(plane[None]), x.shape[1:], mode="bilinear")[0, 0]
        assert_close(attribute(net, x, "grad-cam", target, layer=layer)[1], full.numpy(), TOLERANCE)
        expected = captum_map("GuidedGradCam", net, x, target, layer, interpolate_mode="bilinear")
        assert_close(attribute(net, x, "guided-grad-cam", target, layer=layer), expected, TOLERANCE)
        seen += int(full.any())
    assert seen


def relevance_of_zennit(net, x, target, rule, first, epsilon, **hooks):
    """Zennit's map; its rules by kind of layer, from the hooks of `rule` and, for the first layer, of `first`."""
    library = zennit()
    rules = library.rules
    if epsilon == 0:
        epsilon = lambda z: torch.where(z == 0, torch.ones_like(z), z)  # noqa: E731
    module = Twin(net, library.layer.Sum)
    word, names = module.word, []
    for node in net.nodes[1:]:
        match node:
            case kinds.Conv() | kinds.Dense():
                reads_x = node.source in ("x", "flat") and net.shapes[node.source] in (x.shape, (x.size,))
                names.append(([word(node.name)], (first if reads_x else rule)(rules, epsilon)))
            case kinds.Activation() | kinds.BatchNorm():
                names.append(([word(node.name)], rules.Pass()))
            case kinds.Add() | kinds.AveragePool() | kinds.AdaptiveAveragePool():
                names.append(([word(node.name)], rules.Norm(epsilon)))
    norms = [([word(n.source)], word(n.name)) for n in net.nodes if isinstance(n, kinds.BatchNorm)]
    composite = library.composites.NameMapComposite(
        names, canonizers=[library.canonizers.NamedMergeBatchNorm(norms)]
    )
    start = torch.abs if rule is not IN_ZENNIT["lrp-epsilon"][1] else lambda logits: logits
    mask = torch.eye(net.n_logits, dtype=torch.float64)[target]
    with library.attribution.Gradient(module, composite) as attributor:
        _, found = attributor(torch.tensor(x[None]), lambda logits: start(logits.detach()) * mask)
    return found[0].numpy()


def zplus(rules, epsilon, **options):
    return rules.ZPlus(epsilon, **options)


IN_ZENNIT = {
    "lrp-epsilon": ({}, *[lambda rules, epsilon: rules.Epsilon(epsilon)] * 2),
    "lrp-alpha1beta0": ({}, zplus, zplus),
    "deep-taylor": (
        {},
        lambda rules, epsilon: zplus(rules, epsilon, zero_params="bias"),
        # without "bias" it adds the squares of biases
        lambda rules, epsilon: rules.WSquare(epsilon, zero_params="bias"),
    ),
    "deep-taylor in a box": (
        {"low": -5.0, "high": 6.0},
        lambda rules, epsilon: zplus(rules, epsilon, zero_params="bias"),
        lambda rules, epsilon: rules.ZBox(-5.0, 6.0, epsilon),
    ),
}


@settings(max_examples=30)
@given(graphs(), seeds, st.integers(0, 2), st.sampled_from([1e-6, 0.1, 0.0]))
@pytest.mark.parametrize("name", IN_ZENNIT)
def test_zennits_relevance(name, layers, seed, target, epsilon):
    net, x, _ = case(merged_norms(layers), seed)
    options, rule, first = IN_ZENNIT[name]
    expected = relevance_of_zennit(net, x, target, rule, first, epsilon)
    assert_close(attribute(net, x, name.split()[0], target, epsilon=epsilon, **options), expected, TOLERANCE)


@pytest.mark.parametrize("seed", range(3))
def test_captums_relevance(seed):
    captum = pytest.importorskip("captum.attr")
    from captum.attr._utils.lrp_rules import EpsilonRule

    net, x, _ = case(chain(True), seed)
    module = Twin(net)
    for child in module.children():  # max-pools, too, have an epsilon there: take one that does not matter
        if not isinstance(child, torch.nn.ReLU):
            child.rule = EpsilonRule(1e-15)
    found = captum.LRP(module).attribute(torch.tensor(x[None], requires_grad=True), target=2)
    assert_close(attribute(net, x, "lrp-epsilon", 2, epsilon=1e-15), found[0].detach().numpy(), TOLERANCE)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("unit", [tl.ReLU(), tl.LeakyReLU(0.2)])
@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
def test_four_methods_are_one_without_biases(seed, unit):
    net, x, _ = case(chain(False, unit=unit), seed)
    first = attribute(net, x, "input-x-gradient", 1)
    assert_close(attribute(net, x, "integrated-gradients", 1, steps=3), first, 1e-12)
    assert_close(attribute(net, x, "lrp-epsilon", 1, epsilon=0.0), first, 1e-12)
    assert_close(captum_map("DeepLift", net, x, 1), first, 1e-9)
    np.testing.assert_allclose(first.sum(), net.logits(x)[1], rtol=1e-12)


@pytest.mark.parametrize("layers", [chain(True), residual(True)], ids=["chain", "residual"])
def test_with_biases_two_of_them_are_one(layers):
    net, x, _ = case(layers, 5)
    first = attribute(net, x, "input-x-gradient", 1)
    assert_close(attribute(net, x, "lrp-epsilon", 1, epsilon=0.0), first, 1e-12)
    other = attribute(net, x, "integrated-gradients", 1)
    assert np.abs(other - first).max() > 1e-2 * np.abs(first).max()


def test_integrated_gradients_are_complete():
    net, x, rng = case(chain(True), 4)
    start = rng.standard_normal(x.shape)
    difference = net.logits(x)[2] - net.logits(start)[2]
    # The gradient jumps along the way, so the error falls as 1/steps.
    few, many = (
        max(
            abs(attribute(net, x, "integrated-gradients", 2, baseline=start, steps=steps).sum() - difference)
            for steps in (first, first + 1, first + 2)
        )
        for first in (10, 1000)
    )
    assert many < few / 20 < abs(difference) / 20


@pytest.mark.parametrize("layers", [chain(False), residual(True)], ids=["chain", "residual"])
@pytest.mark.parametrize(
    ("name", "options"), [("deep-taylor", {}), ("deep-taylor", {"low": -5, "high": 5.0})]
)
def test_deep_taylor_conserves_whatever_the_biases(layers, name, options):
    net, x, _ = case(layers, 6)
    for target in range(4):
        total = attribute(net, x, name, target, epsilon=0.0, **options).sum()
        np.testing.assert_allclose(total, abs(net.logits(x)[target]), rtol=1e-9)


@pytest.mark.parametrize("name", ["lrp-epsilon", "lrp-alpha1beta0"])
def test_relevance_is_conserved_but_for_biases(name):
    kept, lost = (case(chain(bias), 2) for bias in (False, True))
    for (net, x, _), close in ((kept, True), (lost, False)):
        logits = net.logits(x) if name == "lrp-epsilon" else np.abs(net.logits(x))
        totals = [attribute(net, x, name, target, epsilon=0.0).sum() for target in range(4)]
        assert np.allclose(totals, logits, rtol=1e-9) == close


def test_positive_rules_give_positive_maps():
    net, x, _ = case(chain(True), 2)
    assert (net.logits(x) < 0).any()
    for target, name in itertools.product(range(4), ("lrp-alpha1beta0", "deep-taylor")):
        map_ = attribute(net, x, name, target)
        assert map_.any()
        assert (map_ >= 0).all()


class Gated(torch.autograd.Function):
    """A ReLU whose backward pass is a function of its input and of what arrives, by the papers of three methods."""

    @staticmethod
    def forward(context, y, handed):
        context.save_for_backward(y)
        context.handed = handed
        return y.clamp(min=0)

    @staticmethod
    def backward(context, gradient):
        return context.handed(*context.saved_tensors, gradient), None


def rectified(percentile):
    def handed(y, gradient):
        product = y.clamp(min=0) * gradient
        threshold = torch.quantile(product.flatten(), percentile / 100)
        return torch.where(product > threshold, gradient, torch.zeros_like(gradient))

    return "rectgrad", {"percentile": percentile}, handed


GATES = [
    *map(rectified, (0.0, 30.0, 75.0, 98.0)),
    ("activation-weighted", {}, lambda y, gradient: gradient * y.clamp(min=0)),
    ("activation-weighted", {"rule": "guided"}, lambda y, gradient: gradient.clamp(min=0) * y.clamp(min=0)),
    ("excitation-pullback", {}, lambda y, gradient: gradient * torch.sigmoid(y)),
    ("excitation-pullback", {"temperature": 0.3, "rule": "deconvnet"},
     lambda y, gradient: gradient.clamp(min=0) * torch.sigmoid(y / 0.3)),
]  # fmt: skip


@settings(max_examples=15)
@given(graphs(), seeds)
@pytest.mark.parametrize(("name", "options", "handed"), GATES)
def test_gates(name, options, handed, layers, seed):
    net, x, _ = case(layers, seed)
    module, image = Twin(net), torch.tensor(x[None], requires_grad=True)
    for node in net.nodes:
        if isinstance(node, kinds.Activation):
            module.of(node.name).forward = lambda y: Gated.apply(y, handed)
    (gradient,) = torch.autograd.grad(module(image)[0, 1], image)
    expected = gradient[0].numpy() * (x if name == "rectgrad" else 1)
    assert_close(attribute(net, x, name, 1, **options), expected, TOLERANCE)


def test_gates_are_not_limited_by_the_range_of_float32():
    """Where a unit's gate of 2¹⁰⁰ and the weights of 2³⁰ below it would leave it together."""
    net, x, _ = case(chain(False, pools=False), 0)
    powers = {"conv1": 70, "conv2": 30, "fc1": -30, "fc2": -100}
    layers, scaled = net.nodes, {}
    for name, power in powers.items():
        weights = net.parameters[f"{name}.weight"].astype(np.float32)
        scaled[f"{name}.weight"] = np.ldexp(weights, power)
    found = attribute(GraphNetwork(layers, scaled), x, "activation-weighted", 1).astype(np.float64)
    expected = attribute(net, x, "activation-weighted", 1)
    assert_close(found / np.abs(found).max(), expected / np.abs(expected).max(), 1e-4)


def test_the_mean_of_activation_weighted_guided_maps_is_the_picture_up_to_coverage():
    """``E[w max(w·y, 0)] = c²/2 y`` exactly; signed readouts have no mean."""
    x = np.random.default_rng(2).standard_normal((2, 5, 5)) + 0.5
    stack = tl.models.three_layer(tl.PatchGrid(x.shape, 3), 6, weights=tl.Gaussian(0.8))
    stack = dataclasses.replace(stack, n_logits=1)
    nets = [from_stack(stack, seed=seed) for seed in range(2000)]
    direction = (tl.PatchGrid(x.shape, 3).coverage * x).ravel()
    directions = np.stack([direction, *np.random.default_rng(3).standard_normal((4, x.size))])
    expected = 6 * 0.8 / np.sqrt(2 * np.pi) * 0.8**2 / 2 * directions @ direction
    for rule, mean in (("guided", expected), ("saliency", 0 * expected)):
        maps = np.array([attribute(net, x, "activation-weighted", 0, rule=rule).ravel() for net in nets])
        along = maps @ directions.T
        error = along.std(axis=0, ddof=1) / np.sqrt(len(nets))
        assert np.abs((along.mean(axis=0) - mean) / error).max() < 4
        control = np.abs((along.mean(axis=0) - (expected - mean)) / error).max()
        assert control > 10


@pytest.mark.parametrize("rule", ["saliency", "guided"])
def test_smoothgrad_is_the_mean_over_copies_drawn_as_it_says(rule):
    net, x, _ = case(chain(True), 0)
    copies = [
        x
        + 0.3
        * np.ptp(x)
        * np.random.default_rng(np.random.SeedSequence(7, spawn_key=(k,))).standard_normal(x.shape)
        for k in range(5)
    ]
    expected = np.mean([tl.visualize(net, copy, rule, 2) for copy in copies], axis=0)
    assert expected.any()
    options = {"noise": 0.3, "draws": 5, "rule": rule}
    assert_close(attribute(net, x, "smoothgrad", 2, seed=7, **options), expected, 1e-12)
    assert not np.allclose(attribute(net, x, "smoothgrad", 2, seed=8, **options), expected, rtol=0.1)
    still = attribute(net, x, "smoothgrad", 2, noise=0.0, draws=2, rule=rule)
    assert_close(still, tl.visualize(net, x, rule, 2), 1e-14)


def test_pictures_in_parts_are_the_same_bits(monkeypatch):
    from theorylab.methods import _gradients

    net, x, _ = case(chain(True), 1)
    whole = attribute(net, x, "integrated-gradients", 2, steps=7)
    monkeypatch.setattr(_gradients, "_TOGETHER", 1)
    assert_close(attribute(net, x, "integrated-gradients", 2, steps=7), whole, 1e-14)


def test_the_same_bits_for_any_number_of_threads(classifier):
    x = tl.training.crops("test", 1, seed=0)[0][0]
    options = {"smoothgrad": {"draws": 9}, "integrated-gradients": {"steps": 9}}
    assert same(lambda: [attribute(classifier.network, x, name, **options.get(name, {})) for name in NAMES])


def networks():
    grid = tl.PatchGrid((3, 8, 8), 3)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(144, 3),
    )
    shape = (3, 32, 32)
    return {
        "three layers": tl.networks.three_layer_cnn(grid, 5, 3),
        "pool, bias": tl.networks.three_layer_cnn(
            grid, 5, 3, tl.MaxPool(2), hidden_bias=0.1, dtype=np.float32
        ),
        "fully connected": tl.networks.three_layer_fcn((3, 8, 8), 20, 3, memory_limit=2000),
        "VGG-16": tl.networks.vgg16(input_shape=shape, n_hidden=64, n_logits=4, init="fan-in"),
        "ResNet-50": tl.networks.resnet50(input_shape=shape, n_logits=4, init="fan-in"),
        "chain": tl.training.small_classifier().network,
        "residual": tl.training.small_residual_classifier().network,
        "from PyTorch": tl.torch_bridge.from_torch(module.double().eval(), (3, 8, 8)),
    }


NETWORKS = networks()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_method_in_every_network(network, name):
    net = NETWORKS[network]
    x = np.random.default_rng(1).standard_normal(net.input_shape)
    fast = {
        "smoothgrad": {"draws": 3},
        "integrated-gradients": {"steps": 3},
        "rectgrad": {"percentile": 50.0},
    }
    map_ = attribute(net, x, name, 1, **fast.get(name, {}))
    assert map_.shape == x.shape
    assert map_.dtype == net.dtype
    assert np.isfinite(map_).all()
    if "cam" not in name:  # a plane of sums that are all negative is a map of zeros
        assert map_.any()


@pytest.mark.parametrize("name", NAMES)
def test_weights_in_rows_give_the_maps_of_arrays(name):
    grid = tl.PatchGrid((2, 6, 7), 3)
    drawn = tl.networks.three_layer_cnn(grid, 9, 4, tl.MaxPool(2), hidden_bias=0.1, memory_limit=1000)
    rows = {"filters.weight": drawn.filter_rows, "readout.weight": drawn.readout_rows}
    assert all(array.nbytes > 1000 for array in rows.values())
    held = {key: np.concatenate([part for _, part in array.blocks()]) for key, array in rows.items()}
    arrays = GraphNetwork(
        drawn.nodes, {**drawn.parameters, **held, "readout.weight": held["readout.weight"].reshape(4, -1)}
    )
    x = np.random.default_rng(0).standard_normal((2, 6, 7))
    options = {"smoothgrad": {"draws": 3}, "rectgrad": {"percentile": 50.0}}.get(name, {})
    for target in (2, "cost"):
        found, expected = (attribute(net, x, name, target, **options) for net in (drawn, arrays))
        assert_close(found, expected, 1e-10)


def test_targets():
    net, x, _ = case(chain(True), 0)
    top = int(np.argmax(net.logits(x)))
    assert (attribute(net, x, "lrp-epsilon") == attribute(net, x, "lrp-epsilon", top)).all()
    gradient = cost_gradient(net.logits(x))
    for name in (
        "input-x-gradient",
        "lrp-epsilon",
        "integrated-gradients",
    ):  # linear in the logits' combination
        each = [attribute(net, x, name, k) for k in range(4)]
        assert_close(attribute(net, x, name, "cost"), np.einsum("k,k...", gradient, each), 1e-10)
    random = [attribute(net, x, "rectgrad", "random", seed=seed, percentile=10) for seed in range(6)]
    assert len({map_.tobytes() for map_ in random}) > 1


def test_a_layer_without_a_rule_is_refused_by_name():
    layers = chain(True)
    layers[3] = kinds.BatchNorm("norm", "relu1")
    layers[4] = kinds.Conv("conv2", "norm", 7, 3)
    layers = [node for node in layers if not isinstance(node, kinds.MaxPool)]
    net, x, _ = case(layers, 0)
    for name in RELEVANCE:
        with pytest.raises(NoRule, match=rf"^{name} has no rule for node 'norm' \(BatchNorm\): ") as refusal:
            attribute(net, x, name)
        again = pickle.loads(pickle.dumps(refusal.value))
        assert (str(again), again.method, again.node.name) == (str(refusal.value), name, "norm")
    leaky, x, _ = case(chain(True, unit=tl.LeakyReLU(0.1)), 0)
    gates = {name for name, *_ in GATES}
    for name in gates:
        said = rf"^{name} has no rule for node 'relu3' \(Activation\): expected ReLUs"
        with pytest.raises(NoRule, match=said):
            attribute(leaky, x, name)
    for name in set(NAMES) - gates:
        assert attribute(leaky, x, name).shape == x.shape


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("gradcam", {}, "unknown method 'gradcam': did you mean 'grad-cam'"),
        ("smoothgrad", {"nois": 1.0}, "options: smoothgrad has no option 'nois': did you mean 'noise'"),
        ("input-x-gradient", {"steps": 1}, "options: input-x-gradient has no option 'steps': it has none"),
        ("integrated-gradients", {"steps": 0}, "steps: expected at least 1"),
        ("integrated-gradients", {"steps": "x"}, "steps: expected an integer, got str"),
        (
            "integrated-gradients",
            {"baseline": np.ones(5)},
            "baseline: expected a number or an array that broadcasts",
        ),
        ("integrated-gradients", {"baseline": np.nan}, "baseline: not finite"),
        ("smoothgrad", {"noise": -1}, "noise: expected at least 0"),
        ("smoothgrad", {"draws": 0}, "draws: expected at least 1"),
        ("smoothgrad", {"rule": "gided"}, "unknown rule 'gided'"),
        ("grad-cam", {"layer": "fc1"}, "layer: expected a node with planes, such as 'pool2', got 'fc1'"),
        ("guided-grad-cam", {"layer": "none"}, "layer: expected a node with planes"),
        ("rectgrad", {"percentile": 101}, "percentile: expected 0 to 100"),
        ("excitation-pullback", {"temperature": 0}, "temperature: expected a finite number above 0"),
        ("activation-weighted", {"rule": "gided"}, "unknown rule 'gided'"),
        ("lrp-epsilon", {"epsilon": -1.0}, "epsilon: expected at least 0"),
        ("lrp-alpha1beta0", {"epsilon": np.inf}, "epsilon: expected a finite number"),
        ("deep-taylor", {"low": 0.0}, "high: expected both low and high, or neither"),
        ("deep-taylor", {"low": 0.0, "high": 9.0}, "low: a pixel of the picture lies beyond it"),
        (
            "deep-taylor",
            {"low": -9.0, "high": np.ones(5)},
            "high: expected a number or an array that broadcasts",
        ),
    ],
)
def test_what_is_wrong_is_said(name, options, said):
    net, x, _ = case(chain(True), 0)
    with pytest.raises((TypeError, ValueError), match=f"^{said}"):
        attribute(net, x, name, **options)


def test_the_registry():
    assert len(NAMES) == len(set(NAMES)) == 11
    for name in NAMES:
        value = method(name)
        assert (value.value, method(value), repr(value)) == (name, value, f"Method({name!r})")
        assert value.run.__doc__
        assert name in attribute.__doc__
        assert all(option in attribute.__doc__ for option in value.options)
    assert method("Grad-CAM") is method("grad-cam")


def test_a_network_without_planes_has_no_grad_cam():
    layers = [kinds.Input("x", (1, 2, 2)), kinds.Flatten("flat", "x"), kinds.Dense("fc", "flat", 3)]
    net, x, _ = case(layers, 0)
    with pytest.raises(ValueError, match="layer: no units of this network have planes"):
        attribute(net, x, "grad-cam")
    # The first layer of deep Taylor may be dense.
    options = {"low": -9.0, "high": 9.0, "epsilon": 0.0}
    rule = IN_ZENNIT["deep-taylor in a box"]
    expected = relevance_of_zennit(
        net, x, 1, rule[1], lambda rules, epsilon: rules.ZBox(-9.0, 9.0, epsilon), 0
    )
    assert_close(attribute(net, x, "deep-taylor", 1, **options), expected, TOLERANCE)


def test_methods_are_audited(classifier):
    pictures = list(tl.training.crops("test", 6, seed=1)[0])
    seen = {}
    for name, options in (("deep-taylor", {}), ("input-x-gradient", {}), ("smoothgrad", {"draws": 2})):
        attribution = tl.auditing.MethodAttribution(classifier.network, name, seed=3, **options)
        expected = attribute(classifier.network, pictures[0], name, 4, seed=3, **options)
        assert (attribution(pictures[0], 4) == expected).all()
        drawn = attribution.randomized([attribution.layers[-1]], 0)
        assert (drawn(pictures[0], 4) != expected).any()
        assert (drawn.method, drawn.options) == (attribution.method, options)
        seen[name] = tl.audit(attribution, pictures, range(6), randomize=False).class_sensitive
    # Positive relevance hardly knows its class; signed relevance does.
    assert seen == {"deep-taylor": False, "input-x-gradient": True, "smoothgrad": True}
    with pytest.raises(TypeError, match="options: grad-cam has no option 'draws'"):
        tl.auditing.MethodAttribution(classifier.network, "grad-cam", draws=2)


@pytest.mark.parametrize("unit", [tl.ReLU(), tl.LeakyReLU(0.2)])
def test_the_law_of_input_x_gradient_is_that_of_fresh_networks(unit):
    x = np.random.default_rng(2).standard_normal((2, 5, 5)) + 0.5
    stack = tl.models.three_layer(tl.PatchGrid(x.shape, 3), 6, unit=unit, weights=tl.Gaussian(0.8))
    law = tl.law(dataclasses.replace(stack, n_logits=2), x, "Input-X-Gradient")
    assert (law.kind, law.expected_cosine()) == ("exact", 0.0)
    assert law.class_distance == np.sqrt(2)
    nets = [from_stack(dataclasses.replace(stack, n_logits=2), seed=seed) for seed in range(1500)]
    maps = np.array([[attribute(net, x, "input-x-gradient", k) for k in range(2)] for net in nets])
    first, second = maps.reshape(len(maps), 2, -1).swapaxes(0, 1)
    rng = np.random.default_rng(3)
    weights = np.concatenate([np.ones((1, x.size)), rng.random((4, x.size))])
    measured = [first @ weights.T, first**2 @ weights.T, (first * second).sum(1, keepdims=True)]
    expected = [weights @ law.mean.ravel(), weights @ law.variance.ravel(), [0.0]]
    # The plain gradient's variance, as somebody may believe, is the control.
    wrong = [weights @ tl.law(stack, x, "saliency").variance.ravel()]
    for values, means in zip([*measured, measured[1]], [*expected, *wrong], strict=True):
        errors = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        largest = np.abs((values.mean(axis=0) - means) / errors).max()
        assert largest > 8 if means is wrong[0] else largest < 4, largest


WITHOUT_LAW = ("guided-grad-cam",)


@pytest.mark.parametrize("name", WITHOUT_LAW)
def test_other_methods_have_no_law_and_say_so(name):
    x = np.ones((1, 4, 4))
    stack = tl.models.three_layer(tl.PatchGrid(x.shape, 3), 6)
    with pytest.raises(
        tl.NoLaw, match=f"no law for method '{name}': theorylab.methods.attribute runs it"
    ) as refusal:
        tl.law(stack, x, name)
    again = pickle.loads(pickle.dumps(refusal.value))
    assert (str(again), again.method) == (str(refusal.value), name)
