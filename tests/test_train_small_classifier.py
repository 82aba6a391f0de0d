"""The recipe of the small classifiers in tools: its gradients, its optimiser, its loop, and the files that it writes."""

import dataclasses

import numpy as np
import pytest
import threadpoolctl
import train_small_classifier
from adam import Adam
from torch_graphs import functional, torch
from torch_graphs import run as run_torch
from train_small_classifier import KINDS, Recipe, fit
from weight_gradients import cross_entropy, loss_gradients

from theorylab import training
from theorylab.model.laws import Gaussian
from theorylab.model.pooling import MaxPool as PoolWindows
from theorylab.networks.nodes import (
    Activation,
    Add,
    Conv,
    Dense,
    Flatten,
    Input,
    MaxPool,
)
from theorylab.networks.parameters import draw_parameters, trace_shapes
from theorylab.training import _weights

FEW = Recipe(steps=3, batch=16, shards=4, rate=1e-3)

# Strides, no bias, a residual sum, and two layers that share their weights.
BRANCHED = [
    Input("x", (2, 7, 6)),
    Conv("first", "x", 3, kernel=3, stride=2, padding=1),
    Activation("relu1", "first"),
    Conv("second", "relu1", 3, kernel=(1, 3), padding=(0, 1), bias=False, prefix="shared"),
    Activation("relu2", "second"),
    Conv("third", "relu2", 3, kernel=(1, 3), padding=(0, 1), bias=False, prefix="shared"),
    Add("sum", ("third", "relu1")),
    MaxPool("pool", "sum", PoolWindows(2)),
    Flatten("flat", "pool"),
    Dense("hidden", "flat", 5),
    Activation("relu3", "hidden"),
    Dense("out", "relu3", 4, bias=False),
]


def drawn(nodes, seed=0, dtype=np.float64):
    """Random weights and random biases."""
    rng = np.random.default_rng(seed)
    weights = draw_parameters(nodes, law=Gaussian(1.0), seed=seed, init="fan-in", dtype=dtype)
    return {
        name: array + (0.3 * rng.standard_normal(array.shape) if array.ndim == 1 else 0)
        for name, array in weights.items()
    }


def batch_of(nodes, size=4, seed=1):
    rng = np.random.default_rng(seed)
    shape = nodes[0].shape
    n_logits = nodes[-1].n_outputs
    return rng.standard_normal((size, *shape)), rng.integers(n_logits, size=size)


# --- gradients


@pytest.mark.parametrize(
    "nodes",
    [training.small_nodes(), training.small_residual_nodes(), BRANCHED],
    ids=["chain", "residual", "branched"],
)
def test_gradients_are_those_of_torch(nodes):
    weights = drawn(nodes)
    x, labels = batch_of(nodes)
    loss, found = loss_gradients(nodes, weights, x, labels)
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in weights.items()}
    logits = torch.stack([run_torch(nodes, tensors, torch.from_numpy(one[None]), None) for one in x])
    expected = functional.cross_entropy(logits, torch.from_numpy(labels))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    assert list(found) == list(weights)
    for name, gradient in found.items():
        theirs = tensors[name].grad.numpy()
        assert np.abs(theirs).max() > 1e-4
        np.testing.assert_allclose(gradient, theirs, rtol=1e-10, atol=1e-12, err_msg=name)


def test_gradients_are_finite_differences():
    weights = drawn(BRANCHED)
    x, labels = batch_of(BRANCHED)
    _, found = loss_gradients(BRANCHED, weights, x, labels)
    rng = np.random.default_rng(3)
    for name, array in weights.items():
        way = rng.standard_normal(array.shape)

        def loss(step, name=name, array=array, way=way):
            return loss_gradients(BRANCHED, {**weights, name: array + step * way}, x, labels)[0]

        slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
        assert slope == pytest.approx(float((found[name] * way).sum()), rel=1e-6, abs=1e-8), name


def test_cross_entropy_far_from_zero():
    loss, gradient = cross_entropy(np.array([[1e4, 0.0], [0.0, 1e4]]), np.array([0, 0]))
    assert loss == pytest.approx(5e3)
    np.testing.assert_allclose(gradient, [[0, 0], [-0.5, 0.5]], atol=1e-300)


