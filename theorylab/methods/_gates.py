"""Methods that put something else in the place of the ReLU's mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from theorylab import _validation
from theorylab.methods._method import Asked, NoRule, registered
from theorylab.model.rules import Rule
from theorylab.networks.batches import substituted
from theorylab.networks.nodes import Activation, Arrays, Node


def _gated(asked: Asked, method: str, handed: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the map of a backward pass in which units hand on what ``handed(y, R)`` gives of their inputs ``y``."""

    def backward(node: Node, parameters: Any, gradient: np.ndarray, saved: Any, rules: Any) -> Arrays:
        if not isinstance(node, Activation):
            return node.backward(parameters, gradient, saved, rules)
        if node.unit.slope:
            raise NoRule(method, node, f"expected ReLUs, got {node.unit!r}")
        return (handed(asked.trace.activations[node.source], gradient),)

    return substituted(asked.trace, asked.gradient, backward)


@registered
def rectgrad(asked: Asked, *, percentile: float = 98.0) -> np.ndarray:
    """Hand a gradient on where it is large times the output of its unit; a network of ReLUs.

    The threshold is that percentile, 0 to 100, of ``a ⊙ R`` over all units of a layer; it takes the place of the ReLU's mask,
    and below 0 it opens closed units.  Other units are refused: the paper has no rule for them.  The paper's last threshold,
    at the picture, and its rule of proportions at max-pools are left out.
    """
    if not 0 <= (percentile := _validation.finite_number(percentile, "percentile")) <= 100:
        raise ValueError(f"percentile: expected 0 to 100, got {percentile}")

    def handed(y: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        important = np.maximum(y, 0) * gradient
        return np.asarray(gradient * (important > np.percentile(important, percentile)))

    return np.asarray(asked.x * _gated(asked, "rectgrad", handed))


@registered
def activation_weighted(asked: Asked, *, rule: Rule | str = "saliency") -> np.ndarray:
    """Hand a gradient on times the output of its unit, after ``h`` of a rule; a network of ReLUs."""
    h = Rule(rule).h
    return _gated(asked, "activation-weighted", lambda y, gradient: h(gradient) * np.maximum(y, 0))


@registered
def excitation_pullback(
    asked: Asked, *, temperature: float = 1.0, rule: Rule | str = "saliency"
) -> np.ndarray:
    """Hand a gradient on through a soft gate, after ``h`` of a rule; a network of ReLUs.

    The gate is the logistic function of the unit's input over `temperature`, in the units of that input; towards 0 it is the
    ReLU's mask.  Max-pools stay hard; the authors' code can soften them, too.
    """
    h, scale = Rule(rule).h, _validation.positive_number(temperature, "temperature")

    def handed(y: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        return np.asarray(h(gradient) * special.expit(y / y.dtype.type(scale)))

    return _gated(asked, "excitation-pullback", handed)
