"""What the bridge attributes is what PyTorch runs: hooks, parametrizations, types, values; and it leaves no mark."""

import concurrent.futures
import cProfile
import functools
import pickle
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_graphs import HOOKS_OF_RULES, Function, assert_refused, hooked, rectifier

from theorylab import methods
from theorylab.torch_bridge import attribute, attribute_many, from_torch
from theorylab.torch_bridge._translate import NoCounterpart
from theorylab.visualization import visualize

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
prune = pytest.importorskip("torch.nn.utils.prune")
parametrizations = pytest.importorskip("torch.nn.utils.parametrizations")
SHAPE = (3, 6, 5)


class Net(nn.Module):
    """A convolution, a ReLU and a readout, with anything said between them."""

    def __init__(self, before=None, between=None, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.before, self.between = before, between
        self.conv, self.relu, self.pool = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)
        self.register_buffer("scale", torch.tensor(2.0))
        self.fc = nn.Linear(8, 3)
        self.double().eval()

    def forward(self, x):
        x = x if self.before is None else self.before(self, x)
        y = self.relu(self.conv(x))
        y = y if self.between is None else self.between(self, y)
        return self.fc(torch.flatten(self.pool(y), 1))


def picture(seed=1):
    return np.random.default_rng(seed).standard_normal(SHAPE)


def gradient(module, x, k):
    image = torch.tensor(x[None], requires_grad=True)
    (found,) = torch.autograd.grad(module(image)[0, k], image, allow_unused=True, materialize_grads=True)
    return found[0].numpy()


def logits(module, x):
    with torch.no_grad():
        return module(torch.tensor(x[None]))[0].numpy()


def outcome(call):
    """The value, or the one line that refuses it."""
    try:
        value, words, kind = call(), "", ValueError
    except (TypeError, ValueError) as error:
        value, words, kind = None, str(error), type(error)
    assert kind in (TypeError, ValueError, NoCounterpart)
    assert len(words.splitlines()) == (value is None)
    return value, words


def assert_right_or_refused(module, x=None, saliency=False, graph=False):
    """Everything is PyTorch's own, or refused in one line; `saliency` and `graph` may not be refused."""
    x = picture() if x is None else x
    found, refused = outcome(lambda: attribute(module, x, "saliency", 1))
    assert not (saliency and refused), refused
    if not refused:
        expected = gradient(module, x, 1)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    net, refused = outcome(lambda: from_torch(module, SHAPE))
    assert not (graph and refused), refused
    for seed in range(3 if net is not None else 0):
        expected = logits(module, picture(seed))
        np.testing.assert_allclose(net.logits(picture(seed)), expected, rtol=0, atol=1e-10)
    return net


# --- what a forward asks of a tensor

TYPES = {
    "isinstance": lambda x: isinstance(x, torch.Tensor),
    "type": lambda x: type(x) is torch.Tensor,
    "is_tensor": torch.is_tensor,
    "tensor-like": lambda x: torch.overrides.is_tensor_like(x) and torch.is_tensor(x),
    "has torch function": lambda x: type(x).__torch_function__ is not None,
    "callable name": lambda x: type(x).__name__ == "Tensor",
    "array protocol": lambda x: hasattr(x, "__array__") and hasattr(x, "data_ptr"),
    "gradient": lambda x: x.is_floating_point() and not x.is_sparse,
    "axes": lambda x: x.dim() == x.ndim == len(x.shape) == 4,
    "length": lambda x: len(x) == x.shape[0] == x.size(0),
    "dtype": lambda x: x.dtype == torch.float64 and x.device.type == "cpu",
    "iterable": lambda x: len([row for row in x]) == len(x),
}
CHANGES = {
    "scaled": lambda m, x: 3 * x - 1.5,
    "doubled": lambda m, x: x + x,
    "stacked": lambda m, x: torch.stack([2 * row for row in x]),
    "rows": lambda m, x: torch.cat([x[i : i + 1] * 2 for i in range(x.shape[0])]),
    "normalised": lambda m, x: x / x.shape[1] ** 0.5,
    "rectified": lambda m, x: F.relu(x),
    "by a buffer": lambda m, x: x * m.scale if m.scale > 1 else x,
    "by an item": lambda m, x: x * m.scale.item(),
    "left alone": lambda m, x: x,
}


