"""The small classifiers: their data, the files of their weights, and how good they are."""

import configparser
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from train_small_classifier import KINDS, TEST_CROPS, accuracy

import theorylab
from theorylab import _random, images, training
from theorylab.networks import GraphNetwork
from theorylab.networks.parameters import trace_shapes
from theorylab.training import _pictures, _weights

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


# --- the classifiers


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture(scope="module")
def classifier(kind):
    return kind.shipped()


def test_the_classifier_classifies(classifier, kind):
    assert classifier.accuracy >= 0.88
    assert classifier.classes == tuple(_pictures.PICTURES)
    nodes, parameters = kind.nodes(), classifier.network.parameters
    # Other crops than those of its accuracy: four standard errors of 1000 throws.
    found, labels = training.crops("test", 1000, seed=99)
    share = accuracy(nodes, parameters, found, labels)
    assert share > classifier.accuracy - 4 * np.sqrt(0.1 * 0.9 / 1000)
    assert accuracy(nodes, classifier.random(0).parameters, found, labels) < 0.5
    right = [
        classifier.network.logits(crop).argmax() == label
        for crop, label in zip(found[:25], labels, strict=False)
    ]
    assert accuracy(nodes, parameters, found[:25], labels[:25]) == np.mean(right)


def test_the_accuracy_is_that_of_the_test_crops(classifier):
    rng = np.random.default_rng(_random.child(np.random.SeedSequence(0), 2))
    crops = training.crops("test", TEST_CROPS, seed=rng)
    share = accuracy(classifier.network.nodes, classifier.network.parameters, *crops)
    # Another BLAS may round a crop between two classes to the other side.
    assert share == pytest.approx(classifier.accuracy, abs=1 / TEST_CROPS)


def test_the_same_weights_at_other_sizes(classifier):
    crop = training.crops("test", 1, seed=0)[0][0]
    assert classifier.network.input_shape == (3, 32, 32)
    np.testing.assert_allclose(classifier.at((3, 32, 32)).logits(crop), classifier.network.logits(crop))
    large = classifier.at((3, 64, 40))
    assert large.logits(images.load(size=64, preset="authors")[..., :40] * training.INPUT_SCALE).shape == (
        10,
    )
    for name, array in classifier.network.parameters.items():
        assert large.parameters[name] is array
    with pytest.raises(ValueError, match="input_shape: the classifier reads 3 channels, got 1"):
        classifier.at((1, 32, 32))


@pytest.mark.parametrize(
    ("classify", "least", "where"),
    [
        (training.small_classifier, 8, r"features\.8"),
        (training.small_residual_classifier, 2, "maxpool"),
    ],
)
def test_the_smallest_pictures(classify, least, where):
    found = classify()
    assert found.at((3, least, least)).logits(np.ones((3, least, least))).shape == (10,)
    with pytest.raises(ValueError, match=where):
        found.at((3, least - 1, 32))


def test_the_random_counterpart(classifier):
    one, again, other = (classifier.random(seed) for seed in (3, 3, 4))
    for name, array in one.parameters.items():
        np.testing.assert_array_equal(array, again.parameters[name])
        if name.endswith("bias"):
            assert not array.any()
        else:
            assert (array != other.parameters[name]).any()
            # Five standard errors.
            spread = np.sqrt(2 / array[0].size)
            assert array.std() == pytest.approx(spread, rel=5 / np.sqrt(2 * array.size))


def test_a_network_can_be_sent_to_another_process(classifier):
    sent = pickle.loads(pickle.dumps(classifier))
    assert isinstance(sent.network, GraphNetwork)
    crop = training.crops("test", 1, seed=0)[0][0]
    np.testing.assert_array_equal(sent.network.logits(crop), classifier.network.logits(crop))


# --- the layers of the residual classifier


def test_a_block_is_its_shortcut_where_its_branch_is_zero():
    """Written out with slices: an identity, or every second pixel through a matrix."""
    net = training.small_residual_classifier().network
    zero = {
        name: np.zeros_like(array) if ".conv2." in name else array for name, array in net.parameters.items()
    }
    blocks = [f"layer{stage}.{number}" for stage in (1, 2, 3) for number in (0, 1)]
    ends = [f"{block}.relu2" for block in blocks]
    crop = training.crops("test", 1, seed=0)[0][0]
    found = GraphNetwork(net.nodes, zero).forward(crop, keep=["maxpool", *ends, "flatten"]).activations
    below = found["maxpool"]
    assert below.shape == (16, 16, 16)
    for block, end in zip(blocks, ends, strict=True):
        if f"{block}.downsample.0.weight" in zero:
            matrix = zero[f"{block}.downsample.0.weight"][:, :, 0, 0]
            below = np.einsum("nc,chw->nhw", matrix, below[:, ::2, ::2])
            below = np.maximum(below + zero[f"{block}.downsample.0.bias"][:, None, None], 0)
        np.testing.assert_allclose(found[end], below, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["flatten"], below.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)


