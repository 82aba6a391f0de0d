"""A PyTorch module as a Stack: the layers of the known networks, the scale of its weights, the law of its redraws."""

import dataclasses
import math

import numpy as np
import pytest
import torch_graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

from theorylab import Gaussian, LeakyReLU, NoLaw, ReLU, Stack, Uniform, draw, law, models, torch_bridge
from theorylab.description import biased, description
from theorylab.model.pooling import MaxPool
from theorylab.model.specs import AdaptiveAveragePool, ConvSpec, Dense, Residual
from theorylab.networks.from_stack import from_stack

torch = pytest.importorskip("torch")
nn = torch.nn
stack_of = torch_bridge.stack_of
SHAPE = (3, 8, 8)


def tail(size):
    return nn.Flatten(), nn.Linear(size, 2)


def made(build, seed=0):
    """A module without biases, its weights drawn anew by `kaiming_normal_`."""
    torch.manual_seed(seed)
    with torch.device("meta"):
        module = build()
    return redraw(module.to_empty(device="cpu").eval())


def redraw(module):
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_parameters()
        elif isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return module


def plain(layer, std=1.0):
    """A layer whose weights are of one size."""
    if isinstance(layer, Residual):
        return Residual([plain(part) for part in layer.branch], layer.shortcut and plain(layer.shortcut))
    return dataclasses.replace(layer, std=std) if isinstance(layer, (ConvSpec, Dense)) else layer


def stds(stack):
    """Of all layers, and of the readout."""
    for layer in stack.layers:
        if isinstance(layer, Residual):
            yield from (part.std for part in (*layer.branch, layer.shortcut) if part is not None)
        elif isinstance(layer, (ConvSpec, Dense)):
            yield layer.std
    yield stack.readout.std


def vgg():
    module = torch_graphs.VGG16(None, 7)
    for number, layer in ((0, nn.Linear(512 * 49, 16)), (3, nn.Linear(16, 16)), (6, nn.Linear(16, 7))):
        module.classifier[number] = layer
    return module


def known_vgg():
    fan_in = math.sqrt(2 / 16)
    return models.vgg16(7, input_shape=(3, 32, 32), n_hidden=16, readout=fan_in)


def known_resnet():
    stack = models.resnet(width=4, n_logits=7, input_shape=(3, 32, 32))
    return dataclasses.replace(stack, readout=math.sqrt(2 / 128))


@pytest.mark.parametrize(
    ("build", "known"),
    [(vgg, known_vgg), (lambda: torch_graphs.ResNet(None, 7, width=4), known_resnet)],
    ids=["vgg16", "resnet50"],
)
def test_known_networks_are_known(build, known):
    module, known = made(build), known()
    for init, factor in (("kaiming", 1.0), ("as-is", None)):
        found = stack_of(module, (3, 32, 32), init=init)
        assert list(map(plain, found.layers)) == list(map(plain, known.layers))
        assert (found.unit, found.n_logits, found.bias_std) == (ReLU(), 7, 0)
        ratios = np.divide(list(stds(found)), list(stds(known)))
        # The smallest layer has 16 weights; the root mean square of n varies by 1/√(2n).
        np.testing.assert_allclose(ratios, factor or 1, rtol=1e-9 if factor else 5 / math.sqrt(2 * 16))


@pytest.mark.parametrize(("kind", "constant"), [("kaiming", 2.0), ("pytorch", 1 / 3)])
def test_schemes_are_those_of_pytorch(kind, constant):
    torch.manual_seed(3)
    module = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 36, 100)).eval()
    found = stack_of(redraw(module) if kind == "kaiming" else module, SHAPE)
    for read, scheme in zip(stds(found), stds(stack_of(module, SHAPE, init=kind)), strict=True):
        assert read == pytest.approx(scheme, rel=5 / math.sqrt(2 * 64 * 27))
    assert stack_of(module, SHAPE, init=kind).layers[0].std == pytest.approx(math.sqrt(constant / 27))


