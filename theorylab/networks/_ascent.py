"""The forward pass of a graph, node by node from the input to the logits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from theorylab.kernels import magnitude
from theorylab.networks.nodes import Activation, Flatten, Node, Parameters


def ascent(
    nodes: Sequence[Node], parameters: Parameters, images: np.ndarray, keep: Collection[str] = ()
) -> tuple[np.ndarray, dict[str, Any], dict[str, np.ndarray]]:
    """Run nodes, in topological order, on a batch of images of the parameters' dtype.

    Returns
    -------
    output : array, (B, ...)
        Of the last node.
    saved : dict of node name to what that node keeps for its backward pass
    kept : dict of node name to array, (B, ...)
        Outputs of the nodes of `keep`.

    Raises
    ------
    ValueError
        If an activation leaves the range of the dtype; the message names the node.
    """
    values = {nodes[0].name: images}
    readers = Counter(name for node in nodes for name in node.inputs)
    saved: dict[str, Any] = {}
    kept = {name: images for name in keep if name == nodes[0].name}
    for node in nodes[1:]:
        with np.errstate(over="ignore", invalid="ignore"):
            value, saved[node.name] = node.forward(parameters, *(values[name] for name in node.inputs))
        # Flatten and the ReLU only hand on numbers that were checked before.
        in_range = isinstance(node, Flatten) or (isinstance(node, Activation) and not node.unit.slope)
        if not in_range and not np.isfinite(magnitude.largest(value)).all():
            raise ValueError(
                f"node {node.name!r}: activations leave the range of {images.dtype}; take "
                + ("smaller weights" if images.dtype == np.float64 else "dtype float64 or smaller weights")
            )
        values[node.name] = value
        if node.name in keep:
            kept[node.name] = value
        for name in node.inputs:
            readers[name] -= 1
            if not readers[name]:  # all that will read it have: its memory is free again
                del values[name]
    return values[nodes[-1].name], saved, kept