def test_both_classifiers_have_the_same_dense_layers():
    chain, residual = (nodes()[-4:] for nodes in (training.small_nodes, training.small_residual_nodes))
    assert chain == residual
    assert [node.name for node in chain] == ["flatten", "classifier.0", "classifier.1", "classifier.2"]


# --- the files of their weights


FILE = "small_classifier.npz"
SHAPES = trace_shapes(training.small_nodes())[1]


@pytest.mark.parametrize(("name", "size"), [("chain", 156_074), ("residual", 154_114)])
def test_the_file_is_that_of_the_checksum(name, size):
    kind = KINDS[name]
    shapes = trace_shapes(kind.nodes())[1]
    content = _weights.read(kind.file)
    assert len(content) < 650_000
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        assert sorted(file) == sorted([*shapes, "accuracy"])
        arrays = {name: file[name] for name in shapes}
        assert _weights.checksum(arrays, float(file["accuracy"])) == _weights.CHECKSUMS[kind.file]
    parameters = kind.shipped().network.parameters
    assert {name: array.shape for name, array in parameters.items()} == shapes
    assert sum(array.size for array in parameters.values()) == size
    for name, array in parameters.items():
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
        np.testing.assert_array_equal(array, arrays[name])


def test_the_files_are_package_data():
    """An installed copy is more than the source: setup.cfg names every file that is no code."""
    root = Path(theorylab.__file__).parent
    config = configparser.ConfigParser()
    config.read(root.parent / "setup.cfg")
    patterns = config["options.package_data"]["theorylab"].split()
    data = {file for file in root.rglob("*.*") if file.suffix != ".py" and file.parent.name != "__pycache__"}
    assert data >= {root / "training" / file for file in _weights.CHECKSUMS}
    assert data == {file for pattern in patterns for file in root.glob(pattern)}


def test_two_classifiers_share_no_weights(classifier, kind):
    again = kind.shipped().network.parameters
    for name, array in classifier.network.parameters.items():
        assert not np.shares_memory(array, again[name])


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flip, lambda _: b"", lambda _: b"not an archive"])
def test_a_damaged_file_is_noticed(monkeypatch, damage, kind):
    content = damage(_weights.read(kind.file))
    monkeypatch.setattr(_weights, "read", lambda file: content)
    with pytest.raises(ValueError, match=rf"^{kind.file}: damaged, or not the file .* again$"):
        kind.shipped()


def test_the_file_of_the_other_classifier_is_noticed():
    with pytest.raises(ValueError, match=r"^small_classifier\.npz: damaged, or not the file"):
        _weights.decode(_weights.read("small_residual_classifier.npz"), SHAPES, FILE)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: {**arrays, "features.0.bias": np.zeros(17, dtype=np.float32)},
        lambda arrays: {**arrays, "features.0.bias": np.zeros(16)},
        lambda arrays: {**arrays, "features.0.bias": np.full(16, 0.1, dtype=np.float32)},
        lambda arrays: {**arrays, "features.0.bias": np.full(16, np.nan, dtype=np.float32)},
        lambda arrays: {**arrays, "accuracy": np.float64(0.99)},
        lambda arrays: {**arrays, "features.0.bias": np.array([{}] * 16)},  # a pickle
        lambda arrays: {"something": np.zeros(3)},
    ],
    ids=["shape", "dtype", "values", "not finite", "accuracy", "pickle", "foreign"],
)
def test_a_foreign_file_is_noticed(change):
    content = io.BytesIO()
    with np.load(io.BytesIO(_weights.read(FILE))) as archive:
        np.savez(content, **change(dict(archive)))
    with pytest.raises(ValueError, match=r"^small_classifier\.npz: damaged, or not the file"):
        _weights.decode(content.getvalue(), SHAPES, FILE)


def test_weights_of_other_layers_are_noticed():
    shapes = {**SHAPES, "classifier.0.weight": (256, 1024)}
    with pytest.raises(
        ValueError, match=r"classifier\.0\.weight: expected \(256, 1024\), got \(128, 1024\); train again$"
    ):
        _weights.decode(_weights.read(FILE), shapes, FILE)


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"absent\.npz"):
        _weights.read("absent.npz")
