"""The one fully trained VGG-16 at hand: its outputs and Figure 7's distances on whole pictures, as they were written down."""

import numpy as np
import pytest
import real_networks
from skimage import data, transform

from proofs_checks.claims import dead_zones
from proofs_checks.studies import trained_maps
from theorylab import subjects
from theorylab.model.rules import Rule

pytestmark = real_networks.needs_data

# By another program: softmax outputs, and distances of the maps of class 0 to those of 1, 2 and 3.
WRITTEN = {
    "astronaut": (
        (0, 0.0005, 0.9995, 0),
        {
            Rule.SALIENCY: (1.338, 1.772, 1.367),
            Rule.DECONVNET: (0.069, 0.091, 0.080),
            Rule.GUIDED: (0.065, 0.077, 0.089),
        },
    ),
    "chelsea": (
        (0, 0.9999, 0.0001, 0),
        {
            Rule.SALIENCY: (1.599, 1.318, 1.201),
            Rule.DECONVNET: (0.067, 0.087, 0.080),
            Rule.GUIDED: (0.063, 0.055, 0.101),
        },
    ),
}


@pytest.fixture(scope="module")
def subject():
    return subjects.of_module(
        real_networks.classifier(), "classifier", side=real_networks.SIZE, classes=real_networks.CLASSES
    )


@pytest.mark.parametrize("name", WRITTEN)
def test_outputs_and_distances(subject, name):
    outputs, distances = WRITTEN[name]
    size = (real_networks.SIZE, real_networks.SIZE)
    rgb = transform.resize(getattr(data, name)(), size, anti_aliasing=True).transpose(2, 0, 1)
    x = subject.prepared(255 * rgb).astype(np.float32)
    logits = subject.trained.logits(x).astype(np.float64)
    shares = np.exp(logits - logits.max())
    np.testing.assert_allclose(shares / shares.sum(), outputs, atol=6e-5)
    for maps, expected in zip(
        trained_maps.maps_of(subject.trained, x, range(4), list(distances)), distances.values(), strict=True
    ):
        # Written to three decimals, in float32: a unit near 0 may be open in one program and closed in the other.
        np.testing.assert_allclose(trained_maps.distances(maps)[:3], expected, rtol=5e-4, atol=5e-4)


def test_no_patch_is_dead(subject):
    """Of a picture with flat parts, at any convolution; and the filters fill far fewer dimensions than random ones."""
    x = np.zeros((3, real_networks.SIZE, real_networks.SIZE), dtype=np.float32)
    x[:, 80:160, 80:160] = 0.5
    measured = dead_zones.DeadPatches(subject, images=[x])(np.random.default_rng(0), 1)
    shares = dict(zip(measured.statistics.names, measured.statistics.mean, strict=True))
    assert sum(name.startswith("dead") for name in shares) == 13
    assert all(share == 0 for name, share in shares.items() if name.startswith("dead"))
