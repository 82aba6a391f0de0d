"""The layers of the small classifiers: a chain, and residual blocks."""

from __future__ import annotations

from theorylab import _validation
from theorylab.model.pooling import MaxPool
from theorylab.networks import nodes as kinds
from theorylab.networks.parameters import trace_shapes
from theorylab.training import _pictures

FILTERS = (16, 32, 64)
"""Numbers of filters of the three convolutions."""

STAGES = (16, 32, 56)
"""Numbers of filters of the three stages of residual blocks: about as many weights as the chain has."""

BLOCKS = 2
"""Residual blocks of a stage."""

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
    nodes: list[kinds.Node] = [kinds.Input("input", tuple(input_shape))]
    for index, n_filters in zip(range(0, 9, 3), FILTERS, strict=True):
        nodes.append(kinds.Conv(f"features.{index}", nodes[-1].name, n_filters, kernel=3, padding=1))
        nodes.append(kinds.Activation(f"features.{index + 1}", nodes[-1].name))
        nodes.append(kinds.MaxPool(f"features.{index + 2}", nodes[-1].name, MaxPool(2)))
    return _with_dense(nodes, plane=4)


@_validation.checked
def small_residual_nodes(input_shape: tuple[int, int, int] = (3, 32, 32)) -> list[kinds.Node]:
    """Describe the layers of the small residual classifier, without weights.

    Parameters
    ----------
    input_shape : (C, H, W)
        At least 2 × 2.

    Returns
    -------
    list of Node
        "conv1" (3×3, 16 filters), "relu" and "maxpool" (2×2); six blocks "layer1.0" to "layer3.1", two of each of 16, 32 and
        56 filters: "conv1", "relu1", "conv2", "add", "relu2", both convolutions 3×3.  Where the number of filters changes,
        "conv1" has stride 2 and "downsample.0", a 1×1 convolution of stride 2, is the shortcut; elsewhere the shortcut is the
        identity.  Then "avgpool" over the whole plane, and the dense layers of :func:`small_nodes` under their names.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer or below 2.

    Notes
    -----
    A small relative of ResNet-18 without batch normalisation; Eq. 1 applies at its fourteen ReLUs.

    Examples
    --------
    >>> nodes = small_residual_nodes()
    >>> [node.name for node in nodes[14:20]]
    ['layer2.0.conv1', 'layer2.0.relu1', 'layer2.0.conv2', 'layer2.0.downsample.0', 'layer2.0.add', 'layer2.0.relu2']
    """
    nodes: list[kinds.Node] = [
        kinds.Input("input", tuple(input_shape)),
        kinds.Conv("conv1", "input", STAGES[0], kernel=3, padding=1),
        kinds.Activation("relu", "conv1"),
        kinds.MaxPool("maxpool", "relu", MaxPool(2)),
    ]
    for stage, n_filters in enumerate(STAGES, start=1):
        for number in range(BLOCKS):
            name, source = f"layer{stage}.{number}", nodes[-1].name
            narrows = stage > 1 and not number
            stride = 2 if narrows else 1
            nodes += [
                kinds.Conv(f"{name}.conv1", source, n_filters, kernel=3, stride=stride, padding=1),
                kinds.Activation(f"{name}.relu1", f"{name}.conv1"),
                kinds.Conv(f"{name}.conv2", f"{name}.relu1", n_filters, kernel=3, padding=1),
            ]
            if narrows:
                nodes.append(kinds.Conv(f"{name}.downsample.0", source, n_filters, kernel=1, stride=2))
                source = nodes[-1].name
            nodes += [
                kinds.Add(f"{name}.add", (f"{name}.conv2", source)),
                kinds.Activation(f"{name}.relu2", f"{name}.add"),
            ]
    return _with_dense(nodes, plane=1)


def _with_dense(nodes: list[kinds.Node], plane: int) -> list[kinds.Node]:
    """Return the nodes with pooling to a plane and the dense layers behind them, checked."""
    nodes = [
        *nodes,
        kinds.AdaptiveAveragePool("avgpool", nodes[-1].name, plane),
        kinds.Flatten("flatten", "avgpool"),
        kinds.Dense("classifier.0", "flatten", HIDDEN),
        kinds.Activation("classifier.1", "classifier.0"),
        kinds.Dense("classifier.2", "classifier.1", len(_pictures.PICTURES)),
    ]
    trace_shapes(nodes)
    return nodes
