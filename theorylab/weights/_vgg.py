"""VGG-16 as TensorFlow keeps it: other names, channels last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from theorylab.model.models import VGG16_BLOCKS
from theorylab.model.stack import Shape
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.nodes import Dense, Flatten

_DENSE = {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}
_BEHIND_FLATTEN = _DENSE["fc6"]


def _convolutions() -> Iterator[tuple[int, int, str]]:
    """Block and position in it, both from 1, and the name of the layer here."""
    position = 0
    for block, filters in enumerate(VGG16_BLOCKS, start=1):
        for number in range(1, len(filters) + 1):
            yield block, number, f"features.{position}"
            position += 2  # a convolution and its ReLU
        position += 1  # the max-pool


def authors_names() -> dict[str, str]:
    """Names in ``vgg16_weights.npz``, with those of the network's parameters.

    >>> names = authors_names()
    >>> len(names), names["conv5_3_W"], names["fc8_b"]
    (32, 'features.28.weight', 'classifier.6.bias')
    """
    layers = {f"conv{block}_{number}": layer for block, number, layer in _convolutions()} | _DENSE
    return {
        f"{theirs}_{kind[0]}": f"{ours}.{kind[1]}"
        for theirs, ours in layers.items()
        for kind in (("W", "weight"), ("b", "bias"))
    }


def hed_names() -> dict[str, str]:
    """Names of the convolutions in Keras, with those of the network's parameters.

    >>> names = hed_names()
    >>> len(names), names["block1_conv2/kernel"]
    (26, 'features.2.weight')
    """
    return {
        f"block{block}_conv{number}/{theirs}": f"{layer}.{ours}"
        for block, number, layer in _convolutions()
        for theirs, ours in (("kernel", "weight"), ("bias", "bias"))
    }


def translated(
    net: GraphNetwork, arrays: Mapping[str, np.ndarray], names: Mapping[str, str], where: str
) -> dict[str, np.ndarray]:
    """Return VGG-16's arrays in TensorFlow's layout by the names and in the order of axes of `net`."""
    arrays_here = {}
    for theirs, array in arrays.items():
        ours = names.get(theirs, theirs)
        if ours in net.parameters:
            shape = net.parameters[ours].shape
            # A convolution (N, C, kh, kw) is (kh, kw, C, N) there, a dense layer (n_out, n_in) is (n_in, n_out).
            expected = (*shape[2:], *shape[1::-1])
            if array.shape != expected:
                raise ValueError(f"{where}: {theirs}: expected shape {expected}, got {array.shape}")
            if ours == f"{_BEHIND_FLATTEN}.weight":
                channels, height, width = _flattened(net, where)
                # TensorFlow flattens (H, W, C), this network (C, H, W).
                array = array.reshape(height, width, channels, -1).transpose(3, 2, 0, 1)
                array = array.reshape(len(array), -1)
            elif array.ndim == 4:
                array = array.transpose(3, 2, 0, 1)
            else:
                array = array.T
        arrays_here[ours] = array
    return arrays_here


def _flattened(net: GraphNetwork, where: str) -> Shape:
    """(C, H, W) of what the first dense layer reads."""
    by_name = {node.name: node for node in net.nodes}
    for node in net.nodes:
        if isinstance(node, Dense) and (node.prefix or node.name) == _BEHIND_FLATTEN:
            before = by_name[node.source]
            if isinstance(before, Flatten):
                return net.shapes[before.source]
    raise ValueError(f"{where}: expected {_BEHIND_FLATTEN} to be a dense layer that reads a Flatten")
