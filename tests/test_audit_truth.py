"""The audit tells the truth: sign, rectified maps, noise of the class, one picture, constant maps."""

import concurrent.futures
import copy
import json
import math
import threading
from pathlib import Path

import captum.attr
import numpy as np
import pytest
import skimage.data
import torch
from audit_kinds import KINDS
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn
from torch.nn.utils import prune
from typer.testing import CliRunner

import theorylab as tl
from theorylab import auditing, cli
from theorylab._thresholds import ENOUGH, THRESHOLDS
from theorylab.auditing import Estimate, _comparing

TARGETS = [1, 3, 5, 8]
PHOTOGRAPHS = (
    "coffee.png",
    "astronaut.png",
    "chelsea.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "ihc.png",
    "retina.jpg",
)
FOLDER = Path(skimage.data.__file__).parent


@pytest.fixture(scope="module")
def crops():
    return tl.training.crops("test", 8, seed=3)[0].astype(np.float64)


@pytest.fixture(scope="module")
def photographs():
    return [tl.images.load(FOLDER / name, 64, "authors") for name in PHOTOGRAPHS]


def fresh(x, target, rng=np.random.default_rng(4)):  # noqa: B008 - one stream for all calls, on purpose
    return rng.normal(size=x.shape)


def of_class(x, target):
    return np.random.default_rng(target).normal(size=x.shape)