# --- Adam and the loop


def test_adam_is_that_of_torch():
    rng = np.random.default_rng(0)
    weights = {"a": rng.standard_normal((3, 4)), "b": rng.standard_normal(5)}
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in weights.items()}
    theirs = torch.optim.Adam(tensors.values(), lr=0.02)
    ours = Adam(weights)
    for step in range(20):
        gradients = {name: rng.standard_normal(array.shape) * 10.0**-step for name, array in weights.items()}
        rate = 0.02 / (1 + step)
        theirs.param_groups[0]["lr"] = rate
        for name, tensor in tensors.items():
            tensor.grad = torch.from_numpy(gradients[name])
        theirs.step()
        weights = ours.step(weights, gradients, rate)
        for name, tensor in tensors.items():
            np.testing.assert_allclose(weights[name], tensor.detach().numpy(), rtol=1e-12, atol=1e-13)


def test_adam_keeps_float32():
    weights = {"a": np.ones(2, dtype=np.float32)}
    assert Adam(weights).step(weights, weights, 0.1)["a"].dtype == np.float32


def few_steps(threads=None, seed=0, kind="chain"):
    return train_small_classifier.train(
        KINDS[kind].nodes(), np.random.SeedSequence(seed), recipe=FEW, threads=threads
    )


@pytest.mark.parametrize("kind", KINDS)
def test_weights_do_not_depend_on_the_number_of_threads(kind):
    first = few_steps(threads=1, kind=kind)
    for threads, blas in ((1, 2), (2, 1), (4, 2)):
        with threadpoolctl.threadpool_limits(blas, user_api="blas"):
            again = few_steps(threads, kind=kind)
        for name, array in first.items():
            np.testing.assert_array_equal(array, again[name], err_msg=name)
    other = few_steps(seed=1, kind=kind)
    assert any((array != other[name]).any() for name, array in first.items())