def matched(x):
    match x:
        case torch.Tensor():
            return True
    return False


@functools.singledispatch
def dispatched(x):
    return False


dispatched.register(torch.Tensor, lambda x: True)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([*TYPES.values(), matched, dispatched]),
    st.sampled_from([*CHANGES]),
    st.booleans(),
    st.booleans(),
)
def test_a_tensor_is_a_tensor(asked, change, negated, inner):
    def function(module, x):
        return CHANGES[change](module, x) if asked(x) is not negated else x

    module = Net(between=function) if inner else Net(function)
    assert_right_or_refused(module, saliency=True, graph=change in ("doubled", "left alone", "rectified"))


def swallowed(read):
    def function(m, x):
        try:
            return 3 * x if read(x) else x
        except Exception:
            return x

    return function


READS = {
    "max": lambda x: x.max() > 0,
    "all": lambda x: torch.all(torch.isfinite(x)),
    "item": lambda x: x.sum().item() > 0,
    "float": lambda x: float(x.mean()) > 0,
    "numpy": lambda x: x.detach().numpy().max() > 0,
    "asarray": lambda x: np.asarray(x.detach()).max() > 0,
    "list": lambda x: x.flatten().tolist()[0] > 0,
    "in": lambda x: 0.0 in x,
    "equal": lambda x: torch.equal(x, x.abs()),
    "allclose": lambda x: torch.allclose(x, x.abs()),
    "index": lambda x: [False, True][(x.sum() > 0).long()],
}


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([*READS]), st.booleans(), st.booleans())
def test_values_are_not_read(read, caught, inner):
    """Also if the forward catches the refusal; the line is the user's."""
    function = swallowed(READS[read]) if caught else lambda m, x: 3 * x if READS[read](x) else x
    module = nn.Sequential(nn.Identity(), Net(between=function) if inner else Net(function))
    for call in (
        lambda: attribute(module, picture(), "guided", 1),
        lambda: attribute_many(module, np.stack([picture()] * 2), ["saliency"], [0]),
        lambda: from_torch(module, SHAPE),
    ):
        with pytest.raises(
            ValueError, match=r"^1 \(Net\), test_torch_as_it_runs\.py line \d+: `.+`: what it"
        ):
            call()


def test_the_line_of_a_submodule():
    class Inner(nn.Module):
        def forward(self, x):
            assert x.shape[1] == 3
            assert x.sum() != 0
            return x

    module = nn.Sequential(nn.Sequential(Inner()), nn.Flatten(), nn.Linear(90, 3)).double().eval()
    with pytest.raises(
        ValueError, match=r"^0\.0 \(Inner\), .* line \d+: `assert x\.sum\(\) != 0`: what it computes dep"
    ):
        attribute(module, picture(), "guided", 1)


