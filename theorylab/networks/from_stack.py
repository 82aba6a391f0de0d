"""Random networks of a description: the graph of a :class:`theorylab.Stack` and draws of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from theorylab import _random, _validation
from theorylab.model.laws import BiasLaw, Gaussian
from theorylab.model.pooling import MaxPool
from theorylab.model.specs import AdaptiveAveragePool, ConvSpec, Dense, Residual
from theorylab.model.stack import Layer, Stack
from theorylab.networks import nodes as kinds
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.nodes import Node
from theorylab.networks.parameters import draw_parameters, trace_shapes


class Blueprint:
    """The graph of a stack, and the law of each of its weights.

    Parameters
    ----------
    stack : Stack
    names : iterable of str, optional
        Of the nodes behind the input, in their order; by default they say where in the stack a node stands.
    bias : bool, optional
        Whether hidden layers have biases; by default they do if the stack's biases are random.
    normalised : bool, default False
        Whether batch normalisation stands behind every convolution.
    readout : bool, default True
        Whether the linear layer of the logits closes the graph; without it the graph gives what that layer reads.
    readout_bias : bool, default False

    Attributes
    ----------
    nodes : tuple of Node
    laws : dict of parameter name to WeightLaw
        Of weights; and of biases that are random.
    shapes : dict of parameter name to shape
    """

    def __init__(
        self,
        stack: Stack,
        *,
        names: Iterable[str] | None = None,
        bias: bool | None = None,
        normalised: bool = False,
        readout: bool = True,
        readout_bias: bool = False,
    ) -> None:
        self.stack = stack
        self.laws: dict[str, BiasLaw] = {}
        self._names = None if names is None else iter(names)
        self._bias = bias
        self._normalised = normalised
        self._nodes: list[Node] = [kinds.Input("input", stack.input_shape)]
        for number, layer in enumerate(stack.biased_layers):
            self._add(str(number), layer, is_plane=len(stack.reads(number)) == 3)
        if len(stack.shape_above) == 3 or not readout:
            self._append("flatten", kinds.Flatten, self._last)
        if readout:
            name = self._append("logits", kinds.Dense, self._last, stack.n_logits, bias=readout_bias)
            self.laws[f"{name}.weight"] = stack.readout
        self.nodes = tuple(self._nodes)
        self.shapes = trace_shapes(self.nodes)[1]

    @property
    def _last(self) -> str:
        return self._nodes[-1].name

    def _append(self, default: str, kind: Callable[..., Node], *arguments: object, **options: object) -> str:
        name = default if self._names is None else next(self._names)
        self._nodes.append(kind(name, *arguments, **options))
        return name

    def _has_bias(self, layer: ConvSpec | Dense) -> bool:
        return layer.bias is not None if self._bias is None else self._bias

    def _set_laws(self, name: str, layer: ConvSpec | Dense) -> None:
        self.laws[f"{name}.weight"] = layer.weights
        if layer.bias is not None:
            self.laws[f"{name}.bias"] = layer.bias

    def _convolution(self, default: str, source: str, layer: ConvSpec) -> str:
        geometry = layer.n_filters, layer.kernel, layer.stride, layer.padding
        name = self._append(default, kinds.Conv, source, *geometry, bias=self._has_bias(layer))
        self._set_laws(name, layer)
        return self._append(f"{default}.norm", kinds.BatchNorm, name) if self._normalised else name

    def _activation(self, default: str) -> str:
        return self._append(f"{default}.unit", kinds.Activation, self._last, self.stack.unit)

    def _add(self, number: str, layer: Layer, *, is_plane: bool) -> None:
        source = self._last
        match layer:
            case ConvSpec():
                self._convolution(number, source, layer)
                self._activation(number)
            case Dense():
                if is_plane:
                    source = self._append(f"{number}.flatten", kinds.Flatten, source)
                name = self._append(number, kinds.Dense, source, layer.n_units, bias=self._has_bias(layer))
                self._set_laws(name, layer)
                self._activation(number)
            case MaxPool():
                self._append(number, kinds.MaxPool, source, layer)
            case AdaptiveAveragePool():
                self._append(number, kinds.AdaptiveAveragePool, source, layer.plane)
            case Residual():
                end = source
                for part, convolution in enumerate(layer.branch):
                    end = self._convolution(f"{number}.branch.{part}", end, convolution)
                    if part + 1 < len(layer.branch):
                        end = self._activation(f"{number}.branch.{part}")
                if layer.shortcut is not None:
                    source = self._convolution(f"{number}.shortcut", source, layer.shortcut)
                self._append(f"{number}.sum", kinds.Add, (end, source))
                self._activation(number)

    def draw(self, rng: np.random.Generator, dtype: type = np.float64) -> GraphNetwork:
        """Draw a network with fresh parameters, float64 or float32."""
        kind = np.dtype(dtype).type
        drawn = {
            name: self.laws[name].sample(shape, seed=rng, dtype=kind) for name, shape in self.shapes.items()
        }
        return GraphNetwork(self.nodes, drawn)


def from_stack(stack: Stack, *, seed: _random.Seed = 0, dtype: type = np.float64) -> GraphNetwork:
    """Draw a random network of a description.

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
    >>> from theorylab.model import models
    >>> from theorylab.model.patches import PatchGrid
    >>> net = from_stack(models.three_layer(PatchGrid((3, 8, 8), kernel=3), 4))
    >>> net.logits(np.ones((3, 8, 8))).shape
    (1000,)
    """
    return Blueprint(stack).draw(_random.generator(seed), dtype)


@_validation.checked
def redrawn(network: GraphNetwork, seed: _random.Seed = 0) -> GraphNetwork:
    """Return the same graph with random weights: Gaussian of variance 2 over the fan-in, biases 0, in the network's dtype.

    Parameters
    ----------
    network : GraphNetwork
    seed : int or Generator

    Returns
    -------
    GraphNetwork

    Raises
    ------
    TypeError, ValueError
        If the seed is neither an integer of at least 0 nor a generator.

    Examples
    --------
    >>> from theorylab import training
    >>> redrawn(training.small_classifier().network, seed=1).dtype
    dtype('float32')
    """
    # Weights by fan-in ignore the law.
    drawn = draw_parameters(
        network.nodes, law=Gaussian(1.0), seed=seed, init="fan-in", dtype=network.dtype.type
    )
    return GraphNetwork(network.nodes, drawn)
