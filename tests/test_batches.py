"""Many pictures at a time: the same maps as one at a time, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from theorylab.model.rules import PAPER
from theorylab.networks import resnet50, vgg16
from theorylab.networks.batches import batch_maps
from theorylab.visualization import visualize_many

BUILDS = {
    "vgg16": lambda: vgg16(input_shape=(3, 32, 32), n_logits=5, n_hidden=16, init="fan-in", dtype=np.float64),
    "resnet50": lambda: resnet50(input_shape=(3, 32, 32), n_logits=5, init="fan-in", dtype=np.float64),
}


@pytest.mark.parametrize("build", BUILDS)
def test_a_batch_is_its_pictures(build):
    net = BUILDS[build]()
    pictures = np.random.default_rng(0).normal(size=(2, 3, 32, 32))
    logits = np.array([[4, 2], [3, 3]])
    maps = batch_maps(net, pictures, logits, list(PAPER))
    for picture, own, found in zip(pictures, logits, maps, strict=True):
        expected = visualize_many(net, picture, list(PAPER), own.tolist())
        assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


def test_bad_input_is_refused():
    net = vgg16(input_shape=(3, 32, 32), n_logits=5, n_hidden=4)
    pictures = np.ones((2, 3, 32, 32))
    for logits, what in (
        (np.array([[0], [5]]), "from 0 to 4"),
        (np.array([[-1], [0]]), "from 0 to 4"),
        (np.array([[0]]), r"shape \(2, T\)"),
        (np.array([[0.0], [1.0]]), "integers"),
    ):
        with pytest.raises(ValueError, match=what):
            batch_maps(net, pictures, logits, ["guided"])
    with pytest.raises(ValueError, match="images"):
        batch_maps(net, np.ones((2, 3, 32, 31)), np.zeros((2, 1), int), ["guided"])
    with pytest.raises(ValueError, match="unknown rule"):
        batch_maps(net, pictures, np.zeros((2, 1), int), ["gradient"])
