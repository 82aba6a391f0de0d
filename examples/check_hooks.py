"""Guided backpropagation by hooks, as it is often written; ``theorylab check check_hooks:guided`` finds what it misses."""

import torch
from torch import nn


def guided(module, x, target):
    """Rectify what arrives at each ReLU that is a module, which those that are functions are not."""

    def rectified(unit, handed_on, arrived):
        return (handed_on[0].clamp(min=0),)

    hooks = [
        part.register_full_backward_hook(rectified) for part in module.modules() if isinstance(part, nn.ReLU)
    ]
    x = x.clone().requires_grad_()
    try:
        (map_,) = torch.autograd.grad(module(x)[0, target], x)
    finally:
        for hook in hooks:
            hook.remove()
    return map_[0]
