"""Random networks of a description: the graph of a :class:`theorylab.Stack` and draws of its parameters."""

from __future__ import annotations

import numpy as np

from theorylab import _random
from theorylab.laws import Gaussian, WeightLaw
from theorylab.networks import nodes as kinds
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.nodes import Node
from theorylab.networks.parameters import trace_shapes
from theorylab.pooling import MaxPool
from theorylab.specs import AdaptiveAveragePool, ConvSpec, Dense, Residual
from theorylab.stack import Stack


class Blueprint:
    """The graph of a stack, and the law of each of its parameters.

    Parameters
    ----------
    stack : Stack
    readout : bool, default True
        Whether the linear layer of the logits closes the graph; without it the graph gives what that layer reads.

    Attributes
    ----------
    nodes : tuple of Node
        Named by the layers' positions: "1", "1.unit", "2.branch.0".
    laws : dict of parameter name to WeightLaw
    shapes : dict of parameter name to shape
    """

    def __init__(self, stack: Stack, *, readout: bool = True) -> None:
        self.stack = stack
        self._nodes: list[Node] = [kinds.Input("input", stack.input_shape)]
        self._weights: dict[str, WeightLaw] = {}
        for number, layer in enumerate(stack.layers):
            self._add(str(number), layer)
        if len(stack.shape_above) == 3 or not readout:
            self._append(kinds.Flatten("flatten", self._last))
        if readout:
            self._linear(
                "logits", stack.readout, kinds.Dense("logits", self._last, stack.n_logits, bias=False)
            )
        self.nodes = tuple(self._nodes)
        self.shapes = trace_shapes(self.nodes)[1]
        self.laws = {
            name: self._weights[name] if name in self._weights else Gaussian(stack.bias_std)
            for name in self.shapes
        }

    @property
    def _last(self) -> str:
        return self._nodes[-1].name

    def _append(self, node: Node) -> str:
        self._nodes.append(node)
        return node.name

    def _linear(self, name: str, weights: WeightLaw, node: Node) -> str:
        self._weights[f"{name}.weight"] = weights
        return self._append(node)

    def _convolution(self, name: str, source: str, layer: ConvSpec) -> str:
        geometry = layer.n_filters, layer.kernel, layer.stride, layer.padding
        node = kinds.Conv(name, source, *geometry, bias=self.stack.bias_std > 0)
        return self._linear(name, layer.weights, node)

    def _activation(self, name: str) -> str:
        return self._append(kinds.Activation(f"{name}.unit", self._last, self.stack.unit))

    def _add(self, name: str, layer: object) -> None:
        source = self._last
        match layer:
            case ConvSpec():
                self._convolution(name, source, layer)
                self._activation(name)
            case Dense():
                if len(self.stack.reads(int(name))) == 3:
                    source = self._append(kinds.Flatten(f"{name}.flatten", source))
                bias = self.stack.bias_std > 0
                self._linear(name, layer.weights, kinds.Dense(name, source, layer.n_units, bias=bias))
                self._activation(name)
            case MaxPool():
                self._append(kinds.MaxPool(name, source, layer))
            case AdaptiveAveragePool():
                self._append(kinds.AdaptiveAveragePool(name, source, layer.plane))
            case Residual():
                end = source
                for part, convolution in enumerate(layer.branch):
                    end = self._convolution(f"{name}.branch.{part}", end, convolution)
                    if part + 1 < len(layer.branch):
                        end = self._activation(end)
                if layer.shortcut is not None:
                    source = self._convolution(f"{name}.shortcut", source, layer.shortcut)
                self._append(kinds.Add(f"{name}.sum", (end, source)))
                self._activation(name)
            case _:
                raise TypeError(f"layers[{name}]: no network has a {type(layer).__name__}")

    def draw(self, rng: np.random.Generator, dtype: type = np.float64) -> GraphNetwork:
        """A network with fresh parameters.

        Parameters
        ----------
        rng : Generator
        dtype : float64 or float32

        Returns
        -------
        GraphNetwork
        """
        drawn = {
            name: self.laws[name].sample(shape, seed=rng, dtype=np.dtype(dtype).type)
            for name, shape in self.shapes.items()
        }
        return GraphNetwork(self.nodes, drawn)


def from_stack(stack: Stack, *, seed: _random.Seed = 0, dtype: type = np.float64) -> GraphNetwork:
    """A random network of a description.

    Parameters
    ----------
    stack : Stack
    seed : int or Generator
    dtype : float64 or float32
        Of weights, logits and maps.

    Returns
    -------
    GraphNetwork

    Raises
    ------
    TypeError, ValueError
        If the seed or the dtype is of another kind.

    Examples
    --------
    >>> from theorylab import models
    >>> from theorylab.patches import PatchGrid
    >>> net = from_stack(models.three_layer(PatchGrid((3, 8, 8), kernel=3), 4))
    >>> net.logits(np.ones((3, 8, 8))).shape
    (1000,)
    """
    return Blueprint(stack).draw(_random.generator(seed), dtype)
