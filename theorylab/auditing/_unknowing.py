"""Networks that know nothing: those of a null, and the law of their maps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from theorylab import _random
from theorylab.analytic.nolaw import NoLaw
from theorylab.analytic.of_stack import law as law_of_stack
from theorylab.analytic.three_layer import MapLaw
from theorylab.auditing._redraw import redraw
from theorylab.auditing._smoothed import SmoothedAttribution
from theorylab.auditing._torch_attribution import TorchAttribution
from theorylab.auditing.adapters import MethodAttribution, ModuleAttribution, NetworkAttribution, OfNetwork
from theorylab.description import description

Known = OfNetwork | TorchAttribution | SmoothedAttribution
"""Attributions that know their network."""


def unknowing(attribute: Known, seed: _random.Seed) -> Any:
    """Return the same attribution of a network that knows nothing.

    The weights of each layer are Gaussian, of their root mean square, the biases and the shifts of batch normalisation are 0: a
    network of :func:`theorylab.torch_bridge.stack_of`.
    """
    if isinstance(attribute, SmoothedAttribution):
        return attribute._of(unknowing(attribute.attribute, seed))
    if isinstance(attribute, TorchAttribution):
        twin = attribute._twin()
        redraw(twin, attribute.layers, seed, as_is=True)
        return attribute._with(twin)
    net: Any = attribute.net
    rng, drawn = _random.generator(seed), {}
    for name, weight in net.parameters.items():
        if weight.ndim > 1:
            flat = weight.ravel()
            energy = np.einsum("i,i->", flat, flat, dtype=np.float64)  # without a copy in double precision
            draws = _random.standard_normal(rng, weight.shape, weight.dtype.type)
            drawn[name] = draws * weight.dtype.type(math.sqrt(energy / flat.size))
        elif name.endswith(("bias", "running_mean")):
            drawn[name] = np.zeros_like(weight)
    return attribute._with(net.with_parameters(drawn))


def law_of(attribute: Any, x: np.ndarray) -> MapLaw:
    """Return the law of :func:`unknowing`'s maps, or raise NoLaw."""
    smoothed = isinstance(attribute, SmoothedAttribution)
    inner = attribute.attribute if smoothed else attribute
    kind = type(inner)  # what a subclass shows has another law
    if kind is ModuleAttribution:
        from theorylab.torch_bridge import stack_of

        try:
            stack = stack_of(inner.module, x.shape)
        except (TypeError, ValueError) as error:  # what runs in PyTorch may be no graph of ours
            raise NoLaw(layer=f"this module, {error}") from None
    elif kind is NetworkAttribution or (kind is MethodAttribution and not smoothed):
        stack = description(inner.net.nodes, inner.net.parameters)
    else:
        raise NoLaw(layer=f"{kind.__name__}, whose maps are not this package's")
    if smoothed:
        options = {"noise": attribute.noise, "draws": attribute.draws, "rule": inner.rule.value}
        return law_of_stack(stack, x, "smoothgrad", options=options)
    if kind is not MethodAttribution:
        return law_of_stack(stack, x, inner.rule)
    try:
        return law_of_stack(stack, x, inner.method.value, options=inner.options)
    except TypeError:  # an option that its law does not know
        raise NoLaw(method=inner.method.value, layer=f"its options {', '.join(inner.options)}") from None
