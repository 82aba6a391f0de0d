"""The reference data: what is committed is what the laws say, and what plain NumPy simulates."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import reference

FILES = sorted(Path(reference.FOLDER).glob("*.json"))
NETWORKS = 450


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def leaves(value, path=()):
    """Every number or word of a document, by its path."""
    if isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: leaf for name, inner in pairs for key, leaf in leaves(inner, (*path, name)).items()}
    return {path: value}


def test_every_picture_has_its_file():
    assert [path.stem for path in FILES] == sorted(reference.CASES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_files_are_what_the_command_writes(path):
    committed, now = leaves(read(path)), leaves(json.loads(json.dumps(reference.document(path.stem))))
    assert committed.keys() == now.keys()
    for place, value in committed.items():
        if isinstance(value, float):
            assert_allclose(value, now[place], rtol=1e-9, atol=1e-12, err_msg=str(place))
        else:
            assert value == now[place], place


# --- the recipe of reference/README.md in plain NumPy, without a line of theorylab


def picture(name):
    if name == "waves":
        x = np.array(
            [
                [
                    [
                        np.sin(0.7 * i + c) + np.cos(0.4 * j - 0.3 * c * i) + 0.02 * i * (c - 1)
                        for j in range(16)
                    ]
                    for i in range(16)
                ]
                for c in range(3)
            ]
        )
    else:
        import skimage.data
        from skimage.transform import resize

        rgb = skimage.data.chelsea().astype(float)
        options = {"order": 1, "anti_aliasing": False, "preserve_range": True}
        planes = [resize(rgb[:, :, c], (32, 32), **options) for c in range(3)]
        x = np.array(planes) - np.array([123.68, 116.779, 103.939]).reshape(3, 1, 1)
    return x / np.linalg.norm(x)


def simulated(x, setting, rng):
    """Maps of two logits of one random network, by method: (2, C, H, W)."""
    k, stride, pad = setting["kernel"], setting["stride"], setting["padding"]
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    corners = [range(0, side - k + 1, stride) for side in padded.shape[1:]]
    tops = [(i, j) for i in corners[0] for j in corners[1]]
    patches = np.array([padded[:, i : i + k, j : j + k].ravel() for i, j in tops])
    filters = rng.standard_normal((setting["n_filters"], patches.shape[1]))
    inputs = patches @ filters.T  # (positions, filters)
    rows, columns = (len(corner) for corner in corners)
    pool, slope = setting["pool"], setting["slope"]
    units = np.where(inputs > 0, inputs, slope * inputs).reshape(rows, columns, -1)
    windows = [
        [(i * pool + a) * columns + j * pool + b for a in range(pool) for b in range(pool)]
        for i in range(rows // pool)
        for j in range(columns // pool)
    ]
    values = units.reshape(rows * columns, -1)[np.array(windows)]  # (windows, positions of each, filters)
    winners = np.take_along_axis(np.array(windows)[:, :, None], values.argmax(axis=1)[:, None], axis=1)[:, 0]
    signals = np.zeros((2, *inputs.shape))
    for logit in range(2):
        readout = rng.standard_normal(winners.shape)
        np.put_along_axis(signals[logit], winners, readout, axis=0)
    gate = np.where(inputs > 0, 1.0, slope)
    rectified = np.maximum(signals, 0)
    below = {
        "saliency": gate * signals,
        "deconvnet": rectified,
        "guided": gate * rectified,
        "linear": signals,
    }
    maps = {}
    for method, signal in below.items():
        shares = signal @ filters
        whole = np.zeros((2, *padded.shape))
        for at, (i, j) in enumerate(tops):
            whole[:, :, i : i + k, j : j + k] += shares[:, at].reshape(2, 3, k, k)
        maps[method] = whole[:, :, pad : pad + x.shape[1], pad : pad + x.shape[2]]
    maps["input-x-gradient"] = maps["saliency"] * x
    return maps


def near(values, expected, what):
    """A mean over networks is its law, within four and a half standard errors."""
    values = np.asarray(values)
    error = values.std(ddof=1, axis=0) / np.sqrt(len(values))
    # Rounding is all that may differ where the spread is 0.
    assert np.all(np.abs(values.mean(axis=0) - expected) <= 4.5 * error + 1e-12), what


CASES = [(path.stem, number) for path in FILES for number in range(len(read(path)["networks"]))]


@pytest.mark.parametrize(("name", "number"), CASES)
def test_plain_numpy_agrees(name, number):
    document = read(reference.FOLDER / f"{name}.json")
    x, setting = picture(name), document["networks"][number]
    for c, i, j, value in document["picture"]["entries"]:
        assert_allclose(x[c, i, j], value, rtol=1e-9, atol=1e-12)
    rng = np.random.default_rng([number, len(name)])
    drawn = [simulated(x, setting, rng) for _ in range(NETWORKS if name == "waves" else NETWORKS // 3)]
    for method, law in setting["maps"].items():
        maps = np.array([one[method] for one in drawn])  # (networks, 2, C, H, W)
        first = maps[:, 0]
        for c, i, j, value in law["mean"]:
            near(first[:, c, i, j], value, (method, "mean", c, i, j))
        for c, i, j, value in law["variance"] or []:
            mean = next(entry[3] for entry in law["mean"] if entry[:3] == [c, i, j])
            near((first[:, c, i, j] - mean) ** 2, value, (method, "variance", c, i, j))
        # The norms of the mean and of the noise together are the energy; a part of it lies along the picture.
        energy = (first**2).sum(axis=(1, 2, 3))
        halves = len(maps) // 2
        crossed = (first[:halves] * first[halves : 2 * halves]).sum(axis=(1, 2, 3))
        near(crossed, law["mean_norm"] ** 2, (method, "mean_norm"))
        if law["variance_sum"] is not None:
            near(energy, law["variance_sum"] + law["mean_norm"] ** 2, (method, "energy"))
            size = np.sqrt(law["variance_sum"] + law["mean_norm"] ** 2)
            along = (first * x).sum(axis=(1, 2, 3))
            near(along, law["cosine_with_input"] * size, (method, "cosine_with_input"))
        if law["class_distance"] is not None:
            product = (maps[:, 0] * maps[:, 1]).sum(axis=(1, 2, 3))
            near(product - (1 - law["class_distance"] ** 2 / 2) * energy, 0, (method, "class_distance"))


def test_a_wrong_number_is_noticed():
    """Guided backpropagation's cosine is not DeconvNet's, nor its mean that of twice the network."""
    document = read(reference.FOLDER / "waves.json")
    setting, x, rng = document["networks"][0], picture("waves"), np.random.default_rng(0)
    values = [np.vdot(simulated(x, setting, rng)["guided"][0], x) for _ in range(200)]
    law = setting["maps"]["guided"]
    size = np.sqrt(law["variance_sum"] + law["mean_norm"] ** 2)
    near(values, law["cosine_with_input"] * size, "right")
    with pytest.raises(AssertionError, match="wrong"):
        near(values, 2 * law["cosine_with_input"] * size, "wrong")
