"""The layers as nodes of a graph: what each one reads, which parameters it has, how it runs forward and backward.

>>> Conv("conv1", "image", n_filters=4, kernel=3, padding=1).parameter_shapes((3, 8, 8))
{'conv1.weight': (4, 3, 3, 3), 'conv1.bias': (4,)}
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from theorylab import _validation
from theorylab.kernels import conv, dense, pool, unit
from theorylab.layers import average_pool, batch_norm
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool as PoolWindows
from theorylab.model.rules import Rule
from theorylab.model.stack import Shape
from theorylab.model.units import RELU, Unit
from theorylab.networks.readout import Readout, Rows, backward_rows, row_blocks

Pair = int | tuple[int, int]
Arrays = tuple[np.ndarray, ...]
Parameters = Mapping[str, Any]  # arrays; the weights of Conv and Dense may be Rows
_NORM = ("weight", "bias", "running_mean", "running_var")  # parameters of batch normalisation
RuleRows = list[tuple[Rule, slice]]  # which rule holds for which rows of a batch of gradients


@dataclasses.dataclass(frozen=True)
class Node:
    """One step of a graph, by name.  Shapes are those of one image; arrays have a batch axis in front."""

    name: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the nodes that it reads."""
        return ()

    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape of its output from those of its inputs; a TypeError or ValueError if they do not fit."""
        return shapes[0]

    def parameter_shapes(self, *shapes: Shape) -> dict[str, Shape]:
        """Shapes of its parameters, by name, from those of its inputs."""
        return {}

    def forward(self, parameters: Parameters, *arrays: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return the output and whatever the backward pass will need."""
        raise TypeError(f"node {self.name!r} takes no part in a forward pass")

    def backward(self, parameters: Parameters, gradient: np.ndarray, saved: Any, rules: RuleRows) -> Arrays:
        """Return a gradient for each input, in memory of its own or that of `gradient`; only units obey the rules (Eq. 1)."""
        raise TypeError(f"node {self.name!r} takes no part in a backward pass")


@dataclasses.dataclass(frozen=True)
class Input(Node):
    """The image: the first node of every graph, ``Input(name, (C, H, W))``."""

    shape: Shape

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(self.shape) != 3:
            raise ValueError(f"expected an input shape (C, H, W), got {self.shape!r}")
        return tuple(_validation.positive_integer(size, "input shape") for size in self.shape)


@dataclasses.dataclass(frozen=True)
class _Single(Node):
    """A node that reads one other."""

    source: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.source,)


def _planes(shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ValueError(f"expected an input of shape (C, H, W), got {shape}")
    return shape[0], shape[1], shape[2]


@dataclasses.dataclass(frozen=True)
class _Weighted(_Single):
    """A node with parameters ``<prefix>.<part>``: by default of its name; nodes of the same `prefix` share them."""

    prefix: str | None = dataclasses.field(default=None, kw_only=True)

    def parameter(self, part: str) -> str:
        """Name one of its parameters."""
        return f"{self.prefix or self.name}.{part}"


@dataclasses.dataclass(frozen=True)
class _Linear(_Weighted):
    """A layer of weights, in an array or in Rows, and biases."""

    bias: bool = dataclasses.field(default=True, kw_only=True)

    def _shapes(self, weight: Shape) -> dict[str, Shape]:
        shapes = {"weight": weight, "bias": weight[:1]} if self.bias else {"weight": weight}
        return {self.parameter(part): shape for part, shape in shapes.items()}

    def bias_of(self, parameters: Parameters) -> np.ndarray | None:
        """Its biases, if it has any."""
        return parameters[self.parameter("bias")] if self.bias else None


@dataclasses.dataclass(frozen=True)
class Conv(_Linear):
    """Convolution.  Parameters ``<prefix>.weight`` (N, C, kh, kw) and, with `bias`, ``<prefix>.bias`` (N,)."""

    n_filters: int
    kernel: Pair
    stride: Pair = 1
    padding: Pair = 0

    def _grid(self, shape: Shape) -> PatchGrid:
        return PatchGrid(_planes(shape), self.kernel, self.stride, self.padding)

    def output_shape(self, *shapes: Shape) -> Shape:
        return _validation.positive_integer(self.n_filters, "n_filters"), *self._grid(shapes[0]).output_shape

    def parameter_shapes(self, *shapes: Shape) -> dict[str, Shape]:
        return self._shapes((self.n_filters, shapes[0][0], *self._grid(shapes[0]).kernel))

    def forward(self, parameters: Parameters, *arrays: np.ndarray) -> tuple[np.ndarray, Any]:
        grid, bias = self._grid(arrays[0].shape[1:]), self.bias_of(parameters)
        blocks = [
            conv.forward(arrays[0], filters, grid, None if bias is None else bias[rows])
            for rows, filters in row_blocks(parameters[self.parameter("weight")])
        ]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1), grid

    def backward(self, parameters: Parameters, gradient: np.ndarray, saved: Any, rules: RuleRows) -> Arrays:
        blocks = row_blocks(parameters[self.parameter("weight")])
        shares = (conv.backward_input(gradient[:, rows], filters, saved) for rows, filters in blocks)
        return (sum(shares, start=next(shares)),)


