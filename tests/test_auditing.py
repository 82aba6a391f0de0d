"""Audits: attributions whose answer is known by construction, adapters, controls, reports, and what is refused."""

import json
import math
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from PIL import Image
from scipy import stats
from skimage import filters
from typer.testing import CliRunner

import theorylab as tl
from theorylab import _files, auditing, cli
from theorylab.auditing import Estimate, NetworkAttribution
from theorylab.auditing._comparing import references
from theorylab.montecarlo.pictures import Files
from theorylab.networks import GraphNetwork
from theorylab.networks.nodes import Activation, Conv, Dense, Flatten, Input

RULES = ("saliency", "deconvnet", "guided")


@pytest.fixture(scope="module")
def crops():
    return tl.training.crops("test", 12, seed=5)[0].astype(np.float64)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).normal(size=(8, 3, 12, 12))


STREAM = np.random.default_rng(3)
START = STREAM.bit_generator.state


@pytest.fixture(autouse=True)
def _the_same_noise_in_any_order():
    STREAM.bit_generator.state = START


def noise(x, target):
    return STREAM.normal(size=x.shape)


def by_target(x, target):
    return np.random.default_rng(target).normal(size=x.shape)


def pieces(x, target):
    """Looks at one row of the picture per class: stable, of the picture, and another one for each class."""
    kept = np.zeros_like(x)
    kept[:, target] = x[:, target] ** 2
    return kept


