"""PyTorch modules as NumPy graphs and attributed in PyTorch: every spelling of a ReLU, and what is refused by name."""

import copy
import dataclasses
import functools
import operator
import sys

import numpy as np
import pytest
import torch_graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import RULES, image_with_zeros, seeds
from torch_graphs import HOOKS_OF_RULES, Function, assert_refused, captum_map, hooked

from theorylab import torch_bridge
from theorylab.model.models import VGG16_BLOCKS
from theorylab.networks import nodes as kinds
from theorylab.networks.deep import resnet_nodes, vgg16_nodes
from theorylab.torch_bridge import _twin, attribute, attribute_many, from_torch
from theorylab.visualization import visualize, visualize_many

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
SHAPE = (2, 6, 5)


class Calls(nn.Module):
    """A convolution, any function of its output, and a readout."""

    def __init__(self, function, channels=4, **parts):
        super().__init__()
        self.conv, self.function = nn.Conv2d(SHAPE[0], channels, 3, padding=1, bias=False), function
        for name, part in parts.items():
            setattr(self, name, part)
        self.fc = nn.LazyLinear(3)

    def forward(self, x):
        return self.fc(torch.flatten(self.function(self, self.conv(x)), 1))


def ready(module, seed=0, dtype=torch.float64, shape=SHAPE):
    """In evaluation mode, with every parameter and statistic random."""
    module = module.to(dtype).eval()
    with torch.no_grad():
        module(torch.zeros(1, *shape, dtype=dtype))  # gives lazy layers their shape
        rng = np.random.default_rng(seed)
        for name, entry in module.state_dict().items():
            if entry.is_floating_point():
                drawn = rng.uniform(0.5, 2, entry.shape) if name.endswith("running_var") else None
                drawn = rng.standard_normal(entry.shape) / 2 if drawn is None else drawn
                entry.copy_(torch.from_numpy(drawn))
    return module


def picture(seed=1, shape=SHAPE):
    # Without a bias an empty corner gives pre-activations of exactly 0.
    return image_with_zeros(np.random.default_rng(seed), shape)


def autograd(module, x, k):
    """PyTorch's own gradient of one logit."""
    # Parameters that need no gradient: PyTorch refuses to overwrite what it keeps for theirs.
    still = copy.deepcopy(module).requires_grad_(False)
    image = torch.tensor(x[None], requires_grad=True)
    return torch.autograd.grad(still(image.clone())[0, k], image)[0][0].numpy()


def assert_close(got, expected, tolerance=1e-10):
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * np.abs(expected).max() + 1e-300)


def assert_same_everywhere(module, x):
    """The NumPy graph, PyTorch under the rules, and PyTorch's own gradient."""
    net = from_torch(module, x.shape)
    assert_close(net.logits(x), module(torch.tensor(x[None]))[0].detach().numpy())
    maps = visualize_many(net, x, RULES, range(net.n_logits))
    found = attribute_many(module, x[None], RULES, range(net.n_logits))[:, :, 0]
    for own, other in zip(found.reshape(-1, *x.shape), maps.reshape(-1, *x.shape), strict=True):
        assert_close(own, other)
    assert_close(maps[0], np.array([autograd(module, x, k) for k in range(net.n_logits)]))
    return net, maps


def relus(net):
    return [node.name for node in net.nodes if isinstance(node, kinds.Activation)]


