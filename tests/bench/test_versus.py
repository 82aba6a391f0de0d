"""Against PyTorch, Captum, NumPy and simulation: ``make bench``."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch_models
from table import ROUNDS, Row

from theorylab import analytic, draw, images, visualize_many
from theorylab.kernels import conv
from theorylab.model import models
from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import PAPER, Rule
from theorylab.networks import GraphNetwork, resnet50, three_layer_cnn, vgg16
from theorylab.networks._trace import GraphTrace

pytestmark = pytest.mark.filterwarnings("ignore")  # Captum says that it sets hooks

RULES = list(PAPER)
PAPER = PatchGrid((3, 224, 224), kernel=7, stride=2)
N_FILTERS = 256
# Networks from which a variance is known to one per cent: a variance's relative error is √(2/n) at least.
NETWORKS = 20_000


def relative(found, wanted):
    """Of each map: length of the difference over the length of the map."""
    axes = (-3, -2, -1)
    return np.sqrt(((found - wanted) ** 2).sum(axes) / (wanted**2).sum(axes))


@pytest.mark.parametrize(
    ("dtype", "way", "target"),
    [(np.float32, 0, 0.25), (np.float32, 1, 0.30), (np.float64, 0, 0.40), (np.float64, 1, 0.40)],
)
def test_three_layers(versus, dtype, way, target):
    """Fresh networks, by both ways that a user has; first the same weights for both tools."""
    x = images.load().astype(dtype)
    image = torch.from_numpy(x)[None]
    model = torch_models.three_layer(N_FILTERS, 7, 2, PAPER.n_patches).to(image.dtype)
    net = three_layer_cnn(PAPER, N_FILTERS, 1, law=Gaussian(1.0), dtype=dtype)
    with torch.no_grad():
        model[0].weight.copy_(torch.from_numpy(net.filters))
        model[3].weight.copy_(torch.from_numpy(net.readout_rows.array().reshape(1, -1)))
    found, theirs = visualize_many(net, x, RULES, [0]), torch_models.maps(model, image, RULES, [0])
    assert relative(found, theirs).max() < (1e-3 if dtype is np.float32 else 1e-9)

    def redrawn():
        with torch.no_grad():
            for layer in (model[0], model[3]):
                layer.weight.normal_()
        return torch_models.maps(model, image, RULES, [0])

    seeds, stack = itertools.count(), models.three_layer(PAPER, N_FILTERS)

    def by_network():
        fresh = three_layer_cnn(PAPER, N_FILTERS, 1, law=Gaussian(1.0), seed=next(seeds), dtype=dtype)
        return visualize_many(fresh, x, RULES, [0])

    precision = "single precision" if dtype is np.float32 else "double precision"
    work = f"fresh three-layer network, 224×224×3, 7×7 stride 2, N = 256, three maps, {precision}"
    against = f"Captum in {precision}, weights redrawn in place"
    ways = (
        ("`tl.draw`", lambda: draw(stack, x, RULES, size=1, seed=next(seeds), dtype=dtype)),
        ("`networks.three_layer_cnn`, `visualize_many`", by_network),
    )
    name, run = ways[way]
    versus(f"{work}: {name}", run, redrawn, against=against, target=target)


def test_vgg16(versus):
    x = np.random.default_rng(0).standard_normal((3, 224, 224)).astype(np.float32)
    net = vgg16(init="fan-in", dtype=np.float32)
    targets = [3, 700]
    # In double precision the maps are the same.
    double = GraphNetwork(net.nodes, {name: value.astype(float) for name, value in net.parameters.items()})
    trace = double.forward(x)
    seeds = np.eye(net.n_logits)[targets]
    exact = double.backward(trace, seeds, RULES)
    model = torch_models.of(double)
    theirs = torch_models.maps(model, torch.from_numpy(x.astype(float))[None], RULES, targets)
    assert relative(exact, theirs).max() < 1e-9
    # In single precision, with the masks and winners of double precision, too.
    decided = GraphTrace(net, trace.logits.astype(np.float32), trace.saved)
    assert relative(net.backward(decided, seeds, RULES), exact).max() < 1e-3
    del double, trace, decided, model, theirs
    # With masks and winners of its own each tool is a little off: of 13 million units a handful lies so near a tie that
    # rounding decides, and a map of gradients jumps.
    model, image = torch_models.of(net), torch.from_numpy(x)[None]
    for name, found in (
        ("our", visualize_many(net, x, RULES, targets)),
        ("Captum's", torch_models.maps(model, image, RULES, targets)),
    ):
        off = relative(found, exact)
        print(
            f"VGG-16, {name} maps in single against double precision: median {np.median(off):.1e}, largest {off.max():.1e}"
        )
        assert off.max() < 0.05
    versus(
        "VGG-16: six maps of one picture (three rules, two logits)",
        lambda: visualize_many(net, x, RULES, targets),
        lambda: torch_models.maps(model, image, RULES, targets),
        against="Captum's six",
        target=0.30,
    )


def test_vgg16_compiled(versus):
    """The same masks as explicit operations, which no user writes: the strongest rival."""
    x = np.random.default_rng(0).standard_normal((3, 224, 224)).astype(np.float32)
    net, image, targets = vgg16(init="fan-in", dtype=np.float32), torch.from_numpy(x)[None], [3, 700]
    fast = torch_models.compiled(torch_models.of(net), RULES, targets)
    ours = visualize_many(net, x, RULES, targets)
    # Each has masks of its own, in single precision.
    assert np.median(relative(fast(image).numpy().reshape(ours.shape), ours)) < 0.02
    versus(
        "VGG-16: the same six maps",
        lambda: visualize_many(net, x, RULES, targets),
        lambda: fast(image),
        against="one graph, `torch.compile`d: one forward pass, six signals back as a batch",
        target=1.0,
    )


def test_resnet50(versus):
    x = np.random.default_rng(0).standard_normal((3, 224, 224)).astype(np.float32)
    net = resnet50(init="fan-in", dtype=np.float32)
    model, image, targets = torch_models.residual(net), torch.from_numpy(x)[None], [3, 700]
    theirs = torch_models.maps(model, image, RULES, targets)
    assert np.median(relative(visualize_many(net, x, RULES, targets), theirs)) < 0.02
    versus(
        "ResNet-50: six maps of one picture (three rules, two logits)",
        lambda: visualize_many(net, x, RULES, targets),
        lambda: torch_models.maps(model, image, RULES, targets),
        against="Captum's six",
        target=0.40,
    )


VGG16_LAYERS = [
    (3, 64, 224, 1),
    (64, 64, 224, 1),
    (64, 128, 112, 1),
    (128, 128, 112, 1),
    (128, 256, 56, 1),
    (256, 256, 56, 2),
    (256, 512, 28, 1),
    (512, 512, 28, 2),
    (512, 512, 14, 3),
]
_ratios: dict[tuple[int, int, int, int], tuple[float, float, float]] = {}


@pytest.mark.parametrize("layer", VGG16_LAYERS, ids=lambda layer: "-".join(map(str, layer[:3])))
def test_convolution(versus, benchmark, layer):
    channels, filters, side, _ = layer
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, channels, side, side), dtype=np.float32)
    weights = rng.standard_normal((filters, channels, 3, 3), dtype=np.float32)
    weights *= np.float32(np.sqrt(2 / (9 * channels)))
    bias = np.zeros(filters, np.float32)
    grid = PatchGrid((channels, side, side), 3, padding=1)
    tensors = [torch.from_numpy(array) for array in (x, weights, bias)]

    def theirs():
        with torch.no_grad():
            return torch.nn.functional.conv2d(*tensors, padding=1)

    assert relative(conv.forward(x, weights, grid, bias), theirs().numpy()).max() < 1e-5
    ratio = versus(
        f"convolution {channels} to {filters}, {side}×{side}",
        lambda: conv.forward(x, weights, grid, bias),
        theirs,
        against="PyTorch",
        target=1.0,
        rounds=2 * ROUNDS + 1,
        listed=False,
    )
    _ratios[layer] = ratio, benchmark.stats.stats.median, benchmark.extra_info["other median"]


def test_convolutions_together(record):
    """The geometric mean over the thirteen layers, those of one shape counted as often as they occur."""
    if len(_ratios) < len(VGG16_LAYERS):
        pytest.skip("of some layers only")
    counts = np.array([layer[3] for layer in _ratios])
    ours, theirs = (np.array([times[i] for times in _ratios.values()]) for i in (1, 2))
    geometric = [float(np.exp((counts * np.log(times)).sum() / counts.sum())) for times in (ours, theirs)]
    record(Row("convolution forward, geometric mean of VGG-16's 13 layers", "PyTorch", *geometric, 1.0))
    for (channels, filters, side, _), (ratio, *_) in _ratios.items():
        print(f"{channels} to {filters} at {side}×{side}: {ratio:.2f}")


def test_closed_form(versus, benchmark, record):
    """The simulation's time is that of one network, many times over: all of it would take the better part of an hour."""
    x = images.load()
    stack, seeds = models.three_layer(PAPER, N_FILTERS), itertools.count()

    def closed():
        for law in (analytic.mean_map, analytic.variance_map):
            law(x, PAPER, Rule.GUIDED, N_FILTERS)

    versus(
        "mean and variance map in closed form",
        closed,
        lambda: draw(stack, x, Rule.GUIDED, size=1, seed=next(seeds), dtype=np.float32),
        against="one network",
        target=1.0,
        listed=False,
    )
    record(
        Row(
            "mean and variance map in closed form, guided, the size above",
            f"{NETWORKS:,} simulated networks: variances to 1 % (from the time of one)",
            benchmark.stats.stats.median,
            NETWORKS * benchmark.extra_info["other median"],
            1e-3,
        )
    )


