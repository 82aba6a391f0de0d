"""The small classifier: its gradients, its optimiser, its data, its cache, and how good it is."""

import dataclasses
import os
import pickle

import numpy as np
import pytest
import threadpoolctl
from torch_graphs import functional, torch
from torch_graphs import run as run_torch

from theorylab import images, training
from theorylab.laws import Gaussian
from theorylab.networks import GraphNetwork
from theorylab.networks.nodes import (
    Activation,
    Add,
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    Input,
    MaxPool,
)
from theorylab.networks.parameters import draw_parameters
from theorylab.pooling import MaxPool as PoolWindows
from theorylab.training import _cache, _classifier, _pictures
from theorylab.training._adam import Adam
from theorylab.training._fit import Recipe, fit
from theorylab.training._gradients import cross_entropy, loss_gradients

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


@pytest.mark.parametrize("nodes", [training.small_nodes(), BRANCHED], ids=["small", "branched"])
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


def test_what_has_no_weight_gradient_is_refused_by_name():
    nodes = [Input("x", (1, 2, 2)), BatchNorm("bn1", "x"), Flatten("f", "bn1"), Dense("out", "f", 2)]
    weights = draw_parameters(nodes, law=Gaussian(1.0), seed=0)
    with pytest.raises(TypeError, match="node 'bn1': expected a Conv or Dense to train, got BatchNorm"):
        loss_gradients(nodes, weights, np.ones((1, 1, 2, 2)), np.array([0]))
    with pytest.raises(TypeError, match="node 'bn1'"):
        fit(nodes, weights, lambda step: None, FEW)


def test_cross_entropy_far_from_zero():
    loss, gradient = cross_entropy(np.array([[1e4, 0.0], [0.0, 1e4]]), np.array([0, 0]))
    assert loss == pytest.approx(5e3)
    np.testing.assert_allclose(gradient, [[0, 0], [-0.5, 0.5]], atol=1e-300)


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.zeros((2, 3)), np.array([0, 3])),
        (np.zeros((2, 3)), np.array([0, -1])),
        (np.zeros((2, 3)), np.array([0.0, 1.0])),
        (np.zeros((2, 3)), np.array([0])),
        (np.zeros((0, 3)), np.zeros(0, dtype=int)),
        (np.zeros(3), np.array([0, 1, 2])),
    ],
)
def test_labels_must_fit(logits, labels):
    with pytest.raises(ValueError, match="labels: expected"):
        cross_entropy(logits, labels)


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


def few_steps(threads=None, seed=0):
    return _classifier.train(
        training.small_nodes(), np.random.SeedSequence(seed), recipe=FEW, threads=threads
    )


def test_weights_do_not_depend_on_the_number_of_threads():
    first = few_steps(threads=1)
    for threads, blas in ((1, 2), (2, 1), (4, 2)):
        with threadpoolctl.threadpool_limits(blas, user_api="blas"):
            again = few_steps(threads)
        for name, array in first.items():
            np.testing.assert_array_equal(array, again[name], err_msg=name)
    assert any((array != few_steps(seed=1)[name]).any() for name, array in first.items())


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


def test_shards_must_be_equal():
    with pytest.raises(ValueError, match="batch: expected a multiple of 4 shards, got 6"):
        Recipe(steps=1, batch=6, shards=4, rate=0.1)


# --- pictures