BROKEN = {
    "AttributeError": lambda m, x: x.foo(),
    "ZeroDivisionError": lambda m, x: x * (x.shape[0] // 0),
    "KeyError": lambda m, x: {}[x.shape],
    "IndexError": lambda m, x: x[0, 0, 0, 0, 0],
    "RuntimeError": lambda m, x: x @ torch.ones(7, dtype=x.dtype),
    "AssertionError": lambda m, x: operator_fails(),
    "StopIteration": lambda m, x: next(iter(())),
    "NotImplementedError": lambda m, x: nn.Module()(x),
    "unbound": lambda m, x: undefined_name,  # noqa: F821
    "shapes": lambda m, x: m.fc(x),
}


def operator_fails():
    raise AssertionError("two\nlines")


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_forward_is_one_line(name):
    assert_refused(Net(BROKEN[name]), picture(), r"^(module \(Net\), test_torch_as|method |fc \(Linear\): )")


def test_keywords_are_arguments():
    class Keywords(Net):
        def forward(self, x):
            y = self.pool(input=self.relu(input=self.conv(input=x)))
            return self.fc(input=torch.flatten(input=y, start_dim=1))

    net, plain = assert_right_or_refused(Keywords(), saliency=True, graph=True), from_torch(Net(), SHAPE)
    np.testing.assert_array_equal(net.logits(picture()), plain.logits(picture()))
    np.testing.assert_allclose(
        attribute(Keywords(), picture(), "guided", 1), attribute(Net(), picture(), "guided", 1)
    )


# --- hooks, parametrizations and the rest of a module that is not its forward

HOOKS = {
    "forward": lambda part: part.register_forward_hook(lambda m, i, o: 2 * o),
    "forward, kept": lambda part: part.register_forward_hook(lambda m, i, o: o + o),
    "pre": lambda part: part.register_forward_pre_hook(lambda m, i: (i[0] + i[0],)),
    "looks on": lambda part: part.register_forward_hook(lambda m, i, o: print(end="") if o.std() > 0 else None),
    "full backward": lambda part: part.register_full_backward_hook(lambda m, i, o: (None if i[0] is None else 3 * i[0],)),
    "backward pre": lambda part: part.register_full_backward_pre_hook(lambda m, o: (3 * o[0],)),
    "on a tensor": lambda part: part.register_forward_hook(lambda m, i, o: o.register_hook(lambda g: 3 * g) and None),
    "on an input": lambda part: part.register_forward_pre_hook(lambda m, i: i[0].register_hook(lambda g: -g) and None),
    "keeps": lambda part: part.register_forward_hook(lambda m, i, o: setattr(m, "kept", o)),
    "another": lambda part: part.register_forward_hook(lambda m, i, o: torch.zeros_like(o)),
}  # fmt: skip
MADE = {
    "weight_norm": lambda part: parametrizations.weight_norm(part),
    "spectral_norm": lambda part: parametrizations.spectral_norm(part).eval(),
    "orthogonal": lambda part: parametrizations.orthogonal(part),
    "old weight_norm": lambda part: nn.utils.weight_norm(part),
    "old spectral_norm": lambda part: nn.utils.spectral_norm(part).eval(),
    "pruned": lambda part: prune.l1_unstructured(part, "weight", 0.5),
    "random pruning": lambda part: prune.random_unstructured(part, "bias", 0.5),
    "own": lambda part: nn.utils.parametrize.register_parametrization(part, "weight", Doubled()),
}
LEFT = ("on a tensor", "on an input", "full backward", "backward pre")


class Doubled(nn.Module):
    def forward(self, weight):
        return weight + weight


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning", "ignore:.*spectral_norm.*:FutureWarning")
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([*HOOKS]), st.sampled_from(["", "conv", "relu", "pool", "fc"])), max_size=2),
    st.lists(st.tuples(st.sampled_from([*MADE]), st.sampled_from(["conv", "fc"])), max_size=1),
)  # fmt: skip
def test_hooks_and_parametrizations_count(hooks, made):
    module = Net()
    for name, path in made:
        MADE[name](module.get_submodule(path))
    # PyTorch itself refuses a full backward hook beside another on some places; then so do we.
    for name, path in hooks:
        HOOKS[name](module.get_submodule(path))
    before = marks(module)
    net = assert_right_or_refused(module, saliency=True, graph=not hooks)
    if any(name in LEFT for name, _ in hooks):
        assert net is None
    attribute(module, picture(), "guided", 1)
    assert {k: v for k, v in marks(module).items() if k[1] != "kept"} == before or any(
        name == "keeps" for name, _ in hooks
    )


def marks(module):
    """All that a call could change."""
    found = {}
    for path, part in module.named_modules():
        found[path, "hooks"] = [
            list(getattr(part, kind).items())
            for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
        ]
        found[path, "training"] = part.training
        found[path, "keys"] = sorted(key for key in part.__dict__ if key != "kept")
    for name, entry in (*module.named_parameters(), *module.named_buffers()):
        found[name, "entry"] = (
            id(entry), entry.requires_grad, entry._version, entry.detach().numpy().tobytes(),
            id(entry.grad), None if entry.grad is None else entry.grad.numpy().tobytes(),
        )  # fmt: skip
    return found


def world():
    return (
        sys.getprofile(), sys.gettrace(), torch.is_grad_enabled(), torch.is_inference_mode_enabled(),
        torch.get_default_dtype(), torch.get_rng_state().numpy().tobytes(), str(np.random.get_state()),  # noqa: NPY002
        nn.Module.__call__, nn.Module.__getattr__, torch.autograd.Function.apply.__func__, torch.relu, F.relu,
    )  # fmt: skip