KNOWN = {
    "the picture": (lambda x, target: x, (True, False, True), "recovers the input, insensitive to class"),
    "its edges": (
        lambda x, target: filters.sobel(x.mean(axis=0)),
        (True, False, True),
        "recovers the input's edges, insensitive to class",
    ),
    "noise": (noise, (False, False, False), "neither: noise"),
    "the target alone": (by_target, (False, True, True), "neither: the same map for every picture"),
    "pieces": (pieces, (False, True, True), "class-sensitive, does not recover the input"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_by_construction(name, pictures):
    attribute, expected, words = KNOWN[name]
    report = tl.audit(attribute, pictures, range(8))
    verdict = report.verdict
    assert (verdict.recovers, verdict.sensitive, verdict.stable) == expected
    assert verdict.words.startswith(words)
    assert verdict.sure > 0.95
    assert report.controls["white noise"][1].words.startswith("neither: noise")


def test_white_noise_is_root_two_apart(pictures):
    draws = 40
    audits = [tl.audit(noise, pictures, range(8), randomize=False).measured for _ in range(draws)]
    held = [
        [one.distance.low < math.sqrt(2) < one.distance.high for one in audits],
        [one.recovery["input"].low < 0 < one.recovery["input"].high for one in audits],
    ]
    # 95 % intervals hold the truth in about 95 % of draws: at a thousandth, in no fewer than 33 of 40.
    for hits in np.sum(held, axis=1):
        assert stats.binomtest(int(hits), draws, 0.95, alternative="less").pvalue > 1e-3, hits


@pytest.mark.parametrize("kind", ["trained", "random"])
def test_the_networks_that_the_theory_is_about(kind, classifier, crops):
    net = classifier.network if kind == "trained" else classifier.random(1)
    found = {
        rule: tl.audit(NetworkAttribution(net, rule), crops, range(10), randomize=False) for rule in RULES
    }
    guided, saliency = found["guided"].verdict, found["saliency"].verdict
    assert (guided.recovers, guided.sensitive) == (True, False)
    assert (saliency.recovers, saliency.sensitive) == (False, True)
    gradient, verdict = found["guided"].controls["plain gradient"]
    assert verdict.words == saliency.words
    assert gradient.distance == found["saliency"].measured.distance  # the same maps, whoever asks
    # Backward signals of two logits converge on the way down, and those of saliency do not.
    along = list(found["guided"].backward_cosines.values())
    assert along[-1].mean > 0.8 > along[0].mean
    assert list(found["saliency"].backward_cosines.values())[-1].mean < 0.3


@pytest.mark.parametrize("rule", RULES)
def test_the_exact_law_is_predicted(rule):
    x = tl.images.load(size=32)
    grid = tl.PatchGrid(x.shape, 7, 2)
    found = []
    for seed in range(24):
        net = tl.networks.three_layer_cnn(grid, n_filters=64, n_logits=4, seed=seed)
        report = tl.audit(NetworkAttribution(net, rule), x, range(4))
        assert report.randomization == ()
        found.append(report.measured.distance.mean)
    law = report.predicted_distance["exact law"]
    assert law == tl.analytic.class_distance(x, grid, rule, 64, law=tl.TruncatedGaussian(0.1))
    # Networks are the units.  The law is a ratio of expectations: the mean over networks may be 1 % off it.
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    assert abs(np.mean(found) - law) < 4 * error + 0.01 * law
    if rule == "guided":
        for wrong in (32, 128):
            other = tl.analytic.class_distance(x, grid, rule, wrong, law=tl.TruncatedGaussian(0.1))
            assert abs(np.mean(found) - other) > 4 * error + 0.01 * other


def test_layers_drawn_anew(classifier, crops):
    report = tl.audit(NetworkAttribution(classifier.network, "guided"), crops[:4], [0, 1], seed=2)
    layers = NetworkAttribution(classifier.network, "guided").layers
    assert layers == ("features.0", "features.3", "features.6", "classifier.0", "classifier.2")
    cascade = [one for one in report.randomization if one.cascading]
    single = {one.layer: one for one in report.randomization if not one.cascading}
    assert [one.layer for one in cascade] == list(layers[::-1])
    # The top layer is the whole of its cascade; dense layers hardly matter, the first convolution does.
    assert cascade[0].cosine == single["classifier.2"].cosine
    assert single["classifier.2"].cosine.mean > single["features.0"].cosine.mean
    assert cascade[-1].similarity.mean < cascade[0].similarity.mean


def test_drawn_anew_is_one_draw(classifier):
    attribute = NetworkAttribution(classifier.network, "guided")
    one = attribute.randomized(["features.0"], 7).net.parameters
    both = attribute.randomized(["features.0", "classifier.0"], 7).net.parameters
    assert_allclose(one["features.0.weight"], both["features.0.weight"])
    assert one["classifier.0.weight"] is classifier.network.parameters["classifier.0.weight"]
    other = attribute.randomized(["features.0"], 8).net.parameters
    assert not np.allclose(one["features.0.weight"], other["features.0.weight"])


def test_backward_cosines_worked_out_by_hand():
    nodes = [
        Input("x", (1, 1, 2)),
        Conv("conv", "x", 2, kernel=1, bias=False),
        Activation("relu", "conv"),
        Flatten("flat", "relu"),
        Dense("fc", "flat", 2, bias=False),
    ]
    weights = {
        "conv.weight": np.array([1.0, 2.0]).reshape(2, 1, 1, 1),
        "fc.weight": np.array([[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]]),
    }
    attribute = NetworkAttribution(GraphNetwork(nodes, weights), "saliency")
    found = attribute.backward_cosines(np.ones((1, 1, 2)), 0, 1)
    # At the ReLU (1,0,0,0) and (1,0,1,0); at the picture (1,0) and (3,0).
    assert_allclose(list(found.values()), [1 / math.sqrt(2), 1.0])
    assert list(found) == ["relu", "x"]


def test_estimates_are_those_of_scipy():
    values = np.random.default_rng(1).normal(size=9)
    one = Estimate.of(values)
    low, high = stats.t.interval(0.95, 8, loc=values.mean(), scale=stats.sem(values))
    assert_allclose([one.low, one.high], [low, high])
    assert_allclose(one.above(0.3), 1 - stats.ttest_1samp(values, 0.3, alternative="greater").pvalue)
    assert Estimate.of(np.array([np.nan])).units == 0
    assert Estimate.of(np.array([2.0])).high == math.inf
    assert Estimate.of(np.array([2.0])).above(1.0) == 0.5
    assert Estimate.of(np.array([2.0, 2.0])).above(1.0) == 1.0


def test_references_are_the_picture_and_what_it_becomes():
    x = np.random.default_rng(2).normal(size=(3, 15, 16))
    known = references(x, 3)
    grid = tl.PatchGrid(x.shape, 7)
    inner = (slice(None), slice(6, -6), slice(6, -6))  # where no window leaves the picture
    assert_allclose(known["normalised input"][inner], (x * tl.analytic.local_contrast(x, grid))[inner])
    assert known["input"] is x
    assert_allclose(known["absolute value"], np.abs(x))
    assert_allclose(known["squares"], x**2)
    assert_allclose(references(x, 1)["absolute value"], np.abs(x).mean(axis=0, keepdims=True))
    assert {map_.shape for map_ in references(x, 1).values()} == {(1, 15, 16)}


def test_targets_that_share_a_picture_are_no_units():
    x = np.random.default_rng(0).normal(size=(3, 12, 12))
    report = tl.audit(pieces, x, range(8))
    assert (report.pictures, report.measured.distance.units) == (1, 1)
    assert report.measured.distance.high == math.inf
    assert report.measured.across_pictures.units == 0
    assert report.to_json()["units"] == "pictures"


def test_two_targets_of_one_picture_decide_nothing():
    report = tl.audit(pieces, np.random.default_rng(0).normal(size=(3, 12, 12)), [0, 1])
    assert report.verdict.sensitive is None
    assert "undecided" in report.verdict.words


def test_zero_maps_are_counted_and_decide_nothing(pictures):
    report = tl.audit(lambda x, target: np.zeros_like(x), pictures, [0, 1])
    assert report.measured.zero_maps == 16
    assert report.verdict.words == "undecided: the maps are zero"
    json.dumps(report.to_json(), allow_nan=False)


def test_the_same_seed_gives_the_same_report(pictures):
    one, other = (tl.audit(pieces, pictures, range(4), seed=9).to_json() for _ in range(2))
    assert one == other
    assert one != tl.audit(pieces, pictures, range(4), seed=10).to_json()


@pytest.mark.parametrize(
    ("attribute", "x", "targets", "what"),
    [
        (lambda x, t: x[:, :-1], np.ones((1, 9, 9)), [0, 1], "expected a map of"),
        (lambda x, t: x * np.nan, np.ones((1, 9, 9)), [0, 1], "not finite"),
        (lambda x, t: x * 1j, np.ones((1, 9, 9)), [0, 1], "real numbers"),
        (lambda x, t: x, np.ones((1, 9, 6)), [0, 1], "at least 7 × 7"),
        (lambda x, t: x, np.zeros((1, 9, 9)), [0, 1], "zero"),
        (lambda x, t: x, np.ones((1, 9, 9)), [0], "two or more"),
        (lambda x, t: x, np.ones((1, 9, 9)), [0, 0], "twice"),
        (lambda x, t: x, [], [0, 1], "at least one picture"),
        (lambda x, t: x, np.ones((1, 9, 9)), [0, 1.5], "integers"),
        (lambda x, t: x, np.ones((1, 9, 9)), 3, "several"),
    ],
)
def test_bad_input_is_refused(attribute, x, targets, what):
    with pytest.raises((TypeError, ValueError), match=what):
        tl.audit(attribute, x, targets)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (
            IndexError("index 3"),
            r"attribute: IndexError for target 3: index 3; targets \(--targets\) are classes",
        ),
        (ZeroDivisionError("division"), "attribute: ZeroDivisionError for target 3: division"),
    ],
)
def test_what_goes_wrong_in_an_attribution_is_one_line(error, what, pictures):
    def fails(x, target):
        if target == 3:
            raise error
        return x

    with pytest.raises(ValueError, match=what) as raised:
        tl.audit(fails, pictures, range(5))
    assert raised.value.__cause__ is error  # with its own traceback for whoever wrote it


