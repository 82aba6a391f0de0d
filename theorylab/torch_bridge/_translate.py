"""One walk along the calls of a PyTorch module, from the image to the logits: calls in, explicit nodes out."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from theorylab.model.stack import Shape
from theorylab.networks import nodes
from theorylab.torch_bridge import _layers, _twin
from theorylab.torch_bridge._calls import Node
from theorylab.torch_bridge._rectifiers import rectification

# Layers and functions that hand the very tensor on in evaluation mode, and those that change its shape alone.
_PASSING = """
    Identity Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout
    dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout contiguous
"""
_RESHAPING = "Flatten flatten view reshape view_as reshape_as"


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


class NoCounterpart(ValueError):
    """What an operation without a counterpart was called, for those who read its value."""


class Translation:
    """One walk along the recorded calls; nodes and parameters grow on the way."""

    def __init__(self, calls: list[Node], input_shape: Shape) -> None:
        self.calls = calls
        image = nodes.Input("input", input_shape)
        self.shapes: dict[str, Shape] = {"input": image.output_shape()}
        self.nodes: list[nodes.Node] = [image]
        self.parameters: dict[str, Any] = {}
        self.values: dict[Node, _Tensor | NoCounterpart] = {}
        self.reserved = {str(call.target) for call in calls if call.op == "module"}

    def run(self, result: Any) -> str:
        """Translate all; the name of the node that holds the logits, the value of `result`."""
        for call in self.calls:
            if call.op == "image":
                self.values[call] = _Tensor("input", self.shapes["input"])
                continue
            try:
                self.values[call] = self.translate(call)
            except (TypeError, ValueError) as error:
                unknown = error if isinstance(error, NoCounterpart) else NoCounterpart(f"{call}: {error}")
                if call.writes:
                    raise unknown from None
                self.values[call] = unknown  # the end of it, unless somebody reads it
        if result is None:
            raise ValueError("module: its output does not depend on the image")
        return self.read(result).node

    def read(self, value: Any) -> _Tensor:
        """Return the tensor that an argument is."""
        tensor = self.values.get(value) if isinstance(value, Node) else None
        if tensor is None:
            words = "a constant tensor" if hasattr(value, "shape") else repr(value)
            raise ValueError(f"expected a tensor computed from the image, got {words}")
        if isinstance(tensor, NoCounterpart):
            raise tensor
        if tensor.stale:
            raise ValueError(tensor.stale)
        return tensor

    def append(self, node: nodes.Node) -> _Tensor:
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

    def local(self, call: Node, kind: str) -> str:
        """Make a name for what is no module: where it happens, and what."""
        if call.op == "module":
            return self.named(str(call.target))
        base = f"{call.scope}.{kind}" if call.scope else kind
        return self.named(f"{base}_0" if base in self.reserved else base)

    def write(self, tensor: _Tensor, result: _Tensor, call: Node) -> _Tensor:
        """`tensor` after an operation in place whose outcome is `result`."""
        for other in tensor.memory:
            if other is not tensor:
                other.stale = f"reads a tensor that {call} overwrote through a view or a reshaped tensor"
        tensor.node = result.node
        return tensor

    def translate(self, call: Node) -> _Tensor:
        """Compute the value of one call."""
        import torch

        if call.op == "item":
            self.read(call.args[0] if call.args else None)
            raise ValueError("one of several outputs has no counterpart in the graph")
        seen = rectification(call)
        if seen is not None:
            source = self.read(seen.source)
            result = self.append(nodes.Activation(self.local(call, "relu"), source.node, seen.unit))
            return self.write(source, result, call) if seen.in_place else result
        pool = _layers.pool_of(call)
        if pool is not None:
            source = self.read(call.argument(0, "input"))
            name = self.local(call, "pool")
            return self.append(_layers.layer(name, source.node, source.shape, pool, name))
        name = call.target if call.op == "method" else getattr(call.target, "__name__", "")
        if call.op == "module":
            kind = _twin.kind(call.module)
            name = kind.__name__ if kind.__module__.startswith("torch.nn.modules") else ""
        if name in _PASSING.split():
            return self.read(call.argument(0, "input"))  # in evaluation mode the very tensor that came
        if name in _RESHAPING.split():
            return self.reshape(call)
        if call.op == "module":
            return self.module(call)
        summed = call.op == "method" or call.target is torch.add
        if summed and name in ("add", "radd", "add_", "iadd"):
            return self.add(call, in_place=name in ("add_", "iadd"))
        if name == "mean" and call.op != "module":
            return self.mean(call)
        raise TypeError("from_torch does not know this operation")

    def mean(self, call: Node) -> _Tensor:
        """Global average pooling: the mean over both axes of the plane."""
        from torch import nn

        source = self.read(call.argument(0, "input"))
        axes = call.argument(1, "dim", call.kwargs.get("axis"))
        plane = isinstance(axes, tuple) and len(source.shape) == 3 and {axis % 4 for axis in axes} == {2, 3}
        if not plane or call.kwargs.get("dtype") is not None or "out" in call.kwargs:
            raise ValueError(
                "only the mean of each plane, mean((2, 3)), is known, as nn.AdaptiveAvgPool2d(1)"
            )
        name = self.local(call, "pool")
        pooled = self.append(_layers.layer(name, source.node, source.shape, nn.AdaptiveAvgPool2d(1), name))
        if call.argument(2, "keepdim", False):
            return pooled
        return self.append(nodes.Flatten(self.local(call, "flatten"), pooled.node))

    def module(self, call: Node) -> _Tensor:
        values = (*call.args, *call.kwargs.values())
        if len(values) != 1:
            raise TypeError("expected one argument")
        source, path = self.read(values[0]), str(call.target)
        made = _layers.layer(self.named(path), source.node, source.shape, call.module, path)
        self.parameters.update(_layers.parameters_of(call.module, path))
        return self.append(made)

    def add(self, call: Node, in_place: bool) -> _Tensor:
        values = (call.argument(0, "input"), call.argument(1, "other"))
        if call.argument(2, "alpha", 1) != 1 or "out" in call.kwargs:
            raise ValueError("alpha or out has no counterpart in the graph")
        # ``sum`` of a list starts from 0.
        tensors = [self.read(value) for value in values if type(value) not in (int, float) or value != 0]
        if len(tensors) == 1:
            return tensors[0] if in_place else _Tensor(tensors[0].node, tensors[0].shape)
        result = self.append(nodes.Add(self.local(call, "add"), tuple(tensor.node for tensor in tensors)))
        return self.write(tensors[0], result, call) if in_place else result

    def reshape(self, call: Node) -> _Tensor:
        source = self.read(call.argument(0, "input"))
        flat = (1, math.prod(source.shape))
        if call.shape == (1, *source.shape):
            return source
        if call.shape != flat:
            raise ValueError(f"expected all axes of an image as one, {flat}, got {call.shape}")
        result = self.append(nodes.Flatten(self.local(call, "flatten"), source.node))
        source.memory.append(result)  # it may be a view, depending on the layout in memory
        result.memory = source.memory
        return result