def test_no_stripe_is_in_both_splits():
    """Every pixel of a file is marked by its place; the marks of the two splits have none in common."""
    for file, block in _pictures.PICTURES.values():
        height, width, _ = _pictures._read(file).shape
        rows = height // block
        place = np.arange(rows * (width // block)).reshape(rows, -1)
        marks = [
            {int(mark) for row in range(start, rows - 47, 96) for mark in place[row : row + 48].ravel()}
            for start in (0, 48)
        ]
        assert marks[0]
        assert marks[1]
        assert not marks[0] & marks[1]


def test_crops_lie_in_the_stripes_of_their_split():
    stripes = _pictures.stripes()
    for split in ("train", "test"):
        found, labels = training.crops(split, 60, seed=3)
        for crop, label in zip(found, labels, strict=True):
            # The first row of a crop is looked for in every stripe of its picture.
            assert any(inside(crop, stripe) for stripe in stripes[split][label])
    assert not any(inside(crop, stripe) for stripe in stripes["train"][labels[-1]])


def inside(crop, stripe):
    windows = np.lib.stride_tricks.sliding_window_view(stripe[0], (32, 32))
    candidates = np.argwhere((windows[..., 0, :] == crop[0, 0]).all(axis=-1))
    return any((stripe[:, i : i + 32, k : k + 32] == crop).all() for i, k in candidates)


def test_a_stripe_is_what_the_preset_gives_times_the_scale():
    picture = _pictures._read("chelsea.png")
    whole = images.prepare(picture[:300, :300], size=300, preset="authors") * training.INPUT_SCALE
    stripes = _pictures.stripes()
    cat = list(_pictures.PICTURES).index("cat")
    np.testing.assert_allclose(stripes["train"][cat][0][:, :, :300], whole[:, :48], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(stripes["test"][cat][0][:, :, :300], whole[:, 48:96], rtol=1e-5, atol=1e-6)


def test_blocks_are_means():
    rgb = np.arange(4 * 5 * 3).reshape(4, 5, 3)
    found = _pictures._prepared(rgb, 2) / training.INPUT_SCALE
    expected = rgb[:2, :2].mean(axis=(0, 1)) - images.MEAN_COLOUR
    assert found.shape == (3, 2, 2)
    np.testing.assert_allclose(found[:, 0, 0], expected, rtol=1e-6)


def test_crops_follow_from_the_seed():
    found, labels = training.crops("train", 5, seed=1)
    again, same = training.crops("train", 5, seed=1)
    np.testing.assert_array_equal(found, again)
    np.testing.assert_array_equal(labels, same)
    assert found.dtype == np.float32
    assert labels.dtype == np.int64
    assert (training.crops("train", 5, seed=2)[0] != found).any()
    rng = np.random.default_rng(0)
    assert (training.crops("train", 5, seed=rng)[0] != training.crops("train", 5, seed=rng)[0]).any()
    # Crops are copies: writing to one changes no picture.
    found[:] = 0
    np.testing.assert_array_equal(training.crops("train", 5, seed=1)[0], again)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("all", 3), ValueError, "split: expected 'train' or 'test', got 'all'"),
        ((None, 3), TypeError, "split: expected 'train' or 'test', got NoneType"),
        (("test", 0), ValueError, "n: expected at least 1"),
        (("test", 2.0), TypeError, "n: expected an integer"),
    ],
)
def test_crops_refuse(arguments, error, message):
    with pytest.raises(error, match=message):
        training.crops(*arguments, seed=0)


def test_a_missing_picture_is_named():
    with pytest.raises(FileNotFoundError, match=r"absent\.png: the installed scikit-image does not hold"):
        _pictures._read("absent.png")


# --- the classifier


@pytest.mark.slow
def test_the_classifier_classifies(classifier):
    assert classifier.accuracy >= 0.88
    assert classifier.classes == tuple(_pictures.PICTURES)
    nodes, parameters = training.small_nodes(), classifier.network.parameters
    # Other crops than those of its accuracy: four standard errors of 1000 throws.
    found, labels = training.crops("test", 1000, seed=99)
    share = _classifier.accuracy(nodes, parameters, found, labels)
    assert share > classifier.accuracy - 4 * np.sqrt(0.1 * 0.9 / 1000)
    assert _classifier.accuracy(nodes, classifier.random(0).parameters, found, labels) < 0.5
    right = [
        classifier.network.logits(crop).argmax() == label
        for crop, label in zip(found[:25], labels, strict=False)
    ]
    assert _classifier.accuracy(nodes, parameters, found[:25], labels[:25]) == np.mean(right)


def test_the_same_weights_at_other_sizes(classifier):
    crop = training.crops("test", 1, seed=0)[0][0]
    assert classifier.network.input_shape == (3, 32, 32)
    np.testing.assert_allclose(classifier.at((3, 32, 32)).logits(crop), classifier.network.logits(crop))
    large = classifier.at((3, 64, 40))
    assert large.logits(images.load(size=64, preset="authors")[..., :40] * training.INPUT_SCALE).shape == (
        10,
    )
    assert large.parameters["features.0.weight"] is classifier.network.parameters["features.0.weight"]
    with pytest.raises(ValueError, match="features"):
        classifier.at((3, 7, 32))
    with pytest.raises(ValueError, match=r"features\.0"):
        classifier.at((1, 32, 32))


def test_the_random_counterpart(classifier):
    one, again, other = (classifier.random(seed) for seed in (3, 3, 4))
    name = "features.3.weight"
    np.testing.assert_array_equal(one.parameters[name], again.parameters[name])
    assert (one.parameters[name] != other.parameters[name]).any()
    assert one.parameters[name].std() == pytest.approx(np.sqrt(2 / (16 * 9)), rel=0.05)
    assert not one.parameters["classifier.0.bias"].any()


def test_a_network_can_be_sent_to_another_process(classifier):
    sent = pickle.loads(pickle.dumps(classifier))
    assert isinstance(sent.network, GraphNetwork)
    crop = training.crops("test", 1, seed=0)[0][0]
    np.testing.assert_array_equal(sent.network.logits(crop), classifier.network.logits(crop))


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (0.5, TypeError), (np.random.default_rng(0), TypeError)]
)
def test_a_seed_must_be_a_number(seed, error):
    with pytest.raises(error, match="seed: expected an integer"):
        training.small_classifier(seed=seed)


# --- the cache


