"""Implementations of rules and methods, right and wrong, and what is said of them."""

import functools
import importlib.util
import json
import math
import random
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from test_methods import zennit
from typer.testing import CliRunner

import theorylab as tl
from theorylab import cli
from theorylab.checking import _networks

torch = pytest.importorskip("torch")
nn, bridge = torch.nn, tl.torch_bridge
EXAMPLES = Path(__file__).parents[1] / "examples"
MISSED = "a functional ReLU was missed: on the network 'functional ReLUs' it is the plain gradient, saliency"
LOST = "overlapping pooling loses mass"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ruled(rule):
    return lambda module, x, target: bridge.attribute(module, x, rule, target)


def method(name, **options):
    def run(module, x, target):
        net = bridge.from_torch(module, x.shape)
        return tl.methods.attribute(net, x, name, target, **options)

    return run


def captum(name, **options):
    def run(module, x, target):
        attr = pytest.importorskip("captum.attr")
        return getattr(attr, name)(module).attribute(x, target=target, **options)

    return run


def composite(name):
    def run(module, x, target):
        zennit()
        library = example("check_zennit")
        return library._by(getattr(library.composites, name)(), module, x, target)

    return run


def logit_gradient(module, x, target, score=lambda logits, target: logits[target]):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(score(module(x)[0], target), x)
    return gradient


def of(score):
    return lambda module, x, target: logit_gradient(module, x, target, score)


def shown(attribute, change):
    """An attribution with its map (C, H, W) changed, as `change` makes it of map, picture and logit."""

    def run(module, x, target):
        given = torch.as_tensor(x)
        logit = module(given.reshape(1, *given.shape[-3:]))[0, target].item()
        map_ = torch.as_tensor(attribute(module, x, target)).reshape(given.shape[-3:])
        return change(map_, given.reshape(map_.shape), logit)

    return run


def gated_by_the_gradient_alone(module, x, target):
    """Hooks that rectify the gradient in the place of the ReLU: a DeconvNet."""
    hooks = [
        part.register_full_backward_hook(lambda unit, handed, arrived: (arrived[0].clamp(min=0),))
        for part in module.modules()
        if isinstance(part, nn.ReLU)
    ]
    try:
        return logit_gradient(module, x, target)
    finally:
        for hook in hooks:
            hook.remove()


class Unpool(torch.autograd.Function):
    """A max-pool whose way back is ``nn.MaxUnpool2d``: of two windows with one winner the last one is left."""

    @staticmethod
    def forward(context, x, size, stride):
        values, winners = nn.functional.max_pool2d(x, size, stride, return_indices=True)
        context.save_for_backward(winners)
        context.plane = x.shape
        return values

    @staticmethod
    def backward(context, gradient):
        (winners,) = context.saved_tensors
        flat = torch.zeros(context.plane, dtype=gradient.dtype).flatten(2)
        for window in range(winners[0, 0].numel()):  # in order
            at = winners.flatten(2)[..., window : window + 1]
            flat.scatter_(2, at, gradient.flatten(2)[..., window : window + 1])
        return flat.reshape(context.plane), None, None


def unpooled(module, x, target):
    for part in module.modules():
        if isinstance(part, nn.MaxPool2d):
            part.forward = functools.partial(lambda x, p: Unpool.apply(x, p.kernel_size, p.stride), p=part)
    return logit_gradient(module, x, target)


def leaking(module, x, target):
    """Hooks that are never taken away."""
    for part in module.modules():
        if isinstance(part, nn.ReLU):
            part.register_full_backward_hook(lambda unit, handed, arrived: (2 * handed[0].clamp(min=0),))
    return logit_gradient(module, x, target)


def in_place(module, x, target):
    """Weights that each call rectifies for good, after its map."""
    map_ = logit_gradient(module, x, target)
    with torch.no_grad():
        next(module.parameters()).clamp_(min=0)
    return map_


