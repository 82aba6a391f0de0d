"""Networks of which some layers are random, steps on a picture, and the claims that look at them."""

import dataclasses
import math
import os

import numpy as np
import pytest
import real_networks
from PIL import Image

from proofs_checks.bench import Bench
from proofs_checks.claims import fgsm, figure9_depth
from proofs_checks.judge import Undecidable
from proofs_checks.studies import partly_trained, trained_maps
from proofs_checks.studies.partly_trained import BUT, NONE, UP_TO
from theorylab import adversarial, images, networks, subjects, training
from theorylab.model.rules import PAPER
from theorylab.networks import GraphNetwork
from theorylab.networks.nodes import Activation, Add, Conv, Dense, Flatten, Input
from theorylab.networks.resumed import resumed


@pytest.fixture(scope="module")
def small():
    return subjects.small()


@pytest.fixture(scope="module")
def picture():
    return training.crops("test", 1, seed=0)[0][0]


def with_a_branch(seed):
    """A residual network: conv3 stands in a branch, conv4 behind it."""
    rng = np.random.default_rng(seed)
    nodes = [
        Input("x", (3, 8, 8)),
        Conv("conv1", "x", 4, 3, padding=1),
        Activation("relu1", "conv1"),
        Conv("conv2", "relu1", 4, 3, padding=1),
        Activation("relu2", "conv2"),
        Add("sum", ("relu1", "relu2")),
        Conv("conv3", "sum", 4, 3, padding=1),
        Activation("relu3", "conv3"),
        Flatten("flat", "relu3"),
        Dense("fc", "flat", 3),
    ]
    shapes = {"conv1": (4, 3, 3, 3), "conv2": (4, 4, 3, 3), "conv3": (4, 4, 3, 3), "fc": (3, 256)}
    weights = {f"{name}.weight": rng.standard_normal(shape) for name, shape in shapes.items()}
    weights |= {f"{name}.bias": rng.standard_normal(shape[0]) for name, shape in shapes.items()}
    return GraphNetwork(nodes, weights)


# --- a pass that begins where networks differ


def same_trace(one, other):
    np.testing.assert_array_equal(one.logits, other.logits)
    assert one.saved.keys() == other.saved.keys()
    assert all(fgsm._same(one.saved[name], other.saved[name]) for name in one.saved)
    net = one.network
    for trace in (one, other):
        assert trace.network is net
    maps = (net.backward(trace, np.eye(net.n_logits)[:1], PAPER) for trace in (one, other))
    np.testing.assert_array_equal(*maps)


def test_a_resumed_pass_is_the_whole_one(small, picture):
    drawn, trace = small.draw(1), partly_trained.start(small, picture)
    for layer in small.layers():
        for row in (UP_TO, BUT):
            net = partly_trained.mixed(small, drawn, row, layer)
            same_trace(resumed(net, trace), net.forward(picture))


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3", "fc", None])
@pytest.mark.parametrize("kept", [(), ("relu1",), ("sum",), ("relu1", "sum", "flat")])
def test_a_resumed_pass_goes_around_no_branch(layer, kept):
    net, other = with_a_branch(0), with_a_branch(1)
    x = np.random.default_rng(2).standard_normal((3, 8, 8))
    changed = net.with_parameters(other.parameters, [layer]) if layer else net
    same_trace(resumed(changed, net.forward(x, keep=kept)), changed.forward(x))


def test_only_a_twin_resumes(small, picture):
    trace = small.trained.forward(picture)
    with pytest.raises(ValueError, match="other nodes"):
        resumed(with_a_branch(0), trace)


def test_exchanged_parameters_are_checked(small):
    net = small.trained
    with pytest.raises(ValueError, match="'nothing' is in no node"):
        net.with_parameters({"nothing": np.ones(2)})
    with pytest.raises(ValueError, match="expected shape"):
        net.with_parameters({"classifier.2.bias": np.ones(3)})
    with pytest.raises(ValueError, match="not finite"):
        net.with_parameters({"classifier.2.bias": np.full(net.n_logits, np.nan)})


# --- which layers are random


