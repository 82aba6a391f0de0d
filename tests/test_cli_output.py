"""What commands print: a table for people, JSON for programs, nothing for nobody."""

import csv
import datetime
import json

import numpy as np
import pytest
from PIL import Image
from shell import process, run

from theorylab import drawing, exhibits, images, measures, methods, networks, visualize
from theorylab.analytic.finite_width import finite_width_profile
from theorylab.analytic.tolerances import tolerance
from theorylab.commands import _output as output
from theorylab.exhibits import NetworkChoice
from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.specs import AdaptiveAveragePool, ConvSpec, Dense
from theorylab.model.stack import Stack

SMALL = {
    "visualize": ["visualize", "cat", "--size", "16", "--filters", "4"],
    "predict": ["predict", "cat", "--size", "16", "--filters", "4", "--rule", "all"],
}


@pytest.mark.parametrize("command", SMALL)
def test_json_is_all_there_is_on_stdout(command, tmp_path):
    file = tmp_path / "map.png"
    done = process(*SMALL[command], "--json", "--out", str(file))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    content = json.loads(done.stdout)
    assert content["image"] == "cat"
    assert content["network"] == "cnn"
    assert content["input_shape"] == [3, 16, 16]
    assert content["files"] == [str(file)]
    assert [one["rule"] for one in content["maps"]] == ["saliency", "deconvnet", "guided"]
    assert file.exists()


RESULTS = (
    [*SMALL["visualize"], "--out", "a.png"],
    [*SMALL["predict"], "--out", "a.png"],
    ["figure", "4", "--size", 16],
    ["audit", "cat", "--weights", "small", "--size", 16, "--targets", 2, "--no-randomize"],
    ["verify", "lemma1", "--budget", "quick", "--jobs", 1],
)


@pytest.mark.parametrize("words", RESULTS, ids=lambda words: words[0])
def test_every_result_says_when_with_what_and_of_which_picture(words, tmp_path, monkeypatch):
    """Two runs differ in nothing else, and another picture of the same name has another digest."""
    monkeypatch.chdir(tmp_path)

    def result(name, seed=0):
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(name)
        done = run(*(name if word == "cat" else word for word in words), "--json", *image)
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        found = found[0] if isinstance(found, list) else found
        return found.pop("run"), found

    def digest(found):
        (picture,) = found.get("inputs", [found.get("picture")])
        assert picture["shape"] == [3, 224, 224] if words[0] == "verify" else [3, 16, 16]
        return picture["sha256"]

    image = [] if "cat" in words else ["--image", "mine.png"]
    (made, one), (_, again), (_, other) = (result("mine.png", seed) for seed in (0, 0, 1))
    assert one == again
    assert set(made) == {"date", "platform", "python", "libraries"}
    assert datetime.datetime.fromisoformat(made["date"]).tzinfo is not None
    assert digest(one) != digest(other)


@pytest.mark.parametrize("command", SMALL)
@pytest.mark.parametrize("together", [[], ["--json"]])
def test_quiet_says_nothing_but_what_was_asked_for(command, together, tmp_path):
    file = tmp_path / "map.png"
    done = run(*SMALL[command], "--quiet", *together, "--out", file)
    assert done.exit_code == 0
    assert done.stderr == ""
    assert (json.loads(done.stdout)["files"] if together else done.stdout) == (
        [str(file)] if together else ""
    )
    assert file.exists()
    refused = run(command, "no such file.png", "--quiet")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("theorylab: error: ")


def test_the_numbers_of_visualize_are_those_of_the_library(tmp_path):
    found = json.loads(run(*SMALL["visualize"], "--seed", 5, "--json", "--out", tmp_path / "map.png").stdout)
    x = images.load("cat", 16)
    net = networks.three_layer_cnn(PatchGrid(x.shape, 7, 2), 4, 10, None, seed=5)
    logits = net.logits(x)
    assert found["seed"] == 5
    assert found["target"] == {
        "asked": "max",
        "index": int(logits.argmax()),
        "logit": pytest.approx(float(logits.max())),
    }
    guided = visualize(net, x, "guided")
    assert found["maps"][2] == {
        "rule": "guided",
        "norm": pytest.approx(float(np.linalg.norm(guided))),
        "cosine_with_input": pytest.approx(measures.cosine(guided, x)),
        "ssim_with_input": pytest.approx(measures.similarity(guided, x)),
    }


