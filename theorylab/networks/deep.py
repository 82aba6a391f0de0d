"""VGG-16 and ResNet-50 as graphs, with random weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theorylab import _random, _validation
from theorylab.model import models
from theorylab.model.laws import TruncatedGaussian, WeightLaw
from theorylab.networks.from_stack import Blueprint
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.nodes import Node
from theorylab.networks.parameters import draw_parameters


def vgg16_nodes(
    input_shape: tuple[int, int, int] = (3, 224, 224), n_logits: int = 1000, n_hidden: int = 4096
) -> list[Node]:
    """List the layers of VGG-16, configuration D, without weights.

    Parameters
    ----------
    input_shape, n_logits, n_hidden
        As of :func:`theorylab.model.models.vgg16`, of which this is the graph.

    Returns
    -------
    list of Node
        Named as the modules of the usual PyTorch model, "features.0" to "classifier.6".  Its dropout layers
        (classifier.2 and .5) are the identity at inference and left out.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, or the image is too small.

    Notes
    -----
    The deep network of the paper's experiments; Eq. 1 applies at its 15 ReLUs.

    Examples
    --------
    >>> from theorylab.networks.nodes import Activation
    >>> nodes = vgg16_nodes()
    >>> [node.name for node in nodes[:4]], sum(isinstance(node, Activation) for node in nodes)
    (['input', 'features.0', 'features.1', 'features.2'], 15)
    """
    stack = models.vgg16(n_logits, input_shape=input_shape, n_hidden=n_hidden)
    features = [f"features.{number}" for number in range(31)]
    dense = [f"classifier.{number}" for number in (0, 1, 3, 4, 6)]
    names = [*features, "avgpool", "flatten", *dense]
    return list(Blueprint(stack, names=names, bias=True, readout_bias=True).nodes)


@_validation.checked
def vgg16(
    *,
    law: WeightLaw = TruncatedGaussian(0.1),  # noqa: B008 - frozen
    seed: _random.Seed = 0,
    init: str = "law",
    n_logits: int = 1000,
    input_shape: tuple[int, int, int] = (3, 224, 224),
    dtype: type = np.float32,
    dense_bias: float = 0.0,
    n_hidden: int = 4096,
) -> GraphNetwork:
    """Draw a VGG-16 with random weights.

    Parameters
    ----------
    law, seed, init, dtype, dense_bias
        As of :func:`~theorylab.networks.parameters.draw_parameters`.  138 million weights take 0.55 GB in float32.
        The bias of the three dense layers is 0.0 as the paper describes it, 1.0 in the authors' code.
    n_logits, input_shape, n_hidden
        As of :func:`theorylab.model.models.vgg16`.

    Returns
    -------
    GraphNetwork
        Parameters named "features.0.weight" … "classifier.6.bias"; biases exist, and are 0 unless asked for.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or the image is smaller than 32 × 32.

    Notes
    -----
    The random VGG-16 of the paper's experiments, to whose ReLUs Eq. 1 applies.  With one `law` for all layers
    activations grow by a factor of two to four per layer: logits of 1e9 for an input of 0–255.

    Examples
    --------
    >>> net = vgg16(input_shape=(3, 32, 32), n_logits=10, n_hidden=16)
    >>> net.logits(np.ones((3, 32, 32))).shape
    (10,)
    """
    nodes = vgg16_nodes(input_shape, n_logits, n_hidden)
    drawn = draw_parameters(nodes, law=law, seed=seed, init=init, dense_bias=dense_bias, dtype=dtype)
    return GraphNetwork(nodes, drawn)


def resnet_nodes(
    input_shape: tuple[int, int, int] = (3, 224, 224),
    n_logits: int = 1000,
    blocks: Sequence[int] = models.RESNET50_BLOCKS,
    width: int = 64,
) -> list[Node]:
    """List the layers of a bottleneck ResNet, ResNet-50 by default, without weights.

    Parameters
    ----------
    input_shape, n_logits, blocks, width
        As of :func:`theorylab.model.models.resnet`, of which this is the graph, with batch normalisation.

    Returns
    -------
    list of Node
        Named as the modules of the usual PyTorch model: "conv1", "layer1.0.conv1", "layer1.0.downsample.0", "fc".
        Where that model calls one ReLU module three times, here stand three nodes.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer.

    Notes
    -----
    Eq. 1 applies at each of the 49 ReLUs of ResNet-50; the gradients of a bottleneck's two branches add up
    before the rule of the ReLU below them.

    Examples
    --------
    >>> from theorylab.networks.nodes import Activation, Conv
    >>> nodes = resnet_nodes()
    >>> sum(isinstance(node, Activation) for node in nodes), sum(isinstance(node, Conv) for node in nodes)
    (49, 53)
    """
    stack = models.resnet(blocks, width, n_logits=n_logits, input_shape=input_shape)
    names = ["conv1", "bn1", "relu", "maxpool"]
    for stage, count in enumerate(blocks, start=1):
        for number in range(count):
            parts = ["conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "conv3", "bn3"]
            parts += ([] if number else ["downsample.0", "downsample.1"]) + ["add", "relu3"]
            names += [f"layer{stage}.{number}.{part}" for part in parts]
    names += ["avgpool", "flatten", "fc"]
    return list(Blueprint(stack, names=names, bias=False, normalised=True, readout_bias=True).nodes)


@_validation.checked
def resnet50(
    *,
    law: WeightLaw = TruncatedGaussian(0.1),  # noqa: B008 - frozen
    seed: _random.Seed = 0,
    init: str = "law",
    n_logits: int = 1000,
    input_shape: tuple[int, int, int] = (3, 224, 224),
    dtype: type = np.float32,
    dense_bias: float = 0.0,
) -> GraphNetwork:
    """Draw a ResNet-50 with random weights.

    Parameters
    ----------
    law, seed, init, n_logits, input_shape, dtype, dense_bias
        As of :func:`~theorylab.networks.vgg16`.

    Returns
    -------
    GraphNetwork
        Parameters named "conv1.weight", "bn1.running_mean" … "fc.bias".  The counter ``num_batches_tracked`` of the
        usual PyTorch model plays no part at inference and is left out.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind.

    Notes
    -----
    Eq. 1 at every ReLU.  Batch normalisation has weight 1, bias 0, mean 0 and variance 1, the state before any
    training: the identity up to its ``eps`` (each layer divides by √(1 + 1e-5)), so the network is homogeneous.

    Examples
    --------
    >>> net = resnet50(input_shape=(3, 32, 32), n_logits=10)
    >>> net.logits(np.ones((3, 32, 32))).shape
    (10,)
    """
    nodes = resnet_nodes(input_shape, n_logits)
    drawn = draw_parameters(nodes, law=law, seed=seed, init=init, dense_bias=dense_bias, dtype=dtype)
    return GraphNetwork(nodes, drawn)