def test_a_sequence_of_ones_own_may_use_its_memory_again(pictures):
    """Anything with a length and entries: asked for one at a time, and never made an array of all."""

    class Again:
        held, asked = np.empty_like(pictures[0]), []

        def __len__(self):
            return len(pictures)

        def __getitem__(self, place):
            self.asked.append(place)
            self.held[:] = pictures[place]
            return self.held

    found, expected = (tl.audit(pieces, x, range(4)).to_json() for x in (Again(), pictures))
    assert found == expected
    # Once to see whether it repeats another, once to measure it, and the first as the last one's neighbour.
    assert max(Again.asked.count(place) for place in range(len(pictures))) <= 3


def test_maps_of_unlike_shapes_are_named(pictures):
    with pytest.raises(
        ValueError,
        match=r"attribute: maps of one shape expected, got \(3, .* for target 2 and \(1, .* target 5",
    ):
        tl.audit(lambda x, target: x if target < 5 else x[0], pictures, [2, 3, 5])


def test_what_goes_wrong_in_the_gradient_is_not_laid_on_the_attribution(pictures):
    def fails(x, target):
        raise RuntimeError("out of order")

    with pytest.raises(ValueError, match=r"^gradient: RuntimeError for target 0: out of order"):
        tl.audit(pieces, pictures, [0, 1], gradient=fails)
    with pytest.raises(ValueError, match=r"^gradient: expected a map of"):
        tl.audit(pieces, pictures, [0, 1], gradient=lambda x, target: x[:, 1:])