UNRULY = {
    "writes into a parameter": lambda m, x: x + 0 * clamped(m.conv.weight).sum(),
    "writes into data": lambda m, x: (m.conv.weight.data.mul_(2), x)[1],
    "counts": lambda m, x: x * m.scale.add_(1),
    "stores": lambda m, x: setattr(m, "stored", x) or x,
    "draws": lambda m, x: x + torch.randn_like(x),
    "draws unseen": swallowed(lambda x: torch.rand(()) > 0.5),
    "drops": lambda m, x: F.dropout(x),
    "fails": lambda m, x: x.foo(),
    "switches gradients": lambda m, x: (torch.set_grad_enabled(True) and x) or x,
    "reads": lambda m, x: x if x.sum() else -x,
    "registers": lambda m, x: m.register_buffer("fresh", torch.ones(1)) or x,
    "changes mode": lambda m, x: m.train() and x,
    "freezes": lambda m, x: m.requires_grad_(False) and x,
    "hooks": lambda m, x: m.conv.register_forward_hook(lambda *_: None) and x,
}


def clamped(weight):
    with torch.no_grad():
        return weight.clamp_(min=0)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([*UNRULY, *HOOKS]), st.sampled_from(["attribute", "many", "graph"]), st.booleans())
def test_nothing_is_left_changed(name, how, training):
    module = Net(UNRULY.get(name))
    if name in HOOKS and name != "keeps":
        HOOKS[name](module.conv)
    module.conv.weight.requires_grad_(False)
    module.fc.weight.grad = torch.ones_like(module.fc.weight)
    module.add_module("unused", nn.Dropout())
    module.train(training)
    xs = np.stack([picture(), picture(2)])
    before = marks(module), world(), xs.tobytes()
    calls = {
        "attribute": lambda: attribute(module, xs[0], "guided", "random"),
        "many": lambda: attribute_many(module, xs, ["linear"], [0]),
        "graph": lambda: from_torch(module, SHAPE),
    }
    outcome(calls[how])
    with torch.no_grad():
        outcome(calls[how])
    with torch.inference_mode():
        outcome(calls[how])
    assert (marks(module), world(), xs.tobytes()) == before


RANDOM = {
    r"1 \(Dropout\): in training mode": lambda: nn.Dropout(),
    r"1 \(Dropout2d\): in training mode": lambda: nn.Dropout2d(),
    r"1 \(AlphaDropout\): in training mode": lambda: nn.AlphaDropout(),
    r"1 \(BatchNorm2d\): in training mode": lambda: nn.BatchNorm2d(3),
    r"1 \(InstanceNorm2d\): in training mode": lambda: nn.InstanceNorm2d(3, track_running_stats=True),
    r"1 \(RReLU\): in training mode": lambda: nn.RReLU(),
    r"1 \(FractionalMaxPool2d\): it draws": lambda: nn.FractionalMaxPool2d(2, output_size=(6, 5)),
    r"1\.param\S*_u: it changes as the module runs in training mode": lambda: parametrizations.spectral_norm(nn.Conv2d(3, 3, 1)),
    r"function torch\.nn\.functional\.dropout in 1: in training mode": lambda: Function(lambda x: F.dropout(x, 0.5)),
    r"function torch\.dropout in 1: in training mode": lambda: Function(lambda x: torch.dropout(x, 0.5, True)),
    r"function torch\.nn\.functional\.rrelu in 1: in training mode": lambda: Function(lambda x: F.rrelu(x, training=True)),
    r"function torch\.nn\.functional\.batch_norm in 1: in training mode": lambda: Function(
        lambda x: F.batch_norm(x, None, None, training=True)
    ),
    r"function torch\.nn\.functional\.gumbel_softmax in 1: it draws": lambda: Function(lambda x: F.gumbel_softmax(x, dim=1)),
    r"method Tensor\.bernoulli_ in 1: it draws": lambda: Function(lambda x: x * torch.empty_like(x).bernoulli_(0.5)),
    r"function torch\.normal in 1: it draws": lambda: Function(lambda x: x + torch.normal(0.0, 1.0, (1,))),
    r"function torch\.gru in 1: in training mode": lambda: unseen(nn.GRU(5, 5, 2, dropout=0.5), lambda y: y[0]),
    r"function \S*attention_forward in 1: in training mode": lambda: unseen(nn.TransformerEncoderLayer(5, 1, 5), lambda y: y),
}  # fmt: skip


def unseen(part, first):
    """A layer that is no submodule of what calls it."""
    part.double()
    return Function(lambda x: first(part(x[0]))[None])


