"""Every spelling of a ReLU or LeakyReLU in PyTorch, and the autograd function that puts the rules in its place."""

from __future__ import annotations

import dataclasses
import functools
import itertools
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
    """The rules that the next backward pass obeys, one for each signal in it: one forward pass serves them all."""

    rules: tuple[Rule, ...] = (Rule.SALIENCY,)


def obeyed(gradient: Any, rule: Rule, unit: Unit, opened: Any, out: Any = None) -> Any:
    """Return ``h(R) g'(y)``, where ``opened`` is ``y > 0``; in `out` if given and if it is not the gradient itself."""
    import torch

    if rule.down == 0:
        gradient = torch.clamp(gradient, min=0, out=out)
        gradient = gradient if rule.up == 1 else torch.mul(gradient, rule.up, out=out)
    elif (rule.up, rule.down) != (1, -1):
        gradient = torch.where(gradient > 0, gradient * rule.up, gradient * -rule.down, out=out)
    shut = rule.shut(unit)
    if shut == 1:
        return gradient
    # Not a product where the gate is closed: an infinite gradient behind it is 0, not NaN.
    below = gradient * shut if shut else gradient.new_zeros(())
    return torch.where(opened, gradient, below, out=out)


@functools.cache
def _together() -> Any:
    import torch

    class Obey(torch.autograd.Function):
        """Eq. 1 and 2 of several signals in one backward pass, each under a rule of its own; inside ``vmap`` alone."""

        @staticmethod
        def forward(gradient: Any, opened: Any, unit: Unit, rules: tuple[Rule, ...]) -> Any:
            raise RuntimeError("one gradient for several rules")

        @staticmethod
        def setup_context(context: Any, inputs: Any, output: Any) -> None:
            """Nothing is kept: nobody differentiates it again."""

        @staticmethod
        def vmap(
            info: Any, axes: Any, gradient: Any, opened: Any, unit: Unit, rules: tuple[Rule, ...]
        ) -> Any:
            gradient = gradient.movedim(axes[0], 0)
            result, start = torch.empty_like(gradient), 0
            for rule, group in itertools.groupby(rules):
                rows = slice(start, start := start + len(list(group)))
                found = obeyed(gradient[rows], rule, unit, opened, result[rows])
                if found.data_ptr() != result[rows].data_ptr():
                    result[rows] = found
            return result, 0

    return Obey


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
            rules, (opened,) = context.current.rules, context.saved_tensors
            if len(rules) > 1:
                return _together().apply(gradient, opened, context.unit, rules), None, None
            return obeyed(gradient, rules[0], context.unit, opened), None, None

    return Rectify


def rectify(y: Any, seen: Rectification, current: Current) -> Any:
    """``φ(y)`` of a tensor, whose backward passes obey ``current.rules`` at the time that they run."""
    return _function().apply(y, seen, current)
