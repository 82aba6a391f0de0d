"""Every spelling of a ReLU or LeakyReLU in PyTorch, and the autograd function that puts the rules in its place."""

from __future__ import annotations

import dataclasses
import functools
import operator
from typing import Any

from theorylab.model.rules import Rule
from theorylab.model.units import RELU, LeakyReLU, Unit
from theorylab.torch_bridge._tracing import argument


@dataclasses.dataclass(frozen=True)
class Rectification:
    """A unit in a traced graph: the fx node that it reads, whether it overwrites it, and which unit it is."""

    source: Any
    in_place: bool
    unit: Unit = RELU


def _is_zero(value: Any, source: Any, traced: Any) -> bool:
    """Whether an argument is the number 0, as a scalar, a constant tensor of one entry or ``zeros_like(source)``."""
    import torch

    if isinstance(value, torch.fx.Node):
        if value.op == "get_attr":
            constant = operator.attrgetter(str(value.target))(traced)
            known = isinstance(constant, torch.Tensor) and not isinstance(constant, torch.nn.Parameter)
            return known and constant.numel() == 1 and constant.ndim < 2 and float(constant) == 0
        return value.target is torch.zeros_like and argument(value, 0, "input") is source
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0


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
    return {**named, **in_torch, functional.relu: "relu", **leaky}


def rectification(node: Any, traced: Any) -> Rectification | None:
    """Tell what an fx node rectifies, or None if it is neither a ReLU nor a LeakyReLU."""
    import torch

    if node.op == "call_module":
        module = traced.get_submodule(node.target)
        # A subclass has a forward of its own; torch.fx looks inside.
        if type(module) is torch.nn.ReLU:
            return Rectification(node.args[0], module.inplace)
        if type(module) is torch.nn.LeakyReLU:
            return Rectification(node.args[0], module.inplace, LeakyReLU(module.negative_slope))
        return None
    if node.op not in ("call_function", "call_method") or "out" in node.kwargs:
        return None
    family = _spellings().get(node.target)
    source = argument(node, 0, "input")
    name = node.target if node.op == "call_method" else node.target.__name__ if family else ""
    position = {"relu": 1, "leaky": 2}.get(str(family))
    in_place = name.endswith("_") or bool(position and argument(node, position, "inplace", False))
    match family:
        case "relu":
            return Rectification(source, in_place)
        case "leaky":
            slope = argument(node, 1, "negative_slope", 0.01)
            if not isinstance(slope, torch.fx.Node):
                return Rectification(source, in_place, LeakyReLU(slope))
        case "clamp":
            if argument(node, 2, "max") is None and _is_zero(argument(node, 1, "min"), source, traced):
                return Rectification(source, in_place)
        case "maximum":
            other = argument(node, 1, "other")
            for values, zero in ((source, other), (other, source)):
                # A number as second argument of ``max`` is an axis.
                if all(isinstance(entry, torch.fx.Node) for entry in (values, zero)) and _is_zero(
                    zero, values, traced
                ):
                    return Rectification(values, False)
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
                gradient = gradient.clamp(min=0) * rule.up
            elif (rule.up, rule.down) != (1, -1):
                gradient = torch.where(gradient > 0, gradient * rule.up, gradient * -rule.down)
            shut = rule.shut(context.unit)
            if shut != 1:
                # Not a product where the gate is closed: an infinite gradient behind it is 0, not NaN.
                below = gradient * shut if shut else torch.zeros_like(gradient)
                gradient = torch.where(context.saved_tensors[0], gradient, below)
            return gradient, None, None

    return Rectify


def rectify(y: Any, seen: Rectification, current: Current) -> Any:
    """``φ(y)`` of a tensor, whose backward pass obeys ``current.rule`` at the time that it runs."""
    return _function().apply(y, seen, current)
