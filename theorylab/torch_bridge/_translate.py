"""One walk along a traced PyTorch module, from the image to the logits: fx nodes in, explicit nodes out."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable
from typing import Any

from theorylab.model.stack import Shape
from theorylab.networks.nodes import Activation, Add, Flatten, Input, Node
from theorylab.torch_bridge import _known, _layers, _tracing
from theorylab.torch_bridge._rectifiers import rectification
from theorylab.torch_bridge._tracing import argument

_BATCH = object()  # the length of the batch axis, where a forward asks for it
_PASSING = "Identity Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout"
_SIZES = ("size", "getattr", "getitem", "mul")


@dataclasses.dataclass(eq=False)
class _Tensor:
    """A tensor of PyTorch: which node holds its value now, and which tensors share its memory.

    An operation in place moves every name of the tensor on to a new node.
    """

    node: str
    shape: Shape
    memory: list[_Tensor] = dataclasses.field(default_factory=list)
    stale: str = ""

    def __post_init__(self) -> None:
        self.memory.append(self)


class Translation:
    """One walk along a traced graph; nodes and parameters grow on the way."""

    def __init__(self, traced: Any, input_shape: Shape) -> None:
        self.traced = traced
        image = Input("input", input_shape)
        self.shapes: dict[str, Shape] = {"input": image.output_shape()}
        self.nodes: list[Node] = [image]
        self.parameters: dict[str, Any] = {}
        self.values: dict[Any, Any] = {}
        self.reserved = {str(node.target) for node in traced.graph.nodes if node.op == "call_module"}

    def run(self) -> str:
        """Translate all; the name of the node that holds the logits."""
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = _Tensor("input", self.shapes["input"])
            elif node.op == "output":
                result = node.args[0]
                if not isinstance(self.values.get(result) if _is_node(result) else None, _Tensor):
                    raise ValueError("module: expected one tensor of logits as output")
                return self.read(result).node
            elif node.op != "get_attr":  # a constant: refused where it is read, unless it is a zero
                _known.check_evaluation(node, self.traced)
                try:
                    self.values[node] = self.translate(node)
                except (TypeError, ValueError) as error:
                    raise ValueError(f"{_tracing.described(node, self.traced)}: {error}") from None
        raise AssertionError("a traced graph ends with its output")

    def read(self, value: Any) -> _Tensor:
        """Return the tensor that an argument is."""
        tensor = self.values.get(value) if _is_node(value) else None
        if not isinstance(tensor, _Tensor):
            words = _tracing.described(value, self.traced) if _is_node(value) else repr(value)
            raise ValueError(f"expected a tensor computed from the image, got {words}")
        if tensor.stale:
            raise ValueError(tensor.stale)
        return tensor

    def append(self, node: Node) -> _Tensor:
        """Return a node's output as a tensor of its own memory."""
        shape = node.output_shape(*(self.shapes[name] for name in node.inputs))
        self.nodes.append(node)
        self.shapes[node.name] = shape
        return _Tensor(node.name, shape)

    def named(self, base: str) -> str:
        """Return `base`, or the first of ``base_1``, ``base_2``, … that is free."""
        name, count = base, 0
        while name in self.shapes or (name in self.reserved and name != base):
            count += 1
            name = f"{base}_{count}"
        return name

    def local(self, node: Any, kind: str) -> str:
        """Make a name for what is no module: where it happens, and what."""
        if node.op == "call_module":
            return self.named(node.target)
        scope = _tracing.scope_of(node)
        base = f"{scope}.{kind}" if scope else kind
        return self.named(f"{base}_0" if base in self.reserved else base)

    def write(self, tensor: _Tensor, result: _Tensor, node: Any) -> _Tensor:
        """`tensor` after an operation in place whose outcome is `result`."""
        for other in tensor.memory:
            if other is not tensor:
                by = _tracing.described(node, self.traced)
                other.stale = f"reads a tensor that {by} overwrote through a view or a reshaped tensor"
        tensor.node = result.node
        return tensor

    def translate(self, node: Any) -> Any:
        """Compute the value of one fx node."""
        import torch

        seen = rectification(node, self.traced)
        if seen is not None:
            source = self.read(seen.source)
            result = self.append(Activation(self.local(node, "relu"), source.node, seen.unit))
            return self.write(source, result, node) if seen.in_place else result
        if node.op == "call_module":
            return self.module(node, self.traced.get_submodule(node.target))
        pool = _layers.pool_of(node)
        if pool is not None:
            source = self.read(argument(node, 0, "input"))
            name = self.local(node, "pool")
            return self.append(_layers.layer(name, source.node, source.shape, pool, name))
        if node.target is torch.nn.functional.dropout:
            return self.read(argument(node, 0, "input"))
        if node.target is torch.zeros_like:
            return None  # a zero: good for a maximum, and for nothing else
        kind = node.target if node.op == "call_method" else getattr(node.target, "__name__", "")
        if node.op == "call_method" or node.target in _functions():
            if kind in ("add", "add_", "iadd"):
                return self.add(node, in_place=kind != "add")
            if kind == "flatten":
                return self.flatten(node, argument(node, 1, "start_dim", 0), argument(node, 2, "end_dim", -1))
            if kind in ("view", "reshape"):
                return self.reshape(node)
            if kind in _SIZES:
                return self.size(node, kind)
        raise TypeError("from_torch does not know this operation")

    def module(self, node: Any, module: Any) -> _Tensor:
        from torch import nn

        if len(node.args) != 1 or node.kwargs:
            raise TypeError("expected one argument")
        if type(module) in {getattr(nn, name) for name in _PASSING.split()}:
            return self.read(node.args[0])  # in evaluation mode the very tensor that came
        if type(module) is nn.Flatten:
            return self.flatten(node, module.start_dim, module.end_dim)
        source, path = self.read(node.args[0]), node.target
        made = _layers.layer(self.named(path), source.node, source.shape, module, path)
        self.parameters.update(_layers.parameters_of(module, path))
        return self.append(made)

    def add(self, node: Any, in_place: bool) -> Any:
        values = (argument(node, 0, "input"), argument(node, 1, "other"))
        if node.op == "call_function" and all(self.is_size(value) for value in values):
            return self.arithmetic(values, sum)
        if argument(node, 2, "alpha", 1) != 1 or "out" in node.kwargs:
            raise ValueError("alpha or out has no counterpart in the graph")
        # ``sum`` of a list starts from 0.
        tensors = [self.read(value) for value in values if isinstance(value, bool) or value != 0]
        if len(tensors) == 1:
            return tensors[0] if in_place else _Tensor(tensors[0].node, tensors[0].shape)
        result = self.append(Add(self.local(node, "add"), tuple(tensor.node for tensor in tensors)))
        return self.write(tensors[0], result, node) if in_place else result

    def flatten(self, node: Any, start: int, end: int) -> _Tensor:
        source = self.read(argument(node, 0, "input"))
        axes = len(source.shape) + 1
        start, end = (axis + axes if axis < 0 else axis for axis in (start, end))
        if start == 0 < end:
            raise ValueError("it flattens the batch axis")
        if start == end or len(source.shape) == 1:
            return source
        if (start, end) != (1, axes - 1):
            raise ValueError(f"expected all axes of an image, 1 to {axes - 1}, got {start} to {end}")
        result = self.append(Flatten(self.local(node, "flatten"), source.node))
        source.memory.append(result)  # it may be a view, depending on the layout in memory
        result.memory = source.memory
        return result

    def reshape(self, node: Any) -> _Tensor:
        source = self.read(argument(node, 0, "input"))
        sizes = node.args[1:] or (node.kwargs.get("shape", node.kwargs.get("size")),)
        if len(sizes) == 1 and not isinstance(sizes[0], int):
            sizes = sizes[0] if isinstance(sizes[0], (tuple, list)) else self.values.get(sizes[0]) or ()
        shape = [self.integer(size) for size in sizes]
        length = math.prod(source.shape)
        if shape not in ([_BATCH, -1], [_BATCH, length], [-1, length]):
            sizes = ", ".join("N" if size is _BATCH else str(size) for size in shape)
            raise ValueError(f"expected (N, -1), N the length of the batch, got ({sizes})")
        return self.flatten(node, 1, -1)

    def is_size(self, value: Any) -> bool:
        known = self.values.get(value) if _is_node(value) else value
        return known is _BATCH or (isinstance(known, int) and not isinstance(known, bool))

    def integer(self, value: Any) -> Any:
        if not self.is_size(value):
            raise ValueError("expected sizes of the tensor or integers")
        return self.values[value] if _is_node(value) else value

    def arithmetic(self, values: Any, function: Callable[[list[int]], int]) -> int:
        if not all(self.is_size(value) for value in values):
            raise TypeError("from_torch does not know this operation")
        known = [self.integer(value) for value in values]
        if _BATCH in known:
            raise ValueError("arithmetic with the length of the batch has no counterpart in the graph")
        return function(known)

    def size(self, node: Any, kind: str) -> Any:
        """Sizes that a forward asks for: ``x.size(0)``, ``x.shape``, an entry of it, products of entries."""
        if kind == "mul":
            return self.arithmetic(node.args, math.prod)
        if kind == "getitem":
            sizes = self.values.get(node.args[0])
            if not isinstance(sizes, tuple) or not isinstance(node.args[1], (int, slice)):
                raise ValueError("indexing has no counterpart in the graph, except of a shape")
            return sizes[node.args[1]]
        if kind == "getattr" and node.args[1] != "shape":
            raise ValueError(f"attribute {node.args[1]!r} has no counterpart in the graph")
        whole = (_BATCH, *self.read(node.args[0]).shape)
        axis = argument(node, 1, "dim") if kind == "size" else None
        return whole if axis is None else whole[axis]


def _functions() -> tuple[Any, ...]:
    import torch

    arithmetic = (operator.add, operator.iadd, operator.mul, operator.getitem, getattr)
    return (*arithmetic, torch.add, torch.flatten, torch.reshape)


def _is_node(value: Any) -> bool:
    from torch.fx import Node

    return isinstance(value, Node)