@pytest.mark.parametrize("named", RANDOM)
def test_whatever_is_random_is_refused_before_it_draws(named):
    part = RANDOM[named]()
    module = nn.Sequential(nn.Identity(), part, Net()).double()
    part.train()
    module[2].eval()
    before = marks(module), world()
    for call in (
        lambda: attribute(module, picture(), "saliency", 1),
        lambda: attribute(module, picture(), "guided", 1),
        lambda: from_torch(module, SHAPE),
    ):
        with pytest.raises(ValueError, match=rf"^{named}( random numbers|; call module\.eval\(\) first)$"):
            call()
    assert (marks(module), world()) == before


def test_images_of_a_batch_do_not_see_each_other():
    xs = np.stack([picture(seed) for seed in range(3)])
    for function in (
        lambda m, x: x - x.mean(),
        lambda m, x: x - x.mean(0),
        lambda m, x: x.flip(0),
        lambda m, x: x * len(x),
        lambda m, x: x + x[:1],
        lambda m, x: x + x[-1:],
        lambda m, x: x.cumsum(0),
        lambda m, x: torch.cat([x[:1], x[1:] - x[:-1]]),
    ):
        with pytest.raises(
            ValueError, match=r"^module: the logits of an image depend on the other images beside it"
        ):
            attribute_many(Net(function), xs, ["saliency"], [0])
        assert_right_or_refused(Net(function), saliency=True)


def test_the_module_runs_once_for_one_image_and_three_times_for_several():
    runs = []
    module = Net(lambda m, x: runs.append(len(x)) or x)
    attribute(module, picture(), "guided", 1)
    assert runs == [1]
    attribute_many(module, np.stack([picture()] * 5), ["guided", "saliency"], [0, 1])
    assert runs == [1, 5, 1, 1]


def quantised(bits, layers):
    parts = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5), nn.ReLU(), nn.Linear(5, 3)
    )
    return torch.ao.quantization.quantize_dynamic(parts.eval(), layers, dtype=bits)


@pytest.mark.filterwarnings("ignore")  # its own, that it is old
@pytest.mark.parametrize("bits", [torch.qint8, torch.float16])
@pytest.mark.parametrize("layers", [{nn.Linear}, {"3"}, {"5"}])
def test_layers_without_a_backward_pass_are_no_maps_of_zeros(bits, layers):
    module = quantised(bits, layers)
    for rule in ("saliency", "guided"):
        with pytest.raises(
            ValueError, match=r"cannot differentiate|is not known|no rule|Linear|linear"
        ) as caught:
            attribute(module, np.random.default_rng(0).normal(size=(3, 8, 8)), rule, 1)
        assert "\n" not in str(caught.value)


def test_logits_without_a_gradient_that_follow_the_image_are_refused():
    with pytest.raises(ValueError, match="its logits depend on the image without a gradient"):
        attribute(Net(lambda m, x: x.detach()), picture(), "saliency", 1)
    constant = attribute(Net(lambda m, x: torch.ones_like(x)), picture(), "saliency", 1)
    assert not constant.any()  # rightly: no image changes the logits


# --- what is linear in the image, and what is not