def cam(module, x, target):
    """Grad-CAM of the last convolution, before its ReLU, as one plane."""
    layers = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    kept = []
    hook = layers[-1].register_forward_hook(lambda part, given, output: kept.append(output))
    logit = module(x)[0, target]
    hook.remove()
    (gradient,) = torch.autograd.grad(logit, kept[0])
    plane = (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1, keepdim=True).relu()
    return nn.functional.interpolate(plane, x.shape[2:], mode="bilinear")[0, 0]


FLAWLESS = {
    "the bridge, saliency": (ruled("saliency"), "saliency", []),
    "the bridge, guided": (ruled("guided"), "guided", []),
    "the bridge, deconvnet": (ruled("deconvnet"), "deconvnet", []),
    "autograd": (logit_gradient, "saliency", []),
    "in float32": (lambda m, x, k: logit_gradient(m, x.float(), k), "saliency", []),
    "Captum's saliency": (captum("Saliency"), "saliency", ["absolute value"]),
    "Captum's input x gradient": (captum("InputXGradient"), "input-x-gradient", []),
    "Captum's path": (captum("IntegratedGradients"), "integrated-gradients", ["50 steps, Gauss"]),
    "a coarse path": (
        captum("IntegratedGradients", n_steps=20, method="riemann_trapezoid"),
        "integrated-gradients",
        ["20 steps, Captum's trapezoids"],
    ),
    "lrp-epsilon": (method("lrp-epsilon"), "lrp-epsilon", ["epsilon 1e-06"]),
    "lrp-alpha1beta0": (method("lrp-alpha1beta0"), "lrp-alpha1beta0", []),
    "deep-taylor": (method("deep-taylor"), "deep-taylor", []),
    "rectgrad": (method("rectgrad", percentile=80.0), "rectgrad", ["percentile 80"]),
    "guided-grad-cam": (method("guided-grad-cam"), "guided-grad-cam", ["it does not run on the network 'dense'"]),
    "a plane": (cam, "grad-cam", ["of the last convolution, before its ReLU", "it does not run on the network 'dense'"]),
    "absolute value": (shown(ruled("guided"), lambda s, x, f: s.abs()), "guided", ["absolute value"]),
    "channels summed": (shown(ruled("guided"), lambda s, x, f: s.sum(0)), "guided", ["channels summed"]),
    "channels averaged": (shown(ruled("guided"), lambda s, x, f: s.mean(0)), "guided", ["channels averaged"]),
    "positive part": (shown(ruled("guided"), lambda s, x, f: s.relu()), "guided", ["only the positive part"]),
    "times the input": (shown(ruled("guided"), lambda s, x, f: s * x), "guided", ["multiplied by the input"]),
    "of norm 1": (shown(ruled("deconvnet"), lambda s, x, f: s / s.norm().clamp(min=1e-30)), "deconvnet", ["normalised"]),
    "in [0, 1]": (
        shown(ruled("saliency"), lambda s, x, f: (s - s.min()) / (s.max() - s.min())),
        "saliency",
        ["normalised", "least value taken away"],
    ),
    "a heat map": (
        shown(ruled("saliency"), lambda s, x, f: s.abs().amax(0) / s.abs().max()),
        "saliency",
        ["absolute value", "largest of the channels", "normalised"],
    ),
}  # fmt: skip