def test_who_is_undecided_is_told_what_would_help(pictures):
    report = tl.audit(pieces, pictures[0], [0, 1])
    assert "undecided: one picture; more pictures would tell, 8 or more (of this one: " in str(report)
    assert "more pictures" not in str(tl.audit(lambda x, target: x, pictures, range(4)))
    assert (
        str(tl.audit(lambda x, target: 0 * x, pictures, [0, 1], name="none"))
        == "none: undecided: the maps are zero"
    )


@pytest.mark.parametrize("kept", [1, 3, 8])
def test_maps_that_tell_nothing_are_not_asked_for_again(kept):
    """Zero for some pictures, or for all targets but one of every picture."""
    x = np.random.default_rng(1).normal(size=(14, 3, 12, 12))
    shown = {picture.tobytes() for picture in x[:kept]}
    for attribute in (
        lambda picture, target: picture * (picture.tobytes() in shown),
        lambda picture, target: picture * (target == 0),
    ):
        said = str(tl.audit(attribute, x, [0, 1], randomize=False))
        assert "8 or more" not in said
        assert ("zero or constant" in said) or "undecided" not in said, said


def test_an_audit_leaves_pythons_random_numbers_alone():
    code = (
        "import random; state = random.getstate(); import numpy as np, theorylab as tl; from theorylab import progress;"
        "tl.audit(lambda x, k: x, np.random.default_rng(0).normal(size=(1, 3, 9, 9)), [0, 1]).rows();"
        "progress.live().__enter__(); import theorylab.drawing; assert random.getstate() == state"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_report_is_written(tmp_path, pictures):
    report = tl.audit(pieces, pictures, range(4), name="pieces")
    picture, numbers = report.save(tmp_path / "new")
    with Image.open(picture) as opened:
        assert np.asarray(opened.convert("L")).std() > 5
    content = json.loads(numbers.read_text())
    assert content["verdict"]["words"] == report.verdict.words
    assert content["measured"]["distance"]["mean"] == report.measured.distance.mean
    header, rows = report.rows()
    assert header == ("", "pieces", "white noise", "threshold")
    assert {len(row) for row in rows} == {4}
    thresholds = {row[0]: row[3] for row in rows}
    assert thresholds["corr. to input"] == ("±0.50" if report.measured.one_sided else "±0.20")
    assert (thresholds["corr., other picture"], thresholds["SSIM to input"]) == ("0.90", "")


# --- PyTorch and Captum


@pytest.fixture(scope="module")
def module(classifier):
    import torch
    from torch import nn

    layers = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    built = nn.Sequential()
    built.features = nn.Sequential(*layers)
    built.flatten = nn.Flatten()
    built.classifier = nn.Sequential(nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 10))
    built.load_state_dict(
        {name: torch.tensor(array) for name, array in classifier.network.parameters.items()}
    )
    return built.double().eval()