KNOWN = {
    "the picture": (lambda x, t: x, "input", False, "recovers the input, insensitive to class"),
    "its negative": (lambda x, t: -x, "minus the input", False, "recovers the input's negative, insensitive to class"),
    "|x|": (lambda x, t: np.abs(x), "absolute value", False, "recovers the input's strength, insensitive to class"),
    "sum |x|": (lambda x, t: np.abs(x).sum(axis=0), "absolute value", False, "recovers the input's strength, insensitive"),
    "sum x²": (lambda x, t: (x**2).sum(axis=0), "absolute value", False, "recovers the input's strength, insensitive"),
    "-sum |x|": (lambda x, t: -np.abs(x).sum(axis=0), "absolute value", False, "recovers the input's strength, negated"),
    "brightness": (lambda x, t: x.sum(axis=0), "input", False, "recovers the input, insensitive to class"),
    "darkness": (lambda x, t: -x.sum(axis=0), "minus the input", False, "recovers the input's negative, insensitive"),
    "sign of the class": (lambda x, t: (-1) ** (t % 4) * x if t > 3 else x * (2 - t), "input", True, "recovers the input up to"),
    "|noise|": (lambda x, t: np.abs(fresh(x, t)), "no", False, "neither: noise"),
    "|noise of the class|": (lambda x, t: np.abs(of_class(x, t)), "no", True, "neither: the same map for every picture"),
    "noise of the class, x": (lambda x, t: (of_class(x, t) * x).sum(axis=0), "no", True, "class-sensitive, does not"),
    "half noise of the call": (
        lambda x, t: x / np.std(x) + fresh(x, t),
        "input",
        False,
        "recovers the input, insensitive to class",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("of", ["crops", "photographs"])
def test_what_is_known(name, of, request):
    attribute, recovers, sensitive, words = KNOWN[name]
    report = tl.audit(attribute, request.getfixturevalue(of), TARGETS)
    assert (report.recovers, report.class_sensitive) == (recovers, sensitive)
    assert report.verdict.words.startswith(words)
    assert 0.95 <= report.verdict.sure <= 1 - 0.5**report.pictures
    content = report.to_json()
    assert (content["recovers"], content["class_sensitive"]) == (recovers, sensitive)
    assert f"from {report.pictures} pictures" in content["sentence"] == str(report)


@pytest.mark.parametrize("of", ["crops", "photographs"])
def test_noise_behind_the_strength_is_not_insensitive(of, request):
    """Another noise for each class: with and without the absolute value, summed or the largest."""
    pictures = request.getfixturevalue(of)
    for rectified in (
        lambda x, t: np.abs(of_class(x, t) * x).sum(axis=0),
        lambda x, t: np.abs(of_class(x, t) * x).max(axis=0),
        lambda x, t: np.abs(of_class(x, t) * x),
    ):
        report = tl.audit(rectified, pictures, TARGETS)
        assert report.class_sensitive is True
        assert report.recovers in ("absolute value", "undecided", "no")


def test_the_gradient_and_its_largest_absolute_value_have_one_verdict(classifier, crops):
    def gradient(x, target):
        return tl.visualize(classifier.network, x, "saliency", target)

    signed = tl.audit(gradient, crops, TARGETS)
    simonyan = tl.audit(lambda x, t: np.abs(gradient(x, t)).max(axis=0), crops, TARGETS)
    assert signed.class_sensitive is simonyan.class_sensitive is True
    assert signed.recovers == simonyan.recovers == "no"
    # A raw distance says the opposite, because positive maps share a mean.
    assert simonyan.measured.distance.mean < math.sqrt(2) / 2 < signed.measured.distance.mean


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["the picture", "|x|", "|noise|", "sum x²"])
def test_few_pictures_are_never_sure(number, name, crops):
    report = tl.audit(KNOWN[name][0], crops[:number], range(8))
    assert (report.recovers, report.class_sensitive) == ("undecided", None)
    assert report.verdict.sure <= 1 - 0.5**number < 0.95
    count = "one picture" if number == 1 else f"{number} pictures"
    assert f": undecided: {count}; more pictures would tell, {ENOUGH} or more" in str(report)
    assert "sure to" not in str(report)
    for estimate in (report.measured.class_correlation, *report.measured.recovery.values()):
        assert estimate.units == number


@pytest.mark.parametrize("index", range(7))
def test_single_photographs_do_not_contradict_each_other(index, photographs):
    report = tl.audit(KNOWN["|x|"][0], photographs[index], TARGETS)
    assert report.verdict.here == "recovers the input's strength, insensitive to class"


def test_no_one_is_surer_than_the_number_of_pictures_allows(crops):
    """A sign test of n pictures has level 2^-n: 1/32 for five, however alike they are."""
    assert tl.audit(lambda x, t: x, crops[:5], TARGETS).verdict.sure == 1 - 1 / 32
    assert tl.audit(lambda x, t: x, crops, TARGETS).verdict.sure == 1 - 1 / 256


def test_a_constant_added_to_maps_or_pictures_changes_nothing(crops):
    tint = np.array([0.0, 5.0, -40.0])[:, None, None]
    noise = {t: np.random.default_rng(t).normal(size=crops[0].shape) for t in TARGETS}

    def attribute(x, target):
        return x + noise[target] * x.std()

    plain = tl.audit(attribute, crops, TARGETS).measured
    tinted = tl.audit(lambda x, t: 1e-3 * (attribute(x, t) + 30 * tint), crops, TARGETS).measured
    for name in ("input", "absolute value", "squares"):
        assert_allclose(tinted.recovery[name].mean, plain.recovery[name].mean, rtol=1e-6, atol=1e-9)
    assert_allclose(tinted.class_correlation.mean, plain.class_correlation.mean, rtol=1e-6)
    assert tinted.distance.mean < 0.8 * plain.distance.mean  # what is not centred does change


def test_the_control_has_the_values_of_the_map(crops):
    maps = np.abs(crops[:3])
    mixed = _comparing.shuffled(maps, np.random.default_rng(0))
    assert_array_equal(np.sort(mixed.reshape(3, -1)), np.sort(maps.reshape(3, -1)))
    pixels = lambda map_: np.array(sorted(map(tuple, map_.reshape(3, -1).T)))  # noqa: E731
    assert_array_equal(pixels(mixed[0]), pixels(maps[0]))  # whole pixels move: colours stay together
    control, verdict = tl.audit(lambda x, t: np.abs(x), crops, TARGETS).controls["white noise"]
    assert control.one_sided
    assert verdict.words.startswith("neither: noise")
    assert control.recovery["absolute value"].low < 0.02


def test_a_map_with_one_sign_needs_more_than_a_signed_one(crops):
    """A correlation of 0.4 to the picture: a copy among signed maps, no sure copy among rectified ones."""
    rng = np.random.default_rng(0)

    def mixed(x, target):
        unit = (x - x.mean(axis=(1, 2), keepdims=True)) / x.std()
        return 0.5 * unit + math.sqrt(1 - 0.25) * rng.normal(size=x.shape)

    assert not tl.audit(mixed, crops, TARGETS).measured.one_sided
    assert tl.audit(mixed, crops, TARGETS).recovers in ("input", "normalised input")
    assert tl.audit(lambda x, t: mixed(x, t) + 20, crops, TARGETS).recovers in ("no", "undecided")


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        (lambda x, t: 0 * x, "undecided: the maps are zero"),
        (lambda x, t: 0 * x + 0.1 * t, "undecided: the maps are constant"),
        (lambda x, t: 0 * x + np.array([0.1, 0.2, 0.3])[:, None, None], "undecided: the maps are constant"),
    ],
)
def test_maps_without_contrast_are_named(attribute, words, crops, tmp_path):
    report = tl.audit(attribute, crops, TARGETS, name="f")
    assert str(report) == f"f: {words}"
    assert (report.recovers, report.class_sensitive) == ("undecided", None)
    assert report.measured.zero_maps + report.measured.constant_maps == 32
    json.dumps(report.to_json(), allow_nan=False)
    report.save(tmp_path)  # without a warning


