"""A trained network, which of its layers were trained, its random twins, and how a picture is prepared for it."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Collection

import joblib
import numpy as np

from theorylab import _random, _validation, images
from theorylab.model.models import VGG16_BLOCKS
from theorylab.networks import GraphNetwork
from theorylab.networks.nodes import Activation, BatchNorm, Conv, Dense, MaxPool


@_validation.checked
@dataclasses.dataclass(frozen=True)
class Subject:
    """A trained network and how to draw its random twins.

    Attributes
    ----------
    label : str
        Which network and which weights, in words.
    source : str
        "small", "hed", or the weights or the model that the user named.
    trained : GraphNetwork
        Its layers that were not trained are random.
    redraw : callable
        ``redraw(network, seed) -> GraphNetwork``: the same graph with every weight random.
    trained_dense : bool
        Whether the dense layers are trained too.
    mean : array, (3, 1, 1)
        A colour of 0–255.
    scale : array, (3, 3)
        The networks read ``scale · (rgb − mean)`` of each pixel.
    classes : tuple of str
        Names of the logits, if they have any.
    seed : int
        Of the random twin.
    """

    label: str
    source: str
    trained: GraphNetwork
    redraw: Callable[[GraphNetwork, _random.Seed], GraphNetwork]
    trained_dense: bool
    mean: np.ndarray
    scale: np.ndarray
    classes: tuple[str, ...] = ()
    seed: int = 0

    def draw(self, seed: _random.Seed) -> GraphNetwork:
        """Return a random twin: the same graph with every weight random."""
        return self.redraw(self.trained, seed)

    def mapped(self, folder: str | os.PathLike[str]) -> Subject:
        """Return the same subject with its parameters in a file in `folder`, of which processes hold one copy together.

        An OSError if the folder cannot be made or written.
        """
        os.makedirs(folder, exist_ok=True)
        file = os.path.join(folder, "parameters")
        joblib.dump(dict(self.trained.parameters), file)
        return dataclasses.replace(
            self, trained=self.trained.with_parameters(joblib.load(file, mmap_mode="r"))
        )

    @functools.cached_property
    def random(self) -> GraphNetwork:
        """The random twin that figures show: the draw of `seed`."""
        return self.draw(self.seed)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the trained parameters, the size and the colours: what decides numbers beside the seed."""
        found = hashlib.sha256(f"{self.source} {self.trained.input_shape} {self.seed}".encode())
        for name, array in {**self.trained.parameters, "mean": self.mean, "scale": self.scale}.items():
            found.update(f"{name} {array.dtype} {array.shape}".encode())
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()

    @property
    def side(self) -> int:
        """Height and width of the pictures."""
        return self.trained.input_shape[1]

    @property
    def hidden(self) -> str:
        """The first dense layer, "fc1"."""
        return next(node.name for node in self.trained.nodes if isinstance(node, Dense))

    @property
    def features(self) -> str:
        """The node that fc1 reads: the flattened output of the convolutions."""
        return next(node.source for node in self.trained.nodes if isinstance(node, Dense))

    @property
    def is_vgg16(self) -> bool:
        """Whether the convolutions are those of VGG-16, the paper's network, whatever dense layers stand above."""
        convolutions = [node for node in self.trained.nodes if isinstance(node, Conv)]
        wanted = [filters for block in VGG16_BLOCKS for filters in block]
        return [(node.n_filters, node.kernel) for node in convolutions] == [(n, (3, 3)) for n in wanted]

    def trains(self, layers: Collection[str]) -> bool:
        """Return whether these layers, "convolutions" and "dense", were trained."""
        return self.trained_dense or "dense" not in layers

    def prepared(self, rgb: np.ndarray) -> np.ndarray:
        """Return ``(..., 3, H, W)`` of 0–255 as the networks read it."""
        return np.asarray(np.einsum("ab,...bhw->...ahw", self.scale, _coloured(rgb, "rgb") - self.mean))

    def shown(self, x: np.ndarray) -> np.ndarray:
        """Return the picture, ``(..., 3, H, W)`` of 0–255, of what the networks read."""
        return np.asarray(
            np.einsum("ab,...bhw->...ahw", np.linalg.inv(self.scale), _coloured(x, "x")) + self.mean
        )

    def pulled_back(self, gradient: np.ndarray) -> np.ndarray:
        """Return the gradient with respect to the picture of a gradient with respect to what the networks read."""
        return np.asarray(np.einsum("ab,...ahw->...bhw", self.scale, _coloured(gradient, "gradient")))

    def picture(self, image: str | os.PathLike[str] | None, fit: str = "squeeze") -> np.ndarray:
        """Load a picture, ``(3, H, W)`` of 0–255, in the size that the networks take."""
        return np.asarray(images.load(image, self.side, "authors", fit) + column(images.MEAN_COLOUR))

    def read(self, image: str | os.PathLike[str] | None, fit: str = "squeeze") -> np.ndarray:
        """Load a picture as the networks read it, ``(3, H, W)``."""
        return self.prepared(self.picture(image, fit))

    def name_of(self, logit: int) -> str:
        """Return the name of a class, or its number."""
        return self.classes[logit] if self.classes else f"logit {logit}"

    def layers(self) -> dict[str, str]:
        """Return the layers with weights, input side first: their names here and in the paper (conv1_1, fc1)."""
        return layer_titles(self.trained)

    def partly(self, layers: Collection[str]) -> GraphNetwork:
        """Return the random network with the trained weights of these layers."""
        return self.random.with_parameters(self.trained.parameters, layers)


@_validation.checked
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


@_validation.checked
def gates(net: GraphNetwork) -> dict[str, str]:
    """Map each convolution to the unit that opens and closes its filters: behind it, or behind its batch normalisation.

    Convolutions of which there is none, such as the last ones of residual branches, are left out.

    >>> from theorylab.networks import vgg16
    >>> gates(vgg16(input_shape=(3, 32, 32), n_hidden=8, n_logits=2))["features.28"]
    'features.29'
    """
    behind = {node.source: node for node in net.nodes if isinstance(node, (Activation, BatchNorm))}
    found = {}
    for node in net.nodes:
        if isinstance(node, Conv):
            unit = behind.get(node.name)
            unit = behind.get(unit.name) if isinstance(unit, BatchNorm) else unit
            if isinstance(unit, Activation):
                found[node.name] = unit.name
    return found


def column(values: object) -> np.ndarray:
    """Return three numbers as a colour, (3, 1, 1)."""
    return _validation.real_array(np.ravel(_validation.as_array(values, "values")), "values", (3,)).reshape(
        3, 1, 1
    )


def _coloured(x: np.ndarray, name: str) -> np.ndarray:
    """Return pictures (..., 3, H, W), or raise a ValueError."""
    if x.ndim < 3 or x.shape[-3] != 3:
        raise ValueError(f"{name}: expected (..., 3, H, W), got shape {x.shape}")
    return x