def test_each_row_takes_its_layers_from_the_right_network(small):
    drawn, names = small.draw(1), list(small.layers())

    def trained(row, layer):
        net = partly_trained.mixed(small, drawn, row, layer)
        sources = {True: small.trained, False: drawn}
        found = []
        for name in names:
            of = {
                key
                for key, net_ in sources.items()
                for part in ("weight", "bias")
                if net.parameters[f"{name}.{part}"] is net_.parameters[f"{name}.{part}"]
            }
            assert len(of) == 1
            found.append(of.pop())
        return found

    for place, layer in enumerate(names):
        assert trained(UP_TO, layer) == [at <= place for at in range(len(names))]
        assert trained(BUT, layer) == [at != place for at in range(len(names))]
    assert trained(UP_TO, NONE) == [False] * len(names)


def test_the_three_convolutions_are_those_that_the_paper_names(small):
    vgg = networks.vgg16(input_shape=(3, 32, 32), n_hidden=8, n_logits=2)
    subject = dataclasses.replace(small, trained=vgg)
    assert [subject.layers()[name] for name in partly_trained.three(subject)] == [
        "conv1_1",
        "conv3_1",
        "conv5_1",
    ]
    assert [small.layers()[name] for name in partly_trained.three(small)] == ["conv1_1", "conv2_1", "conv3_1"]
    residual = dataclasses.replace(small, trained=with_a_branch(0))
    assert partly_trained.three(residual) == ["conv1", "conv2", "conv3"]
    assert list(partly_trained.layers(subject).values()) == [
        *(f"conv{block}_1" for block in range(1, 6)),
        "conv5_3",
        *("fc1", "fc2", "fc3"),
    ]
    deep = dataclasses.replace(small, trained=networks.resnet50(input_shape=(3, 32, 32), n_logits=2))
    assert len(partly_trained.layers(deep)) == partly_trained.MOST + 1
    assert set(partly_trained.three(deep)) <= set(partly_trained.layers(deep))


def test_a_multiplied_layer_leaves_the_map_and_forgotten_biases_do_not(small, picture):
    trace = partly_trained.start(small, picture)
    trained = partly_trained.guided(trace)

    def cosine(layer, **biases):
        net = partly_trained.multiplied(small.trained, layer, 4.0, **biases)
        return partly_trained.cosines([partly_trained.guided(resumed(net, trace))], trained)[0]

    for layer in small.layers():
        assert cosine(layer) == pytest.approx(1, abs=1e-12)
    assert cosine("features.0", biases=False) < 0.999


def test_a_layer_in_a_branch_cannot_be_multiplied():
    net = with_a_branch(0)
    assert [partly_trained.can_be_multiplied(net, f"conv{n}") for n in (1, 2, 3)] == [True, False, True]


def test_a_zero_map_has_no_cosine():
    map_ = np.ones((3, 2, 2))
    assert partly_trained.cosines([0 * map_, map_, -map_], map_) == pytest.approx([0, 1, -1])


def test_the_window_is_the_middle():
    inputs = np.arange(2.0 * 40 * 3).reshape(1, 2, 40, 3)
    np.testing.assert_array_equal(figure9_depth._middle(inputs), inputs[:, :, 12:28])


# --- steps


def test_the_gradient_of_the_lead_is_that_of_the_picture(small, picture):
    """With colours mixed, by differences in float64."""
    weights = {name: array.astype(np.float64) for name, array in small.trained.parameters.items()}
    mixed = np.array([[0.0, 0.0, 0.01], [0.0, -0.02, 0.0], [0.01, 0.005, 0.0]])
    net = GraphNetwork(small.trained.nodes, weights)
    subject = dataclasses.replace(small, trained=net, scale=mixed)
    rgb = small.shown(picture).astype(np.float64)
    trace = net.forward(subject.prepared(rgb))
    second, first = np.argsort(trace.logits)[-2:]

    def lead(picture_):
        logits = net.logits(subject.prepared(picture_))
        return logits[first] - logits[second]

    gradient, rng = adversarial.lead_gradient(subject, trace), np.random.default_rng(0)
    for _ in range(3):
        direction = rng.standard_normal(rgb.shape) * 1e-6
        slope = (lead(rgb + direction) - lead(rgb - direction)) / 2
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-4)