def test_some_zero_maps_are_said(crops):
    report = tl.audit(lambda x, t: x * (t > 1), crops, TARGETS)
    assert report.verdict.recovers
    assert "without 8 maps that are zero or constant" in str(report)


def test_maps_that_are_not_finite_are_one_line(crops):
    for bad in (math.nan, math.inf):
        with pytest.raises(
            ValueError,
            match=r"^attribute: the map of target 3 is not finite \(NaN or infinity\); of picture x\[0\]$",
        ):
            tl.audit(lambda x, t, bad=bad: np.where(t == 3, bad, x), crops, TARGETS)


@pytest.mark.parametrize("scale", [1e-300, 1e160, 1e305])
def test_the_scale_of_maps_does_not_matter(scale, crops, tmp_path):
    report = tl.audit(lambda x, t: x * scale, crops, TARGETS)
    report.save(tmp_path)
    assert report.verdict.words == "recovers the input, insensitive to class"


def test_constant_pictures_can_be_recovered_by_nothing(crops):
    flat = [np.full((3, 8, 8), 0.1 * (1 + place)) for place in range(8)]
    report = tl.audit(of_class, flat, TARGETS)
    assert report.recovers in ("undecided", "no")
    assert report.measured.recovery["input"].units == 0


RETURNED = {
    "gradient": lambda t: t.clone().requires_grad_(True) * 1.0,
    "bfloat16": lambda t: t.bfloat16(),
    "half": lambda t: t.half(),
    "sparse": lambda t: t.to_sparse(),
    "rows": lambda t: t.sum(0).to_sparse_csr().requires_grad_(True),
    "float": lambda t: t.float(),
    "a batch": lambda t: t[None],
    "a plane": lambda t: t.sum(0),
    "channels last": lambda t: t[None].to(memory_format=torch.channels_last)[0],
    "an array": lambda t: t.numpy(),
    "a list": lambda t: t.tolist(),
    "a mask of nothing": lambda t: np.ma.masked_array(t.numpy()),
    "long double": lambda t: t.numpy().astype(np.longdouble),
}
WRAPPED = {"itself": lambda map_: map_, "a tuple": lambda map_: (map_,), "a list": lambda map_: [map_]}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@given(form=st.sampled_from(sorted(RETURNED)), held=st.sampled_from(sorted(WRAPPED)))
@settings(max_examples=25)
def test_whatever_holds_the_numbers_is_a_map(form, held):
    x = np.random.default_rng(0).normal(size=(5, 3, 8, 8))
    report = tl.audit(lambda x, t: WRAPPED[held](RETURNED[form](torch.tensor(x))), x, [0, 1])
    assert report.recovers == "input"


def test_pictures_and_targets_are_tensors_too():
    x = np.random.default_rng(0).normal(size=(5, 3, 8, 8))
    tensors = torch.tensor(x, requires_grad=True), torch.tensor([0, 1])
    assert tl.audit(lambda x, t: x, *tensors).to_json() == tl.audit(lambda x, t: x, x, [0, 1]).to_json()


def broken(error):
    def attribute(x, target):
        if target == 3:
            raise error
        return x

    return attribute


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemExit(1), "SystemExit for target 3: 1"),
        (StopIteration(), "StopIteration for target 3"),
        (KeyError("layer"), "KeyError for target 3: 'layer'"),
        (RuntimeError("two\n  lines"), "RuntimeError for target 3: two lines"),
        (AssertionError(), r"AssertionError for target 3; targets \(--targets\) are classes of the network"),
    ],
)
def test_whatever_the_callable_raises_is_one_line_that_says_where(error, said, crops):
    line = broken.__code__.co_firstlineno + 3
    where = rf"\(in {__name__}:attribute, line {line}\); of picture x\[0\]"
    with pytest.raises(ValueError, match=rf"^attribute: {said} {where}$"):
        tl.audit(broken(error), crops, range(1, 5))


