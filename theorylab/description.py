"""A network's graph as a Stack: its architecture, and how large the weights of each layer are."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from theorylab import _validation
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.laws import Gaussian, Uniform, WeightLaw
from theorylab.model.specs import AdaptiveAveragePool, ConvSpec, Dense, Residual
from theorylab.model.stack import Layer, Stack
from theorylab.model.units import Unit
from theorylab.networks import nodes as kinds
from theorylab.networks.nodes import Node
from theorylab.networks.parameters import trace_shapes

INITS: Final = {"pytorch": 1 / 3, "kaiming": 2.0}
"""Variance of a weight times the fan-in, by the name of the scheme that draws it."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Value:
    """What a node puts out: the topmost layer on the way to it, and what that layer reads; None for the image.

    It is open until a unit has closed it.  `sizes`: root mean square of the weights of each filter; `biases`: theirs, if read;
    `weights`: the name of the parameter.
    """

    below: _Value | None = None
    layer: Layer | None = None
    open: bool = False
    sizes: np.ndarray | None = None
    biases: np.ndarray | None = None
    weights: str = ""


def description(
    nodes: Sequence[Node], weights: Mapping[str, np.ndarray] | str, *, biases: bool = False
) -> Stack:
    """Return the Stack of a graph of convolutions, units, pools, residual blocks and dense layers.

    Parameters
    ----------
    nodes : sequence of Node
        The last one gives the logits.
    weights : mapping of str to array, or str
        Parameters of the graph, whose sizes are read: the root mean square of a layer's weights becomes its standard
        deviation.  Or the name of the scheme in `INITS` that draws them.
    biases : bool, default False
        Whether hidden layers have the biases that the nodes have, or none: Gaussian of the root mean square of the graph's, and
        those that "pytorch" draws; "kaiming" draws none.

    Raises
    ------
    NoLaw
        If no Stack is this graph; the message names the layer.
    TypeError, ValueError
        As :func:`theorylab.networks.parameters.trace_shapes`.

    Notes
    -----
    Batch normalisation behind a convolution multiplies each filter by ``γ/√(v + ε)``, ``v`` the running variance; where a scheme
    draws the weights it is the identity, as before any training.  Average pooling is described where its windows tile the
    plane.

    Examples
    --------
    >>> from theorylab import training
    >>> net = training.small_classifier().network
    >>> stack = description(net.nodes, net.parameters)
    >>> stack.layers[1], stack.shapes[-1], stack.n_logits
    (MaxPool(size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False), (128,), 10)
    """
    reader = _Reader(nodes, weights, biases)
    for node in nodes[1:]:
        reader.read(node)
    return reader.stack()


def biased(nodes: Sequence[Node], parameters: Mapping[str, np.ndarray]) -> list[str]:
    """Return the nodes below the logits whose biases are not all 0; so are the shifts of batch normalisation.

    >>> from theorylab import training
    >>> net = training.small_classifier().network
    >>> biased(net.nodes, net.parameters)
    ['features.0', 'features.3', 'features.6', 'classifier.0']
    """
    found = []
    for node in nodes[:-1]:
        shift: np.ndarray | None = None
        if isinstance(node, kinds.Conv | kinds.Dense):
            shift = node.bias_of(parameters)
        elif isinstance(node, kinds.BatchNorm):
            mean = parameters[node.parameter("running_mean")]
            shift = parameters[node.parameter("bias")] - mean * _factors(node, parameters)
        if shift is not None and np.any(shift):
            found.append(node.name)
    return found


def refusal(layer: str) -> NoLaw:
    """Return the error for a layer that no Stack describes."""
    return NoLaw(
        layer=layer,
        instead="no Stack describes it; theorylab.torch_bridge.attribute shows the module's own maps, by the rules that are "
        "defined for its layers",
    )


