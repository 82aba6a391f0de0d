"""Parameters of a graph: their names and shapes, and random draws of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from theorylab import _random, _validation
from theorylab.model.laws import Gaussian, WeightLaw
from theorylab.model.stack import Shape
from theorylab.networks.nodes import Dense, Input, Node


def trace_shapes(nodes: Sequence[Node]) -> tuple[dict[str, Shape], dict[str, Shape]]:
    """Work out the shapes of every node's output and of every parameter, without a weight or an image.

    Parameters
    ----------
    nodes : sequence of Node
        In topological order: a node stands behind all that it reads.  The first is the only ``Input``.

    Returns
    -------
    outputs, parameters : dict of name to shape
        Both in the order of the nodes; a parameter that two nodes share appears once.

    Raises
    ------
    TypeError, ValueError
        If a name is used twice, an input does not stand before its reader, a shape does not fit, or the output
        of a node is read by no other; the message names the node.

    Examples
    --------
    >>> from theorylab.networks.nodes import Flatten
    >>> trace_shapes([Input("x", (1, 2, 2)), Flatten("flat", "x"), Dense("fc", "flat", n_outputs=3)])
    ({'x': (1, 2, 2), 'flat': (4,), 'fc': (3,)}, {'fc.weight': (3, 4), 'fc.bias': (3,)})
    """
    if not nodes or not isinstance(nodes[0], Input):
        raise ValueError("nodes: expected an Input first")
    outputs: dict[str, Shape] = {}
    parameters: dict[str, Shape] = {}
    for position, node in enumerate(nodes):
        try:
            if node.name in outputs:
                raise ValueError("the name is taken")
            if position and isinstance(node, Input):
                raise ValueError("a second Input")
            missing = [name for name in node.inputs if name not in outputs]
            if missing:
                raise ValueError(f"reads {missing[0]!r}, which does not stand before it")
            read = [outputs[name] for name in node.inputs]
            outputs[node.name] = node.output_shape(*read)
            for name, shape in node.parameter_shapes(*read).items():
                if parameters.setdefault(name, shape) != shape:
                    raise ValueError(f"wants {name} of shape {shape}, another node {parameters[name]}")
        except (TypeError, ValueError) as error:
            raise type(error)(f"node {node.name!r}: {error}") from None
    used = {name for node in nodes for name in node.inputs}
    for node in nodes[:-1]:
        if node.name not in used:
            raise ValueError(f"node {node.name!r}: its output is read by no other node")
    return outputs, parameters


def draw_parameters(
    nodes: Sequence[Node],
    *,
    law: WeightLaw,
    seed: _random.Seed,
    init: str = "law",
    dense_bias: float = 0.0,
    dtype: type = np.float32,
) -> dict[str, np.ndarray]:
    """Draw random parameters for a graph.

    Parameters
    ----------
    nodes : sequence of Node
    law : WeightLaw
        Of the weights of all convolutions and dense layers, if `init` is "law".
    seed : int or Generator
        The ``i``-th parameter of the graph has a stream of its own: its draw does not depend on the others.
    init : "law" or "fan-in"
        "fan-in": Gaussian weights of standard deviation ``√(2/fan-in)`` in place of `law`, which keeps the size of
        activations from layer to layer.
    dense_bias : float, default 0.0
        Of the dense layers.  Biases of convolutions are 0.
    dtype : float64 or float32
        float32 weights are other draws than float64 weights, not roundings of them.

    Returns
    -------
    dict of name to array
        Batch normalisation gets weight 1, bias 0, mean 0 and variance 1: the identity up to its ``eps``.

    Raises
    ------
    TypeError, ValueError
        If the graph is not sound, `init`, `dtype` or `seed` is unknown, or the bias is not a finite number.

    Notes
    -----
    The random networks of Eq. 1: ``law`` with no biases is the paper's, ``dense_bias=1.0`` the authors' code's.

    Examples
    --------
    >>> from theorylab.networks.nodes import Flatten
    >>> nodes = [Input("x", (1, 2, 2)), Flatten("flat", "x"), Dense("fc", "flat", n_outputs=3)]
    >>> drawn = draw_parameters(nodes, law=Gaussian(0.1), seed=0, dense_bias=1.0)
    >>> drawn["fc.weight"].shape, drawn["fc.bias"]
    ((3, 4), array([1., 1., 1.], dtype=float32))
    """
    if init not in ("law", "fan-in"):
        raise ValueError(f"init: expected 'law' or 'fan-in', got {init!r}")
    dense_bias = _validation.finite_number(dense_bias, "dense_bias")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype: expected float32 or float64, got {np.dtype(dtype)}")
    parent = _random.sequence(seed)
    dense_biases = {node.parameter("bias") for node in nodes if isinstance(node, Dense)}
    drawn = {}
    for position, (name, shape) in enumerate(trace_shapes(nodes)[1].items()):
        if len(shape) > 1:
            node_law = law if init == "law" else Gaussian(math.sqrt(2 / math.prod(shape[1:])))
            rng = np.random.default_rng(_random.child(parent, position))
            drawn[name] = node_law.sample(shape, seed=rng, dtype=np.dtype(dtype).type)
        elif name in dense_biases:
            drawn[name] = np.full(shape, dense_bias, dtype=dtype)
        else:
            # What is left is one-dimensional: biases and means are 0, scales and variances 1.
            drawn[name] = np.full(shape, float(name.endswith(("weight", "running_var"))), dtype=dtype)
    return drawn
