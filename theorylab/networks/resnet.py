"""ResNet-50 as a graph, with random weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theorylab import _random, _validation
from theorylab.architectures import RESNET50_BLOCKS, RESNET_EXPANSION
from theorylab.laws import TruncatedGaussian, WeightLaw
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.nodes import (
    Activation,
    AdaptiveAveragePool,
    Add,
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    Input,
    MaxPool,
    Node,
)
from theorylab.networks.parameters import draw_parameters
from theorylab.pooling import MaxPool as PoolWindows


def _bottleneck(name: str, source: str, width: int, stride: int, downsample: bool) -> list[Node]:
    """1×1, 3×3 (with the stride), 1×1, each normalised; added to the input, or to its 1×1 projection."""
    nodes: list[Node] = []
    before = source
    for place, (n_filters, kernel) in enumerate(
        ((width, 1), (width, 3), (RESNET_EXPANSION * width, 1)), start=1
    ):
        step = stride if kernel == 3 else 1
        nodes.append(
            Conv(f"{name}.conv{place}", before, n_filters, kernel, step, padding=kernel // 2, bias=False)
        )
        nodes.append(BatchNorm(f"{name}.bn{place}", f"{name}.conv{place}"))
        if place < 3:
            before = f"{name}.relu{place}"
            nodes.append(Activation(before, f"{name}.bn{place}"))
    shortcut = source
    if downsample:
        shortcut = f"{name}.downsample.1"
        nodes.append(Conv(f"{name}.downsample.0", source, RESNET_EXPANSION * width, 1, stride, bias=False))
        nodes.append(BatchNorm(shortcut, f"{name}.downsample.0"))
    nodes.append(Add(f"{name}.add", (f"{name}.bn3", shortcut)))
    nodes.append(Activation(f"{name}.relu3", f"{name}.add"))
    return nodes


def resnet_nodes(
    input_shape: tuple[int, int, int] = (3, 224, 224),
    n_logits: int = 1000,
    blocks: Sequence[int] = RESNET50_BLOCKS,
    width: int = 64,
) -> list[Node]:
    """The layers of a bottleneck ResNet, ResNet-50 by default, without weights.

    Parameters
    ----------
    input_shape : (C, H, W)
    n_logits : int, default 1000
    blocks : sequence of int, default (3, 4, 6, 3)
        Bottlenecks of each stage; from the second stage on the first one halves the plane, with the stride in
        its 3 × 3 convolution.
    width : int, default 64
        Channels of the stem; the bottlenecks of stage ``s`` are ``width · 2**s`` wide.

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
    >>> nodes = resnet_nodes()
    >>> sum(isinstance(node, Activation) for node in nodes), sum(isinstance(node, Conv) for node in nodes)
    (49, 53)
    """
    width = _validation.positive_integer(width, "width")
    nodes: list[Node] = [
        Input("input", tuple(input_shape)),
        Conv("conv1", "input", width, kernel=7, stride=2, padding=3, bias=False),
        BatchNorm("bn1", "conv1"),
        Activation("relu", "bn1"),
        MaxPool("maxpool", "relu", PoolWindows(3, stride=2, padding=1)),
    ]
    for stage, count in enumerate(blocks):
        for place in range(_validation.positive_integer(count, "blocks")):
            first = place == 0
            nodes += _bottleneck(
                f"layer{stage + 1}.{place}",
                nodes[-1].name,
                width * 2**stage,
                stride=2 if first and stage else 1,
                downsample=first,
            )
    return [
        *nodes,
        AdaptiveAveragePool("avgpool", nodes[-1].name, 1),
        Flatten("flatten", "avgpool"),
        Dense("fc", "flatten", _validation.positive_integer(n_logits, "n_logits")),
    ]


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
    """ResNet-50 with random weights.

    Parameters
    ----------
    law : WeightLaw, default TruncatedGaussian(0.1)
        Of the weights of all convolutions and of the dense layer.
    seed : int or Generator
        Each parameter has a stream of its own.
    init : "law" or "fan-in"
        "fan-in": Gaussian weights of standard deviation ``√(2/fan-in)`` in place of `law`.
    n_logits : int, default 1000
    input_shape : (C, H, W)
    dtype : float32 or float64
    dense_bias : float, default 0.0
        Of the dense layer.

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
