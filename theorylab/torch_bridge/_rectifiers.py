"""Every spelling of a ReLU in PyTorch, and the autograd function that puts the rules in its place."""

from __future__ import annotations

import dataclasses
import functools
import operator
from typing import Any

from theorylab.rules import Rule
from theorylab.torch_bridge._tracing import argument


@dataclasses.dataclass(frozen=True)
class Rectification:
    """A ReLU in a traced graph: the fx node that it reads, and whether it overwrites it."""

    source: Any
    in_place: bool


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

    return {
        torch.relu: "relu",
        torch.relu_: "relu",
        functional.relu: "relu",
        **{name: "relu" for name in ("relu", "relu_")},
        **{getattr(torch, name): "clamp" for name in ("clamp", "clamp_", "clip", "clip_")},
        **{name: "clamp" for name in ("clamp", "clamp_", "clip", "clip_")},
        **{getattr(torch, name): "clamp_min" for name in ("clamp_min", "clamp_min_")},
        **{name: "clamp_min" for name in ("clamp_min", "clamp_min_")},
        **{getattr(torch, name): "maximum" for name in ("maximum", "max", "fmax")},
        **{name: "maximum" for name in ("maximum", "max", "fmax")},
    }


def rectification(node: Any, traced: Any) -> Rectification | None:
    """What an fx node rectifies, or None if it is no ReLU."""
    import torch

    if node.op == "call_module":
        module = traced.get_submodule(node.target)
        # A subclass has a forward of its own; torch.fx looks inside.
        return Rectification(node.args[0], module.inplace) if type(module) is torch.nn.ReLU else None
    if node.op not in ("call_function", "call_method") or "out" in node.kwargs:
        return None
    family = _spellings().get(node.target)
    source = argument(node, 0, "input")
    name = node.target if node.op == "call_method" else node.target.__name__ if family else ""
    in_place = name.endswith("_") or bool(family == "relu" and argument(node, 1, "inplace", False))
    match family:
        case "relu":
            return Rectification(source, in_place)
        case "clamp":
            low, high = argument(node, 1, "min"), argument(node, 2, "max")
            return Rectification(source, in_place) if high is None and _is_zero(low, source, traced) else None
        case "clamp_min":
            zero = _is_zero(argument(node, 1, "min"), source, traced)
            return Rectification(source, in_place) if zero else None
        case "maximum":
            other = argument(node, 1, "other")
            for one, two in ((source, other), (other, source)):
                # A number as second argument of ``max`` is an axis.
                if all(isinstance(entry, torch.fx.Node) for entry in (one, two)) and _is_zero(
                    two, one, traced
                ):
                    return Rectification(one, False)
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
        def forward(context: Any, y: Any, in_place: bool, current: Current) -> Any:
            context.current = current
            context.save_for_backward(y > 0)  # strict
            if not in_place:
                return y.clamp(min=0)
            context.mark_dirty(y)
            return y.clamp_(min=0)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context: Any, gradient: Any) -> Any:
            rule = context.current.rule
            if rule.rectifies_gradient:
                gradient = gradient.clamp(min=0)
            if rule.masks_by_activation:
                # Not a product: an infinite gradient behind a closed ReLU is 0, not NaN.
                gradient = torch.where(context.saved_tensors[0], gradient, torch.zeros_like(gradient))
            return gradient, None, None

    return Rectify


def rectify(y: Any, in_place: bool, current: Current) -> Any:
    """``max(y, 0)`` of a tensor, whose backward pass obeys ``current.rule`` at the time that it runs."""
    return _function().apply(y, in_place, current)
