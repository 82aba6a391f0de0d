"""A small classifier of ten pictures: a network with trained weights that needs no download."""

from __future__ import annotations

import dataclasses

from theorylab import _random, _validation
from theorylab.model.laws import Gaussian
from theorylab.model.pooling import MaxPool
from theorylab.networks import GraphNetwork
from theorylab.networks import nodes as kinds
from theorylab.networks.parameters import draw_parameters, trace_shapes
from theorylab.training import _pictures, _weights

FILTERS = (16, 32, 64)
"""Numbers of filters of the three convolutions."""

HIDDEN = 128
"""Number of units of the hidden dense layer."""


@_validation.checked
def small_nodes(input_shape: tuple[int, int, int] = (3, 32, 32)) -> list[kinds.Node]:
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
    nodes: list[kinds.Node] = [kinds.Input("input", _validation.image_shape(input_shape, "input_shape"))]
    for index, n_filters in zip(range(0, 9, 3), FILTERS, strict=True):
        nodes.append(kinds.Conv(f"features.{index}", nodes[-1].name, n_filters, kernel=3, padding=1))
        nodes.append(kinds.Activation(f"features.{index + 1}", nodes[-1].name))
        nodes.append(kinds.MaxPool(f"features.{index + 2}", nodes[-1].name, MaxPool(2)))
    nodes += [
        kinds.AdaptiveAveragePool("avgpool", nodes[-1].name, 4),
        kinds.Flatten("flatten", "avgpool"),
        kinds.Dense("classifier.0", "flatten", HIDDEN),
        kinds.Activation("classifier.1", "classifier.0"),
        kinds.Dense("classifier.2", "classifier.1", len(_pictures.PICTURES)),
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
        nodes = self.network.nodes
        # Weights by fan-in ignore the law.
        return GraphNetwork(nodes, draw_parameters(nodes, law=Gaussian(1.0), seed=seed, init="fan-in"))


def small_classifier() -> Classifier:
    """Return a classifier of 32×32 crops of ten pictures, with the trained weights of the package.

    Returns
    -------
    Classifier

    Raises
    ------
    FileNotFoundError, ValueError
        If the file of the weights is missing, damaged or of another version.

    Notes
    -----
    The layers are those of :func:`small_nodes`, the pictures and the split those of
    :func:`~theorylab.training.crops`: 300 minibatches of 64 crops, cross-entropy, Adam with a rate that falls from 0.002
    to 0 along half a cosine.  ``tools/train_small_classifier.py`` of the source tree trains the weights again; 2000 test
    crops measure the accuracy.

    The classifier replaces the trained VGG-16 of section 3.2.3, which the paper's statements about trained weights are based
    on.

    Examples
    --------
    >>> small_classifier().accuracy
    0.964
    """
    nodes = small_nodes()
    parameters, accuracy = _weights.decode(_weights.read(), trace_shapes(nodes)[1])
    return Classifier(GraphNetwork(nodes, parameters), accuracy, tuple(_pictures.PICTURES))