def test_methods_stand_in_the_place_of_rules_or_beside_them(tmp_path):
    def shown(*words):
        given = [*SMALL["visualize"], "--json", "--target", "2", "--out", tmp_path / "map.png", *words]
        done = run(*given)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    x = images.load("cat", 16)
    net = networks.three_layer_cnn(PatchGrid(x.shape, 7, 2), 4, 10, None, seed=0)
    alone = shown("--method", "Integrated-Gradients", "--option", "steps=3", "--option", "baseline=0.1")
    assert alone["options"] == {"steps": 3, "baseline": 0.1}
    (one,) = alone["maps"]
    map_ = methods.attribute(net, x, "integrated-gradients", 2, steps=3, baseline=0.1)
    assert (one["method"], one["norm"]) == ("integrated-gradients", pytest.approx(np.linalg.norm(map_)))
    beside = shown("--method", "smoothgrad", "--option", "rule=guided", "--rule", "guided")["maps"]
    assert [(m.get("rule"), m.get("method")) for m in beside] == [("guided", None), (None, "smoothgrad")]
    every = shown("--method", "all", "--rule", "all")["maps"]
    assert [m.get("rule", m.get("method")) for m in every] == [
        "saliency",
        "deconvnet",
        "guided",
        *methods.NAMES,
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("visualize cat --method gradcam", "unknown method 'gradcam': did you mean 'grad-cam'"),
        ("visualize cat --method smoothgrad --option drews=2", "no option 'drews': did you mean 'draws'"),
        ("visualize cat --method smoothgrad --option draws=x", "draws: expected an integer, got str"),
        ("visualize cat --method smoothgrad --option draws", "--option: expected NAME=VALUE, got 'draws'"),
        ("visualize cat --option draws=2", "--option: for one method, which --method names"),
        ("visualize cat --method all --option draws=2", "--option: for one method"),
        ("audit cat --option draws=2", "--option: for one method"),
        ("audit cat --weights small --size 32 --method rectgrad --option q=2", "it has percentile"),
        ("audit cat --method rectgrad --attribute a:b", "--method: in the place of --attribute"),
        ("audit cat --method rectgrad --rule guided", "--method: in the place of --rule"),
    ],
)
def test_what_is_wrong_with_a_method_is_said(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*words.split())
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("target", "index"), [(3, 3), ("random", int), ("cost", None)])
def test_which_logit_is_shown(target, index):
    shown = exhibits.visualized(
        images.load("cat", 9), NetworkChoice(n_filters=4), rule="saliency", target=target, read_logit=True
    )
    said = shown.numbers["target"]
    assert said["asked"] == target
    assert said["index"] == index if index is not int else 0 <= said["index"] < 10
    assert (said["logit"] is None) is (target == "cost")
    if target != "cost":
        net = networks.three_layer_cnn(PatchGrid((3, 9, 9), 7, 2), 4, 10, None, seed=0)
        assert said["logit"] == net.logits(images.load("cat", 9))[said["index"]]


@pytest.mark.parametrize("target", [3, "random"])
def test_a_logit_that_is_chosen_is_read_alone(target, monkeypatch):
    x, choice = images.load("cat", 9), NetworkChoice(n_filters=4)
    words = {"rule": "saliency", "target": target, "read_logit": True}
    expected = exhibits.visualized(x, choice, **words).numbers
    monkeypatch.delattr(networks.readout.Readout, "logits")  # all of them cannot be had
    assert exhibits.visualized(x, choice, **words).numbers == expected


@pytest.mark.parametrize(("target", "read"), [("max", True), ("cost", True), (3, False), ("random", False)])
@pytest.mark.parametrize("network", ["cnn", "fcn"])
def test_progress_of_the_logits_that_a_target_needs(network, target, read):
    told = []
    exhibits.visualized(
        images.load("cat", 9),
        NetworkChoice(network, n_filters=4),
        target=target,
        read_logit=True,
        progress=lambda *words: told.append(words),
    )
    whole = (f"maps in a network ({network})", 0, 0)
    logits = [("logits, for the target", done, 10) for done in (0, 10)]
    assert told == [whole, *(logits if read else [])]


def test_a_picture_too_small_for_a_similarity_has_none(tmp_path):
    words = ["visualize", "cat", "--size", 6, "--kernel", 3, "--filters", 4, "--json"]
    found = json.loads(run(*words, "--out", tmp_path / "map.png").stdout)
    assert {one["ssim_with_input"] for one in found["maps"]} == {None}


def test_the_numbers_of_predict_are_those_of_its_table(tmp_path):
    out = ["--out", tmp_path / "map.png"]
    for pool in (None, 2, 3):
        words = SMALL["predict"] if pool is None else [*SMALL["predict"], "--pool", pool]
        table = run(*words, *out).stdout
        saliency, _, guided = json.loads(run(*words, *out, "--json").stdout)["maps"]
        assert saliency["expected_cosine_with_mean_map"] is None
        digits = f"{guided['expected_cosine_with_mean_map']:.3f}"[:5]
        assert digits[:-1] in table
        # Windows of more than four positions are integrated, and the estimate has an error.
        assert (guided["standard_error_with_mean_map"] > 0) is (pool == 3)


