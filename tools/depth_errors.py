"""Measures how far laws of max-pools are off: ``make depth-errors``, where tolerances and words in the docs come from.

For VGG-16's convolutions at 48 pixels and for small stacks, on every bundled picture and on made ones, random networks are drawn
with fresh seeds, and compared with what :func:`theorylab.analytic.depth_maps` predicts:

- alignment: of the modified gradient with the activations, mean over the hidden layers, and at the picture;
- tilt: the mean map along the picture over along the prediction (its cosine to the picture, if the direction is right);
- size: the mean map along the prediction over the norm of the prediction (1);
- energy: the mean squared norm of a map over the predicted one (1).

Every number is relative, in percent of the law, with its standard error over networks; DeconvNet's cosines, some of which are
near 0, are in hundredths.  All pictures see the same networks, so deviations of two pictures are not independent.
``--quick`` takes a minute and sees errors of a few percent.
"""

from __future__ import annotations

import argparse
import math
import secrets
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from theorylab import images
from theorylab.analytic import depth_maps
from theorylab.analytic.conv_depth import LayerMaps
from theorylab.model import models
from theorylab.model.laws import Gaussian
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.specs import ConvSpec, Residual
from theorylab.model.stack import Layer, Stack
from theorylab.networks.from_stack import Blueprint
from theorylab.networks.nodes import Conv

RULES = (Rule.GUIDED, Rule.DECONVNET)
NAMES = ("alignment", "at picture", "tilt", "size", "energy")


