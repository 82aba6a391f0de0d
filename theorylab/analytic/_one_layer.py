"""What the laws of methods ask of a stack: one hidden layer, of ReLUs without biases; all else is refused by name."""

from __future__ import annotations

from theorylab.analytic.nolaw import NoLaw
from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.specs import ConvSpec
from theorylab.model.stack import Stack, grid_of, single_layer
from theorylab.model.units import RELU

ATTRIBUTE = "theorylab.methods.attribute runs it in a network"


def one_layer(
    stack: Stack, method: str, *, pools: bool = False, leaky: bool = False, gaussian: bool = False
) -> tuple[ConvSpec, PatchGrid, MaxPool | None, str]:
    """Return the hidden layer, its patches, the pool above it, and the kind of an exact law: "limit" unless filters are Gaussian.

    `pools`, `leaky` and `gaussian` say what the method's law takes, or needs: max-pools, leaky units, a Gaussian readout.
    """

    def refuse(what: str) -> NoLaw:
        return NoLaw(None, stack.unit, what, ATTRIBUTE, method)

    single = single_layer(stack)
    if single is None:
        raise refuse(f"{len(stack.layers)} layers, which are more than one of units")
    hidden, pool = single
    if pool is not None and not pools:
        raise refuse(repr(pool))
    if stack.unit != RELU and not leaky:
        raise refuse("the hidden layer")
    if hidden.bias is not None:
        raise refuse(f"a hidden layer with biases, {hidden.bias!r}")
    if gaussian and not isinstance(stack.readout, Gaussian):
        raise refuse(f"a readout of the law {stack.readout!r}")
    kind = "exact" if isinstance(hidden.weights, Gaussian) else "limit"
    return hidden, grid_of(hidden, stack.input_shape), pool, kind