SPELLINGS = {
    "nn.ReLU": lambda m, x: m.act(x),
    "nn.ReLU(inplace)": lambda m, x: m.over(x),
    "F.relu": lambda m, x: F.relu(x),
    "F.relu(inplace=True)": lambda m, x: F.relu(x, inplace=True),
    "F.relu(x, True)": lambda m, x: F.relu(x, True),
    "F.relu(input=x)": lambda m, x: F.relu(input=x),
    "F.relu_": lambda m, x: F.relu_(x),
    "torch.relu": lambda m, x: torch.relu(x),
    "torch.relu_": lambda m, x: torch.relu_(x),
    "x.relu": lambda m, x: x.relu(),
    "x.relu_": lambda m, x: x.relu_(),
    "torch.clamp": lambda m, x: torch.clamp(x, min=0),
    "torch.clamp_min": lambda m, x: torch.clamp_min(x, 0.0),
    "torch.clip": lambda m, x: torch.clip(x, 0),
    "x.clamp": lambda m, x: x.clamp(min=0),
    "x.clamp(0, None)": lambda m, x: x.clamp(0, None),
    "x.clamp_": lambda m, x: x.clamp_(min=0),
    "x.clamp_min": lambda m, x: x.clamp_min(0),
    "x.clamp_min_": lambda m, x: x.clamp_min_(0),
    "torch.maximum(x, 0)": lambda m, x: torch.maximum(x, torch.tensor(0.0, dtype=torch.float64)),
    "torch.maximum(0, x)": lambda m, x: torch.maximum(torch.zeros_like(x), x),
    "torch.max(x, 0)": lambda m, x: torch.max(x, torch.zeros_like(x)),
    "x.maximum": lambda m, x: x.maximum(torch.zeros(1, dtype=torch.float64)),
    "partial": lambda m, x: functools.partial(F.relu, inplace=True)(x),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_the_relu(spelling):
    parts = {"act": nn.ReLU(), "over": nn.ReLU(inplace=True)}
    module = ready(Calls(SPELLINGS[spelling], **parts))
    plain = ready(Calls(SPELLINGS["nn.ReLU"], **parts))
    x = picture()
    net = from_torch(module, SHAPE)
    assert len(relus(net)) == 1
    for rule in RULES:
        expected = visualize(from_torch(plain, SHAPE), x, rule, 1)
        assert_close(attribute(module, x, rule, 1), expected)
        assert_close(visualize(net, x, rule, 1), expected)


def test_the_indicator_is_strict_where_pytorchs_is_not():
    """Trap: at exactly 0 a clamp hands the gradient on in PyTorch, a maximum half of it."""
    x = np.zeros((1, 1, 2))
    for function in (lambda t: t.clamp(min=0), lambda t: torch.maximum(t, torch.zeros_like(t))):
        own = Function(lambda x, function=function: function(x).flatten(1))
        assert autograd(own, x, 0).any()
        for rule in ("saliency", "guided"):
            assert not attribute(own, x, rule, 0).any()
        assert attribute(own, x, "deconvnet", 0).tolist() == [[[1.0, 0.0]]]


ALIASES = {
    "reused": lambda m, x: m.act(m.second(m.act(m.second(m.act(x))))),
    "x + relu(x)": lambda m, x: x + m.act(x),
    "old name of an in-place relu": lambda m, x: x + F.relu(x, inplace=True),
    "old name of a module in place": lambda m, x: m.second(m.over(x)) + x,
    "+= with two names": lambda m, x: in_place_sum(x, m.act(x)),
    "iadd": lambda m, x: operator.iadd(x, m.act(x)) + x,
    "add_": lambda m, x: x.add_(m.act(x)) + x,
    "in place behind an identity": lambda m, x: m.second(m.over(m.drop(m.same(x)))) + x,
    "in place on a flat tensor": lambda m, x: torch.relu_(x.flatten(1)),
    "in place twice": lambda m, x: F.relu_(m.second(F.relu_(x))) + x,
    "sum of a list": lambda m, x: sum([x, m.act(x), torch.add(x, x)]),
    "a dead branch": lambda m, x: (m.second(x), m.act(x))[1],
    "a dead branch that overwrites": lambda m, x: (F.relu_(x), x)[1],
}


def in_place_sum(x, y):
    other = x
    x += y
    return x + other


@pytest.mark.parametrize("name", ALIASES)
def test_names_of_one_tensor(name):
    second = nn.Conv2d(4, 4, 1)
    parts = {"act": nn.ReLU(), "over": nn.ReLU(True), "same": nn.Identity(), "drop": nn.Dropout()}
    module = ready(Calls(ALIASES[name], second=second, **parts))
    assert_same_everywhere(module, picture())


def test_overwritten_through_a_view():
    def overwrites(_, x):
        flat = x.flatten(1)
        F.relu_(x)
        return flat

    module = ready(Calls(overwrites))
    with pytest.raises(ValueError, match=r"flatten: reads a tensor that function torch.*relu_ overwrote"):
        from_torch(module, SHAPE)
    assert_close(attribute(module, picture(), "saliency", 0), autograd(module, picture(), 0))


LAYERS = {
    "conv": lambda: nn.Conv2d(4, 4, (3, 2), (2, 1), (1, 0)),
    "conv same": lambda: nn.Conv2d(4, 4, (3, 5), padding="same", bias=False),
    "conv valid": lambda: nn.Conv2d(4, 4, 2, padding="valid"),
    "max": lambda: nn.MaxPool2d(3, 2, 1),
    "max beyond the plane": lambda: nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), nn.MaxPool2d(2, ceil_mode=True)),
    "max wide": lambda: nn.MaxPool2d((2, 3), stride=(1, 2)),
    "average": lambda: nn.AvgPool2d(3, 2, 1),
    "average without padding": lambda: nn.AvgPool2d((3, 2), 2, 1, count_include_pad=False),
    "adaptive": lambda: nn.AdaptiveAvgPool2d((4, 2)),
    "adaptive, one side": lambda: nn.AdaptiveAvgPool2d((None, 2)),
    "norm": lambda: nn.BatchNorm2d(4, eps=1e-2),
    "norm without weights": lambda: nn.BatchNorm2d(4, affine=False),
    "dropout": lambda: nn.Dropout2d(0.9, inplace=True),
    "identity": lambda: nn.Identity(),
    "nested": lambda: nn.Sequential(nn.ReLU(), nn.Sequential(nn.Conv2d(4, 4, 1), nn.Sequential(nn.ReLU(True)))),
    "F.max": lambda: Function(lambda x: F.max_pool2d(x, 2, padding=1)),
    "F.avg": lambda: Function(lambda x: F.avg_pool2d(x, 3, 2, 1, False, False)),
    "F.adaptive": lambda: Function(lambda x: F.adaptive_avg_pool2d(x, (3, 2))),
    "F.dropout": lambda: Function(lambda x: F.dropout(x, 0.5, False)),
}  # fmt: skip
FLAT = {
    "nn.Flatten": nn.Flatten(),
    "torch.flatten": lambda x: torch.flatten(x, 1),
    "x.flatten": lambda x: x.flatten(start_dim=1).flatten(1, -1),
    "size": lambda x: x.view(x.size(0), -1),
    "shape": lambda x: x.reshape(x.shape[0], -1),
    "tuple": lambda x: torch.reshape(x, (x.size()[0], -1)),
    "product": lambda x: x.view(-1, x.size(1) * x.size(2) * x.size(3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    parts = {"own": LAYERS[name](), "act": nn.ReLU()}
    net, maps = assert_same_everywhere(ready(Calls(lambda m, x: m.act(m.own(m.act(x))), **parts)), picture())
    assert np.abs(maps).min(axis=0).max() > 0
    assert {"conv.weight", "fc.weight", "fc.bias"} <= set(net.parameters)


@pytest.mark.parametrize("name", FLAT)
def test_flattening(name):
    module = ready(nn.Sequential(nn.Conv2d(2, 3, 2), nn.ReLU(), Function(FLAT[name]), nn.LazyLinear(3)))
    net, _ = assert_same_everywhere(module, picture())
    assert isinstance(net.nodes[-2], kinds.Flatten)


@settings(max_examples=12, deadline=None)
@given(
    st.permutations((2, 3)), st.tuples(st.booleans(), st.booleans()), st.booleans(), st.sampled_from("mfkda")
)
def test_global_average_pooling_by_mean(axes, negative, keep, spelling):
    """Every spelling of the mean of each plane is the average pool, before a readout and before a convolution."""
    dims = [axis - 4 if minus else axis for axis, minus in zip(axes, negative, strict=True)]
    mean = {
        "m": lambda x: x.mean(dims, keep),
        "f": lambda x: torch.mean(x, tuple(dims), keepdim=keep),
        "k": lambda x: torch.mean(input=x, dim=dims, keepdim=keep),
        "d": lambda x: x.mean(dim=tuple(dims), keepdim=keep),
        "a": lambda x: x.mean(axis=dims, keepdim=keep),
    }[spelling]
    after = [nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Flatten()] if keep else []
    layers = [nn.Conv2d(2, 3, 2), nn.ReLU(), Function(mean), *after, nn.Linear(3, 3)]
    net, _ = assert_same_everywhere(ready(nn.Sequential(*layers)), picture())
    assert [node.size for node in net.nodes if isinstance(node, kinds.AdaptiveAveragePool)] == [(1, 1)]


@settings(max_examples=12)
@given(st.lists(st.sampled_from([*LAYERS, *ALIASES]), min_size=1, max_size=5), st.booleans(), seeds)
def test_random_modules(names, residual, seed):
    """Layers of all kinds in any order, with names of tensors that are overwritten."""
    names = [name for name in names if name != "in place on a flat tensor"]
    parts = {"act": nn.ReLU(), "over": nn.ReLU(True), "same": nn.Identity(), "drop": nn.Dropout()}
    parts |= {"second": nn.Conv2d(4, 4, 1)}
    parts |= {f"own{place}": LAYERS[name]() for place, name in enumerate(names) if name in LAYERS}

    def function(m, x):
        for place, name in enumerate(names):
            y = getattr(m, f"own{place}")(x) if name in LAYERS else ALIASES[name](m, x)
            x = x + y if residual and "conv same" in name else y
        return F.adaptive_avg_pool2d(F.relu(x), 2)

    module = ready(Calls(function, **parts), seed)
    try:
        assert_same_everywhere(module, picture(seed))
    except (RuntimeError, ValueError) as error:
        # A convolution keeps its input: PyTorch can run but not differentiate a module that overwrites it.
        if "modified by an inplace operation" not in str(error):
            raise
        net = from_torch(module, SHAPE)
        logits = module(torch.tensor(picture(seed)[None]))[0].detach().numpy()
        assert_close(net.logits(picture(seed)), logits)


def test_reused_modules_share_their_parameters():
    parts = {"act": nn.ReLU(), "second": nn.Conv2d(4, 4, 1), "unused": nn.Linear(7, 7)}
    module = ready(Calls(ALIASES["reused"], **parts))
    net, _ = assert_same_everywhere(module, picture())
    assert relus(net) == ["act", "act_1", "act_2"]
    assert [node.name for node in net.nodes if isinstance(node, kinds.Conv)] == ["conv", "second", "second_1"]
    assert list(net.parameters) == ["conv.weight", "second.weight", "second.bias", "fc.weight", "fc.bias"]
    for name, array in net.parameters.items():
        np.testing.assert_array_equal(array, module.state_dict()[name])
    before = net.parameters["fc.bias"].copy()
    with torch.no_grad():
        module.fc.bias += 1
    np.testing.assert_array_equal(net.parameters["fc.bias"], before)  # a copy: training may go on


class Concatenated(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 3, 2), nn.Linear(6 * 20, 3)

    def forward(self, x):
        y = self.conv(x)
        return self.fc(torch.cat([F.relu(y), F.relu(-y)], 1).flatten(1))


def test_concatenated_relu():
    """CReLU: no graph of ours, but PyTorch can, under every rule."""
    module, x = ready(Concatenated()), picture()
    with pytest.raises(ValueError, match=r"^function torch\.cat: from_torch does not know this operation$"):
        from_torch(module, SHAPE)
    # By hand: relu(y) and relu(-y) as two convolutions with weights of opposite sign.
    w, b = module.conv.weight.detach(), module.conv.bias.detach()
    double = nn.Conv2d(2, 6, 2, dtype=torch.float64)
    with torch.no_grad():
        double.weight.copy_(torch.cat([w, -w]))
        double.bias.copy_(torch.cat([b, -b]))
    explicit = from_torch(nn.Sequential(double, nn.ReLU(), nn.Flatten(), module.fc).eval(), SHAPE)
    for rule in RULES:
        assert_close(attribute(module, x, rule, 2), visualize(explicit, x, rule, 2))


class ThinVGG(nn.Module):
    """VGG-16 with a 32nd of its filters, and one ReLU module for all, in place."""

    def __init__(self):
        super().__init__()
        layers, channels, relu = [], 3, nn.ReLU(inplace=True)
        for block in VGG16_BLOCKS:
            for width in block:
                layers += [nn.Conv2d(channels, width // 32, 3, padding=1), relu]
                channels = width // 32
            layers.append(nn.MaxPool2d(2, 2))
        self.features, self.avgpool = nn.Sequential(*layers), nn.AdaptiveAvgPool2d(7)
        head = [nn.Linear(16 * 49, 8), relu, nn.Dropout(), nn.Linear(8, 8), relu, nn.Dropout()]
        self.classifier = nn.Sequential(*head, nn.Linear(8, 3))

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(x.view(x.size(0), -1))


def thin(node):
    wide = isinstance(node, kinds.Conv)
    return dataclasses.replace(node, n_filters=node.n_filters // 32) if wide else node


def tiny_resnet():
    module = torch_graphs.ResNet(None, 3, (2, 1), 2)
    for part in [*module.modules()]:
        if hasattr(part, "relu"):
            part.relu = nn.ReLU(inplace=True)  # one module, three calls
    return module


@pytest.mark.parametrize("kind", ["vgg", "resnet"])
def test_architectures_with_one_relu_module(kind):
    shape = (3, 32, 32)
    build, layers = {
        "vgg": (ThinVGG, [thin(node) for node in vgg16_nodes(shape, 3, 8)]),
        "resnet": (tiny_resnet, resnet_nodes(shape, 3, (2, 1), 2)),
    }[kind]
    module = ready(build(), shape=shape)
    x = np.random.default_rng(2).standard_normal(shape)
    net = from_torch(module, shape)
    assert [type(node) for node in net.nodes if not isinstance(node, kinds.BatchNorm)].count(
        kinds.Activation
    ) == (15 if kind == "vgg" else 10)
    state = [name for name in module.state_dict() if "num_batches" not in name]
    assert sorted(net.parameters) == sorted(state)
    explicit = type(net)(layers, dict(net.parameters))
    for rule in RULES:
        expected = visualize(explicit, x, rule, 1)
        assert np.abs(expected).max() > 0
        assert_close(visualize(net, x, rule, 1), expected, 1e-14)
        assert_close(attribute(module, x, rule, 1), expected)
    assert_close(visualize(net, x, "saliency", 1), autograd(module, x, 1))


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU:UserWarning")
def test_captum_where_it_is_right():
    below = (nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 3, 1), nn.ReLU())
    module = ready(nn.Sequential(*below, nn.Flatten(), nn.LazyLinear(3)))
    net = from_torch(module, SHAPE)
    x = picture()
    for rule in RULES:
        for target in range(3):
            expected = captum_map(module, x, rule, target)
            assert_close(attribute(module, x, rule, target), expected)
            assert_close(visualize(net, x, rule, target), expected)


GUIDED = torch_graphs.rectifier("guided")

MISSED = {
    "functional": (lambda m, x: F.relu(m.second(F.relu(x))), lambda m, x: GUIDED(m.second(GUIDED(x)))),
    "residual": (lambda m, x: x + m.act(x), lambda m, x: x + GUIDED(x)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU:UserWarning")
@pytest.mark.parametrize("kind", MISSED)
def test_captum_where_it_is_wrong(kind):
    """Negative control: the trap is real.

    Captum overlooks a functional ReLU, and applies the rule of a ReLU to all that its input receives.
    """
    written, explicit = MISSED[kind]
    module = ready(Calls(written, act=nn.ReLU(), second=nn.Conv2d(4, 4, 3)))
    twin = copy.deepcopy(module)
    twin.function = explicit
    x = picture()
    expected = autograd(twin, x, 0)
    assert_close(attribute(module, x, "guided", 0), expected)
    assert_close(visualize(from_torch(module, SHAPE), x, "guided", 0), expected)
    assert np.abs(captum_map(module, x, "guided", 0) - expected).max() > 0.1 * np.abs(expected).max()


def test_seeds_are_one_and_targets_those_of_visualize():
    module = ready(Calls(lambda m, x: F.relu(x)))
    with torch.no_grad():
        module.fc.bias -= 100
    net, x = from_torch(module, SHAPE), picture()
    assert (net.logits(x) < 0).all()
    for rule in RULES:
        for target in ("max", "random", "cost", 2, np.int64(1)):
            assert_close(
                attribute(module, x, rule, target, seed=5), visualize(net, x, rule, target, seed=5), 1e-9
            )
    xs = np.stack([picture(seed) for seed in range(4)])
    maps = attribute_many(module, xs, ["guided", "saliency"], ["max", 0])
    assert maps.shape == (2, 2, 4, *SHAPE)
    kept = attribute_many(module, xs, ["guided", "saliency"], ["max", 0], output="torch")
    assert isinstance(kept, torch.Tensor)
    assert not kept.requires_grad
    assert np.array_equal(kept.numpy(), maps)
    with pytest.raises(ValueError, match="unknown output 'cupy'"):
        attribute_many(module, xs, ["guided"], [0], output="cupy")
    for place, one in enumerate(xs):
        assert_close(maps[:, :, place], visualize_many(net, one, ["guided", "saliency"], ["max", 0]))


class Diary(Calls):
    """Its forward keeps what it sees."""

    def forward(self, x):
        self.seen = x
        self.log.append(x)
        return super().forward(torch.maximum(x, torch.tensor(0.0, dtype=torch.float64)))


def test_a_module_that_keeps_what_it_sees():
    module = Diary(lambda m, x: F.relu(x))
    module.log = []
    ready(module)
    before = (set(module.__dict__), module.seen, list(module.log))
    for call in (lambda: attribute(module, picture(), "guided"), lambda: from_torch(module, SHAPE)):
        call()
        assert set(module.__dict__) == before[0]
        assert module.seen is before[1]
        assert len(module.log) == len(before[2]) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtypes(dtype):
    module = ready(Calls(lambda m, x: F.relu(x)), dtype=dtype)
    kind = np.dtype(str(dtype).removeprefix("torch."))
    net, x = from_torch(module, SHAPE), picture()
    assert net.dtype == attribute(module, x, "guided").dtype == kind
    assert attribute(module, x.astype(np.float32), "guided").dtype == kind
    assert_close(attribute(module, x, "guided", 0), visualize(net, x, "guided", 0), 1e-5)
    assert_close(attribute(module, x, "guided", 0, device="cpu"), attribute(module, x, "guided", 0), 0)


def test_another_device_gets_a_copy(monkeypatch):
    """The copy's path, without a second device."""
    module, x = ready(Calls(lambda m, x: F.relu(x))), picture()
    expected = attribute(module, x, "guided", 0)
    original = _twin.precision
    monkeypatch.setattr(_twin, "precision", lambda module: (original(module)[0], torch.device("cpu", 0)))
    np.testing.assert_array_equal(attribute(module, x, "guided", 0, device="cpu"), expected)


SMOOTH = [
    nn.GELU(), nn.Sigmoid(), nn.Tanh(), nn.CELU(), nn.ReLU6(), nn.Hardtanh(0, 9), nn.ELU(),
    nn.SiLU(), nn.PReLU(), nn.Threshold(0, 0), nn.Softplus(), nn.Softmax(1), nn.Hardswish(),
]  # fmt: skip
FUNCTIONS = {
    "gelu": F.gelu,
    "celu": F.celu,
    "relu6": F.relu6,
    "hardtanh": lambda x: F.hardtanh(x, 0, 1e9),
    "threshold": lambda x: F.threshold(x, 0, 0),
    "sigmoid": torch.sigmoid,
    r"Tensor\.tanh": lambda x: x.tanh(),
    r"Tensor\.clamp": lambda x: x.clamp(0, 6),
    "clamp": lambda x: torch.clamp(x, min=-1),
    "gt": lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
    r"Tensor\.sign": lambda x: x * x.sign(),
    "abs": lambda x: x + torch.abs(x),
    "maximum": lambda x: torch.maximum(x, -x),
    r"Tensor\.exp": lambda x: x.exp(),
    "relu": lambda x: torch.ops.aten.relu(x),
}


@pytest.mark.parametrize("layer", SMOOTH, ids=lambda layer: type(layer).__name__)
def test_activations_without_a_rule(layer):
    module, x = ready(Calls(lambda m, x: F.relu(m.own(x)), own=copy.deepcopy(layer))), picture()
    assert_close(attribute(module, x, "saliency", 0), autograd(module, x, 0))
    named = rf"^own \({type(layer).__name__}\): "
    for rule in ("deconvnet", "guided"):
        with pytest.raises(ValueError, match=named + f"rule '{rule}' is not defined"):
            attribute(module, x, rule)
    with pytest.raises(ValueError, match=named + "from_torch does not know this layer"):
        from_torch(module, SHAPE)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_without_a_rule(name):
    module, x = ready(Calls(lambda m, x: m.own(x), own=Function(FUNCTIONS[name]))), picture()
    assert_close(attribute(module, x, "saliency", 0), autograd(module, x, 0))
    with pytest.raises(
        ValueError, match=rf"^(function|method) \S*{name} in own: rule 'guided' is not"
    ) as caught:
        attribute(module, x, "guided")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"^(function|method) .* in own: from_torch does not know"):
        from_torch(module, SHAPE)


LEAKY = {
    "module": lambda m, x: m.own(x),
    "functional": lambda m, x: F.leaky_relu(x, 0.2),
    "keyword": lambda m, x: F.leaky_relu(x, negative_slope=0.2),
    "in place": lambda m, x: F.leaky_relu(x.clone(), 0.2, inplace=True),
    "underscore": lambda m, x: F.leaky_relu_(x.clone(), 0.2),
}


@pytest.mark.parametrize("spelling", LEAKY)
def test_leaky_relu(spelling):
    """Beside PyTorch's own gradient, and beside its backward hooks for the other rules."""
    module, x = ready(Calls(LEAKY[spelling], own=nn.LeakyReLU(0.2))), picture()
    assert_close(attribute(module, x, "saliency", 0), autograd(module, x, 0))
    plain = ready(Calls(LEAKY["module"], own=nn.LeakyReLU(0.2)))
    plain.load_state_dict(module.state_dict())
    for rule, hook in HOOKS_OF_RULES.items():
        assert_close(attribute(module, x, rule, 0), hooked(plain, x, 0, hook))
    if spelling in ("module", "functional", "keyword"):
        net = from_torch(module, SHAPE)
        for rule in ("saliency", *HOOKS_OF_RULES):
            assert_close(visualize(net, x, rule, 0), attribute(module, x, rule, 0))


OPTIONS = {
    r"own \(Conv2d\): groups=2": lambda: nn.Conv2d(4, 4, 1, groups=2),
    r"own \(Conv2d\): dilation": lambda: nn.Conv2d(4, 4, 2, dilation=2),
    r"own \(Conv2d\): padding_mode='circular'": lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    r"own \(Conv2d\): padding='same' of kernel \(3, 3\), more": lambda: even_same(),
    r"own \(MaxPool2d\): dilation=2": lambda: nn.MaxPool2d(2, dilation=2),
    r"own \(AvgPool2d\): ceil_mode=True": lambda: nn.AvgPool2d(2, ceil_mode=True),
    r"own \(AvgPool2d\): divisor_override=3": lambda: nn.AvgPool2d(2, divisor_override=3),
    r"own \(BatchNorm2d\): it has no running statistics": lambda: nn.BatchNorm2d(4, track_running_stats=False),
    r"own \(Linear\): expected an input of shape \(n,\)": lambda: nn.Linear(5, 5),
    r"own \(GroupNorm\): from_torch does not know": lambda: nn.GroupNorm(2, 4),
    r"own \(ConvTranspose2d\): from_torch does not know": lambda: nn.ConvTranspose2d(4, 4, 2),
    r"method Tensor\.mean in own: only the mean of each plane, mean": lambda: Function(lambda x: x.mean(1)),
    r"method Tensor\.mean in own: only the mean of each .*AdaptiveAvgPool2d": lambda: Function(lambda x: x.mean((1, 3), True)),
    r"function torch\.mean in own: only the mean of each": lambda: Function(lambda x: torch.mean(x, (2,), keepdim=True)),
    r"own\.0 \(GroupNorm\): from_torch": lambda: nn.Sequential(nn.GroupNorm(2, 4), Function(lambda x: x.mean((2, 3)))),
    r"method Tensor\.permute in own": lambda: Function(lambda x: x.permute(0, 2, 3, 1)),
    r"method Tensor\.mul in own: from_torch does not know": lambda: Function(lambda x: x * 2),
    r"method Tensor\.add in own: expected a tensor": lambda: Function(lambda x: x + 1),
    r"function torch\.add in own: alpha": lambda: Function(lambda x: torch.add(x, x, alpha=2)),
    r"method Tensor\.add in own: expected inputs of one shape": lambda: Function(lambda x: x + F.adaptive_avg_pool2d(x, 1)),
    r"method Tensor\.getitem in own: from_torch does not know": lambda: Function(lambda x: x[:, 1:]),
    r"method Tensor\.mT in own: from_torch does not know": lambda: Function(lambda x: x.mT),
    r"function torch\.flatten in own: expected all axes": lambda: Function(lambda x: torch.flatten(x, 2)),
    r"method Tensor\.view in own: expected all axes .*\(1, 4, 30\)": lambda: Function(lambda x: x.view(x.size(0), 4, -1)),
    r"method Tensor\.setitem in own: from_torch does not know": lambda: Function(lambda x: overwrite(x)),
    r"method Tensor\.sub_ in own": lambda: Function(lambda x: x.sub_(1)),
}  # fmt: skip


def overwrite(x):
    x[:, 0] = 0
    return x


def even_same():
    return nn.Conv2d(4, 4, 2, padding="same")


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("named", OPTIONS)
def test_options_without_a_counterpart(named):
    """Refused by `from_torch` in one line that names it; PyTorch itself attributes it."""
    module, x = ready(Calls(lambda m, x: m.own(x), own=OPTIONS[named]())), picture()
    with pytest.raises(
        (TypeError, ValueError), match="^" + named.replace(r"\(3, 3\)", r"\(2, 2\)")
    ) as caught:
        from_torch(module, SHAPE)
    assert "\n" not in str(caught.value)
    if "statistics" not in named:
        assert_close(attribute(module, x, "saliency", 0), autograd(module, x, 0))


class Branching(nn.Module):
    def forward(self, x):
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


class Wanting(nn.Module):
    def forward(self, x, mask):
        return (mask * x).flatten(1)


class Halting(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            y = x.relu()
        return (x + y).flatten(1)


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(context, y):
        return y

    @staticmethod
    def backward(context, gradient):
        return -gradient


HOPELESS = {
    r"module \(Branching\), test_torch_bridge\.py line \d+: `return x.*`: what it computes depends on": Branching(),
    r"method Tensor\.relu: it runs without gradients": Halting(),
    r"module: the forward of Wanting takes \(x, mask\); expected one argument": Wanting(),
    r"Substituted \(torch.autograd.Function\): it has a backward pass of its own": Function(GUIDED),
    r"Straight \(torch.autograd.Function\): it has a backward": Function(
        lambda x: Straight.apply(x).flatten(1)
    ),
    r"module \(Function\), .*: what it computes depends on values": Function(
        lambda x: torch.from_numpy(x.numpy())
    ),
}


@pytest.mark.parametrize("message", HOPELESS)
def test_what_cannot_be_followed(message):
    assert_refused(HOPELESS[message], picture(), "^" + message, "saliency")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_compiled_modules():
    module = ready(Calls(lambda m, x: x.relu()))
    module.conv = torch.jit.script(module.conv)
    words = r"^conv \(RecursiveScriptModule\): it is compiled by TorchScript$"
    assert_refused(module, picture(), words, "saliency")


def test_other_bad_input():
    module, x = ready(Calls(lambda m, x: F.relu(x))), picture()
    half = copy.deepcopy(module)
    half.conv.half()
    mixed = copy.deepcopy(module)
    mixed.fc.float()
    many = attribute_many
    huge = Function(lambda x: (x * 1e300 * 1e300).flatten(1))
    spoilt = Function(lambda x: F.relu_(x.sigmoid()).flatten(1))
    for call, kind, message in [
        (lambda: attribute(3, x, "guided"), TypeError, r"module: expected a torch\.nn\.Module, got int"),
        (lambda: attribute(module, x, "guide"), ValueError, "unknown rule 'guide'"),
        (lambda: attribute(module, x, "guided", 3), ValueError, "target: logit 3 does not exist"),
        (lambda: attribute(module, x, "guided", "best"), ValueError, "unknown target 'best'"),
        (lambda: attribute(module, x[0], "guided"), ValueError, r"x: expected \(C, H, W\), got \(6, 5\)"),
        (lambda: attribute(module, x * np.nan, "guided"), ValueError, "x: not finite at index"),
        (lambda: attribute(module, x[:1], "guided"), ValueError, r"conv \(Conv2d\): .*channels"),
        (lambda: attribute(half, x, "guided"), ValueError, r"conv\.weight: expected float32 or float64, got torch\.float16"),
        (lambda: attribute(mixed, x, "guided"), ValueError, r"fc\.weight: torch\.float32 beside torch\.float64 of conv"),
        (lambda: from_torch(half, SHAPE), ValueError, r"conv\.weight: expected float32 or float64"),
        (lambda: from_torch(mixed, SHAPE), ValueError, r"fc\.weight: torch\.float32 beside"),
        (lambda: from_torch(module, (2, 6)), ValueError, r"expected an input shape \(C, H, W\)"),
        (lambda: from_torch(module, (2, 9, 9)), ValueError, r"fc \(Linear\): mat1 and mat2 shapes cannot be multiplied"),
        (lambda: from_torch(nn.ReLU(), SHAPE), ValueError, "the last output must be"),
        (lambda: from_torch(Function(lambda x: (x, x)), SHAPE), ValueError, "expected one tensor of .*, got tuple of Tensor"),
        (lambda: from_torch(Function(lambda x: {"logits": x}), SHAPE), ValueError, "module: expected one tensor of .*, got dict"),
        (lambda: attribute(Function(lambda x: (x, x)), x, "guided"), ValueError, "module: expected a tensor of logits"),
        (lambda: attribute(nn.ReLU(), x, "guided"), ValueError, r"module: expected logits of shape \(1, K\), got \(1, 2, 6, 5\)"),
        (lambda: attribute(Function(lambda x: x.flatten(1).float()), x, "saliency"), ValueError, "module: expected logits of"),
        (lambda: many(module, x, ["guided"], [0]), ValueError, r"xs: expected \(B, C, H, W\)"),
        (lambda: many(module, x[None], "guided", [0]), TypeError, "rules: expected a sequence"),
        (lambda: many(module, x[None], ["guided"], "max"), TypeError, "targets: expected a sequence"),
        (lambda: attribute(huge, x, "guided"), ValueError, "module: logits leave the range"),
        (lambda: attribute(spoilt, x, "saliency"), ValueError, "module: PyTorch cannot differentiate it"),
    ]:  # fmt: skip
        with pytest.raises(kind, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    for path in ("conv.weight", "fc.bias"):
        spoilt = copy.deepcopy(module)
        spoilt.get_parameter(path).data.view(-1)[1] = np.nan
        for call in (from_torch, lambda module, shape: attribute(module, x, "guided")):
            with pytest.raises(ValueError, match=rf"^{path}: not finite at index \("):
                call(spoilt, SHAPE)
    constant = Function(lambda x: torch.zeros_like(x).flatten(1))
    assert not attribute(constant, x, "guided", 0).any()


def test_the_public_names():
    assert torch_bridge.__all__ == ["attribute", "attribute_many", "from_torch", "stack_of", "to_torch"]


def test_without_pytorch_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for call in (
        lambda: torch_bridge.from_torch(object(), (1, 3, 3)),
        lambda: torch_bridge.attribute(object(), np.ones((1, 3, 3)), "guided"),
    ):
        with pytest.raises(ModuleNotFoundError, match=r"PyTorch is not installed; pip install torch"):
            call()
