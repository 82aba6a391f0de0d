"""`predict --model`: what a user's network would show if it knew nothing, beside what it shows."""

import json
import sys

import numpy as np
import pytest
from test_cli import assert_refused, run

from theorylab import draw, images, law, subjects, torch_bridge
from theorylab.exhibits._beside import DRAWN, beside
from theorylab.measures import cosine

torch = pytest.importorskip("torch")

MODULE = """
import torch
from torch import nn
SIZE = 16
MEAN = torch.tensor([0.5, 0.4, 0.3])[:, None, None]
def preprocess(batch):
    return (batch - MEAN) / 0.2
def net(pool=nn.MaxPool2d(2), unit=nn.ReLU()):
    torch.manual_seed(0)
    features = nn.Conv2d(3, 6, 3, padding=1), unit, pool, nn.Conv2d(6, 5, 3, padding=1), unit
    return nn.Sequential(*features, nn.Flatten(), nn.Linear(320, 4)).eval()
made = net()
def twice():
    return net(nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(1)))
def gelu():
    return net(unit=nn.GELU())
def linear():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(576, 2)).eval()
"""
RULES = ("saliency", "deconvnet", "guided")


@pytest.fixture
def user(tmp_path, monkeypatch):
    """A folder with a user's module in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODULE)
    sys.modules.pop("mine", None)
    yield tmp_path
    sys.modules.pop("mine", None)
    sys.path[:] = [folder for folder in sys.path if folder != str(tmp_path)]


def shown(function, *words):
    """The numbers of all rules, the module, and the picture as it reads it."""
    done = run("predict", "cat", "--model", f"mine:{function}", "--rule", "all", "--json", *words)
    assert done.exit_code == 0, done.output
    mine = sys.modules["mine"]
    rgb = images.load("cat", 16, "authors") + np.reshape(images.MEAN_COLOUR, (3, 1, 1))
    x = mine.preprocess(torch.from_numpy(rgb[None] / 255)).numpy()[0]
    return json.loads(done.stdout), getattr(mine, function)(), x


@pytest.mark.parametrize("target", ["max", 2])
def test_the_numbers_are_those_of_law_and_module(user, target):
    found, module, x = shown("net", "--target", target, "--classes", "a,b,c,d")
    logits = module(torch.tensor(x[None], dtype=torch.float32))[0]
    index = int(logits.argmax()) if target == "max" else target
    assert found["target"] == {"asked": target, "index": index, "name": f"logit {index} ({'abcd'[index]})"}
    assert found["biases_left_out"] == []
    stack = torch_bridge.stack_of(module, x.shape, biases=True)
    for rule, numbers in zip(RULES, found["maps"], strict=True):
        own = torch_bridge.attribute(module, x, rule, target).astype(float)
        known = law(stack, x, rule)
        assert (numbers["rule"], numbers["law"], numbers["networks_drawn"]) == (rule, "limit", 0)
        assert numbers["expected_cosine_with_input"] == pytest.approx(known.expected_cosine(), rel=1e-5)
        assert numbers["model_cosine_with_input"] == pytest.approx(cosine(own, x), abs=1e-4)
        beside = None if rule == "saliency" else pytest.approx(cosine(own, known.mean), abs=1e-4)
        assert numbers["model_cosine_with_mean_map"] == beside
    assert (user / "cat-prediction.png").stat().st_size > 10_000


def test_what_has_no_law_is_simulated_and_said_so(user):
    found, module, x = shown("twice")
    stack = torch_bridge.stack_of(module, x.shape, biases=True)
    for rule, numbers in zip(RULES, found["maps"], strict=True):
        assert (numbers["law"], numbers["networks_drawn"]) == ("simulation", DRAWN)
        assert numbers["expected_cosine_with_mean_map"] is None
        drawn = draw(stack, x, rule, size=200, seed=99)[:, 0, 0]
        expected = np.mean([cosine(map_, x) for map_ in drawn])
        assert (
            abs(numbers["expected_cosine_with_input"] - expected) < 6 * numbers["standard_error_with_input"]
        )
    said = run("predict", "cat", "--model", "mine:twice").stdout
    assert "guided backpropagation: no law at layers[2]" in said
    assert "a MaxPool that pools no unit" in said
    assert f"{DRAWN} networks were drawn: a simulation" in said


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--model", "mine:gelu"], "at size 16: 1 (GELU)"),
        (["--model", "mine:linear"], "no law at 1, with no unit before it"),
        (["--model", "mine:nothing"], "'mine' has no 'nothing'"),
        (
            ["--model", "mine:made"],
            "expected a function that returns a torch.nn.Module, got a Sequential itself",
        ),
        (["--model", "mine:SIZE"], "expected a function that returns a torch.nn.Module, got 16"),
        (["--model", "mine:net", "--size", 24], "mine:net"),
        (["--model", "mine:net", "--classes", "a,b"], "4 classes, one for each logit, got 2"),
        (["--model", "mine:net", "--target", 4], "target: logit 4 does not exist"),
        (["--model", "mine:net", "--filters", 4], "--filters: a model has its own layers"),
        (["--model", "mine:net", "--network", "cnn"], "--network: a model has its own layers"),
    ],
)
def test_what_cannot_be_shown_is_one_line(user, words, named):
    assert_refused(run("predict", "cat", *words), named)
    assert not (user / "cat-prediction.png").exists()


def test_biases_beside_residual_blocks_are_left_out_and_said_so():
    net = subjects.given("small-residual").trained
    x = np.zeros((3, 32, 32), dtype=np.float32)
    x[:, 3:9] = 1
    exhibit = beside(net, x)
    left = exhibit.numbers["biases_left_out"]
    assert left
    assert f"leaves out the biases of these layers: {', '.join(left)}" in " ".join(exhibit.notes)
