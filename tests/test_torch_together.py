"""All rules and logits of a batch in one backward pass: the maps of one at a time, whatever the module holds."""

import concurrent.futures
import warnings

import numpy as np
import pytest
import torch_graphs
from strategies import RULES
from test_torch_as_it_runs import Net, marks, picture, world

from theorylab import rules
from theorylab.model.rules import Rule
from theorylab.torch_bridge import _rectifiers, _signals, attribute_many

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
checkpoint = pytest.importorskip("torch.utils.checkpoint").checkpoint
# Unlike in sign and size, so that no two give one map: of a third the gate stays open.
OWN = [
    rules.define("unlike-halves", h=lambda r: np.maximum(r, 0) * 3 + np.minimum(r, 0) * -0.5, gate=True),
    rules.define("doubled-above", h=lambda r: np.maximum(r, 0) * 2, gate=True),
    rules.define("folded", h=np.abs, gate=False),
    Rule.LINEAR,
]
XS = np.stack([picture(seed) for seed in range(3)])
TARGETS = [0, 2]


@pytest.fixture
def passes(monkeypatch):
    """How many backward passes ran, since the list was last emptied."""
    seen, own = [], _signals._gradient
    monkeypatch.setattr(_signals, "_gradient", lambda *given: seen.append(1) or own(*given))
    return seen


