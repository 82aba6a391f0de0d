"""Networks of the package in PyTorch, on any device: the same maps, the same figure and the same audit."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image
from shell import run
from strategies import RULES, seeds
from test_folders import numbers, photos
from test_graph_networks import graphs, random_parameters

import theorylab as tl
from theorylab import networks
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import PAPER
from theorylab.networks import GraphNetwork

torch = pytest.importorskip("torch")
bridge = tl.torch_bridge


@given(graphs(), seeds)
@settings(max_examples=25)
def test_any_graph_has_the_same_maps_there(layers, seed):
    rng = np.random.default_rng(seed)
    net = GraphNetwork(layers, random_parameters(layers, rng))
    module = bridge.to_torch(net)
    assert module.training is False
    xs = rng.normal(size=(2, *net.input_shape))
    targets = [0, net.n_logits - 1]
    found = bridge.attribute_many(module, xs, RULES, targets)
    for place, x in enumerate(xs):
        expected = tl.visualize_many(net, x, RULES, targets)
        np.testing.assert_allclose(
            found[:, :, place], expected, rtol=0, atol=1e-9 * max(np.abs(expected).max(), 1e-300)
        )


def test_names_and_numbers_are_the_networks_own():
    net = networks.resnet50(input_shape=(3, 32, 32), n_logits=3, seed=1)
    module = pickle.loads(pickle.dumps(bridge.to_torch(net)))
    held = {name: value for name, value in module.state_dict().items() if "num_batches" not in name}
    assert sorted(held) == sorted(net.parameters)
    for name, value in held.items():
        np.testing.assert_array_equal(value.numpy(), net.parameters[name])
    back = bridge.from_torch(module, net.input_shape)
    x = np.random.default_rng(0).normal(size=net.input_shape).astype(net.dtype)
    np.testing.assert_array_equal(back.logits(x), net.logits(x))


def test_what_is_not_held_and_no_device_end_in_one_line():
    drawn = networks.three_layer_cnn(PatchGrid((1, 8, 8), kernel=3), n_filters=4, n_logits=2)
    with pytest.raises(
        ValueError, match=r"net: \w+\.weight is drawn row by row, and PyTorch needs all of it"
    ):
        bridge.to_torch(drawn)
    net = networks.vgg16(input_shape=(3, 32, 32), n_logits=2, n_hidden=4)
    with pytest.raises(ValueError, match=r"device: .*, got 'abacus'"):
        bridge.to_torch(net, "abacus")


def unlike(folder, count):
    """Pictures of noise: where areas are flat, rounding breaks ties of max-pools in one way here and in another there."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for place in range(count):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{place:03}.png")


def test_a_folder_is_measured_there_as_here(tmp_path, classifier):
    """By PyTorch on the processor; single precision differs by rounding."""
    unlike(tmp_path / "photos", 5)
    (tmp_path / "photos" / "002-broken.png").write_bytes(b"broken")
    found = {}
    for place, more in (("here", ["--jobs", "1"]), ("there", ["--device", "cpu"])):
        out, small = tmp_path / place, ("--weights", "small", "--size", "32", "--seed", "3")
        done = run("figure", "7", "--pictures", tmp_path / "photos", *small, "--out", out, *more)
        assert done.exit_code == 0, done.output
        found[place] = numbers("figure", out)["numbers"]
    assert [one["file"] for one in found["there"]["skipped"]] == ["002-broken.png"]
    for network in ("random", "trained"):
        for rule in PAPER:
            here, there = (found[place][network][rule.value] for place in ("here", "there"))
            assert there["counted"] == here["counted"] == 5
            assert there["mean"] == pytest.approx(here["mean"], abs=2e-5)
            assert there["interval"] == pytest.approx(here["interval"], abs=1e-4)


def test_a_folder_is_audited_there_as_here(tmp_path, classifier):
    unlike(tmp_path / "photos", 5)
    found = {}
    for place, more in (("here", ["--jobs", "1"]), ("there", ["--device", "cpu"])):
        out, small = tmp_path / place, ("--weights", "small", "--size", "32", "--targets", "2", "--null", "2")
        done = run("audit", tmp_path / "photos", *small, "--out", out, *more)
        assert done.exit_code == 0, done.output
        found[place] = json.loads((out / "audit.json").read_text())
    here, there = found["here"], found["there"]
    assert there["verdict"] == here["verdict"]
    assert there["null"]["law"] == here["null"]["law"]
    compared = 0
    for name, one in here["measured"].items():
        for part in ("mean", "low", "high"):
            if isinstance(one, dict) and isinstance(one.get(part), float):
                assert there["measured"][name][part] == pytest.approx(one[part], abs=1e-3), (name, part)
                compared += 1
    assert compared > 10


def test_crops_are_measured_there_as_here(classifier, tmp_path):
    found = {}
    for place, more in (("here", []), ("there", ["--device", "cpu"])):
        done = run(
            "figure",
            "7",
            "--weights",
            "small",
            "--size",
            "40",
            "--crops",
            "3",
            "--json",
            "--out",
            tmp_path / place,
            *more,
        )
        assert done.exit_code == 0, done.output
        found[place] = json.loads(done.stdout)[0]["numbers"]["trained"]
    for rule in PAPER:
        assert found["there"][rule.value]["mean"] == pytest.approx(
            found["here"][rule.value]["mean"], abs=2e-5
        )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["figure", "4", "--device", "cpu"], "--device: for figure 7; figure 4 has no use for it"),
        (["figure", "7", "--device", "abacus"], "--device: "),
        (["audit", "--device", "abacus"], "--device: "),
        (
            ["audit", "--method", "grad-cam", "--device", "cpu"],
            "--device: for rules; methods run here, by NumPy",
        ),
        (["audit", "--attribute", "a:b", "--device", "cpu"], "--device: without --attribute alone"),
        (
            ["audit", "FOLDER", "--jobs", "2", "--device", "cpu"],
            "--jobs: --device runs all pictures in this process",
        ),
    ],
)
def test_bad_options_end_in_one_line(words, said, tmp_path):
    photos(tmp_path / "photos", 1)
    done = run(
        *[tmp_path / "photos" if word == "FOLDER" else word for word in words], "--out", tmp_path / "out"
    )
    assert done.exit_code == 2
    assert done.stderr.startswith(f"theorylab: error: {said}"), done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card")
def test_on_a_graphics_card(tmp_path, classifier):
    torch.backends.cudnn.allow_tf32 = False
    net = networks.vgg16(input_shape=(3, 64, 64), n_logits=5, n_hidden=16, seed=1)
    xs = np.random.default_rng(0).normal(size=(3, 3, 64, 64)).astype(np.float32)
    there = bridge.attribute_many(bridge.to_torch(net, "cuda"), xs, RULES, [0, 1])
    here = bridge.attribute_many(bridge.to_torch(net), xs, RULES, [0, 1])
    np.testing.assert_allclose(there, here, rtol=0, atol=2e-2 * np.abs(here).max())
    photos(tmp_path / "photos", 5)
    done = run(
        "figure",
        "7",
        "--pictures",
        tmp_path / "photos",
        "--device",
        "cuda",
        "--weights",
        "small",
        "--out",
        tmp_path / "out",
    )
    assert done.exit_code == 0, done.output
