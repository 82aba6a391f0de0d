"""Layers of a PyTorch module drawn anew, whatever made their weights before."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from theorylab import _random


def layers_of(module: Any) -> tuple[str, ...]:
    """Name the submodules with weights of two or more axes, in the order of the module; a parametrized one is one layer."""
    return tuple(
        name
        for name, part in module.named_modules()
        if name
        and "parametrizations" not in name.split(".")
        and (
            hasattr(part, "parametrizations")
            or any(weight.ndim > 1 for weight in part.parameters(recurse=False))
        )
    )


def redraw(twin: Any, layers: Collection[str], seed: _random.Seed, *, as_is: bool = False) -> None:
    """Draw these layers of a twin anew, variance 2 over the fan-in, and their biases 0; the module itself stays.

    `as_is`: of the mean square that the weights have instead, those of no layer too, and batch normalisation loses its
    shifts.

    What normalises, prunes or otherwise makes a drawn layer's weight (``weight_norm``, ``spectral_norm``, ``prune``,
    parametrizations) is taken away: the fresh weight is the layer's weight.
    """
    import torch

    parent = _random.sequence(seed)
    parts = dict(twin.named_modules())
    drawn = {}
    for index, name in enumerate((*layers_of(twin), *[""] * as_is)):
        if name and name not in layers:
            continue
        _plain(parts[name])
        rng = np.random.default_rng(_random.child(parent, index))
        # By name, weight before bias: what made the weight may have put it last.
        for _, weight in sorted(parts[name].named_parameters(recurse=False), reverse=True):
            if not name and weight.ndim < 2:
                continue  # what scales something
            shape = tuple(weight.shape)
            size = float(weight.detach().double().square().mean()) if as_is else 2 / math.prod(shape[1:])
            std = math.sqrt(size) if len(shape) > 1 else 0.0
            new = torch.as_tensor(rng.normal(0.0, std, shape)).to(weight)
            drawn[weight] = torch.nn.Parameter(new, requires_grad=False)
    for part in parts.values():  # whoever shares a weight goes on sharing it
        for key, weight in part._parameters.items():
            part._parameters[key] = drawn.get(weight, weight)
        if as_is and isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            shifts: tuple[tuple[dict[str, Any], str], ...] = (
                (part._parameters, "bias"),
                (part._buffers, "running_mean"),
            )
            for held, key in shifts:
                held[key] = None if held[key] is None else torch.zeros_like(held[key])


def _plain(layer: Any) -> None:
    """Make the parameters of a twin's layer its own again."""
    import torch

    for key, hook in list(layer._forward_pre_hooks.items()):
        if type(hook).__module__.startswith("torch.nn.utils.") and hasattr(hook, "remove"):
            hook.remove(layer)
            del layer._forward_pre_hooks[key]
    if hasattr(layer, "parametrizations"):
        # PyTorch's own removal changes the class, which the twin shares with the user's module.
        made = {name: getattr(layer, name).detach().clone() for name in layer.parametrizations}
        del layer._modules["parametrizations"]
        layer.__class__ = type(layer).__bases__[0]
        for name, value in made.items():
            layer.register_parameter(name, torch.nn.Parameter(value))