def pictures(side: int) -> dict[str, np.ndarray]:
    """Bundled photographs and made pictures of other kinds, as inputs of a network."""
    rng = np.random.default_rng(2018)
    rows, columns = np.indices((side, side)) / side
    sky = np.where(rows < 0.6, 200.0, 60.0)[:, :, None] * [0.6, 0.8, 1.0]
    night = rng.poisson(4.0, (side, side, 3)).astype(float)
    night[rng.integers(0, side, 6), rng.integers(0, side, 6)] = 255
    text, drawing = (Image.new("RGB", (side, side), "white") for _ in range(2))
    for line in range(0, side, 11):
        ImageDraw.Draw(text).text((1, line), "the quick brown fox"[line % 7 :], fill="black")
    pen = ImageDraw.Draw(drawing)
    pen.ellipse([side // 6, side // 6, side * 2 // 3, side * 2 // 3], outline="black", fill="orange")
    pen.line([0, side - 4, side, side // 3], fill="blue", width=2)
    checks = (np.indices((side, side)) // max(2, side // 8)).sum(axis=0) % 2
    made = {
        "flat sky": sky,
        "gradient": 255 * np.stack([columns, (rows + columns) / 2, 1 - rows], axis=2),
        "texture noise": rng.uniform(0, 255, (side, side, 3)),
        "night": night,
        "text": np.asarray(text),
        "drawing": np.asarray(drawing),
        "checkerboard": np.repeat(255.0 * checks[:, :, None], 3, axis=2),
        "little contrast": 200 + rng.uniform(-4, 4, (side, side, 3)),
        "stripes": 127 + 120 * np.sin(40 * columns[:, :, None] + 9 * rows[:, :, None]) * np.ones(3),
    }
    found = {name: images.load(name, size=side) for name in images.bundled()}
    return found | {name: images.prepare(rgb.astype(np.uint8), size=side) for name, rgb in made.items()}


def _conv(filters: int, kernel: int, reads: int) -> ConvSpec:
    return ConvSpec(filters, kernel, padding=kernel // 2, std=math.sqrt(2 / (reads * kernel**2)))


STAGE = (
    Residual((_conv(96, 3, 96), _conv(128, 3, 96)), _conv(128, 1, 96)),
    Residual((_conv(128, 3, 128), _conv(128, 3, 128))),
)
STACKS: dict[str, tuple[Layer, ...]] = {
    "no pool": (_conv(96, 3, 3), _conv(128, 3, 96), _conv(128, 3, 128)),
    "one pool": (_conv(96, 3, 3), MaxPool(2), _conv(128, 3, 96), _conv(128, 3, 128)),
    "pools 2, 2": (_conv(96, 3, 3), MaxPool(2), _conv(128, 3, 96), MaxPool(2), _conv(128, 3, 128)),
    "pools 3, 2": (_conv(96, 5, 3), MaxPool(3), _conv(128, 3, 96), MaxPool(2), _conv(128, 3, 128)),
    "residual": (_conv(96, 3, 3), *STAGE),
    "one pool, residual": (_conv(96, 3, 3), MaxPool(2), *STAGE),
    "overlapping": (_conv(96, 3, 3), MaxPool(3, 2, 1), _conv(128, 3, 96), _conv(128, 3, 128)),
    "overlapping, residual": (_conv(96, 3, 3), MaxPool(3, 2, 1), *STAGE),
    "overlapping twice": (
        _conv(96, 5, 3),
        MaxPool(3, 2, 1),
        _conv(128, 3, 96),
        MaxPool(3, 2, 1),
        _conv(128, 3, 128),
    ),
    "pools 2, 2, residual": (_conv(96, 3, 3), MaxPool(2), _conv(96, 3, 96), MaxPool(2), *STAGE),
}


def predict(x: np.ndarray, layers: Sequence[Layer], rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Return the law of each of `NAMES`, and the predicted map."""
    records: list[LayerMaps] = depth_maps(x, layers, rule)
    bottom = records[-1]
    mean, variance = np.asarray(bottom.mean_map), np.asarray(bottom.variance_map)
    hidden = float(np.mean([record.alignment for record in records[:-1]]))
    tilt = float(np.vdot(mean, x)) / float(np.linalg.norm(mean) * np.linalg.norm(x))
    size = float(np.linalg.norm(mean))
    return np.array([hidden, bottom.alignment, tilt, size, size**2 + float(variance.sum())]), mean


def _cosines(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b)) / (float(np.linalg.norm(a) * np.linalg.norm(b)) or 1.0)


def measure(
    layers: Sequence[Layer], inputs: dict[str, np.ndarray], count: int, seed: np.random.SeedSequence
) -> dict[tuple[str, Rule], tuple[np.ndarray, np.ndarray]]:
    """Relative deviations from the law of each of `NAMES`, and their standard errors, by picture and rule."""
    shape = next(iter(inputs.values())).shape
    blueprint = Blueprint(Stack(shape, tuple(layers), readout=Gaussian(1.0)), readout=False)
    # What each convolution or residual block reads, from the top down.
    names = [
        node.inputs[0]
        for node in reversed(blueprint.nodes)
        if isinstance(node, Conv) and (node.name.isdigit() or node.name.endswith(".branch.0"))
    ]
    # Without a pool DeconvNet's mean map is zero, and the laws are exact limits.
    rules = RULES if any(isinstance(layer, MaxPool) for layer in layers) else RULES[:1]
    laws = {(name, rule): predict(x, layers, rule) for name, x in inputs.items() for rule in rules}
    found: dict[tuple[str, Rule], list[list[float]]] = {key: [] for key in laws}
    for child in seed.spawn(count):
        rng = np.random.default_rng(child)
        net = blueprint.draw(rng)
        readout = rng.standard_normal((1, net.n_logits))
        for name, x in inputs.items():
            trace = net.forward(x, keep=names)
            gradients = net.layer_gradients(trace, readout, rules, set(names))
            for r, rule in enumerate(rules):
                hidden = [_cosines(gradients[at][0][r, 0], trace.activations[at]) for at in names[:-1]]
                map_ = np.ldexp(gradients[names[-1]][0][r, 0], gradients[names[-1]][1][r, 0])
                mean = laws[name, rule][1]
                along = float(np.vdot(map_, mean)) / float(np.linalg.norm(mean))
                toward = float(np.vdot(map_, x)) / float(np.linalg.norm(x))
                found[name, rule].append([float(np.mean(hidden)), toward, along, float(np.vdot(map_, map_))])
    cosines = np.arange(len(NAMES)) < 3
    return {
        key: _deviations(np.array(rows), laws[key][0], cosines & (key[1] == Rule.DECONVNET))
        for key, rows in found.items()
    }


def _deviations(rows: np.ndarray, law: np.ndarray, absolute: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Functions of the means of (networks, 4) less the law, over the law or `absolute`, with errors by the jackknife."""

    def numbers(means: np.ndarray) -> np.ndarray:
        cosine, toward, along, energy = means.T
        found = np.stack([cosine, toward / np.sqrt(energy), toward / along, along, energy])
        return np.asarray((found.T - law) / np.where(absolute, 1.0, law))

    count = len(rows)
    left_out = numbers((rows.sum(axis=0) - rows) / (count - 1))
    return numbers(rows.mean(axis=0)), np.sqrt(count - 1) * left_out.std(axis=0)


def table(
    title: str, found: dict[tuple[str, Rule], tuple[np.ndarray, np.ndarray]]
) -> list[tuple[float, float, str]]:
    """Print the deviations in percent; return the largest of each number with its error and its place."""
    print(
        f"\n{title}: measured over predicted, less 1, in percent; DeconvNet's cosines less predicted, in hundredths"
    )
    print(f"{'picture':18}{'rule':12}" + "".join(f"{name:>16}" for name in NAMES))
    for (name, rule), (value, error) in found.items():
        cells = (f"{100 * v:+8.2f} ± {100 * e:4.2f}" for v, e in zip(value, error, strict=True))
        print(f"{name:18}{rule.value:12}" + "".join(f"{cell:>16}" for cell in cells))
    largest = []
    for rule in dict.fromkeys(rule for _, rule in found):
        keys = [key for key in found if key[1] == rule]
        for number, what in enumerate(NAMES):
            key = max(keys, key=lambda key: abs(found[key][0][number]))
            value, error = (part[number] for part in found[key])
            largest.append((float(value), float(error), f"{title}, {rule.value}, {what}: {key[0]}"))
    return largest


def main() -> None:
    """Measure, print a table for each network, and the largest deviations."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few networks: a minute")
    parser.add_argument(
        "--networks", type=int, help="of VGG-16 (64; quick: 8); of small stacks four times as many"
    )
    parser.add_argument("--seed", type=int, help="fresh unless given")
    parser.add_argument("--only", help="networks whose name holds this")
    options = parser.parse_args()
    count = options.networks or (8 if options.quick else 64)
    if count < 2:
        parser.error("--networks: an error needs at least 2")
    entropy = secrets.randbits(64) if options.seed is None else options.seed
    print(f"seed {entropy}, {count} networks of VGG-16 and {4 * count} of each small stack")
    small, large = pictures(24), pictures(48)
    studies = [("VGG-16, 48 pixels", models.vgg16(input_shape=(3, 48, 48)).layers[:18], large, count)]
    studies += [(f"{name}, 24 pixels", layers, small, 4 * count) for name, layers in STACKS.items()]
    largest = []
    for seed, (title, layers, inputs, networks) in zip(
        np.random.SeedSequence(entropy).spawn(len(studies)), studies, strict=True
    ):
        if not options.only or options.only in title:
            largest += table(title, measure(layers, inputs, networks, seed))
    print("\nlargest deviations")
    for value, error, place in largest:
        print(f"{100 * value:+8.2f} ± {100 * error:4.2f}  {place}")


if __name__ == "__main__":
    main()
