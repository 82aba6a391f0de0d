"""Every spelling of a ReLU or LeakyReLU in PyTorch, and the autograd function that puts the rules in its place."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from theorylab.model.rules import Rule
from theorylab.model.units import RELU, LeakyReLU, Unit
from theorylab.torch_bridge import _twin
from theorylab.torch_bridge._calls import Node


@dataclasses.dataclass(frozen=True)
class Rectification:
    """A unit among the calls: the node that it reads, whether it overwrites it, and which unit it is."""

    source: Any
    in_place: bool
    unit: Unit = RELU


def is_zero(value: Any, source: Node) -> bool:
    """Whether an argument is the number 0, as a scalar, a constant tensor that `source` outgrows or ``zeros_like(source)``."""
    import torch
    from torch import nn

    if isinstance(value, Node):
        return value.target is torch.zeros_like and value.argument(0, "input") is source
    if isinstance(value, torch.Tensor):
        if isinstance(value, nn.Parameter) or value.requires_grad or not value.numel():
            return False
        fits = value.ndim == 0 or (value.dtype == source.dtype and _widened(value, source) == source.shape)
        return fits and not bool(value.any())
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0


def _widened(value: Any, source: Node) -> Any:
    try:
        return np.broadcast_shapes(value.shape, source.shape)
    except ValueError:
        return None


@functools.cache
def _spellings() -> dict[Any, str]:
    """Family of each function; methods stand under their name."""
    import torch
    from torch.nn import functional

    families = {
        "relu": "relu relu_",
        "clamp": "clamp clamp_ clip clip_ clamp_min clamp_min_",
        "maximum": "maximum max fmax",
    }
    named = {name: family for family, names in families.items() for name in names.split()}
    in_torch = {getattr(torch, name): family for name, family in named.items()}
    leaky = dict.fromkeys((functional.leaky_relu, functional.leaky_relu_), "leaky")
    return {**named, **in_torch, functional.relu: "relu", functional.relu_: "relu", **leaky}


def rectification(node: Node) -> Rectification | None:
    """Tell what a call rectifies, or None if it is neither a ReLU nor a LeakyReLU."""
    import torch
    from torch import nn

    source = node.argument(0, "input")
    if node.op == "module":
        kind = _twin.kind(node.module)  # exactly: a subclass has a forward of its own, which is looked into
        if kind not in (nn.ReLU, nn.LeakyReLU) or not isinstance(source, Node):
            return None
        unit = RELU if kind is nn.ReLU else LeakyReLU(node.module.negative_slope)
        return Rectification(source, node.module.inplace, unit)
    if "out" in node.kwargs:
        return None
    family = _spellings().get(node.target)
    if family == "maximum":
        other = node.argument(1, "other")
        for values, zero in ((source, other), (other, source)):
            # A number as second argument of ``max`` is an axis.
            if isinstance(values, Node) and isinstance(zero, (Node, torch.Tensor)) and is_zero(zero, values):
                return Rectification(values, False)
        return None
    if not isinstance(source, Node):
        return None
    name = node.target if node.op == "method" else node.target.__name__ if family else ""
    position = {"relu": 1, "leaky": 2}.get(str(family))
    in_place = name.endswith("_") or bool(position and node.argument(position, "inplace", False))
    match family:
        case "relu":
            return Rectification(source, in_place)
        case "leaky":
            slope = node.argument(1, "negative_slope", 0.01)
            if isinstance(slope, (int, float)):
                return Rectification(source, in_place, LeakyReLU(slope))
        case "clamp":
            if node.argument(2, "max") is None and is_zero(node.argument(1, "min"), source):
                return Rectification(source, in_place)
    return None


@dataclasses.dataclass
class Current:
    """The rule that the next backward pass obeys: one forward pass serves them all."""

    rule: Rule = Rule.SALIENCY


@functools.cache
def _function() -> Any:
    import torch

    class Rectify(torch.autograd.Function):
        """``T = h(R) g'(y)``: Eq. 1 and 2."""

        @staticmethod
        def forward(context: Any, y: Any, seen: Rectification, current: Current) -> Any:
            context.current, context.unit = current, seen.unit
            context.save_for_backward(y > 0)  # strict
            slope = seen.unit.slope
            if seen.in_place:
                context.mark_dirty(y)
                return torch.nn.functional.leaky_relu_(y, slope) if slope else y.clamp_(min=0)
            return torch.nn.functional.leaky_relu(y, slope) if slope else y.clamp(min=0)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context: Any, gradient: Any) -> Any:
            rule = context.current.rule
            if rule.down == 0:
                gradient = gradient.clamp(min=0) if rule.up == 1 else gradient.clamp(min=0) * rule.up
            elif (rule.up, rule.down) != (1, -1):
                gradient = torch.where(gradient > 0, gradient * rule.up, gradient * -rule.down)
            shut = rule.shut(context.unit)
            if shut != 1:
                # Not a product where the gate is closed: an infinite gradient behind it is 0, not NaN.
                below = gradient * shut if shut else 0.0
                gradient = torch.where(context.saved_tensors[0], gradient, below)
            return gradient, None, None

    return Rectify


def rectify(y: Any, seen: Rectification, current: Current) -> Any:
    """``φ(y)`` of a tensor, whose backward pass obeys ``current.rule`` at the time that it runs."""
    return _function().apply(y, seen, current)