@dataclasses.dataclass(frozen=True)
class Dense(_Linear):
    """Fully connected layer.  Parameters ``<prefix>.weight`` (n_out, n_in) and, with `bias`, ``<prefix>.bias``."""

    n_outputs: int

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 1:
            raise ValueError(f"expected an input of shape (n,), got {shapes[0]}: put a Flatten before it")
        return (_validation.positive_integer(self.n_outputs, "n_outputs"),)

    def parameter_shapes(self, *shapes: Shape) -> dict[str, Shape]:
        return self._shapes((self.n_outputs, *shapes[0]))

    def forward(self, parameters: Parameters, *arrays: np.ndarray) -> tuple[np.ndarray, Any]:
        weights = parameters[self.parameter("weight")]
        if isinstance(weights, Rows):
            return Readout(weights, self.bias_of(parameters), arrays[0]).logits(), None
        return dense.forward(arrays[0], weights, self.bias_of(parameters)), None

    def backward(self, parameters: Parameters, gradient: np.ndarray, saved: Any, rules: RuleRows) -> Arrays:
        return (backward_rows(gradient, parameters[self.parameter("weight")]),)


@dataclasses.dataclass(frozen=True)
class Activation(_Single):
    """A unit, the ReLU by default: the only node that obeys a rule.  It keeps its forward mask, as bool."""

    unit: Unit = RELU

    def forward(self, parameters: Parameters, *arrays: np.ndarray) -> tuple[np.ndarray, Any]:
        return unit.forward(arrays[0], self.unit), arrays[0] > 0

    def backward(self, parameters: Parameters, gradient: np.ndarray, saved: Any, rules: RuleRows) -> Arrays:
        for rule, rows in rules:  # the mask will do for a pre-activation: True > 0
            unit.backward_into(gradient[rows], saved, rule, gradient[rows], self.unit)
        return (gradient,)


@dataclasses.dataclass(frozen=True)
class MaxPool(_Single):
    """Max-pooling over the windows of a :class:`theorylab.model.pooling.MaxPool`; keeps the winners' indices."""

    windows: PoolWindows

    def output_shape(self, *shapes: Shape) -> Shape:
        channels, height, width = _planes(shapes[0])
        return channels, *self.windows.output_shape((height, width))

    def forward(self, parameters: Parameters, *arrays: np.ndarray) -> tuple[np.ndarray, Any]:
        values, winners = pool.forward(arrays[0], self.windows)
        plane = arrays[0].shape[2:]
        narrow = np.int32 if math.prod(plane) <= np.iinfo(np.int32).max else np.int64
        return values, (winners.astype(narrow, copy=False), plane)

    def backward(self, parameters: Parameters, gradient: np.ndarray, saved: Any, rules: RuleRows) -> Arrays:
        return (pool.backward(gradient, np.broadcast_to(saved[0], gradient.shape), saved[1]),)


