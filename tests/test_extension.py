"""A rule that somebody defines in a script of their own works everywhere, without a line changed in the package."""

import json
import math

import numpy as np
import pytest
import torch
from shell import process
from torch_graphs import hooked

import theorylab as tl
from theorylab.auditing import adapters

SCRIPT = """
import numpy as np
import theorylab as tl

tl.rules.define("louder", h=lambda r: np.where(r > 0, 2 * r, r), gate=True, title="louder gradients")
"""


@pytest.fixture(scope="module")
def rule():
    return tl.rules.define(
        "louder", h=lambda r: np.where(r > 0, 2 * r, r), gate=True, title="louder gradients"
    )


@pytest.mark.parametrize("unit", [torch.nn.ReLU, lambda: torch.nn.LeakyReLU(0.3)], ids=["relu", "leaky"])
def test_maps(rule, unit):
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 5, 3), unit(), torch.nn.Conv2d(5, 4, 3), unit(), torch.nn.Flatten(), torch.nn.Linear(64, 3)
    ).double()  # fmt: skip
    x = np.random.default_rng(0).standard_normal((2, 8, 8))
    # Positive gradients count twice, and the gate stands.
    expected = hooked(module, x, 1, lambda below, above: torch.where(below > 0, 2 * below, below))
    for name in (rule, "louder"):
        np.testing.assert_allclose(tl.torch_bridge.attribute(module, x, name, 1), expected, atol=1e-12)
        net = tl.torch_bridge.from_torch(module, x.shape)
        np.testing.assert_allclose(tl.visualize(net, x, name, 1), expected, atol=1e-12)


def test_the_law_is_that_of_its_draws(rule):
    x = np.random.default_rng(1).standard_normal((1, 6, 6)) + 1
    stack = tl.models.three_layer(tl.PatchGrid(x.shape, 3), 16)
    law = tl.law(stack, x, "louder")
    # E h = (2 - 1)/sqrt(2 pi) and E h^2 = (4 + 1)/2 for standard normal readouts; guided's are 1/sqrt(2 pi) and 1/2.
    guided = tl.law(stack, x, "guided")
    np.testing.assert_allclose(law.mean, guided.mean)
    extra = (5 / 2 - 1 / 2) * tl.law(stack, x, "saliency").variance
    np.testing.assert_allclose(law.variance, guided.variance + extra)
    maps = tl.draw(stack, x, rule, size=3000, seed=2)[:, 0, 0]
    energy = ((maps - law.mean) ** 2).sum(axis=(1, 2, 3))
    z = (energy.mean() - law.variance.sum()) / (energy.std(ddof=1) / math.sqrt(len(maps)))
    assert abs(z) < 4.5
    assert abs(energy.mean() / guided.variance.sum() - 1) > 1


def test_audit(rule):
    x = tl.images.load("cat", 32)
    net = tl.networks.three_layer_cnn(tl.PatchGrid(x.shape, 5), 16, 3)
    attribute = adapters.NetworkAttribution(net, "louder")
    np.testing.assert_array_equal(attribute(x, 1), tl.visualize(net, x, rule, 1))
    report = tl.audit(attribute, x, [0, 1])
    assert report.verdict


@pytest.mark.parametrize(
    "words", [("visualize", "cat"), ("predict", "cat"), ("converge", "--replicates", "20", "--block", "5")]
)
def test_on_the_command_line(tmp_path, words):
    (tmp_path / "my_rules.py").write_text(SCRIPT)
    options = ["--size", "32", "--filters", "8", "--kernel", "5", "--rule", "my_rules:louder", "--json"]
    done = process(*words, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)
    assert "louder" in json.dumps(numbers)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("my_rules:softer", "unknown rule 'softer': choose one of 'saliency', 'deconvnet', 'guided'"),
        ("no_such_module:louder", "there is no module 'no_such_module' here"),
        ("broken:louder", "'broken' cannot be imported, ZeroDivisionError: division by zero"),
        ("leaves:louder", "'leaves' cannot be imported, SystemExit: 3"),
        ("lauder", "unknown rule 'lauder': choose one of 'saliency', 'deconvnet', 'guided'"),
    ],
)
def test_bad_rules_on_the_command_line_end_in_one_line(tmp_path, asked, message):
    (tmp_path / "my_rules.py").write_text(SCRIPT)
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)")
    done = process("visualize", "cat", "--size", "16", "--rule", asked, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert message in " ".join(done.stderr.replace("│", " ").split())