def test_an_index_of_the_callables_own_is_no_target(crops):
    with pytest.raises(ValueError, match="attribute: IndexError for target 1: index 7") as caught:
        tl.audit(lambda x, t: x[7], crops, TARGETS)
    assert "--targets" not in str(caught.value)


def test_what_is_no_map_is_one_line(crops):
    for returned, said in (
        (None, "got None"),
        ("a map", "<U5"),
        (np.ma.masked_less(crops[0], 0), "masked"),
        ({}, "got dict"),
    ):
        with pytest.raises(
            ValueError, match=rf"^attribute: \w+ for target 1: map: expected .*{said}.* \(in "
        ):
            tl.audit(lambda x, t, returned=returned: returned, crops, TARGETS)


class Storing(nn.Module):
    """Keeps what it computed last, as for Grad-CAM."""

    def __init__(self):
        super().__init__()
        self.kept = {}
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x):
        self.kept["feature"] = self.last = self.conv(x)
        return self.last


def plain(layer=nn.Identity):
    torch.manual_seed(0)
    module = nn.Sequential(layer(nn.Conv2d(3, 2, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
    return module.double().eval()


def storing(layer):
    module = Storing()
    module.conv = layer
    return module


@pytest.mark.filterwarnings("ignore")  # PyTorch calls two of them deprecated
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (nn.utils.weight_norm, "0"),
        (nn.utils.spectral_norm, "0"),
        (lambda layer: prune.l1_unstructured(layer, "weight", 0.5), "0"),
        (lambda layer: prune.random_structured(prune.l1_unstructured(layer, "weight", 0.5), "weight", 0.5, dim=0), "0"),
        (nn.utils.parametrizations.weight_norm, "0"),
        (nn.utils.parametrizations.spectral_norm, "0"),
        (storing, "0.conv"),
    ],
)  # fmt: skip
def test_layers_are_drawn_anew_whatever_made_their_weights(make, name):
    """As in the same module without it: the fresh weight is the layer's weight, and the module stays as it was."""
    x = np.random.default_rng(0).normal(size=(1, 3, 8, 8))
    module, simple = plain(make), plain(lambda layer: layer)
    before = module(torch.tensor(x))  # leaves results behind
    one, other = (
        auditing.CaptumAttribution(captum.attr.Saliency, net, abs=False) for net in (module, simple)
    )
    assert one.layers == (name, "3")
    for names in ((name,), (name, "3"), ("3",)):
        drawn = one.randomized(names, 7)
        if name in names:
            expected = other.randomized([part.replace(name, "0") for part in names], 7)
            if "3" in names:
                np.testing.assert_array_equal(drawn(x[0], 1), expected(x[0], 1))
            weight = dict(drawn.module.named_modules())[name].weight
            assert torch.equal(weight, expected.module[0].weight)
    torch.testing.assert_close(module(torch.tensor(x)), before, rtol=1e-6, atol=1e-9)
    report = tl.audit(one, x, [0, 1])
    assert [row.layer for row in report.randomization] == ["3", name] * 2


def test_modules_that_keep_results_are_drawn_anew(crops):
    """Tensors that are results, kept as attributes, cannot be copied by ``deepcopy``; locks neither."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)).double().eval()
    module.kept, module.lock = module(torch.tensor(crops[:1])), threading.Lock()
    with pytest.raises((RuntimeError, TypeError)):
        copy.deepcopy(module)
    before = {name: entry.clone() for name, entry in module.state_dict().items()}
    report = tl.audit(auditing.ModuleAttribution(module, "guided"), crops, TARGETS)
    assert [row.layer for row in report.randomization] == ["1", "1"]
    assert max(abs(row.cosine.mean) for row in report.randomization) < 0.5
    assert all(torch.equal(entry, before[name]) for name, entry in module.state_dict().items())


def test_shared_weights_stay_shared_when_they_are_drawn_anew():
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)).double().eval()
    module[2].weight = module[0].weight
    drawn = auditing.ModuleAttribution(module, "guided").randomized(["0"], 1).module
    assert drawn[2].weight is drawn[0].weight
    assert not torch.equal(drawn[0].weight, module[0].weight)
    assert torch.equal(drawn[2].bias, module[2].bias)


@pytest.mark.parametrize("make", [lambda: nn.Dropout(), lambda: nn.BatchNorm2d(3), lambda: nn.RReLU()])
def test_captums_methods_refuse_training_mode(make, crops):
    captum = pytest.importorskip("captum.attr")
    module = nn.Sequential(make(), nn.Flatten(), nn.Linear(3 * 32 * 32, 10)).double()
    attribute = auditing.CaptumAttribution(captum.Saliency, module)
    before = {name: entry.clone() for name, entry in module.state_dict().items()}
    for call in (attribute, attribute.gradient):
        state = torch.get_rng_state()
        with pytest.raises(ValueError, match=r"^0 \(\w+\): in training mode; call module\.eval\(\) first$"):
            call(crops[0], 1)
        assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(entry, before[name]) for name, entry in module.state_dict().items())


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU:UserWarning")
def test_captums_hooks_stay_off_a_module_that_threads_share(crops):
    captum = pytest.importorskip("captum.attr")
    module = nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.Flatten(), nn.Linear(196, 10)).double().eval()
    attribute = auditing.CaptumAttribution(captum.GuidedBackprop, module)
    expected = [attribute(crops[0], target) for target in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for target, found in enumerate(pool.map(attribute, [crops[0]] * 12, list(range(4)) * 3)):
            np.testing.assert_array_equal(found, expected[target % 4])
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


@pytest.mark.parametrize("scale", [1e-200, 1e160, 1e300])
def test_the_scale_of_pictures_does_not_matter(scale, crops):
    one, other = (tl.audit(lambda x, t: x, crops * factor, TARGETS).to_json() for factor in (1, scale))
    assert one["verdict"] == other["verdict"]


def test_a_generator_is_a_seed(crops):
    report = tl.audit(lambda x, t: x, crops, TARGETS, seed=np.random.default_rng(0))
    assert report.to_json()["seed"] is None


def test_pictures_in_a_ring_count_both_their_pairs():
    """The error of a mean over neighbours is √2 times that of as many independent numbers."""
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(4000, 12))
    sums = parts + np.roll(parts, 1, axis=1)
    spread = sums.mean(axis=1).std()
    errors = [Estimate.of(row).widened(math.sqrt(2)).standard_error for row in sums[:500]]
    assert_allclose(np.sqrt(np.mean(np.square(errors))), spread, rtol=0.06)


# --- thresholds, in every place where somebody looks for them


def test_thresholds_are_stated_with_their_origin():
    content = tl.audit(lambda x, t: x, np.random.default_rng(0).normal(size=(5, 1, 8, 8)), [0, 1]).to_json()
    assert content["thresholds"].keys() == THRESHOLDS.keys()
    help_words = " ".join(CliRunner().invoke(cli.app, ["audit", "--help"]).output.split())
    root = Path(tl.__file__).parents[1]
    pages = [
        (root / name).read_text(encoding="utf-8") for name in ("docs/audit.md", "docs/audit-calibration.md")
    ]
    docstring = " ".join(tl.audit.__doc__.replace("\\|", "|").split())
    for name, (value, of) in THRESHOLDS.items():
        words = " ".join(f"{name}: {value}, {of}.".split())
        assert words in help_words
        assert words in docstring
    for value in ("0.2", "0.5", "3/4"):
        assert value in pages[0]
    assert all(of.replace("|", "\\|") in pages[1] for _, of in THRESHOLDS.values())
    assert all(name.replace("|", "\\|") in pages[1] for name in KINDS), "make calibration"


def test_the_numbers_behind_the_thresholds_are_what_networks_show(classifier, crops):
    """The gradient and its rectified map copy nothing, guided backpropagation does: the thresholds stand between."""

    def of(rule, change=lambda map_: map_):
        return tl.audit(
            lambda x, t: change(tl.visualize(classifier.network, x, rule, t)), crops, TARGETS
        ).measured

    gradient, guided = of("saliency"), of("guided")
    largest = of("saliency", lambda map_: np.abs(map_).max(axis=0))
    rectified = of("guided", lambda map_: np.abs(map_).sum(axis=0))
    assert abs(gradient.recovery["input"].mean) < 0.04 < 0.2 < 0.3 < guided.recovery["input"].mean
    for measured in (largest, rectified):
        assert max(abs(one.mean) for name, one in measured.recovery.items()) < 0.36 < 0.5
    assert largest.class_correlation.mean < 0.4 < 0.75 < 0.85 < guided.class_correlation.mean
    # Independent noise behind one strength, however unequal that is: E[m₁ m₂]/E[m²] of the sum of three |normals|.
    mean, square = 3 * math.sqrt(2 / math.pi), 3 + 6 * 2 / math.pi
    assert_allclose(mean**2 / square, 0.84, atol=0.001)