FAULTY = {
    "Captum's guided": (captum("GuidedBackprop"), "guided", MISSED),
    "Captum's DeconvNet": (captum("Deconvolution"), "deconvnet", MISSED),
    "Captum's relevance": (captum("LRP"), "lrp-epsilon", "on the network 'residual'"),
    "Zennit's guided": (composite("GuidedBackprop"), "guided", MISSED),
    "Zennit's DeconvNet": (composite("DeconvNet"), "deconvnet", MISSED),
    "hooks": (lambda *given: example("check_hooks").guided(*given), "guided", MISSED),
    "hooks, the gradient alone": (gated_by_the_gradient_alone, "deconvnet", MISSED),
    "times the logit": (shown(ruled("saliency"), lambda s, x, f: s * f), "saliency", "scaled by the logit"),
    "the seed is the logit": (of(lambda f, k: f[k] ** 2 / 2), "saliency", "scaled by the logit"),
    "negative": (shown(ruled("guided"), lambda s, x, f: -s), "guided", "negative of the map"),
    "the softmax's": (of(lambda f, k: f.softmax(0)[k]), "saliency", "of the softmax, not of the logit"),
    "cross entropy": (of(lambda f, k: -f.log_softmax(0)[k]), "saliency", "of the cross entropy, not of the logit"),
    "the largest logit": (of(lambda f, k: f.max()), "saliency", "of the largest logit, not of the target"),
    "the sum of all": (of(lambda f, k: f.sum()), "saliency", "of the sum of all logits"),
    "one too far": (of(lambda f, k: f[(k + 1) % 5]), "saliency", "of the logit after the target"),
    "MaxUnpool2d": (unpooled, "saliency", LOST),
    "weights rectified": (in_place, "saliency", "a call changes the map of the next one"),
    "hooks that add up": (leaking, "guided", "a call changes the map of the next one"),
    "nothing": (lambda m, x, k: torch.zeros_like(x), "unknown", "every map of the network 'chain' is zero"),
}  # fmt: skip

UNKNOWN = {
    "the picture": lambda m, x, k: x,
    "two rules of relevance": composite("EpsilonPlus"),
    "the square": shown(ruled("saliency"), lambda s, x, f: s**2),
}


@pytest.mark.parametrize("name", FLAWLESS)
def test_what_is_right_is_named(name):
    attribute, kind, remarks = FLAWLESS[name]
    report = tl.check(attribute)
    assert (report.kind, report.faults, report.right) == (kind, [], True), str(report)
    assert report.remarks == remarks
    assert report.alike == ()
    if name == "a plane":  # which nothing else that is known makes
        assert report.nearest[0] == ""
        assert math.isnan(report.nearest[1])
    else:
        assert report.nearest[0] not in ("", kind)
        assert report.nearest[1] > 100 * max(report.deviation, report.tolerance)


@pytest.mark.parametrize("name", FAULTY)
def test_what_is_wrong_is_named_and_said(name):
    attribute, kind, fault = FAULTY[name]
    report = tl.check(attribute)
    assert (report.kind, report.right) == (kind, False), str(report)
    assert any(one.startswith(fault) for one in report.faults), str(report)


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_not_guessed(name):
    report = tl.check(UNKNOWN[name])
    assert (report.kind, report.right) == ("unknown", False), str(report)


@pytest.mark.parametrize(
    "seed", [1142, 0]
)  # at the first the constant that fits best is nearer than −1 itself
@pytest.mark.parametrize("factor", [-1, -2, -1e-3])
def test_a_negative_map_of_any_size_is_a_fault(seed, factor):
    report = tl.check(shown(ruled("guided"), lambda s, x, f: factor * s), seed=seed)
    scaled = [] if factor == -1 else [f"scaled by {-factor:.3g}"]
    assert (report.kind, report.remarks, report.right) == ("guided", ["negative of the map", *scaled], False)


@pytest.mark.filterwarnings("error")
@hypothesis.settings(max_examples=4, deadline=None)
@hypothesis.given(
    power=st.floats(-300, 300), kind=st.sampled_from(["saliency", "guided", "input-x-gradient"])
)
@hypothesis.example(-170, "guided")  # whose squares vanish
@hypothesis.example(160, "saliency")  # whose squares overflow
@hypothesis.example(300, "saliency")
@hypothesis.example(-300, "saliency")
def test_a_map_of_any_size_is_the_same_kind(power, kind):
    factor = 10.0**power
    inner = method(kind) if kind == "input-x-gradient" else ruled(kind)
    report = tl.check(lambda module, x, target: factor * torch.as_tensor(inner(module, x, target)).double())
    scaled = [] if power == 0 else [f"scaled by {factor:.3g}"]
    assert (report.kind, report.remarks, report.right) == (kind, scaled, True), str(report)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_noise_of_any_size_is_other_maps(factor):
    report = tl.check(lambda module, x, target: factor * torch.randn_like(x))
    assert (report.kind, report.faults) == ("unknown", ["two calls give different maps"]), str(report)