def test_captums_methods_are_classes_and_give_their_names(module):
    import captum.attr

    with pytest.raises(TypeError, match=r"method: expected a class of captum\.attr"):
        auditing.CaptumAttribution(captum.attr.Saliency(module), module)
    assert auditing.CaptumAttribution(captum.attr.Saliency, module).__name__ == "Saliency"


def test_captum_and_the_bridge_agree_with_the_package(module, classifier, crops):
    import captum.attr

    net = classifier.network
    reports = [
        tl.audit(one, crops[:4], range(4), name="guided", randomize=False)
        for one in (
            NetworkAttribution(net, "guided"),
            auditing.ModuleAttribution(module, "guided"),
            auditing.CaptumAttribution(captum.attr.GuidedBackprop, module),
        )
    ]
    for other in reports[1:]:
        assert other.verdict.words == reports[0].verdict.words
        assert_allclose(other.measured.distance.mean, reports[0].measured.distance.mean, rtol=1e-3)
        assert_allclose(
            other.controls["plain gradient"][0].distance.mean,
            reports[0].controls["plain gradient"][0].distance.mean,
            rtol=1e-3,
        )


def test_modules_are_drawn_anew_and_left_alone(module, crops):
    before = {name: array.clone() for name, array in module.state_dict().items()}
    attribute = auditing.ModuleAttribution(module, "guided")
    assert attribute.layers == ("features.0", "features.3", "features.6", "classifier.0", "classifier.2")
    drawn = attribute.randomized(["features.3"], 1).module.state_dict()
    for name, array in module.state_dict().items():
        assert bool((array == before[name]).all())
        assert bool((drawn[name] == array).all()) == (not name.startswith("features.3"))
    assert_allclose(float(drawn["features.3.weight"].std()), math.sqrt(2 / (16 * 9)), rtol=0.05)
    report = tl.audit(attribute, crops[:2], [0, 1])
    assert len(report.randomization) == 10


# --- the command


def run(*words):
    return CliRunner().invoke(cli.app, ["audit", *map(str, words)])


def test_the_command(tmp_path, classifier):
    done = run("--weights", "small", "--size", 32, "--out", tmp_path / "out", "--no-randomize", "--null", 2)
    assert done.exit_code == 0, done.output
    assert "trained guided: undecided: one picture" in done.output
    assert "of this one: recovers the" in done.output
    assert "null: share" in done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["audit.json", "audit.png"]