def test_the_step_changes_the_class_and_a_little_less_does_not(small):
    flipped = 0
    for crop in training.crops("test", 3, seed=3)[0]:
        rgb = np.clip(small.shown(crop), 0, 255)
        trace = small.trained.forward(small.prepared(rgb))
        direction = -np.sign(adversarial.lead_gradient(small, trace))
        size = adversarial.smallest_step(small, rgb, direction)
        if math.isinf(size):
            continue
        flipped += 1
        label = lambda step: small.trained.logits(  # noqa: E731
            small.prepared(adversarial.moved(rgb, direction, step))  # noqa: B023
        ).argmax()
        doubled = 2.0 ** math.ceil(math.log2(size))
        resolution = max(doubled, 2 * adversarial.LEVELS[0]) / 2 ** (adversarial.HALVINGS + 1)
        assert label(size) != label(0) == label(size - resolution)
    assert flipped >= 2


def test_a_network_that_nothing_moves_is_undecidable(small, picture, monkeypatch):
    """Its logits are constant; the study counts it as not flipped."""
    still = small.trained.with_parameters(
        {"classifier.2.weight": np.zeros_like(small.trained.parameters["classifier.2.weight"])}
    )
    subject = dataclasses.replace(small, trained=still)
    row = fgsm.Attacks(subject)._row(picture, np.random.default_rng(0))
    assert row["flipped"] == row["level"] == row["guided"] == row["guided random"] == 0
    bench = Bench(x=images.load(size=16), budget="quick", seed=0, jobs=1, level=1e-7, subject=subject)
    bench.studies["trained, adversarial steps", 0] = fgsm.Attacks(subject, images=[picture] * 3)(
        np.random.default_rng(0), 3
    )
    monkeypatch.setattr(fgsm, "_within_a_piece", lambda bench: ())
    with pytest.raises(Undecidable, match="of 3 of 3 pictures"):
        fgsm.run(bench)


def test_a_picture_between_two_pieces_is_noticed(small):
    subject = dataclasses.replace(small, trained=fgsm._first_units(small))
    net = subject.trained
    assert net.dtype == np.float64
    rng = np.random.default_rng(0)
    flat = np.full((3, 32, 32), 100.0)  # equal patches compete in every window
    signs = rng.choice([-1.0, 1.0], flat.shape)
    with pytest.raises(ArithmeticError, match="linear piece"):
        fgsm._longest_step(subject, flat, net.forward(subject.prepared(flat)), signs)
    rough = flat + rng.random(flat.shape)
    start = net.forward(subject.prepared(rough))
    step, trace = fgsm._longest_step(subject, rough, start, signs)
    assert step >= fgsm.SHORTEST
    assert all(fgsm._same(start.saved[name], kept) for name, kept in trace.saved.items())


def test_the_first_units_are_those_of_the_network(small, picture):
    units = trained_maps.up_to(small.trained, small.hidden).logits(picture)
    np.testing.assert_allclose(fgsm._first_units(small).logits(picture), units, rtol=1e-4, atol=1e-4)
    vgg = dataclasses.replace(
        small, trained=networks.vgg16(input_shape=(3, 32, 32), n_hidden=200, n_logits=2)
    )
    assert fgsm._first_units(vgg).n_logits == fgsm.UNITS


@pytest.mark.slow
@real_networks.needs_data
def test_on_vgg16_with_trained_convolutions():
    """On pictures of 32 pixels: both studies run, and what is trained to the end is the trained network."""
    subject = subjects.vgg16(str(real_networks.CONVOLUTIONS), side=32)
    x = subject.prepared(subject.picture(None)).astype(np.float32)
    row = partly_trained.Randomised(subject)._row(x, np.random.default_rng(0))
    assert row[f"{UP_TO} classifier.6"] == pytest.approx(1, abs=1e-12)
    assert row[f"{UP_TO} features.28"] > row[f"{UP_TO} {NONE}"]
    steps = fgsm.Attacks(subject)._row(x, np.random.default_rng(0))
    assert steps["flipped"] == 1  # among a thousand random logits the second is near
    assert steps["level"] < adversarial.LEVELS[-1]


def test_copies_in_a_folder_are_shown_once(small, tmp_path):
    shown = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), dtype=np.uint8)
    for name, number in {"a.png": 0, "b.png": 1, "c.bmp": 0, "d.png": 1}.items():
        Image.fromarray(shown[number]).save(tmp_path / name)
    bench = Bench(
        x=images.load(size=16), budget="quick", seed=0, jobs=1, level=1e-7, subject=small, folder=tmp_path
    )
    assert [os.path.basename(name) for name in bench.pictures] == ["a.png", "b.png"]
