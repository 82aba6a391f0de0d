"""A small classifier of ten pictures: a network with trained weights that needs no download."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from theorylab import _random, images
from theorylab.laws import Gaussian
from theorylab.networks import GraphNetwork
from theorylab.networks._ascent import ascent
from theorylab.networks.nodes import (
    Activation,
    AdaptiveAveragePool,
    Conv,
    Dense,
    Flatten,
    Input,
    MaxPool,
    Node,
)
from theorylab.networks.parameters import draw_parameters, trace_shapes
from theorylab.pooling import MaxPool as PoolWindows
from theorylab.training import _cache, _fit, _pictures

LABEL = "training the small classifier"
"""Label of the reported progress."""

FILTERS = (16, 32, 64)
"""Numbers of filters of the three convolutions."""

HIDDEN = 128
"""Number of units of the hidden dense layer."""

RECIPE = _fit.Recipe(steps=300, batch=64, shards=4, rate=2e-3)
TEST_CROPS = 2000
"""Number of crops that measure the accuracy."""

_FORMAT = 1  # of the cached file; with another number, older files are ignored


def small_nodes(input_shape: tuple[int, int, int] = (3, 32, 32)) -> list[Node]:
    """Describe the layers of the small classifier, without weights.

    Parameters
    ----------
    input_shape : (C, H, W)
        At least 8 × 8.  Adaptive average pooling resizes the last block to 4 × 4: the identity at 32 × 32.

    Returns
    -------
    list of Node
        Three blocks of a 3×3 convolution (16, 32, 64 filters), ReLU and max-pooling over 2×2, "features.0" to
        "features.8"; then "avgpool", "flatten", "classifier.0" (128 units), "classifier.1" (ReLU) and "classifier.2" (10
        logits), with the names of the modules of the same model in PyTorch.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer or below 8.

    Notes
    -----
    A small relative of VGG-16; Eq. 1 applies at its four ReLUs.

    Examples
    --------
    >>> [node.name for node in small_nodes()[-5:]]
    ['avgpool', 'flatten', 'classifier.0', 'classifier.1', 'classifier.2']
    """
    nodes: list[Node] = [Input("input", tuple(input_shape))]
    for index, n_filters in zip(range(0, 9, 3), FILTERS, strict=True):
        nodes.append(Conv(f"features.{index}", nodes[-1].name, n_filters, kernel=3, padding=1))
        nodes.append(Activation(f"features.{index + 1}", nodes[-1].name))
        nodes.append(MaxPool(f"features.{index + 2}", nodes[-1].name, PoolWindows(2)))
    nodes += [
        AdaptiveAveragePool("avgpool", nodes[-1].name, 4),
        Flatten("flatten", "avgpool"),
        Dense("classifier.0", "flatten", HIDDEN),
        Activation("classifier.1", "classifier.0"),
        Dense("classifier.2", "classifier.1", len(_pictures.PICTURES)),
    ]
    trace_shapes(nodes)
    return nodes


@dataclasses.dataclass(frozen=True)
class Classifier:
    """The trained network, its accuracy, and the same architecture for other sizes or with random weights.

    Attributes
    ----------
    network : GraphNetwork
        For crops of 32×32, float32; logit ``k`` belongs to picture ``classes[k]``.
    accuracy : float
        Share of test crops whose largest logit is the right one.
    classes : tuple of str
    """

    network: GraphNetwork
    accuracy: float
    classes: tuple[str, ...]

    def at(self, input_shape: tuple[int, int, int]) -> GraphNetwork:
        """Return a network with the same weights for pictures of another size.

        Parameters
        ----------
        input_shape : (3, H, W)
            At least 8 × 8.

        Returns
        -------
        GraphNetwork
            Shares the weights.

        Raises
        ------
        TypeError, ValueError
            If the shape is too small or does not have three channels.
        """
        return GraphNetwork(small_nodes(input_shape), self.network.parameters)

    def random(self, seed: _random.Seed) -> GraphNetwork:
        """Return the same architecture with random weights: Gaussian of variance 2 over the fan-in, biases 0.

        Parameters
        ----------
        seed : int or Generator

        Returns
        -------
        GraphNetwork

        Raises
        ------
        TypeError, ValueError
            If the seed is neither an integer of at least 0 nor a generator.
        """
        return GraphNetwork(self.network.nodes, _drawn(self.network.nodes, seed))


def small_classifier(
    *, seed: int = 0, cache: bool = True, progress: Callable[[str, int, int], None] | None = None
) -> Classifier:
    """Train a classifier of 32×32 crops of ten pictures, or read its weights from the cache.

    Parameters
    ----------
    seed : int
        Of the initial weights, the training crops and the test crops.
    cache : bool, default True
        Whether to read the weights from the user's cache, and to write them there: the folder ``$THEORYLAB_CACHE``, or
        "theorylab" in the platform's folder for caches.  A damaged file, or a file of another recipe, is ignored.  If the
        folder is not writable, every call trains the network.
    progress : callable, optional
        ``progress(label, done, total)`` in minibatches; not called if the weights come from the cache.

    Returns
    -------
    Classifier

    Raises
    ------
    TypeError, ValueError
        If the seed is not an integer of at least 0.
    FileNotFoundError
        If the installed scikit-image does not hold the pictures.

    Notes
    -----
    The layers are those of :func:`small_nodes`, the pictures and the split those of
    :func:`~theorylab.training.crops`: 300 minibatches of 64 crops, cross-entropy, Adam with a rate that falls from 0.002
    to 0 along half a cosine.  The weights do not depend on the number of threads.  Another kind of processor rounds
    differently, and training amplifies the differences.

    The classifier replaces the trained VGG-16 of section 3.2.3, which the paper's statements about trained weights are based
    on.

    Examples
    --------
    >>> classifier = small_classifier()  # doctest: +SKIP
    >>> classifier.accuracy > 0.9  # doctest: +SKIP
    True
    """
    if isinstance(seed, np.random.Generator):
        raise TypeError("seed: expected an integer, got Generator")
    parent = _random.sequence(seed)
    nodes = small_nodes()
    name = _cache.file_name(_recipe(nodes, seed))
    trained = _cache.load(name, trace_shapes(nodes)[1]) if cache else None
    if trained is None:
        weights = train(nodes, parent, progress=progress)
        test = _pictures.crops("test", TEST_CROPS, seed=np.random.default_rng(_random.child(parent, 2)))
        trained = weights, accuracy(nodes, weights, *test)
        if cache:
            _cache.store(name, *trained)
    return Classifier(GraphNetwork(nodes, trained[0]), trained[1], tuple(_pictures.PICTURES))


def train(
    nodes: Sequence[Node],
    parent: np.random.SeedSequence,
    *,
    recipe: _fit.Recipe = RECIPE,
    threads: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Train the network on random training crops and return its weights.

    Parameters
    ----------
    nodes : sequence of Node
        A network with ten logits for crops of 32×32.
    parent : SeedSequence
        Child 0 draws the initial weights, child (1, step) the crops of a minibatch.
    recipe, threads
        As in :func:`theorylab.training._fit.fit`.
    progress : callable, optional
        ``progress(label, done, total)``.

    Returns
    -------
    dict of str to float32 array

    Examples
    --------
    >>> few = _fit.Recipe(steps=1, batch=2, shards=1, rate=1e-3)
    >>> train(small_nodes(), np.random.SeedSequence(0), recipe=few)["classifier.2.bias"].shape
    (10,)
    """

    def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(_random.child(parent, 1, step))
        return _pictures.crops("train", recipe.batch, seed=rng)

    start = _drawn(nodes, np.random.default_rng(_random.child(parent, 0)))
    report = None if progress is None else functools.partial(progress, LABEL)
    return _fit.fit(nodes, start, batch, recipe, threads=threads, progress=report)