MOVES = {
    "chain": {
        "features.0.weight": 0.01277970591955912,
        "features.0.bias": 0.004082570255274915,
        "features.3.weight": -0.09889357420308734,
        "features.3.bias": 0.0004908956255288859,
        "features.6.weight": -0.08925241979810844,
        "features.6.bias": -0.007560535996664305,
        "classifier.0.weight": 0.026291205288598643,
        "classifier.0.bias": 0.0029712578650588403,
        "classifier.2.weight": 0.03534537766110588,
        "classifier.2.bias": 0.0010669878399533206,
    },
    "residual": {
        "conv1.bias": -0.001861762152223809,
        "layer1.0.conv2.weight": 0.04174704325867169,
        "layer1.1.conv1.bias": -0.000837774463437394,
        "layer2.0.downsample.0.weight": 0.002998281726850874,
        "layer2.1.conv2.bias": -0.006690802647442505,
        "layer3.0.downsample.0.weight": -0.051621653568220766,
        "classifier.0.weight": 0.06546514060370409,
        "classifier.2.weight": -0.030122016054666474,
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_three_steps_come_out_as_when_the_shipped_weights_were_trained(kind):
    """Numbers of the code that trained these; BLAS kernels of another kind differ by less than 1e-5."""
    nothing = dataclasses.replace(FEW, steps=0)
    start = train_small_classifier.train(KINDS[kind].nodes(), np.random.SeedSequence(0), recipe=nothing)
    after = few_steps(kind=kind)
    moves = {name: (after[name].astype(np.float64) - start[name]).ravel() for name in MOVES[kind]}
    projections = {name: float(move @ np.cos(np.arange(move.size))) for name, move in moves.items()}
    assert projections == pytest.approx(MOVES[kind], rel=1e-4)


def test_a_block_starts_as_its_shortcut():
    """No step: the initial weights.  Other weights have variance 2 over the fan-in, biases are 0."""
    nodes = training.small_residual_nodes()
    parent = np.random.SeedSequence(0)
    start = train_small_classifier.train(nodes, parent, recipe=dataclasses.replace(FEW, steps=0))
    last = {name for name in start if name.endswith(".conv2.weight")}
    assert len(last) == 6
    for name, array in start.items():
        if name in last or array.ndim == 1:
            assert not array.any(), name
        else:
            share = (array**2).mean() * np.prod(array.shape[1:]) / 2
            assert abs(share - 1) < 5 * np.sqrt(2 / array.size), name


def test_training_starts_from_what_it_is_given_and_leaves_it():
    nodes = training.small_nodes()
    weights = draw_parameters(nodes, law=Gaussian(1.0), seed=0, init="fan-in")
    before = {name: array.copy() for name, array in weights.items()}
    calls = []
    fitted = fit(
        nodes,
        weights,
        lambda step: training.crops("train", FEW.batch, seed=step),
        FEW,
        progress=lambda *call: calls.append(call),
    )
    assert calls == [(1, 3), (2, 3), (3, 3)]
    for name, array in weights.items():
        np.testing.assert_array_equal(array, before[name])
        assert fitted[name].dtype == np.float32
        assert (fitted[name] != array).any()


def test_activations_that_leave_the_range_stop():
    nodes = [Input("x", (1, 1, 1)), Flatten("f", "x"), Dense("out", "f", 2)]
    weights = {"out.weight": np.array([[np.nan], [0.0]]), "out.bias": np.zeros(2)}
    data = np.ones((1, 1, 1, 1)), np.array([1])
    with pytest.raises(ValueError, match="node 'out': activations leave the range"):
        fit(nodes, weights, lambda step: data, Recipe(steps=1, batch=1, shards=1, rate=0.1))


# --- the command


@pytest.fixture
def short(monkeypatch):
    """Three steps in place of a training."""
    for name, kind in KINDS.items():
        monkeypatch.setitem(KINDS, name, dataclasses.replace(kind, recipe=FEW))
    monkeypatch.setattr(train_small_classifier, "TEST_CROPS", 20)


def written(tmp_path, capsys, *options, kind="chain"):
    """What a run prints, and the weights and the accuracy that it writes."""
    path, file = tmp_path / "weights.npz", KINDS[kind].file
    train_small_classifier.main(["--out", str(path), *options])
    words = capsys.readouterr().out
    checksum = words.partition(f'"{file}": "')[2][:64]
    shapes = trace_shapes(KINDS[kind].nodes())[1]
    return words, _weights.decode(path.read_bytes(), shapes, file, checksum)


@pytest.mark.usefixtures("short")
def test_the_command_writes_what_it_trained(tmp_path, capsys):
    words, (weights, accuracy) = written(tmp_path, capsys)
    assert "not the weights of the package" in words
    assert f"{accuracy:.1%} of 20 test crops" in words
    for name, array in few_steps().items():
        np.testing.assert_array_equal(weights[name], array)
    words, (others, _) = written(tmp_path, capsys, "--seed", "1")
    assert (weights["classifier.2.weight"] != others["classifier.2.weight"]).any()


@pytest.mark.usefixtures("short")
def test_the_command_trains_the_residual_classifier(tmp_path, capsys):
    words, (weights, _) = written(tmp_path, capsys, "--kind", "residual", kind="residual")
    assert f"for {training.small_residual_classifier().accuracy}" in words
    for name, array in few_steps(kind="residual").items():
        np.testing.assert_array_equal(weights[name], array)


@pytest.mark.usefixtures("short")
def test_the_command_trains_where_the_package_has_no_weights(tmp_path, capsys, monkeypatch):
    read = _weights.read
    monkeypatch.setattr(_weights, "read", lambda file: read("absent.npz"))
    words, (_, accuracy) = written(tmp_path, capsys)
    assert "nothing to compare with" in words
    assert 0 <= accuracy <= 1


def test_a_seed_must_be_a_number(capsys):
    with pytest.raises(ValueError, match="seed: expected an integer"):
        train_small_classifier.main(["--seed", "-1"])
    with pytest.raises(SystemExit):
        train_small_classifier.main(["--seed", "0.5"])
    assert "--seed: invalid int value: '0.5'" in capsys.readouterr().err