def test_a_prediction_says_how_far_off_its_law_may_be(tmp_path):
    out = ["--out", tmp_path / "map.png"]
    said = "saliency map, DeconvNet, guided backpropagation: the law is a limit of large patches"
    assert said in run(*SMALL["predict"], *out).stdout
    maps = json.loads(run(*SMALL["predict"], *out, "--json").stdout)["maps"]
    assert {(one["law"], one["tolerance"]) for one in maps} == {("limit", None)}
    x = images.load("cat", 32)
    layers = [
        ConvSpec(4, 3, padding=1),
        MaxPool(2),
        ConvSpec(4, 3, padding=1),
        MaxPool(2),
        AdaptiveAveragePool(1),
    ]
    deep = exhibits.predicted(Stack(x.shape, layers, readout=Gaussian(1.0)), x)
    off = tolerance(x.shape, layers[:-1], "guided")
    assert deep.notes == (
        f"guided backpropagation: the law is a limit of wide layers, measured as {off.words}.",
    )
    assert deep.numbers["maps"][0]["tolerance"] == off._asdict()
    dense = exhibits.predicted(Stack((1, 1, 20), [Dense(64)] * 6), np.ones((1, 1, 20)), rule="all")
    found = finite_width_profile([20, *[64] * 6], "guided")[-1]
    assert dense.notes[-1] == (
        "guided backpropagation: layers of these widths have a mean cosine with the input of about "
        f"{found.cosine:.3f}, and a ratio of expectations of {found.alignment:.3f}."
    )


def test_files_are_named_after_the_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    run(*SMALL["visualize"], "--quiet")
    run(*SMALL["predict"], "--quiet")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cat-maps.png",
        "cat-prediction.png",
        "photos",
    ]


def test_a_quiet_audit_says_its_verdict_alone(tmp_path):
    (tmp_path / "mymaps.py").write_text("def copy(x, target):\n    return x\n")
    words = ["audit", "cat", "--attribute", "mymaps:copy", "--size", "16", "--quiet"]
    done = process(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "recovers the input" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


@pytest.mark.parametrize(
    "words",
    [
        ["audit", "cat", "--attribute", "mine:copy", "--size", 16],
        ["check", "mine:copy"],
        ["visualize", "cat", "--size", 16, "--kernel", 3, "--filters", 4, "--rule", "mine:louder"],
        ["predict", "cat", "--model", "mine:net", "--size", 16],
        ["verify", "figure7", "--budget", "quick", "--model", "mine:net", "--size", 16, "--pictures", "."],
    ],
    ids=str,
)
def test_what_ones_own_code_prints_does_not_get_into_the_json(tmp_path, words):
    """When it is imported, called, and asked for maps."""
    if words[0] != "audit":
        pytest.importorskip("torch")
    (tmp_path / "mine.py").write_text(
        """
import logging, os, sys
import numpy as np, theorylab as tl
def say():
    print("here")
    os.system("echo here by a child")
    os.write(1, b"here by the descriptor\\n")
    sys.__stdout__.write("here by the first stream\\n")
    sys.__stdout__.flush()
say()
logging.basicConfig(stream=sys.stdout)
logging.warning("here")
def doubled(values):
    say()
    return np.where(values > 0, 2 * values, values)
louder = tl.rules.define("louder", h=doubled, gate=True)
def copy(*given):
    say()
    return given[-2]
def net():
    from torch import nn
    say()
    class Saying(nn.ReLU):
        def forward(self, x):
            say()
            return super().forward(x)
    return nn.Sequential(nn.Conv2d(3, 4, 3), Saying(), nn.Flatten(), nn.Linear(784, 3)).eval()
"""
    )
    for name in ("one.png", "two.png"):
        Image.fromarray(np.random.default_rng(len(name)).integers(0, 256, (16, 16, 3), np.uint8)).save(
            tmp_path / name
        )
    done = process(*words, "--json", cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr  # the copy is no rule
    assert isinstance(json.loads(done.stdout), dict)
    for words in ("here\n", "here by a child\n", "here by the descriptor\n", "here by the first stream\n"):
        assert words in done.stderr


@pytest.mark.parametrize("command", ["verify", "converge"])
def test_a_table_takes_no_other_files_place(tmp_path, command):
    picture = tmp_path / "photo.png"
    Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(picture)
    for name in ("photo.png", "model.py", "weights.npz", "results.json", "noending", "archive.csv.gz"):
        file = tmp_path / name
        before = file.read_bytes() if file.exists() else None
        done = run(command, "--image", picture, "--csv", file)
        assert done.exit_code == 2
        assert f"--csv: expected a name that ends in .csv, got '{file}'" in " ".join(done.stderr.split())
        assert (file.read_bytes() if file.exists() else None) == before


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        ("out/figures/theorem1.png", ["verify", "theorem1", "--budget", "quick", "--out", "out", "--image"]),
        ("out/figures/class-distance.png", ["converge", "--filters", 4, "--out", "out", "--image"]),
        (
            "out/blocks/a/b.png",
            ["converge", "--filters", 4, "--out", "out", "--csv", "out/blocks/a/b.png", "--image"],
        ),
        ("explore.html", ["explore", "--out", "explore.html"]),
        ("picture.csv", ["verify", "lemma1", "--budget", "quick", "--csv", "picture.csv", "--image"]),
        ("picture.csv", ["converge", "--filters", 4, "--csv", "picture.csv", "--image"]),
    ],
    ids=str,
)
def test_what_is_read_is_not_replaced(tmp_path, monkeypatch, picture, words):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / picture
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(file, format="png")
    before = file.read_bytes()
    done = run(*words, picture)
    assert done.exit_code == 2, done.output
    assert picture in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert file.read_bytes() == before
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