def accuracy(
    nodes: Sequence[Node], parameters: Mapping[str, np.ndarray], images: np.ndarray, labels: np.ndarray
) -> float:
    """Return the share of images whose largest logit is that of their label.

    Examples
    --------
    >>> nodes = [Input("x", (1, 1, 1)), Flatten("flat", "x"), Dense("fc", "flat", 2, bias=False)]
    >>> accuracy(nodes, {"fc.weight": np.array([[1.0], [-1.0]])}, np.ones((2, 1, 1, 1)), np.array([0, 1]))
    0.5
    """
    right = 0
    for start in range(0, len(images), 100):
        part = slice(start, start + 100)
        logits, _, _ = ascent(nodes, parameters, images[part])
        right += int((logits.argmax(axis=1) == labels[part]).sum())
    return right / len(images)


def _drawn(nodes: Sequence[Node], seed: _random.Seed) -> dict[str, np.ndarray]:
    # Weights by fan-in ignore the law.
    return draw_parameters(nodes, law=Gaussian(1.0), seed=seed, init="fan-in")


def _recipe(nodes: Sequence[Node], seed: int) -> dict[str, Any]:
    """Return everything that determines the weights."""
    return {
        "format": _FORMAT,
        "nodes": [repr(node) for node in nodes],
        "training": dataclasses.asdict(RECIPE),
        "pictures": _pictures.PICTURES,
        "geometry": [_pictures.STRIPE, _pictures.SIDE],
        "scale": [_pictures.INPUT_SCALE, *images.MEAN_COLOUR],
        "test": TEST_CROPS,
        "seed": int(seed),
    }
