"""A copy of a PyTorch module some of whose layers have fresh weights, whatever made their weights before."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Iterator
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


def redrawn(module: Any, layers: Collection[str], seed: _random.Seed) -> Any:
    """Return a copy with these layers drawn anew, variance 2 over the fan-in, and their biases 0.

    What normalises, prunes or otherwise makes a drawn layer's weight (``weight_norm``, ``spectral_norm``, ``prune``,
    parametrizations) is taken away: the fresh weight is the layer's weight.  Raise a ValueError for a module that cannot be
    copied.
    """
    import torch

    # PyTorch copies no tensor that is a result, such as a weight under `weight_norm` or a stored activation.
    results = {id(held): held.detach().clone() for part in module.modules() for held in _results(vars(part))}
    try:
        copied = copy.deepcopy(module, results)
    except Exception as error:  # locks, open files, generators: anything may be kept in a module
        reason = str(error).partition(". ")[0].partition("\n")[0]
        raise ValueError(
            f"module: it cannot be copied to draw its layers anew ({reason}); randomize=False audits the rest"
        ) from error
    parent = _random.sequence(seed)
    parts = dict(copied.named_modules())
    with torch.no_grad():
        for index, name in enumerate(layers_of(module)):
            if name not in layers:
                continue
            _plain(parts[name])
            rng = np.random.default_rng(_random.child(parent, index))
            # By name, weight before bias: what made the weight may have put it last.
            for _, weight in sorted(parts[name].named_parameters(recurse=False), reverse=True):
                shape = tuple(weight.shape)
                std = math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.0
                weight.copy_(torch.as_tensor(rng.normal(0.0, std, shape)))
    return copied


def _results(held: Any, depth: int = 4) -> Iterator[Any]:
    """Yield the tensors that are results, in attributes and in what they hold."""
    import torch

    if isinstance(held, torch.Tensor):
        if not held.is_leaf:
            yield held
    elif depth and isinstance(held, (dict, list, tuple, set)):
        for entry in held.values() if isinstance(held, dict) else held:
            yield from _results(entry, depth - 1)


def _plain(layer: Any) -> None:
    """Make the parameters of a layer its own again, in place."""
    import torch

    for key, hook in list(layer._forward_pre_hooks.items()):
        if type(hook).__module__.startswith("torch.nn.utils.") and hasattr(hook, "remove"):
            hook.remove(layer)
            del layer._forward_pre_hooks[key]
    if hasattr(layer, "parametrizations"):
        # PyTorch's own removal changes the class, which the copied module shares with the user's.
        made = {name: getattr(layer, name).detach().clone() for name in layer.parametrizations}
        del layer._modules["parametrizations"]
        layer.__class__ = type(layer).__bases__[0]
        for name, value in made.items():
            layer.register_parameter(name, torch.nn.Parameter(value))
