"""RectGrad: units hand on what is most important to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from theorylab.methods._method import Asked, NoRule, registered
from theorylab.networks.batches import substituted
from theorylab.networks.nodes import Activation, Arrays, Node


@registered
def rectgrad(asked: Asked, *, percentile: float = 98.0) -> np.ndarray:
    """Hand a gradient on where it is large times the output of its unit; a network of ReLUs.

    The threshold is that percentile, 0 to 100, of ``a ⊙ R`` over all units of a layer; it takes the place of the ReLU's mask,
    and below 0 it opens closed units.  Other units are refused: the paper has no rule for them.  The paper's last threshold,
    at the picture, and its rule of proportions at max-pools are left out.
    """
    if not 0 <= percentile <= 100:
        raise ValueError(f"percentile: expected 0 to 100, got {percentile}")

    def backward(node: Node, parameters: Any, gradient: np.ndarray, saved: Any, rules: Any) -> Arrays:
        if not isinstance(node, Activation):
            return node.backward(parameters, gradient, saved, rules)
        if node.unit.slope:
            raise NoRule("rectgrad", node, f"expected ReLUs, got {node.unit!r}")
        important = asked.trace.activations[node.name] * gradient
        return (gradient * (important > np.percentile(important, percentile)),)

    return np.asarray(asked.x * substituted(asked.trace, asked.gradient, backward))