BILINEAR = {
    "*": lambda a, b: a * b,
    "torch.mul": lambda a, b: torch.mul(a, other=b),
    "mul_": lambda a, b: a.clone().mul_(b),
    "@": lambda a, b: a @ b.transpose(-1, -2),
    "matmul": lambda a, b: torch.matmul(a.flatten(2), b.flatten(2).transpose(1, 2)),
    "bmm": lambda a, b: torch.bmm(a.flatten(2), b.flatten(2).transpose(1, 2)),
    "einsum": lambda a, b: torch.einsum("bchw,bdhw->bcd", a, b),
    "tensordot": lambda a, b: torch.tensordot(a, b, ([1, 2], [1, 2])),
    "conv": lambda a, b: F.conv2d(a, b),
    "linear": lambda a, b: F.linear(a, b.flatten(0, 2)),
}
QUOTIENTS = {
    "/": lambda a, b: a / (b + 9),
    "div": lambda a, b: torch.div(a, other=b + 9),
    "div_": lambda a, b: a.clone().div_(b + 9),
    "true_divide": lambda a, b: a.true_divide(b + 9),
}
VARYING = {
    "itself": lambda v: v,
    "doubled": lambda v: 2 * v,
    "flipped": lambda v: v.flip(-1),
    "mean": lambda v: v.mean(1, keepdim=True).expand_as(v),
    "rectified": lambda v: F.relu(v - 0.1),
}
LINEAR = {
    "float": lambda v: v.float().double(),
    "cast": lambda v: v.to(torch.float32).to("cpu").type(torch.float64),
    "double": lambda v: v.double().cpu().type_as(v).to(v),
    "roll": lambda v: v.roll(1, 2),
    "flip": lambda v: torch.flip(v, (2, 3)),
    "rot90": lambda v: v.rot90(2, (2, 3)),
    "cumsum": lambda v: torch.cumsum(v, 1),
    "lerp": lambda v: torch.lerp(v, v.flip(1), 0.3),
    "unfold": lambda v: F.fold(F.unfold(v, 2), v.shape[2:], 2),
    "repeat": lambda v: v.repeat(1, 2, 1, 1)[:, 2:6],
    "select": lambda v: v.index_select(1, torch.tensor([3, 0, 1, 1])),
    "gather": lambda v: v.gather(1, torch.ones(v.shape, dtype=torch.long)),
    "take": lambda v: v.take(torch.arange(v.numel()).flip(0)).view_as(v),
    "no gate": lambda v: v + v * torch.zeros_like(v),
    "scaled": lambda v: v * torch.ones_like(v) / 3,
}
NOT_LINEAR = {
    "reciprocal": lambda v: 1 / (v + 9),
    "rounded": lambda v: torch.div(v, 2, rounding_mode="floor"),
    "integers": lambda v: v.to(torch.int64).double(),
    "indices": lambda v: v + F.max_pool2d(v, 2, return_indices=True)[1].double().mean(),
    "lerp": lambda v: torch.lerp(v, v + 1, v),
    "sign": lambda v: v * v.sign(),
    "addcmul": lambda v: torch.addcmul(v, v, v),
    "norm": lambda v: F.layer_norm(v, v.shape[1:], weight=v[0]),
}
BY_HAND = {
    "masked_fill": lambda v: v.masked_fill(v < 0, 0),
    "where": lambda v: torch.where(v > 0, v, 0),
    "times": lambda v: v * (v > 0),
    "cast": lambda v: v * (torch.zeros_like(v) <= v).double(),
    "written": lambda v: cut(v.clone()),
}


def cut(v):
    v[v < 0] = 0
    return v


def read_out(net, v):
    """Of whatever shape it is, as many values as the readout takes, linearly."""
    v = v.reshape(len(v), -1)
    return F.pad(v, (0, 48))[:, :48].view(len(v), 4, 4, 3)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([*BILINEAR, *QUOTIENTS]),
    st.sampled_from([*VARYING]),
    st.sampled_from(["both", "first", "second"]),
    st.sampled_from(["guided", "deconvnet"]),
)
def test_products_are_linear_in_one_factor(name, varying, which, rule):
    constant = torch.rand(1, 4, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    function = (BILINEAR | QUOTIENTS)[name]

    def between(m, v):
        other = VARYING[varying](v)
        first, second = {"both": (v, other), "first": (v, constant), "second": (constant, other)}[which]
        return read_out(m, function(first, second))

    module = Net(between=between)
    if which == "both" or (which == "second" and name in QUOTIENTS):
        words = "a division by what depends" if name in QUOTIENTS else "a product of tensors that depend"
        with pytest.raises(
            ValueError, match=rf"^(method|function) .*: rule '{rule}' is not defined for {words}"
        ):
            attribute(module, picture(), rule, 1)
    elif varying != "rectified" or which == "first":
        assert_equal(
            attribute(module, picture(), rule, 1), hooked(module, picture(), 1, HOOKS_OF_RULES[rule])
        )
    assert_right_or_refused(module, saliency=True)


def assert_equal(found, expected, tolerance=1e-10):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([*LINEAR]), min_size=1, max_size=3), st.sampled_from(["guided", "deconvnet"]))
def test_what_is_linear_has_every_rule(names, rule):
    def between(m, v):
        return functools.reduce(lambda v, name: LINEAR[name](v), names, v)

    module = Net(between=between)
    assert_equal(
        attribute(module, picture(), rule, 1), hooked(module, picture(), 1, HOOKS_OF_RULES[rule]), 1e-5
    )