def fresh(program: str):
    return lambda: subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_import(versus):
    versus(
        "`import theorylab` in a fresh process",
        fresh("import theorylab"),
        fresh("import numpy, scipy"),
        against="`import numpy, scipy`",
        target=2.0,
    )


FIRST_MAP = """
import numpy as np, theorylab as tl
from theorylab.networks import three_layer_cnn
net = three_layer_cnn(tl.PatchGrid((3, 224, 224), kernel=7, stride=2), dtype=np.float32)
print(np.linalg.norm(tl.visualize(net, tl.images.load(), "guided", target=0)), flush=True)
"""


def test_first_map(versus):
    """Until the map is there; what the interpreter does afterwards to end is not counted."""
    running: list[subprocess.Popen] = []

    def first_map():
        running.append(subprocess.Popen([sys.executable, "-c", FIRST_MAP], stdout=subprocess.PIPE))
        assert float(running[-1].stdout.readline()) > 0

    def ended():
        while running:
            with running.pop() as process:
                process.communicate()
            assert process.returncode == 0

    versus(
        "first map in a fresh process: imports, picture, weights of a three-layer network, map",
        first_map,
        None,
        against="–",
        target=2.0,
        clear=ended,
    )


@pytest.mark.parametrize(("budget", "target"), [("quick", 30.0), ("standard", 120.0)])
def test_verify(versus, budget, target):
    """The whole command, its second run: what is compiled is kept."""
    command = [sys.executable, "-m", "theorylab", "verify", "--budget", budget, "--quiet"]
    versus(
        f"`theorylab verify --budget {budget}`, second run",
        lambda: subprocess.run(command, check=True, capture_output=True),
        None,
        against="–",
        target=target,
        rounds=1,
    )