def test_smoothgrad_is_known_by_its_mean():
    def noisy(module, x, target, std=0.5):
        return sum(logit_gradient(module, x + std * torch.randn_like(x), target) for _ in range(4)) / 4

    report = tl.check(noisy)
    assert (report.kind, report.right) == ("smoothgrad", True), str(report)
    assert "smoothgrad, right (by the mean of many calls on one network)" in str(report)
    assert report.notes[0] == "rule saliency, noise 0.5"
    for std in (0.97, 0.55):  # near 1 and 0.15 of the range; between two usual ones
        notes = tl.check(lambda module, x, k, std=std: noisy(module, x, k, std)).notes
        assert not notes or "could not be told" in notes[0]
    report = tl.check(lambda module, x, target: torch.randn_like(x))
    assert (report.kind, report.faults) == ("unknown", ["two calls give different maps"]), str(report)


@pytest.mark.parametrize("seed", range(1, 12))
def test_other_networks_tell_the_same(seed):
    attribute, kind, _ = [*FLAWLESS.values()][:10][seed % 10]
    report = tl.check(attribute, seed=seed)
    assert (report.kind, report.faults, report.alike) == (kind, [], ()), str(report)


def array_alone(module, x, target):
    assert isinstance(x, np.ndarray)
    return bridge.attribute(module, x, "guided", target)


def single_tensor(module, x, target):
    return logit_gradient(module, x.reshape(3, 12, 11)[None] if x.ndim == 3 else 0, target)


def needing_a_gradient(module, x, target):
    module(x)[0, target].backward()
    return x.grad


@pytest.mark.parametrize(
    ("attribute", "form"),
    [
        (logit_gradient, "a tensor (1, C, H, W), float64"),
        (needing_a_gradient, "a tensor (1, C, H, W) that requires a gradient, float64"),
        (array_alone, "an array (C, H, W), float64"),
        (single_tensor, "a tensor (C, H, W), float64"),
        (FLAWLESS["in float32"][0], "a tensor (1, C, H, W), float32"),
    ],
)
def test_the_form_of_pictures_is_found(attribute, form):
    assert form in tl.check(attribute).form


def failing(module, x, target):
    raise SystemExit("no weights")


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        (failing, r"SystemExit for target 0 of the network 'chain': no weights \(in test_checking:failing, line \d+\)"),
        (lambda m, x, k: x[..., 1:], "expected a map of .* for target 0 of the network 'chain', got"),
        (lambda m, x, k: None, "TypeError for target 0 of the network 'chain': map: expected real numbers, got None"),
        (lambda m, x, k: x / 0 * 0, "the map of target 0 of the network 'chain' is not finite"),
        (lambda m: m, "TypeError for target 0 of the network 'chain'"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_one_line(attribute, said):
    with pytest.raises(ValueError, match=f"^attribute: .*{said}") as error:
        tl.check(attribute)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "returned", [lambda s: s.half(), lambda s: (s,), lambda s: s[0].requires_grad_(), lambda s: s.to_sparse()]
)
def test_what_holds_a_maps_numbers_will_do(returned):
    report = tl.check(lambda module, x, target: returned(logit_gradient(module, x, target) * 64))
    assert (report.kind, report.faults) == ("saliency", [])


DRAWN = random.Random(8)


@pytest.mark.parametrize("rule", DRAWN.sample(["saliency", "guided", "deconvnet"], 1))
@pytest.mark.parametrize(("dtype", "said"), [("float16", "half precision"), ("bfloat16", "bfloat16")])
def test_a_map_in_half_precision_is_judged_by_its_rounding(rule, dtype, said):
    attribute = shown(ruled(rule), lambda s, x, f: s.to(getattr(torch, dtype)))
    report = tl.check(attribute, seed=DRAWN.randrange(99))
    assert (report.kind, report.remarks, report.right) == (rule, [f"returned in {said}"], True), str(report)
    assert 1e-5 < report.deviation < report.tolerance
    wrong = tl.check(shown(attribute, lambda s, x, f: s * torch.linspace(0.9, 1.1, s.shape[-1])))
    assert wrong.kind == "unknown", str(wrong)