def test_a_folder_and_ones_own_callable(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for place in range(6):
        Image.fromarray(rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(
            tmp_path / "photos" / f"{place}.png"
        )
    (tmp_path / "mymaps.py").write_text("def copy(x, target):\n    return x\n")
    words = ["audit", "photos", "--attribute", "mymaps:copy", "--size", "16", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "theorylab", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["pictures"] == 6
    assert content["verdict"]["words"] == "recovers the input, insensitive to class"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import no_such_module_anywhere", "needs 'no_such_module_anywhere', which is not installed"),
        ("1 / 0", "cannot be imported, ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line(code, what, tmp_path):
    (tmp_path / "mymaps.py").write_text(code)
    words = ["audit", "cat", "--attribute", "mymaps:f", "--size", "16"]
    done = subprocess.run(
        [sys.executable, "-m", "theorylab", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert what in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--attribute", "nothing"), "expected module:name"),
        (("--attribute", "no_such_module_anywhere:f"), "there is no module"),
        (("--attribute", "math:nothing"), "has no 'nothing'"),
        (("--attribute", "math:pi"), "not callable"),
        (("--attribute", "math:sqrt"), "attribute: TypeError for target 0"),
        (("nothing.png", "--attribute", "math:sqrt"), "no such file"),
        (("--weights", "nothing.npz"), "no such file"),
        (("cat", "--preset", "paper"), "--preset: for --attribute alone"),
    ],
)
def test_bad_words_are_one_line(words, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.exit_code == 2
    assert what in done.output
    assert list(tmp_path.iterdir()) == []


@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=9).filter(lambda order: len(set(order)) > 1), st.data()
)
def test_copies_of_a_picture_count_once(pictures, order, data):
    """Wherever the copies stand, and of whatever dtype: all but the note is the audit of the different pictures."""
    different = list(dict.fromkeys(order))
    given_as = data.draw(st.sampled_from((np.array, list, tuple)))
    kinds = data.draw(st.lists(st.sampled_from(("f4", "f8")), min_size=len(order), max_size=len(order)))
    plain = pictures.astype("f4").astype("f8")

    def heat(x, target):
        return abs(x).sum(axis=0)

    report = tl.audit(
        heat, given_as([plain[one].astype(kind) for one, kind in zip(order, kinds, strict=True)]), [0, 1]
    )
    found, expected = report.to_json(), tl.audit(heat, plain[different], [0, 1]).to_json()
    assert report.pictures == len(different)
    repeats = [place for place in range(len(order)) if order[place] in order[:place]]
    assert found.pop("copies") == [
        {"file": f"x[{place}]", "copy of": f"x[{order.index(order[place])}]"} for place in repeats
    ]
    assert f"{len(repeats)} more picture" in found["sentence"] or not repeats
    assert found.pop("sentence").splitlines()[0] == expected.pop("sentence")
    expected.pop("copies")
    assert found == expected


def test_copies_of_one_picture_decide_nothing(pictures):
    report = tl.audit(lambda x, target: abs(x).sum(axis=0), [pictures[0]] * 8, targets=range(4))
    assert "undecided: one picture" in str(report)
    assert "7 more pictures are copies and not counted" in str(report)


@given(st.integers(0, 4), st.sampled_from(("picture", "map", "moved", "raises")))
def test_an_error_says_of_which_picture_it_is(pictures, place, fault):
    x = pictures[:5].copy()
    if fault == "picture":
        x[place, 0, 0, 0] = np.nan

    def maps(one, target):
        same = (one == pictures[place]).all()
        if fault == "raises" and same:
            raise RuntimeError("boom")
        moved = np.allclose(one, pictures[place], rtol=0, atol=0.1 * abs(one).max()) and not same
        return one * np.nan if (same and fault == "map") or (moved and fault == "moved") else one

    with pytest.raises(ValueError, match=rf"(x|attribute): .*; of picture x\[{place}\]$"):
        tl.audit(maps, x, [0, 1])


class OutOfTime(Exception):
    """Of a user's own."""


def slowly():
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(600)


class Slow:
    """Takes its time, where the user's alarm meets it."""

    def __array__(self, dtype=None, copy=None):
        slowly()


def slow_module():
    import torch

    class Sleeps(torch.nn.Module):
        def forward(self, x):
            slowly()

    return Sleeps()


@pytest.mark.parametrize("kind", [TimeoutError, OutOfTime, ValueError])
@pytest.mark.parametrize(
    "call",
    [
        lambda x: tl.audit(lambda x, target: slowly(), x, [0, 1]),
        lambda x: tl.audit(lambda x, target: Slow(), x, [0, 1]),
        lambda x: tl.audit(auditing.ModuleAttribution(slow_module(), "guided"), x, [0, 1], null=0),
        lambda x: tl.check(lambda module, x, target: slowly()),
        lambda x: auditing.audit_files(
            lambda x, target: x,
            Files("photos", ("a", "b"), lambda path: decoded(path)),
            [0, 1],
            name="copy",
            randomize=False,
            seed=0,
        ),
    ],
    ids=("attribution", "map", "module", "check", "picture"),
)
def test_what_a_users_alarm_raises_is_nobodys_fault(call, kind, pictures):
    def rings(*_):
        raise kind("time is up")

    before = signal.signal(signal.SIGALRM, rings)
    try:
        with pytest.raises(kind, match=r"^time is up$") as raised:
            call(pictures)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert type(raised.value) is kind


def decoded(path):
    with _files.decoding(path):
        slowly()