@pytest.fixture
def short(monkeypatch, tmp_path):
    """Three steps in place of a training, and a cache of its own."""
    monkeypatch.setattr(_classifier, "RECIPE", FEW)
    monkeypatch.setattr(_classifier, "TEST_CROPS", 20)
    monkeypatch.setattr(
        _classifier.train, "__kwdefaults__", {**_classifier.train.__kwdefaults__, "recipe": FEW}
    )
    monkeypatch.setenv("THEORYLAB_CACHE", str(tmp_path / "deep" / "cache"))
    return tmp_path / "deep" / "cache"


def ask(**options):
    """The classifier, and how often progress was reported."""
    calls = []
    found = training.small_classifier(progress=lambda *call: calls.append(call), **options)
    return found, calls


def equal(one, other):
    return one.accuracy == other.accuracy and all(
        (array == other.network.parameters[name]).all() for name, array in one.network.parameters.items()
    )


def test_the_second_time_nothing_is_trained(short):
    first, calls = ask()
    assert calls == [("training the small classifier", done, 3) for done in (1, 2, 3)]
    assert len(list(short.iterdir())) == 1
    again, calls = ask()
    assert not calls
    assert equal(first, again)
    assert again.network.dtype == np.float32
    _, calls = ask(seed=1)
    assert calls
    assert len(list(short.iterdir())) == 2
    uncached, calls = ask(cache=False)
    assert calls
    assert equal(first, uncached)


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flip, lambda _: b"", lambda _: b"not an archive"])
def test_a_damaged_file_is_noticed(short, damage):
    first, _ = ask()
    file = next(short.iterdir())
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    again, calls = ask()
    assert calls
    assert equal(first, again)
    assert file.read_bytes() == whole  # mended


def rewritten(file, change):
    with np.load(file) as archive:
        arrays = dict(archive)
    np.savez(file, **change(arrays))


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: {**arrays, "parameter features.0.bias": np.zeros(17, dtype=np.float32)},
        lambda arrays: {**arrays, "parameter features.0.bias": np.zeros(16)},
        lambda arrays: {**arrays, "parameter features.0.bias": np.full(16, 0.1, dtype=np.float32)},
        lambda arrays: {**arrays, "accuracy": np.float64(0.99)},
        lambda arrays: {**arrays, "parameter features.0.bias": np.array([{}] * 16)},  # a pickle
        lambda arrays: {"something": np.zeros(3)},
    ],
    ids=["shape", "dtype", "values", "accuracy", "pickle", "foreign"],
)
def test_a_foreign_file_is_noticed(short, change):
    first, _ = ask()
    rewritten(next(short.iterdir()), change)
    again, calls = ask()
    assert calls
    assert equal(first, again)


def test_weights_that_are_not_finite_are_noticed(short):
    ask()
    file = next(short.iterdir())
    shapes = {"a": (2,)}
    for value, whole in ((1.0, True), (np.nan, False)):
        _cache.store(file.name, {"a": np.full(2, value, dtype=np.float32)}, 0.5)
        assert (_cache.load(file.name, shapes) is not None) is whole


def test_a_cache_that_cannot_be_written_is_no_error(short, monkeypatch, tmp_path):
    # A file where the folder should be: nobody can write there, an administrator neither.
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("THEORYLAB_CACHE", str(tmp_path / "file"))
    found, calls = ask()
    assert calls
    assert 0 <= found.accuracy <= 1
    assert (tmp_path / "file").read_text() == ""
    # A folder where the file should be.
    monkeypatch.setenv("THEORYLAB_CACHE", str(short))
    ask()
    file = next(short.iterdir())
    file.unlink()
    file.mkdir()
    _, calls = ask()
    assert calls
    assert file.is_dir()


def test_everything_that_the_weights_follow_from_is_in_the_name():
    nodes = training.small_nodes()
    base = _classifier._recipe(nodes, 0)
    names = {_cache.file_name(base), _cache.file_name(_classifier._recipe(nodes[:-1], 0))}
    names |= {_cache.file_name({**base, key: None}) for key in base}
    assert len(names) == len(base) + 2
    assert base["training"] == dataclasses.asdict(_classifier.RECIPE)


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "home/.cache/theorylab"),
        ("linux", {"XDG_CACHE_HOME": "{}/xdg"}, "xdg/theorylab"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache/theorylab"),
        ("linux", {"THEORYLAB_CACHE": "{}/own", "XDG_CACHE_HOME": "{}/xdg"}, "own"),
        ("darwin", {}, "home/Library/Caches/theorylab"),
        ("win32", {"LOCALAPPDATA": "{}/local"}, "local/theorylab"),
    ],
)
def test_the_folder_of_each_platform(monkeypatch, tmp_path, platform, variables, expected):
    for name in ("THEORYLAB_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(_cache.sys, "platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert _cache.folder() == tmp_path / expected


def test_the_tests_have_a_cache_of_their_own():
    assert "pytest" in os.environ["THEORYLAB_CACHE"]