@pytest.mark.parametrize("name", [*NOT_LINEAR, *BY_HAND])
def test_what_is_not_linear_has_no_rule(name):
    function = NOT_LINEAR[name] if name in NOT_LINEAR else BY_HAND[name]
    words = r"; it looks like a ReLU written by hand: use torch\.relu$" if name not in NOT_LINEAR else ""
    for module in (Net(between=lambda m, v: function(v)), Net(lambda m, x: function(x))):
        with pytest.raises(ValueError, match=rf"rule 'guided' is not defined for .*{words}"):
            attribute(module, picture(), "guided", 1)


def test_a_layer_whose_weight_depends_on_the_image_is_a_product_and_none_of_the_graph():
    module = Net()
    weight = module.conv.weight
    del module.conv.weight
    module.conv.base = weight
    module.conv.register_forward_pre_hook(lambda m, i: m.__dict__.update(weight=m.base * i[0].mean()))
    with pytest.raises(ValueError, match=r"^conv \(Conv2d\): rule 'guided' is not defined for a product"):
        attribute(module, picture(), "guided", 1)
    assert assert_right_or_refused(module, saliency=True) is None


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("rule", ["saliency", "guided"])
def test_activation_checkpointing_is_refused_by_name(reentrant, rule):
    checkpoint = pytest.importorskip("torch.utils.checkpoint").checkpoint
    module = Net(between=lambda m, v: checkpoint(torch.relu, v, use_reentrant=reentrant))
    with pytest.raises(
        ValueError, match=r"^function torch\.relu: activation checkpointing .* switch it off$"
    ):
        attribute(module, picture(), rule, 1)


@pytest.mark.parametrize("axes", [(0,), (1, 2), (0, 2)])
def test_pictures_may_be_views_turned_round(axes):
    turned, xs = np.flip(picture(), axes), np.flip(np.stack([picture()] * 2), axes)
    expected = attribute(Net(), turned.copy(), "guided", 1)
    np.testing.assert_array_equal(attribute(Net(), turned, "guided", 1), expected)
    found = attribute_many(Net(), xs, ["guided"], [1])
    np.testing.assert_array_equal(found, attribute_many(Net(), xs.copy(), ["guided"], [1]))


@pytest.mark.parametrize(
    "kind", [torch.tensor, np.array, np.int32, lambda k: torch.arange(3).argmax() - 2 + k]
)
def test_a_target_may_be_an_integer_without_axes(kind):
    net = from_torch(Net(), SHAPE)
    calls = (
        lambda k: attribute(Net(), picture(), "guided", k),
        lambda k: attribute_many(Net(), picture()[None], ["guided"], [k, "max"]),
        lambda k: attribute_many(Net(), picture()[None], ["guided"], (k for _ in range(2))),
        lambda k: visualize(net, picture(), "guided", k),
        lambda k: methods.attribute(net, picture(), "input-x-gradient", k),
    )
    for number, call in enumerate(calls):
        expected = call(1) if number != 2 else np.repeat(calls[1](1)[:, :1], 2, 1)
        np.testing.assert_array_equal(call(kind(1)), expected)
        for wrong in (torch.tensor(1.0), torch.tensor(True), torch.tensor([1]), np.array(1.5)):
            with pytest.raises(ValueError, match=r"^(target|targets|unknown target)\b"):
                call(wrong)


# --- what cannot be run, or not be watched


@torch.jit.script
def scripted(y):
    return torch.relu(y)


UNSEEN = {
    "a function of one's own": lambda m, y: rectifier("guided")(y),
    "scripted": lambda m, y: scripted(y),
    "vmap": lambda m, y: torch.func.vmap(torch.relu)(y),
    "another thread": lambda m, y: in_thread(torch.relu, y),
    "a view written to": lambda m, y: written(y),
}


def in_thread(function, y):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(function, y).result()


def written(y):
    held = torch.empty(y.shape, dtype=y.dtype)
    held[0].copy_(torch.relu(y)[0])
    return held


@pytest.mark.parametrize("name", UNSEEN)
def test_what_cannot_be_watched_is_refused(name):
    words = r"cannot be watched|a backward pass of its own|does not know|not defined"
    assert_refused(Net(between=UNSEEN[name]), picture(), words)


