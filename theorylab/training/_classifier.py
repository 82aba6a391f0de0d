"""Small classifiers of ten pictures: networks with trained weights that need no download."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from theorylab import _random, _validation
from theorylab.networks import GraphNetwork, redrawn
from theorylab.networks.nodes import Node
from theorylab.networks.parameters import trace_shapes
from theorylab.training import _pictures, _weights
from theorylab.training._nodes import small_nodes, small_residual_nodes


@_validation.checked
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
    nodes_at : callable
        ``nodes_at((3, H, W))``: the layers for pictures of a size.
    """

    network: GraphNetwork
    accuracy: float
    classes: tuple[str, ...]
    nodes_at: Callable[[tuple[int, int, int]], list[Node]]

    def at(self, input_shape: tuple[int, int, int]) -> GraphNetwork:
        """Return a network with the same weights for pictures of another size.

        Parameters
        ----------
        input_shape : (3, H, W)
            As `nodes_at` takes it: at least 8 × 8 for the chain, 2 × 2 for the residual classifier.

        Returns
        -------
        GraphNetwork
            Shares the weights.

        Raises
        ------
        TypeError, ValueError
            If the shape is too small or does not have three channels.
        """
        wanted, channels = self.network.input_shape[0], _validation.image_shape(input_shape, "input_shape")[0]
        if channels != wanted:
            raise ValueError(f"input_shape: the classifier reads {wanted} channels, got {channels}")
        return GraphNetwork(self.nodes_at(input_shape), self.network.parameters)

    def random(self, seed: _random.Seed) -> GraphNetwork:
        """Return the same architecture with random weights: Gaussian of variance 2 over the fan-in, biases 0.

        The branches of residual blocks are random, too, although training starts them at 0.

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
        return redrawn(self.network, seed)


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
    return _shipped("small_classifier.npz", small_nodes)


def small_residual_classifier() -> Classifier:
    """Return a residual classifier beside :func:`small_classifier`, with the trained weights of the package.

    Returns
    -------
    Classifier

    Raises
    ------
    FileNotFoundError, ValueError
        If the file of the weights is missing, damaged or of another version.

    Notes
    -----
    The layers are those of :func:`small_residual_nodes`; pictures, split, loss and rate are those of
    :func:`small_classifier`, in 600 minibatches.  Without batch normalisation, the last convolution of every block starts at
    0, so that training starts from the shortcuts alone (Zhang, Dauphin and Ma, *Fixup initialization*, 2019).

    It tells whether what is found on a chain of layers also holds where gradients add up, as in the ResNet-50 of the paper's
    supplement.

    Examples
    --------
    >>> small_residual_classifier().accuracy
    0.973
    """
    return _shipped("small_residual_classifier.npz", small_residual_nodes)


def _shipped(file: str, nodes_at: Callable[[tuple[int, int, int]], list[Node]]) -> Classifier:
    """Return the classifier of these layers with the weights of a file of the package."""
    nodes = nodes_at((3, _pictures.SIDE, _pictures.SIDE))
    parameters, accuracy = _weights.decode(_weights.read(file), trace_shapes(nodes)[1], file)
    return Classifier(GraphNetwork(nodes, parameters), accuracy, tuple(_pictures.PICTURES), nodes_at)