@pytest.mark.parametrize("change", [torch.abs, torch.relu, lambda s: s / s.norm()])
def test_channels_in_reverse_are_said(change):
    report = tl.check(shown(ruled("guided"), lambda s, x, f: change(s.flip(0))))
    assert (report.kind, report.faults) == ("guided", ["channels reversed"]), str(report)


def switched(module):
    module.train()


def partly_switched(module):
    list(module.modules())[-1].train()


def frozen(module):
    for one in module.parameters():
        one.requires_grad_(False)


@pytest.mark.parametrize("leave", [switched, partly_switched, frozen])
def test_a_module_left_in_another_state_is_a_fault(leave):
    def run(module, x, target):
        map_ = logit_gradient(module, x, target)
        leave(module)
        return map_

    (fault,) = tl.check(run).faults
    assert fault.startswith("it leaves the module changed")
    assert ("requires_grad" in fault) is (leave is frozen)


@pytest.mark.parametrize("share", [0.0, 0.34, 1.0])
def test_no_distance_is_infinite_in_words(share):
    """Maps that are zero for some targets, and pictures that are nobody's map."""
    calls = []

    def run(module, x, target):
        calls.append(target)
        return torch.zeros_like(x) if target % 3 < 3 * share else x**2

    report = tl.check(run)
    assert report.kind == "unknown"
    assert "inf" not in str(report)
    assert ("is zero" in str(report)) is (share > 0)


def test_pytorch_is_left_as_it_was():
    def careless(module, x, target):
        torch.set_grad_enabled(True)
        map_ = logit_gradient(module, x, target)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float16)
        torch.use_deterministic_algorithms(True)
        torch.manual_seed(0)
        return map_

    def state():
        return (
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            torch.are_deterministic_algorithms_enabled(),
            torch.random.get_rng_state().tolist(),
            random.getstate(),
        )

    before = state()
    assert tl.check(careless).kind == "saliency"
    assert state() == before
    with torch.no_grad():
        assert tl.check(logit_gradient).right


def test_the_same_seed_gives_the_same_report():
    first, second = (tl.check(FAULTY["hooks"][0], seed=3).to_json() for _ in range(2))
    assert first == second
    assert first["networks"][1]["kind"] == "saliency"
    assert [one["kind"] for one in first["networks"]].count("guided") == len(_networks.KINDS) - 1


MAPS = """
import torch
def plain(module, x, target):
    print("here")
    x.requires_grad_()
    return torch.autograd.grad(module(x)[0, target], x)[0]
def wrong(module, x, target):
    return -plain(module, x, target)
number = 1
"""


def test_from_a_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ownmaps.py").write_text(MAPS)

    def run(*words):
        return CliRunner().invoke(cli.app, ["check", *words])

    done = run("ownmaps:plain")
    assert done.exit_code == 0, done.output
    assert "plain: saliency, right (on 8 of 8 networks" in done.stdout
    done = run("ownmaps:wrong", "--json", "--seed", "2")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert (found["kind"], found["remarks"], found["seed"]) == ("saliency", ["negative of the map"], 2)
    assert "here" in done.stderr
    assert run("ownmaps:wrong", "--quiet").stdout.splitlines()[-1] == "saliency"
    for words, said in (
        ("ownmaps:nothing", "MODULE:FUNCTION: 'ownmaps' has no 'nothing'"),
        ("ownmaps:number", "MODULE:FUNCTION: 'ownmaps:number' is not callable"),
        ("ownmaps", "MODULE:FUNCTION: expected module:name, got 'ownmaps'"),
        ("math:sin", "attribute: TypeError for target 0 of the network 'chain'"),
    ):
        done = run(words)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.startswith(f"theorylab: error: {said}")
        assert len(done.stderr.splitlines()) == 1