class _Averages(_Single):
    """Means over rows of means over columns."""

    def _matrices(self, height: int, width: int) -> average_pool.Matrices:
        raise NotImplementedError

    def output_shape(self, *shapes: Shape) -> Shape:
        channels, height, width = _planes(shapes[0])
        return channels, *map(len, self._matrices(height, width))

    def forward(self, parameters: Parameters, *arrays: np.ndarray) -> tuple[np.ndarray, Any]:
        matrices = self._matrices(*arrays[0].shape[2:])
        return average_pool.forward(arrays[0], matrices), matrices

    def backward(self, parameters: Parameters, gradient: np.ndarray, saved: Any, rules: RuleRows) -> Arrays:
        return (average_pool.backward(gradient, saved),)


@dataclasses.dataclass(frozen=True)
class AveragePool(_Averages):
    """Average pooling; see :func:`theorylab.layers.average_pool.fixed`."""

    size: Pair
    stride: Pair | None = None
    padding: Pair = 0
    include_padding: bool = True

    def _matrices(self, height: int, width: int) -> average_pool.Matrices:
        return average_pool.fixed((height, width), self.size, self.stride, self.padding, self.include_padding)


@dataclasses.dataclass(frozen=True)
class AdaptiveAveragePool(_Averages):
    """Average pooling to a given plane; see :func:`theorylab.layers.average_pool.adaptive`."""

    size: Pair

    def _matrices(self, height: int, width: int) -> average_pool.Matrices:
        return average_pool.adaptive((height, width), self.size)


@dataclasses.dataclass(frozen=True)
class BatchNorm(_Weighted):
    """Batch normalisation.  Parameters ``<prefix>.weight``, ``.bias``, ``.running_mean``, ``.running_var``."""

    eps: float = 1e-5

    def parameter_shapes(self, *shapes: Shape) -> dict[str, Shape]:
        return {self.parameter(part): _planes(shapes[0])[:1] for part in _NORM}

    def forward(self, parameters: Parameters, *arrays: np.ndarray) -> tuple[np.ndarray, Any]:
        weight, bias, mean, variance = (parameters[self.parameter(part)] for part in _NORM)
        return batch_norm.forward(arrays[0], weight, bias, mean, variance, self.eps), None

    def backward(self, parameters: Parameters, gradient: np.ndarray, saved: Any, rules: RuleRows) -> Arrays:
        weight, variance = parameters[self.parameter("weight")], parameters[self.parameter("running_var")]
        return (batch_norm.backward_input(gradient, weight, variance, self.eps),)


@dataclasses.dataclass(frozen=True)
class Add(Node):
    """Sum of several tensors of one shape; one of them may come twice."""

    sources: tuple[str, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.sources

    def output_shape(self, *shapes: Shape) -> Shape:
        if isinstance(self.sources, str):
            raise TypeError(f"expected a tuple of names, got {self.sources!r}")
        if len(set(shapes)) != 1:
            raise ValueError(f"expected inputs of one shape, got {', '.join(map(str, shapes)) or 'none'}")
        return shapes[0]

    def forward(self, parameters: Parameters, *arrays: np.ndarray) -> tuple[np.ndarray, Any]:
        return sum(arrays[1:], start=arrays[0]), None

    def backward(self, parameters: Parameters, gradient: np.ndarray, saved: Any, rules: RuleRows) -> Arrays:
        return (gradient, *(gradient.copy() for _ in self.sources[1:]))


class Flatten(_Single):
    """All entries of an image in one row, channels first: ``(C, H, W)`` to ``(C·H·W,)``."""

    def output_shape(self, *shapes: Shape) -> Shape:
        return (math.prod(shapes[0]),)

    def forward(self, parameters: Parameters, *arrays: np.ndarray) -> tuple[np.ndarray, Any]:
        return arrays[0].reshape(len(arrays[0]), -1), arrays[0].shape[1:]

    def backward(self, parameters: Parameters, gradient: np.ndarray, saved: Any, rules: RuleRows) -> Arrays:
        return (gradient.reshape(len(gradient), *saved),)