def one_by_one(*given):
    """Maps by as many backward passes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_signals, "_at_once", lambda *given: 1)
        return attribute_many(*given)


def check(module, passes, together=True, xs=XS, chosen=(*RULES, *OWN), tolerance=1e-12):
    """Maps of all together are those of each alone, and nobody is warned."""
    alone = one_by_one(module, xs, chosen, TARGETS)
    assert alone.any(axis=(2, 3, 4, 5)).all()
    assert len(passes) == len(chosen) * len(TARGETS)
    passes.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = attribute_many(module, xs, chosen, TARGETS)
    assert len(passes) == (1 if together else len(chosen) * len(TARGETS))
    np.testing.assert_allclose(found, alone, rtol=0, atol=tolerance * np.abs(alone).max())
    return found


def test_rules_differ_from_each_other_where_signals_go_back_together(passes):
    found = check(Net(), passes)
    for (place, number), maps in zip(np.ndindex(found.shape[:2]), found.reshape(-1, *XS.shape), strict=True):
        rule, k = (*RULES, *OWN)[place], TARGETS[number]
        np.testing.assert_allclose(attribute_many(Net(), XS, [rule], [k])[0, 0], maps, rtol=0, atol=1e-12)
    flat = found.reshape(len(found) * 2, -1)
    apart = np.abs(flat[:, None] - flat).max(-1) + np.eye(len(flat))
    assert apart.min() > 1e-3


WEIGHT = torch.rand(48, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 0.3
POSITIVE = WEIGHT[:4, :12].reshape(1, 4, 4, 3) + 1
ONES = torch.linspace(1, 2, 4, dtype=torch.float64)
# Linear, pooling or normalisation, by the steps of the backward pass that they add.
STEPS = {
    "Convolution": lambda v: F.conv2d(v, WEIGHT[:4, :36].reshape(4, 4, 3, 3), ONES, padding=1),
    "Convolution, groups": lambda v: F.conv2d(v, WEIGHT[:4, :9].reshape(4, 1, 3, 3), padding=1, groups=4),
    "Convolution, transposed": lambda v: F.conv_transpose2d(
        v, WEIGHT[:4, :36].reshape(4, 4, 3, 3), padding=1
    ),
    "Addmm": lambda v: F.linear(v.flatten(1), WEIGHT, WEIGHT[0]),
    "Mm, UnsafeView": lambda v: v @ WEIGHT[:3, :3],
    "Bmm": lambda v: torch.bmm(v.flatten(2), WEIGHT[:12, :12].expand(len(v), 12, 12)),
    "Add, Neg, Mul": lambda v: -v + 2 * v * POSITIVE,
    "Sub, Mean": lambda v: v - v.mean((2, 3), keepdim=True),
    "Rsub, Div": lambda v: 1 - v / POSITIVE,
    "Sum, Expand": lambda v: v + v.sum(1, keepdim=True).expand(-1, 4, -1, -1),
    "Cat, Split": lambda v: torch.cat(v.split(1, 1)[::-1], 1),
    "Stack, Unbind": lambda v: torch.stack(v.unbind(1)[::-1], 1),
    "Select": lambda v: torch.stack([v[:, k] for k in (3, 0, 1, 2)], 1),
    "MaxPool2DWithIndices": lambda v: F.max_pool2d(v, 3, 1, 1),
    "AvgPool2D": lambda v: F.avg_pool2d(v, 3, 1, 1),
    "AdaptiveAvgPool2D": lambda v: v + F.adaptive_avg_pool2d(v, (4, 1)),
    "AdaptiveMaxPool2D": lambda v: v + F.adaptive_max_pool2d(v, (4, 1)),
    "NativeBatchNorm": lambda v: F.batch_norm(v, ONES, ONES, ONES, ONES),
    "NativeLayerNorm": lambda v: F.layer_norm(v, (3,), ONES[:3], ONES[:3]),
    "NativeGroupNorm": lambda v: F.group_norm(v, 2, ONES, ONES),
    "View": lambda v: v.view(len(v), 3, 4, 4).view(len(v), 4, 4, 3),
    "Clone, Transpose": lambda v: v.clone().transpose(1, 2),
    "T": lambda v: v.flatten(1).t().t().view_as(v),
    "Permute, ReshapeAlias": lambda v: v.permute(0, 2, 1, 3).reshape(len(v), 4, 4, 3),
    "Squeeze, Unsqueeze": lambda v: v[:, :1].squeeze(1).unsqueeze(1) + v,
    "Slice": lambda v: v[:, 1:2] + v,
    "Flip, Roll, Repeat": lambda v: v.flip(1) + v.roll(1, 2) + v[:, :2].repeat(1, 2, 1, 1),
    "ConstantPadNd": lambda v: F.pad(v, (1, 0))[..., :3],
    "ReflectionPad2D": lambda v: F.pad(v, (1, 1, 1, 1), "reflect")[..., 2:, 2:],
    "ReplicationPad2D": lambda v: F.pad(v, (1, 1, 1, 1), "replicate")[..., 2:, 2:],
    "UpsampleNearest2D": lambda v: F.interpolate(v, scale_factor=2)[..., 1:5, 1:4],
    "UpsampleBilinear2D": lambda v: F.interpolate(v, scale_factor=2, mode="bilinear")[..., 1:5, 1:4],
    "PixelShuffle": lambda v: v + F.pixel_shuffle(v, 2)[:, :, :4, :3],
    "ToCopy": lambda v: v.float().double(),
}
# Not linear, so under the true gradient alone.
CURVED = {
    "Gelu": F.gelu, "Silu": F.silu, "Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Hardswish": F.hardswish,
    "Hardtanh": F.hardtanh, "Elu": F.elu, "Softmax": lambda v: v.softmax(-1),
}  # fmt: skip
NOT_HERE = {"Rectify", "CudnnBatchNorm"}  # of every network; of graphics cards


def test_every_step_that_is_said_to_go_back_together_is_tried():
    tried = {step for steps in (*STEPS, *CURVED) for step in steps.split(", ")} | NOT_HERE
    assert set(_signals._BATCHED.split()) <= tried


@pytest.mark.parametrize("steps", [*STEPS, *CURVED])
def test_every_step(steps, passes):
    function = {**STEPS, **CURVED}[steps]
    module, names = Net(between=lambda m, v: function(v).reshape(len(v), 4, 4, 3)), set()
    image = torch.ones(2, 4, 4, 3, dtype=torch.float64).requires_grad_()
    for step in _signals.steps_of(function(image).grad_fn):
        names.add(step.name().partition("Backward")[0])
    assert {step for step in steps.split(", ") if step[0].isupper()} <= names
    # Cast to single precision and back, the sums of a convolution's gradient round in another order.
    check(
        module,
        passes,
        chosen=[*RULES, *OWN] if steps in STEPS else ["saliency"],
        tolerance=1e-6 if steps == "ToCopy" else 1e-12,
    )


RECTIFIERS = {
    "LeakyReLU": lambda: nn.LeakyReLU(0.3),
    "LeakyReLU, in place": lambda: nn.LeakyReLU(0.3, inplace=True),
    "LeakyReLU of slope over 1": lambda: nn.LeakyReLU(1.5),
    "ReLU, in place": lambda: nn.ReLU(inplace=True),
    "clamp_": lambda: torch_graphs.Function(lambda v: v.clamp_(min=0)),
    "maximum": lambda: torch_graphs.Function(lambda v: torch.maximum(v, torch.zeros_like(v))),
    "twice": lambda: nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1).double(), nn.LeakyReLU(0.1)),
}


@pytest.mark.parametrize("name", RECTIFIERS)
def test_every_unit(name, passes):
    module = Net()
    module.relu = RECTIFIERS[name]()
    check(module, passes)


@pytest.mark.parametrize("build", [
    lambda: torch_graphs.VGG16(None, 3), lambda: torch_graphs.ResNet(None, 3, (1, 1), 8)
])  # fmt: skip
def test_real_networks(build, passes):
    torch.manual_seed(0)
    check(build().double().eval(), passes, xs=np.random.default_rng(0).normal(size=(2, 3, 32, 32)))


HOOKS = {
    "on a tensor": lambda part: part.register_forward_hook(lambda m, i, o: o.register_hook(lambda g: 3 * g) and None),
    "reads": lambda part: part.register_forward_hook(lambda m, i, o: o.register_hook(by_value) and None),
    "swallows": lambda part: part.register_forward_hook(lambda m, i, o: o.register_hook(swallowing) and None),
    "full backward": lambda part: part.register_full_backward_hook(lambda m, i, o: (by_value(i[0]),)),
    "backward pre": lambda part: part.register_full_backward_pre_hook(lambda m, o: (by_value(o[0]),)),
    "of a step": lambda part: part.register_forward_hook(of_step),
    "kept": lambda part: part.register_forward_hook(lambda m, i, o: o.retain_grad()),
}  # fmt: skip


def of_step(module, inputs, output):
    output.grad_fn.register_prehook(lambda gradients: (by_value(gradients[0]),))


def by_value(gradient):
    return gradient * (2 if gradient.sum() > 0 else -1)


def swallowing(gradient):
    try:
        return by_value(gradient)
    except RuntimeError:
        return gradient


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("path", ["conv", "fc"])
def test_hooks_see_one_gradient_at_a_time(name, path, passes):
    module = Net()
    HOOKS[name](module.get_submodule(path))
    check(module, passes, together=False)


UNKNOWN = {
    "a step that vmap has no rule for": (lambda m, v: F.scaled_dot_product_attention(v, v, v), ["saliency"]),
    "a step that is not listed": (lambda m, v: v + v.cumsum(1), [*RULES, *OWN]),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_cannot_go_back_together_goes_alone(name, passes):
    function, chosen = UNKNOWN[name]
    check(Net(between=function), passes, together=False, chosen=chosen)


@pytest.mark.parametrize("where", ["before", "between"])
def test_checkpointed_layers(where, passes):
    """What holds no unit may be checkpointed: it is computed again in the one backward pass."""
    layer = nn.Conv2d(3, 3, 1).double() if where == "before" else nn.Conv2d(4, 4, 1).double()
    runs = []

    def counted(v):
        runs.append(1)
        return layer(v)

    check(Net(**{where: lambda m, v: checkpoint(counted, v, use_reentrant=False)}), passes)
    assert runs


def test_signals_that_fail_together_go_alone(passes, monkeypatch):
    module, expected = Net(), one_by_one(Net(), XS, RULES, TARGETS)

    def fails(*given):
        raise RuntimeError("a batching rule that is not there")

    monkeypatch.setattr(_rectifiers._together(), "vmap", staticmethod(fails))
    passes.clear()
    np.testing.assert_array_equal(attribute_many(module, XS, RULES, TARGETS), expected)
    assert len(passes) == 1 + len(RULES) * len(TARGETS)


def test_where_memory_runs_out_half_as_many_go_back(monkeypatch):
    module, expected = Net(), one_by_one(Net(), XS, RULES, TARGETS)
    own, sizes = torch.func.vmap, []

    def small(function):
        def call(signals):
            sizes.append(len(signals))
            if len(signals) > 3:
                raise torch.cuda.OutOfMemoryError("no more")
            return own(function)(signals)

        return call

    monkeypatch.setattr(torch.func, "vmap", small)
    np.testing.assert_allclose(
        attribute_many(module, XS, RULES[:3], TARGETS), expected[:3], rtol=0, atol=1e-12
    )
    assert sizes == [6, 3, 3]


def test_a_pass_on_the_processor_takes_as_many_as_its_largest_tensor_allows(passes, monkeypatch):
    """Of 3 images the pre-activations are largest: 3 · 4 · 4 · 3 numbers of 8 bytes, less than the images."""
    monkeypatch.setattr(_signals, "_BYTES", 4 * XS.nbytes + 1)
    expected = one_by_one(Net(), XS, RULES, TARGETS)
    passes.clear()
    found = attribute_many(Net(), XS, RULES, TARGETS)
    assert len(passes) == -(-len(RULES) * len(TARGETS) // 4) > 1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_infinite_gradients_behind_a_closed_gate_are_zero():
    gradient = torch.tensor([[-np.inf, 2.0, -3.0, np.inf]] * 4)
    opened = torch.tensor([False, True, True, False])
    chosen = (Rule.SALIENCY, Rule.GUIDED, Rule.DECONVNET, Rule.LINEAR)
    found = torch.func.vmap(
        lambda signal: _rectifiers._together().apply(signal, opened, _rectifiers.RELU, chosen)
    )(gradient)
    expected = [
        rule.backward(row, np.where(opened, 1.0, -1.0))
        for rule, row in zip(chosen, gradient.numpy(), strict=True)
    ]
    np.testing.assert_array_equal(found, expected)


def test_many_threads_and_nothing_changes():
    nets = [Net(seed=seed) for seed in range(2)]
    expected = [attribute_many(net, XS, RULES, TARGETS) for net in nets]
    before = [marks(net) for net in nets], world()

    def call(index):
        return np.array_equal(attribute_many(nets[index % 2], XS, RULES, TARGETS), expected[index % 2])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(24)))
    assert ([marks(net) for net in nets], world()) == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card")
def test_on_a_graphics_card(passes):
    check(Net().cuda(), passes)
    xs = np.random.default_rng(0).normal(size=(2, 3, 32, 32))
    check(torch_graphs.ResNet(None, 3, (1, 1), 8).double().eval().cuda(), passes, xs=xs)