def test_modules_without_values():
    lazy = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)).eval()
    meta = Net().to("meta")
    for module, words in (
        (lazy, r"^0 \(LazyConv2d\): it has no weights until the module ran once on an image$"),
        (meta, r"^conv\.weight: on the meta device, which holds no values$"),
    ):
        assert_refused(module, picture(), words)
    for device in ("meta", "nowhere", 3.5):
        with pytest.raises(ValueError, match=r"^device: "):
            attribute(Net(), picture(), "guided", device=device)


def test_modules_made_in_inference_mode():
    with torch.inference_mode():
        module = Net()
    expected = from_torch(Net(), SHAPE)
    np.testing.assert_array_equal(from_torch(module, SHAPE).logits(picture()), expected.logits(picture()))
    expected = attribute(Net(), picture(), "guided", 1)
    np.testing.assert_array_equal(attribute(module, picture(), "guided", 1), expected)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            np.testing.assert_array_equal(attribute(Net(), picture(), "guided", 1), expected)


def test_compiled_modules_are_those_that_were_compiled():
    plain = Net()
    part = Net()
    part.conv = torch.compile(part.conv, backend="eager")
    for module in (torch.compile(plain, backend="eager"), part):
        expected = attribute(plain, picture(), "guided", 1)
        np.testing.assert_array_equal(attribute(module, picture(), "guided", 1), expected)
        assert list(from_torch(module, SHAPE).parameters) == list(from_torch(plain, SHAPE).parameters)


def test_a_window_that_depends_on_the_image():
    module = Net()
    module.pool.register_forward_pre_hook(
        lambda m, i: setattr(m, "kernel_size", 2 + int(np.asarray(i[0].detach()).max() > 9))
    )
    assert_right_or_refused(module)


def test_tensors_that_a_hook_kept_are_plain():
    module, kept = Net(), []
    module.conv.register_forward_hook(lambda m, i, o: kept.extend((o.detach(), i[0])))
    attribute(module, picture(), "guided", 1)
    from_torch(module, SHAPE)
    assert len(kept) == 6
    assert not any(tensor.__dict__ for tensor in kept)
    pickle.dumps([tensor.detach() for tensor in kept])


# --- threads and profilers


def test_threads():
    """One module for all, one each, with hooks; beside them a thread that only runs a module."""
    nets = [Net(seed=seed) for seed in range(3)]
    nets[0].conv.register_forward_hook(lambda m, i, o: None)
    expected = [[attribute(net, picture(), rule, 1) for rule in ("guided", "deconvnet")] for net in nets]
    right, before = [logits(net, picture()) for net in nets], marks(nets[0])
    stop, wrong = threading.Event(), []

    def run():
        while not stop.is_set():
            if not np.array_equal(logits(nets[0], picture()), right[0]):
                wrong.append("logits")

    def call(index):
        if index % 5 == 4:
            found, wanted = from_torch(nets[index % 3], SHAPE).logits(picture()), right[index % 3]
            return np.allclose(found, wanted, rtol=0, atol=1e-10)
        rule = index % 2
        found = attribute(nets[index % 3], picture(), ("guided", "deconvnet")[rule], 1)
        return np.array_equal(found, expected[index % 3][rule])

    interval = sys.getswitchinterval()
    beside = threading.Thread(target=run)
    try:
        sys.setswitchinterval(1e-5)
        beside.start()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert all(pool.map(call, range(60)))
    finally:
        stop.set()
        beside.join()
        sys.setswitchinterval(interval)
    assert not wrong
    assert marks(nets[0]) == before


def test_profilers_go_on():
    module, expected = Net(), attribute(Net(), picture(), "guided", 1)
    profile = cProfile.Profile()
    np.testing.assert_array_equal(profile.runcall(attribute, module, picture(), "guided", 1), expected)
    profile.runcall(from_torch, module, SHAPE)
    assert any("attribute" in str(entry.code) for entry in profile.getstats())
    seen, before = [], sys.getprofile()
    watch = lambda *event: seen.append(event[1])  # noqa: E731
    try:
        sys.setprofile(watch)
        found = attribute(module, picture(), "guided", 1)
        assert sys.getprofile() is watch
    finally:
        sys.setprofile(before)
    assert seen
    np.testing.assert_array_equal(found, expected)
