"""Layer-wise relevance propagation and deep Taylor decomposition; the package says by which rules."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from theorylab import _validation
from theorylab.methods._method import Asked, NoRule, broadcast, registered
from theorylab.networks import GraphNetwork
from theorylab.networks import nodes as kinds
from theorylab.networks.batches import substituted
from theorylab.networks.readout import Rows

# What is done to weights, whether biases (alike) are added, and the inputs: one summand of z.
Term = tuple[Callable[[np.ndarray], np.ndarray], bool, np.ndarray]
Terms = Callable[[np.ndarray, bool], Sequence[Term]]  # of a layer's inputs, and whether these are the picture
Layer = tuple[kinds.Conv | kinds.Dense, Any]  # with its parameters
_EPSILON = 1e-6  # Zennit's


def _same(w: np.ndarray) -> np.ndarray:
    return w


def _above(w: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(w, 0))


def _below(w: np.ndarray) -> np.ndarray:
    return np.asarray(np.minimum(w, 0))


@registered
def lrp_epsilon(asked: Asked, *, epsilon: float = _EPSILON) -> np.ndarray:
    """Propagate relevance in proportion to ``a w``; batch normalisation behind convolutions alone.

    With epsilon 0 the map is the picture times its gradient.
    """
    return _relevance(asked, "lrp-epsilon", lambda a, first: [(_same, True, a)], epsilon, float)


@registered
def lrp_alpha1beta0(asked: Asked, *, epsilon: float = _EPSILON) -> np.ndarray:
    """Propagate relevance in proportion to the positive parts of ``a w``; batch normalisation behind convolutions alone."""
    return _relevance(
        asked,
        "lrp-alpha1beta0",
        lambda a, first: [(_above, True, _above(a)), (_below, False, _below(a))],
        epsilon,
    )


@registered
def deep_taylor(
    asked: Asked,
    *,
    low: float | np.ndarray | None = None,
    high: float | np.ndarray | None = None,
    epsilon: float = _EPSILON,
) -> np.ndarray:
    """Propagate relevance by the deep Taylor decomposition; batch normalisation behind convolutions alone.

    The lowest and the highest value that each pixel can have are numbers, or arrays that broadcast to the picture's shape;
    both or neither.
    """
    if (low is None) != (high is None):
        raise ValueError(f"{'low' if low is None else 'high'}: expected both low and high, or neither")
    box = None if low is None else (_bound(low, "low", asked.x, -1), _bound(high, "high", asked.x, 1))

    def terms(a: np.ndarray, first: bool) -> Sequence[Term]:
        if not first:
            return [(_above, False, _above(a)), (_below, False, _below(a))]
        if box is None:
            return [(np.square, False, np.ones_like(a))]
        lowest, highest = (bound.reshape(a.shape) for bound in box)
        return [
            (_same, False, a),
            (lambda w: -_above(w), False, lowest),
            (lambda w: -_below(w), False, highest),
        ]

    return _relevance(asked, "deep-taylor", terms, epsilon)


def _bound(value: Any, name: str, x: np.ndarray, side: int) -> np.ndarray:
    bound = broadcast(value, name, x).astype(x.dtype)
    if (side * (bound - x) < 0).any():
        raise ValueError(f"{name}: a pixel of the picture lies beyond it")
    return bound


def _over(relevance: np.ndarray, z: np.ndarray, epsilon: float) -> np.ndarray:
    """Return ``R / (z ± epsilon)``, and 0 where that would divide by 0."""
    z = z + np.where(z >= 0, z.dtype.type(epsilon), -z.dtype.type(epsilon))
    return np.asarray(np.divide(relevance, z, out=np.zeros_like(relevance), where=z != 0))


def _relevance(
    asked: Asked, method: str, terms: Terms, epsilon: float, start: Callable[[Any], float] = abs
) -> np.ndarray:
    if (epsilon := _validation.finite_number(epsilon, "epsilon")) < 0:
        raise ValueError(f"epsilon: expected at least 0, got {epsilon}")
    net, trace = asked.net, asked.trace
    merged = _merged(net)
    images = {net.nodes[0].name}
    images |= {node.name for node in net.nodes if isinstance(node, kinds.Flatten) and node.source in images}

    def backward(
        node: kinds.Node, parameters: Any, relevance: np.ndarray, saved: Any, rules: Any
    ) -> kinds.Arrays:
        inputs = [trace.activations[name][None] for name in node.inputs]
        if isinstance(node, (kinds.Conv, kinds.Dense)):
            a, first = inputs[0], node.source in images
            layer = merged.get(node.name, (node, parameters))
            return (_linear(layer, a, terms(a, first), relevance, saved, epsilon),)
        if isinstance(node, (kinds.Add, kinds.AveragePool, kinds.AdaptiveAveragePool)):
            z, _ = node.forward(parameters, *inputs)
            shares = node.backward(parameters, _over(relevance, z, epsilon), saved, rules)
            return tuple(a * share for a, share in zip(inputs, shares, strict=True))
        if isinstance(node, (kinds.MaxPool, kinds.Flatten)):
            return node.backward(parameters, relevance, saved, rules)
        if isinstance(node, kinds.Activation) or node.inputs[0] in merged:
            return (relevance,)
        raise NoRule(method, node, "it is merged into a convolution below, which nothing else may read")

    # Only the logits that are asked for are read: of weights in rows each is work.
    logits = [g and g * start(trace.logit(k)) for k, g in enumerate(asked.gradient)]
    return substituted(trace, np.array(logits, dtype=np.float64), backward)


def _linear(
    layer: Layer, a: np.ndarray, terms: Sequence[Term], relevance: np.ndarray, saved: Any, epsilon: float
) -> np.ndarray:
    """Return what a convolution or dense layer hands to its inputs."""
    node, parameters = layer
    # Terms behind the first have no bias: without inputs they add nothing.
    used = [*terms[:1], *(term for term in terms[1:] if term[2].any())]
    biases, weight, bias = node.bias_of(parameters), node.parameter("weight"), node.parameter("bias")
    node, total = dataclasses.replace(node, bias=True), np.zeros_like(a)
    for outputs, w in _parts(node, parameters[weight], relevance, a.shape):
        b = np.zeros(len(w), w.dtype) if biases is None else biases[outputs]
        parts = [
            ({weight: change(w), bias: change(b) if biased else 0 * b}, given)
            for change, biased, given in used
        ]
        z = functools.reduce(np.add, [node.forward(part, given)[0] for part, given in parts])
        ratio = _over(relevance[:, outputs], z, epsilon)
        for part, given in parts:
            total += given * node.backward(part, ratio, saved, [])[0]
    return total


def _parts(
    node: kinds.Conv | kinds.Dense, weights: np.ndarray | Rows, relevance: np.ndarray, shape: tuple[int, ...]
) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield outputs and their weights; of Rows, block by block, only outputs that have relevance."""
    if not isinstance(weights, Rows):
        yield slice(None), weights
        return
    needed = np.flatnonzero(relevance.any(axis=(0, *range(2, relevance.ndim))))
    row_shape = node.parameter_shapes(shape[1:])[node.parameter("weight")][1:]
    for indices, rows in weights.blocks(needed):
        yield indices, rows.reshape(len(rows), *row_shape)


def _merged(net: GraphNetwork) -> dict[str, Layer]:
    """Return each convolution that only a batch normalisation reads, by name, as both in one, with its parameters."""
    nodes = {node.name: node for node in net.nodes}
    readers = Counter(name for node in net.nodes for name in node.inputs)
    found: dict[str, Layer] = {}
    for norm in net.nodes:
        layer = nodes[norm.source] if isinstance(norm, kinds.BatchNorm) else None
        if not isinstance(layer, kinds.Conv) or readers[layer.name] > 1:
            continue
        weight, bias = layer.parameter("weight"), layer.parameter("bias")
        held, biases = net.weights[weight], layer.bias_of(net.weights)
        weights = held.array() if isinstance(held, Rows) else held
        ones = np.ones((1, len(weights), 1, 1), net.dtype)
        scale = norm.backward(net.weights, ones, None, [])[0]
        shift = norm.forward(net.weights, 0 * ones if biases is None else biases.reshape(ones.shape))[0]
        own = {weight: weights * scale.reshape(-1, 1, 1, 1), bias: shift.ravel()}
        found[layer.name] = dataclasses.replace(layer, bias=True), own
    return found
