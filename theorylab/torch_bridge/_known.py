"""What may stand in a module beside its ReLUs."""

from __future__ import annotations

import functools
from typing import Any

from theorylab.torch_bridge import _twin
from theorylab.torch_bridge._calls import Node

# Layers that hand the true gradient on under every rule: linear ones, pooling, normalisation, changes of shape.
_MODULES = """
    Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Linear Bilinear Identity
    BatchNorm1d BatchNorm2d BatchNorm3d InstanceNorm1d InstanceNorm2d InstanceNorm3d GroupNorm LayerNorm
    LocalResponseNorm MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d
    AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d Dropout Dropout1d Dropout2d Dropout3d
    AlphaDropout FeatureAlphaDropout Flatten Unflatten ZeroPad1d ZeroPad2d ZeroPad3d ReflectionPad1d ReflectionPad2d
    ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d CircularPad1d CircularPad2d CircularPad3d
    Upsample UpsamplingNearest2d UpsamplingBilinear2d PixelShuffle PixelUnshuffle ChannelShuffle Fold Unfold
"""
_FUNCTIONAL = """
    conv1d conv2d conv3d conv_transpose2d linear batch_norm instance_norm group_norm layer_norm local_response_norm
    max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d adaptive_max_pool2d dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout pad
    interpolate pixel_shuffle pixel_unshuffle
"""
# As a function of torch or as a method of a tensor.  ``max``, ``abs``, ``where`` and comparisons are not here: a
# ReLU can be written with each of them.
_TORCH = """
    add sub subtract neg negative mul multiply div divide true_divide matmul mm bmm cat concat concatenate stack
    flatten reshape permute transpose movedim squeeze unsqueeze chunk split narrow mean sum zeros_like
    channel_shuffle t unbind
"""
# Operators by the names that torch gives their methods, some of them by no other.
_METHODS = """
    view view_as reshape_as expand expand_as contiguous clone add_ sub_ mul_ div_ neg_ register_hook retain_grad
    radd rsub rmul rdiv rtruediv truediv rmatmul getitem iadd isub imul idiv itruediv
"""
_UPDATES = """
    __iadd__ __isub__ __imul__ __idiv__ __itruediv__ __ifloordiv__ __imod__ __ipow__ __setitem__
"""
TRAINING = "in training mode; call module.eval() first"
# Random under no condition on an argument, and not marked so by torch.
_DRAWING = ("gumbel_softmax", "fractional_max_pool2d", "fractional_max_pool3d")


@functools.cache
def _linear() -> tuple[frozenset[Any], frozenset[Any], frozenset[str]]:
    """Types of modules, functions and names of methods of the lists above."""
    import torch
    from torch import nn
    from torch.nn import functional

    modules = frozenset(getattr(nn, name) for name in _MODULES.split() if hasattr(nn, name))
    functions = {getattr(functional, name) for name in _FUNCTIONAL.split()}
    functions |= {getattr(torch, name) for name in _TORCH.split()}
    return modules, frozenset(functions), frozenset(f"{_TORCH} {_METHODS}".split())


@functools.cache
def _random() -> dict[Any, tuple[tuple[int, str, Any], ...]]:
    """Functions that are random or look at the batch on condition: position, name and default of what has to be true."""
    import torch
    from torch.nn import functional

    dropouts = (getattr(functional, f"dropout{suffix}") for suffix in ("", "1d", "2d", "3d"))
    recurrent = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)
    attention = functional.multi_head_attention_forward
    return {
        **dict.fromkeys(dropouts, ((2, "training", True),)),
        **dict.fromkeys(
            (functional.alpha_dropout, functional.feature_alpha_dropout), ((2, "training", False),)
        ),
        **dict.fromkeys((torch.dropout, torch.alpha_dropout, torch.feature_dropout), ((2, "train", False),)),
        **dict.fromkeys((functional.rrelu, torch.rrelu), ((3, "training", False),)),
        **dict.fromkeys(recurrent, ((5, "dropout", 0.0), (6, "train", False))),
        functional.batch_norm: ((5, "training", False),),
        functional.scaled_dot_product_attention: ((4, "dropout_p", 0.0),),
        attention: ((10, "dropout_p", 0.0), (13, "training", True)),
    }


@functools.cache
def _draws(target: Any) -> bool:
    """Whether a function draws random numbers whenever it is called."""
    import torch

    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    if name in _DRAWING:
        return True
    packet = getattr(torch.ops.aten, name, None) if name.isidentifier() else None
    overloads = () if packet is None else packet.overloads()
    return any(torch.Tag.nondeterministic_seeded in getattr(packet, name).tags for name in overloads)


def randomness(node: Node) -> str:
    """Say that a function is random or looks at its batch, in words; empty if it does not."""
    if node.op == "function" and node.target in _random():
        return TRAINING if all(node.argument(*option) for option in _random()[node.target]) else ""
    return "it draws random numbers" if _draws(node.target) else ""


def random_layer(module: Any) -> bool:
    """Whether a layer, by itself, is random or changes its statistics: in training mode."""
    from torch import nn
    from torch.nn.modules.batchnorm import _NormBase
    from torch.nn.modules.dropout import _DropoutNd

    share = getattr(module, "dropout", 0)  # of recurrent layers and attention
    noisy = isinstance(module, (_NormBase, _DropoutNd, nn.RReLU)) or (isinstance(share, float) and share > 0)
    return bool(module.training and noisy)


def training(node: Node) -> str:
    """Say that a layer is random, looks at its batch or changes its statistics, in words; empty if it does not."""
    from torch.nn.modules.batchnorm import _BatchNorm

    for part in node.module.modules():  # layers of torch.nn may hold others
        if random_layer(part):
            return TRAINING
        if isinstance(part, _BatchNorm) and part.running_mean is None:
            return "it has no running statistics to normalise with"
    return ""


def in_place(name: str) -> bool:
    """Whether a function or method of this name writes into its first argument."""
    return name in _UPDATES.split() or (
        name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
    )


def known(node: Node) -> bool:
    """Whether something that is no unit hands the true gradient on under every rule."""
    modules, functions, methods = _linear()
    if node.op == "module":
        return _twin.kind(node.module) in modules
    return node.op == "item" or node.target in (methods if node.op == "method" else functions)
