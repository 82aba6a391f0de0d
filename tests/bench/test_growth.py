"""How cost grows with the size of the picture, of the network and of the question: fitted exponents."""

from __future__ import annotations

import numpy as np
import pytest

from theorylab import analytic, visualize_many
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import Rule
from theorylab.networks import vgg16
from theorylab.sampling.tiled import TiledSampler


def replicate(*, side=224, kernel=7, n_filters=256, n_readouts=1):
    grid = PatchGrid((3, side, side), kernel=kernel, stride=2)
    rng = np.random.default_rng(0)
    sampler = TiledSampler(rng.standard_normal(grid.input_shape), grid, n_filters)
    return lambda: sampler.draw(rng, [Rule.GUIDED], n_readouts=n_readouts)


@pytest.mark.parametrize(
    ("size", "sizes", "make"),
    [
        ("side of the picture", (112, 160, 224, 320), lambda side: replicate(side=side)),
        ("filters N", (64, 128, 256, 512), lambda n: replicate(n_filters=n)),
        ("entries of a patch p", (27, 75, 147, 243, 363), lambda p: replicate(kernel=round((p / 3) ** 0.5))),
        ("logits", (1, 2, 4, 8), lambda t: replicate(n_readouts=t)),
    ],
    ids=["side", "filters", "patch", "maps"],
)
def test_replicate(grows, size, sizes, make):
    grows("three-layer replicate, guided", size, sizes, make)


def vgg(*, side=224, n_maps=1):
    x = np.random.default_rng(0).standard_normal((3, side, side))
    net = vgg16(init="fan-in", input_shape=x.shape, n_hidden=64)
    return lambda: visualize_many(net, x, [Rule.GUIDED], range(n_maps))


def test_vgg16_side(grows):
    grows("VGG-16's convolutions, one map", "side of the picture", (64, 96, 160, 224), lambda s: vgg(side=s))


def test_vgg16_maps(grows):
    grows("VGG-16's convolutions, with one forward pass", "maps", (1, 2, 4, 8), lambda n: vgg(n_maps=n))


def closed_form(side):
    grid = PatchGrid((3, side, side), kernel=7, stride=2)
    x = np.random.default_rng(0).standard_normal(grid.input_shape)
    return lambda: (
        analytic.mean_map(x, grid, Rule.GUIDED, 256),
        analytic.variance_map(x, grid, Rule.GUIDED, 256),
    )


def test_closed_form(grows):
    grows("mean and variance map in closed form", "side of the picture", (112, 160, 224, 320), closed_form)