def test_a_bundled_picture_is_read_from_no_folder(tmp_path, monkeypatch):
    (tmp_path / "figures").mkdir()
    monkeypatch.chdir(tmp_path / "figures")
    done = run("verify", "lemma1", "--budget", "quick", "--jobs", 1, "--image", "cat", "--out", tmp_path)
    assert done.exit_code == 0, done.output


def test_results_of_another_kind_are_not_replaced(tmp_path):
    folder = tmp_path / "study"
    study = (
        "converge",
        "--size",
        12,
        "--kernel",
        3,
        "--filters",
        4,
        "--replicates",
        12,
        "--jobs",
        1,
        "--out",
        folder,
    )
    claims = "verify", "lemma1", "--budget", "quick", "--jobs", 1, "--out"
    assert run(*study).exit_code == 0
    before = (folder / "results.json").read_bytes()
    done = run(*claims, folder)
    assert (done.exit_code, done.stderr) == (
        2,
        f"theorylab: error: {folder}: holds results of something else; choose another folder\n",
    )
    assert (folder / "results.json").read_bytes() == before
    for _ in range(2):  # its own are
        assert run(*claims, tmp_path / "claims").exit_code == 0


def test_a_number_that_a_narrow_terminal_cuts_does_not_look_whole(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "16")
    output.display(drawing.table(("method", "norm"), [("guided-grad-cam", 0.000153), ("saliency", 1.6245)]))
    shown = capsys.readouterr().out
    assert "0.000153" not in shown
    assert shown.count("…") >= 2


def read_table(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def as_cell(value):
    return "" if value is None else str(value)


def test_checks_as_a_table_are_those_of_the_json(tmp_path):
    table = tmp_path / "checks, all.csv"
    words = ["verify", "lemma1", "error-rate", "fc1-histograms", "--budget", "quick", "--jobs", 1]
    found = json.loads(run(*words, "--json", "--csv", table).stdout)["claims"]
    rows = read_table(table)
    assert [row["claim"] for row in rows] == [c["id"] for c in found for _ in c["checks"] or [None]]
    checks = [(claim, check) for claim in found for check in claim["checks"] or [{}]]
    for row, (claim, check) in zip(rows, checks, strict=True):
        assert row["verdict"] == claim["verdict"]
        for name in ("name", "estimate", "expected", "standard_error", "p_value", "replicates", "passed"):
            assert row[name] == as_cell(check.get(name))
        assert row["negative_control_what"] == as_cell(check.get("negative_control", {}).get("what"))
    missing = run(*words, "--csv", tmp_path / "no such folder" / "a.csv")
    assert missing.exit_code == 2
    assert "no such folder" in missing.stderr


def test_curves_as_a_table_are_those_of_the_json(tmp_path):
    words = ["converge", "--size", 12, "--kernel", 3, "--filters", "2,4", "--replicates", 12, "--jobs", 1]
    table = tmp_path / "curves.csv"
    found = json.loads(run(*words, "--json", "--out", tmp_path / "study", "--csv", table).stdout)["results"]
    rows = read_table(table)
    assert len(rows) == 2 * 3 * 5
    for row in rows:
        point = next(one for one in found if str(one["n_filters"]) == row["n_filters"])
        measured = point["rules"][row["rule"]][row["quantity"]]
        assert {name: row[name] for name in measured} == {name: as_cell(v) for name, v in measured.items()}