def _factors(node: kinds.BatchNorm, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
    variance = np.asarray(parameters[node.parameter("running_var")], dtype=np.float64)
    return np.asarray(parameters[node.parameter("weight")] / np.sqrt(variance + node.eps))


def _mean_square(sizes: np.ndarray) -> float:
    return math.sqrt(np.mean(sizes**2))


def _like_weights(layer: ConvSpec | Dense) -> ConvSpec | Dense:
    """Return the layer with biases of the law of its weights, as PyTorch draws them."""
    return dataclasses.replace(layer, bias=layer.weights)


def _with_biases(value: _Value) -> _Value:
    """Return the value with the law of its biases, None where all are 0."""
    assert isinstance(value.layer, ConvSpec | Dense)
    assert value.biases is not None
    size = _mean_square(value.biases)
    return dataclasses.replace(
        value, layer=dataclasses.replace(value.layer, bias=Gaussian(size) if size else None)
    )


class _Reader:
    """Goes along a graph from the image up; `values` holds what each node puts out."""

    def __init__(self, nodes: Sequence[Node], weights: Mapping[str, np.ndarray] | str, biases: bool) -> None:
        self.biases = biases
        self.weights = _validation.choice(weights, INITS, "init") if isinstance(weights, str) else weights
        self.shapes, self.parameters = trace_shapes(nodes)
        self.values = {nodes[0].name: _Value()}
        self.last = nodes[-1]
        self.units: list[Unit] = []
        self.prefixes: set[str] = set()

    def read(self, node: Node) -> None:
        """Describe the output of a node."""
        sources = [self.values[name] for name in node.inputs]
        self.values[node.name] = (
            self._sum(node.name, *sources) if len(sources) > 1 else self._value(node, *sources)
        )

    def _value(self, node: Node, source: _Value) -> _Value:
        name = node.name
        match node:
            case kinds.Flatten():
                return source
            case kinds.Activation():
                if not source.open:
                    raise refusal(f"{name}, a unit with no layer of weights before it")
                if self.units and node.unit != self.units[0]:
                    raise refusal(f"{name}, {node.unit!r} above {self.units[0]!r}")
                self.units.append(node.unit)
                return dataclasses.replace(source, open=False)
            case kinds.BatchNorm():
                return self._normalised(node, source)
        if source.open:
            raise refusal(f"{name}, with no unit before it")
        match node:
            case kinds.Conv():
                sizes = self._sizes(node)
                geometry = node.n_filters, node.kernel, node.stride, node.padding
                return self._weighted(node, source, ConvSpec(*geometry, self._law(sizes)), sizes)
            case kinds.Dense():
                sizes = self._sizes(node)
                return self._weighted(node, source, Dense(node.n_outputs, self._law(sizes)), sizes)
            case kinds.MaxPool():
                return _Value(source, node.windows)
            case kinds.AdaptiveAveragePool():
                return _Value(source, AdaptiveAveragePool(node.size))
            case kinds.AveragePool():
                plane, size = self.shapes[node.source][1:], _validation.pair(node.size, "size", 1)
                stride = size if node.stride is None else _validation.pair(node.stride, "stride", 1)
                tiles = stride == size and not any(plane[axis] % size[axis] for axis in (0, 1))
                if (tiles or plane == size) and not np.any(node.padding):
                    return _Value(source, AdaptiveAveragePool((plane[0] // size[0], plane[1] // size[1])))
                raise refusal(f"{name}, average pooling of windows that do not tile the plane")
        raise refusal(f"{name}, {type(node).__name__}")

    def _law(self, sizes: np.ndarray) -> WeightLaw:
        """Uniform weights are a law of their own only beside the biases of the same scheme."""
        std = _mean_square(sizes)
        return Uniform(math.sqrt(3) * std) if self.biases and self.weights == "pytorch" else Gaussian(std)

    def _weighted(
        self, node: kinds.Conv | kinds.Dense, source: _Value, layer: ConvSpec | Dense, sizes: np.ndarray
    ) -> _Value:
        value = _Value(source, layer, True, sizes, weights=node.parameter("weight"))
        if not self.biases or node is self.last or not node.bias:
            return value
        if isinstance(self.weights, str):
            return (
                value if self.weights == "kaiming" else dataclasses.replace(value, layer=_like_weights(layer))
            )
        held = node.bias_of(self.weights)
        assert held is not None
        return _with_biases(dataclasses.replace(value, biases=np.asarray(held, dtype=np.float64)))

    def _sizes(self, node: kinds.Conv | kinds.Dense) -> np.ndarray:
        """Return the root mean square of each filter's weights."""
        name = node.parameter("weight")
        if name in self.prefixes:
            raise refusal(f"{node.name}, which shares its weights with another layer")
        self.prefixes.add(name)
        n_filters, *shape = self.parameters[name]
        if isinstance(self.weights, str):
            return np.full(n_filters, math.sqrt(INITS[self.weights] / math.prod(shape)))
        # One filter at a time: the largest layer of VGG-16 has 10⁸ weights.
        squares = (np.square(row, dtype=np.float64).mean() for row in self.weights[name])
        return self._some(node, np.sqrt(np.fromiter(squares, float)))

    def _normalised(self, node: kinds.BatchNorm, source: _Value) -> _Value:
        if not source.open or not isinstance(source.layer, ConvSpec) or source.sizes is None:
            raise refusal(f"{node.name}, batch normalisation that does not follow a convolution")
        if isinstance(self.weights, str):
            return source
        factors = _factors(node, self.weights)
        sizes = self._some(node, source.sizes * np.abs(factors))
        layer = dataclasses.replace(source.layer, weights=Gaussian(_mean_square(sizes)))
        if not self.biases:
            return dataclasses.replace(source, layer=layer, sizes=sizes)
        before = 0.0 if source.biases is None else source.biases
        shifted = factors * (before - self.weights[node.parameter("running_mean")])
        shifted = shifted + self.weights[node.parameter("bias")]
        return _with_biases(dataclasses.replace(source, layer=layer, sizes=sizes, biases=shifted))

    @staticmethod
    def _some(node: Node, sizes: np.ndarray) -> np.ndarray:
        if not sizes.any():
            raise refusal(f"{node.name}, whose weights are all 0")
        return sizes

    def _sum(self, name: str, *terms: _Value) -> _Value:
        """Describe a residual block: two terms, one of them a branch, the other what it reads or a projection of that."""
        for branch, beside in (terms, terms[::-1]) if len(terms) == 2 else ():
            projected = beside.open and isinstance(beside.layer, ConvSpec)
            root = beside.below if projected else beside
            parts: list[ConvSpec] = []
            end: _Value | None = branch
            # Weights that are in both ways are no two layers of their own.
            while (
                end is not root
                and end is not None
                and isinstance(end.layer, ConvSpec)
                and not (projected and end.weights == beside.weights)
            ):
                parts.insert(0, end.layer)
                end = end.below
            if branch.open and parts and end is root and (projected or not beside.open):
                shortcut = beside.layer if isinstance(beside.layer, ConvSpec) and projected else None
                return _Value(root, Residual(parts, shortcut), True)
        raise refusal(f"{name}, a sum that is no residual block of convolutions")

    def stack(self) -> Stack:
        """Return the stack of what was read."""
        top = self.values[self.last.name]
        layers: list[Layer] = []
        value = top.below
        while value is not None and value.layer is not None:
            layers.insert(0, value.layer)
            value = value.below
        if not isinstance(self.last, kinds.Dense) or not isinstance(top.layer, Dense) or not self.units:
            raise refusal(f"{self.last.name}, where linear logits above layers with a unit are expected")
        channels, height, width = next(iter(self.shapes.values()))
        return Stack(
            (channels, height, width),
            tuple(layers),
            self.units[0],
            top.layer.weights,
            top.layer.n_units,
        )