def test_biases_are_kept_where_asked():
    torch.manual_seed(2)
    layers = nn.Conv2d(3, 400, 3), nn.ReLU(), nn.Conv2d(400, 6, 3, bias=False), nn.ReLU()
    module = nn.Sequential(*layers, nn.Flatten(), nn.Linear(96, 500), nn.ReLU(), nn.Linear(500, 2)).eval()
    found = stack_of(module, SHAPE, init="pytorch", biases=True)
    half = 1 / math.sqrt(27)
    assert found.layers[0].weights.half_width == pytest.approx(half)
    assert [layer.bias is None for layer in found.layers] == [False, True, False]
    assert found.layers[0].bias == found.layers[0].weights
    assert isinstance(found.readout, Uniform)
    assert found.readout.half_width == pytest.approx(1 / math.sqrt(500))
    for layer, own in ((0, module[0]), (2, module[5])):
        drawn = own.bias.detach().numpy()
        assert abs(drawn).max() <= found.layers[layer].bias.half_width
        kept = stack_of(module, SHAPE, biases=True).layers[layer].bias
        assert isinstance(kept, Gaussian)
        assert kept.std == pytest.approx(math.sqrt((drawn**2).mean()), rel=1e-6)
        assert kept.std == pytest.approx(found.layers[layer].bias.std, rel=0.15)
    for options in ({"init": "kaiming", "biases": True}, {"init": "pytorch"}, {}):
        assert all(layer.bias is None for layer in stack_of(module, SHAPE, **options).layers)


def test_batch_normalisation_is_folded_as_pytorch_folds_it():
    torch.manual_seed(1)
    convolution, norm = nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5, eps=0.1)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(tensor)
    nn.init.uniform_(norm.running_var, 0.1, 3)
    module = nn.Sequential(convolution, norm, nn.ReLU(), nn.Flatten(), nn.Linear(180, 2)).eval()
    folded = torch.nn.utils.fusion.fuse_conv_bn_eval(convolution.eval(), norm)
    stack = stack_of(module, SHAPE)
    assert stack.layers[0].std == pytest.approx(folded.weight.square().mean().sqrt().item(), rel=1e-6)
    kept = stack_of(module, SHAPE, biases=True).layers[0]
    assert (kept.std, kept.bias.std) == pytest.approx(
        (stack.layers[0].std, folded.bias.square().mean().sqrt().item()), rel=1e-6
    )
    assert stack_of(module, SHAPE, init="kaiming").layers[0].std == pytest.approx(math.sqrt(2 / 27))
    net = torch_bridge.from_torch(module, SHAPE)
    assert biased(net.nodes, net.parameters) == ["1"]
    norm.reset_parameters(), norm.reset_running_stats()
    net = torch_bridge.from_torch(module, SHAPE)
    assert biased(net.nodes, net.parameters) == []


