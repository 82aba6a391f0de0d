"""A forward pass that begins where a network differs from another that was run on the same image."""

from __future__ import annotations

import math
from types import MappingProxyType

from theorylab.networks._passes import ascent
from theorylab.networks._trace import GraphTrace
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.nodes import Input, Node
from theorylab.networks.readout import Rows


def resumed(net: GraphNetwork, trace: GraphTrace) -> GraphTrace:
    """Run a network on the image of another's trace; what both compute alike is taken from there.

    Parameters
    ----------
    net : GraphNetwork
        Of the nodes of the trace's network, with which it shares some arrays of weights, none of them Rows.
    trace : GraphTrace
        The pass begins behind the last node that it keeps, of which alone all later ones read, and up to which the arrays are
        the same; at the image if there is none.

    Returns
    -------
    GraphTrace
        As ``net.forward(trace.image)`` returns it, without kept nodes.

    Raises
    ------
    ValueError
        If the nodes are others, there are Rows, or an activation leaves the range of the dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from theorylab.networks import vgg16
    >>> net = vgg16(input_shape=(3, 32, 32), n_hidden=8, n_logits=2)
    >>> trace = net.forward(np.ones((3, 32, 32)), keep=["flatten"])
    >>> other = net.with_parameters({"classifier.6.bias": np.array([1.0, 0.0])})
    >>> (resumed(other, trace).logits - trace.logits).round(4).tolist()
    [1.0, 0.0]
    """
    if net.nodes != trace.network.nodes:
        raise ValueError("trace: it comes from a network of other nodes")
    if any(isinstance(array, Rows) for array in net.weights.values()):
        raise ValueError("net: expected arrays of weights, got Rows")
    start, source = _start(net, trace)
    image = trace.image if source == net.nodes[0].name else trace.activations[source]
    shape = net.shapes[source]
    nodes: list[Node] = [Input(source, (1, 1, math.prod(shape))), *net.nodes[start:]]  # only its name is read
    if image is None:
        raise ValueError("trace: it has no image")
    inputs = image[None].astype(net.dtype, copy=False)
    logits, saved, _ = ascent(nodes, net.weights, inputs, exact_ties=True)
    before = {node.name: trace.saved[node.name] for node in net.nodes[1:start]}
    return GraphTrace(net, logits[0], MappingProxyType(before | saved), image=trace.image)


def _start(net: GraphNetwork, trace: GraphTrace) -> tuple[int, str]:
    """Return the place of the first node to run, and the node that it and all later ones read."""
    same = trace.network.weights
    changed = {name for name, array in net.weights.items() if array is not same[name]}
    prefixes = {name.rpartition(".")[0] for name in changed}
    start = next(
        (i for i, node in enumerate(net.nodes) if (getattr(node, "prefix", None) or node.name) in prefixes),
        len(net.nodes) - 1,
    )
    for place in range(start, 1, -1):
        later = {node.name for node in net.nodes[place:]}
        read = {name for node in net.nodes[place:] for name in node.inputs} - later
        if len(read) == 1 and (source := read.pop()) in trace.activations:
            return place, source
    return 1, net.nodes[0].name