@st.composite
def stacks(draw_):
    """Stacks on 3×16×16 that a graph can be."""
    layers, channels, small = [], 3, 16
    for kind in draw_(
        st.lists(st.sampled_from(["conv", "residual", "identity", "pool", "mean"]), max_size=5)
    ):
        std = draw_(st.floats(0.1, 2))
        n = draw_(st.integers(1, 5))
        if kind == "conv" or not layers:
            layers.append(ConvSpec(n, 3, 1, 1, std))
        elif kind == "residual":
            layers.append(Residual([ConvSpec(2, 1), ConvSpec(n, 3, 2, 1, std)], ConvSpec(n, 1, 2)))
            small = -(-small // 2)
        elif kind == "identity":
            layers.append(Residual([ConvSpec(2, 1, std=std)] * (n - 1) + [ConvSpec(channels, 3, 1, 1)]))
            n = channels
        elif kind == "pool" and small > 3:
            layers.append(MaxPool(3, 2, 1))
            small, n = -(-small // 2), channels
        else:
            layers.append(AdaptiveAveragePool(small))
            n = channels
        channels = n
    dense = draw_(st.lists(st.integers(1, 4), min_size=0 if layers else 1, max_size=2))
    unit = draw_(st.sampled_from([ReLU(), LeakyReLU(0.2)]))
    return Stack((3, 16, 16), [*layers, *map(Dense, dense)], unit, 0.7, 2)


@settings(deadline=None, max_examples=40)
@given(stacks(), seeds)
def test_a_stack_is_read_from_its_own_graph(stack, seed):
    net = from_stack(stack, seed=seed)
    found = description(net.nodes, net.parameters)
    assert list(map(plain, found.layers)) == list(map(plain, stack.layers))
    assert (found.unit, found.n_logits, found.input_shape) == (stack.unit, 2, stack.input_shape)
    held = {name: math.sqrt(np.mean(array**2)) for name, array in net.parameters.items()}
    assert sorted(stds(found)) == pytest.approx(sorted(held.values()))


def test_average_pools_that_tile_the_plane():
    def pooled(*arguments, side=3, **options):
        layers = nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.AvgPool2d(*arguments, **options), nn.Flatten()
        return nn.Sequential(*layers, nn.Linear(4 * side**2, 2)).eval()

    assert stack_of(pooled(2), SHAPE).layers[1] == AdaptiveAveragePool(3)
    assert stack_of(pooled(6, 1, side=1), SHAPE).layers[1] == AdaptiveAveragePool(1)
    for module in (pooled(4, side=1), pooled(2, 1, side=5), pooled(2, padding=1, side=4)):
        with pytest.raises(NoLaw, match=r"at 2, average pooling of windows that do not tile"):
            stack_of(module, SHAPE)


class Joined(nn.Module):
    """``top(join(x, branch(x)))``"""

    def __init__(self, join, *branch):
        super().__init__()
        self.first, self.join, self.branch = nn.Conv2d(3, 3, 3, padding=1), join, nn.Sequential(*branch)
        self.last, self.fc = nn.ReLU(), nn.Linear(192, 2)

    def forward(self, x):
        x = self.last(self.first(x))
        return self.fc(self.last(self.join(x, self.branch(x))).flatten(1))


class Twice(nn.Module):
    """``relu(way(h) + h)`` of one convolution's output ``h``: its weights are in both terms."""

    def __init__(self, *way):
        super().__init__()
        self.first, self.way, self.fc = conv(), nn.Sequential(*way), nn.Linear(192, 2)

    def forward(self, x):
        h = self.first(x)
        return self.fc(torch.relu(self.way(h) + h).flatten(1))


def conv(**options):
    return nn.Conv2d(3, 3, 3, padding=1, **options)


SHARED = conv()
HEAD = nn.Flatten(), nn.Linear(192, 2)


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (nn.Sequential(conv(), *HEAD), "2, with no unit before it"),
        (nn.Sequential(conv(), conv(), nn.ReLU(), *HEAD), "1, with no unit before it"),
        (nn.Sequential(conv(), nn.MaxPool2d(1), nn.ReLU(), *HEAD), "1, with no unit before it"),
        (nn.Sequential(*HEAD), "1, where linear logits above layers with a unit are expected"),
        (nn.Sequential(conv(), nn.ReLU(), *HEAD, nn.ReLU()), "4, where linear logits"),
        (nn.Sequential(nn.ReLU(), conv(), nn.ReLU(), *HEAD), "0, a unit with no layer of weights before it"),
        (nn.Sequential(conv(), nn.ReLU(), conv(), nn.LeakyReLU(0.1), *HEAD), r"3, LeakyReLU\(.*above ReLU"),
        (nn.Sequential(SHARED, nn.ReLU(), SHARED, nn.ReLU(), *HEAD), "shares its weights with another layer"),
        (nn.Sequential(nn.BatchNorm2d(3), conv(), nn.ReLU(), *HEAD), "0, batch normalisation that does not"),
        (nn.Sequential(conv(), nn.GELU(), *HEAD), r"1 \(GELU\), from_torch does not know this layer"),
        (nn.Sequential(conv(groups=3), nn.ReLU(), *HEAD), r"0 \(Conv2d\), groups=3 has no counterpart"),
        (Joined(torch.mul, conv()), "function torch.mul"),
        (Joined(torch.add, conv(), nn.ReLU()), "add, a sum that is no residual block"),
        (Joined(torch.add), "add, a sum that is no residual block"),
        (Twice(), "add, a sum that is no residual block"),
        (Twice(nn.BatchNorm2d(3)), "add, a sum that is no residual block"),
        (Twice(nn.ReLU(), conv()), "add, a sum that is no residual block"),
        (
            Twice(nn.BatchNorm2d(3), nn.ReLU(), conv(), nn.ReLU(), conv()),
            "add, a sum that is no residual block",
        ),
        (Joined(torch.add, nn.BatchNorm2d(3)), "batch normalisation that does not follow a convolution"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_stack_is_is_named(module, named):
    with pytest.raises(NoLaw, match=f"no law at .*{named}") as caught:
        stack_of(module.eval(), SHAPE)
    assert "torch_bridge.attribute" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_layers_without_a_scale_are_named():
    module = Joined(torch.add, conv(), nn.BatchNorm2d(3)).eval()
    assert isinstance(stack_of(module, SHAPE).layers[1], Residual)
    nn.init.zeros_(module.branch[1].weight)  # as some begin the training
    with pytest.raises(NoLaw, match=r"branch\.1, whose weights are all 0"):
        stack_of(module, SHAPE)


def test_a_residual_network_with_its_pool_has_a_law():
    module = made(lambda: torch_graphs.ResNet(None, 3, (1,), 4))
    stack = stack_of(module, (3, 16, 16))
    assert stack.layers[1] == MaxPool(3, 2, 1)
    assert law(stack, np.ones((3, 16, 16)), "guided").expected_cosine() > 0
    assert draw(stack, np.ones((3, 16, 16)), "guided", size=1).shape == (1, 1, 1, 3, 16, 16)


def test_windows_beyond_the_plane_are_the_module_s():
    stack = stack_of(
        nn.Sequential(conv(), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Flatten(), nn.Linear(48, 2)),
        SHAPE,
    )
    assert stack.layers[1] == MaxPool(3, 2, ceil_mode=True)


def z_scores(first, second):
    """Of the difference of two means over rows."""
    variances = [np.var(one, axis=0, ddof=1) / len(one) for one in (first, second)]
    return (np.mean(first, axis=0) - np.mean(second, axis=0)) / np.sqrt(sum(variances))


def numbers(maps, x):
    """Energy and inner product with the input of each map."""
    flat = np.reshape(maps, (len(maps), -1)).astype(float)
    return np.stack([(flat**2).sum(axis=1), flat @ x.ravel()], axis=1)


def test_redraws_of_a_module_have_the_law_of_its_stack():
    """Exact: one hidden layer of Gaussian weights, pooled and not."""
    x = np.random.default_rng(5).normal(size=SHAPE)
    for pool, size in ((nn.Identity(), 36), (nn.MaxPool2d(2), 9)):
        module = made(
            lambda pool=pool, size=size: nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), pool, *tail(6 * size))
        )
        stack = stack_of(module, SHAPE, init="kaiming")
        predicted = law(stack, x, "guided").mean.ravel()
        torch.manual_seed(7)
        shown = [torch_bridge.attribute(redraw(module), x, "guided", 1).ravel() for _ in range(400)]
        drawn = draw(stack, x, "guided", size=400, seed=8).reshape(400, -1)
        for maps in (np.array(shown, dtype=float), drawn):
            errors = maps.std(axis=0, ddof=1) / math.sqrt(len(maps))
            assert np.abs((maps.mean(axis=0) - predicted) / errors).max() < 5  # of 192 entries
            along = maps @ predicted / (predicted @ predicted)
            assert abs(along.mean() - 1) < 4 * along.std(ddof=1) / 20
        assert np.abs(z_scores(numbers(shown, x), numbers(drawn, x))).max() < 4


def test_redraws_of_a_deep_module_look_as_draws_of_its_stack():
    x = np.random.default_rng(6).normal(size=(3, 16, 16))
    module = made(lambda: torch_graphs.ResNet(None, 3, (1, 1), 4))
    stack = stack_of(module, x.shape, init="kaiming")
    torch.manual_seed(9)
    shown = [torch_bridge.attribute(redraw(module), x, "guided", 1) for _ in range(150)]
    drawn = draw(stack, x, "guided", size=150, seed=10)[:, 0, 0]
    assert np.abs(z_scores(numbers(shown, x), numbers(drawn, x))).max() < 4
