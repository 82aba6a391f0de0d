"""What may stand in a module beside its ReLUs."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from typing import Any

from theorylab.torch_bridge import _rectifiers, _twin
from theorylab.torch_bridge._calls import Node, inputs_of

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
    batch_norm instance_norm group_norm layer_norm local_response_norm
    max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d adaptive_max_pool2d dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout pad
    interpolate pixel_shuffle pixel_unshuffle fold unfold grid_sample
"""
# Linear in every factor, and a product if the image has a part in two.
_FACTORS = """
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linear bilinear
"""
# The rest is a function of torch or a method of a tensor.  ``max``, ``abs``, ``where`` and comparisons are not here: a
# ReLU can be written with each of them.  Operators stand by the names that torch gives their methods.
_PRODUCTS = """
    mul multiply matmul mm bmm mv dot inner outer einsum tensordot mul_ multiply_ rmul imul rmatmul imatmul
"""
_QUOTIENTS = """
    div divide true_divide div_ divide_ true_divide_ truediv rdiv rtruediv idiv itruediv
"""
# Linear in all arguments together, or of the others they take the shape or the dtype alone.
_SUMS = """
    add sub subtract add_ sub_ subtract_ radd rsub iadd isub lerp lerp_ cat concat concatenate stack hstack vstack dstack
    view_as reshape_as expand_as type_as to
"""
# To another floating dtype, which is linear but for the rounding; what comes of integers is not.
_CASTS = """
    to type type_as float double half bfloat16 cpu cuda
"""
# They take nothing of the image but its shape and dtype.
_CONSTANTS = """
    zeros_like ones_like full_like new_zeros new_ones new_full
"""
# Linear in the first argument, if the others do not depend on the image.
_LINEAR = """
    neg negative positive flatten unflatten ravel reshape permute transpose t T mT adjoint swapaxes swapdims movedim moveaxis
    squeeze unsqueeze chunk split tensor_split hsplit vsplit unbind narrow select diagonal mean sum cumsum diff trace
    channel_shuffle view expand broadcast_to repeat tile repeat_interleave contiguous clone neg_ getitem
    roll flip fliplr flipud rot90 unfold take gather index_select take_along_dim tril triu register_hook retain_grad
"""
_COMPARISONS = """
    gt lt ge le greater less greater_equal less_equal
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
    functions = {getattr(functional, name) for name in f"{_FUNCTIONAL} {_FACTORS}".split()}
    names = f"{_PRODUCTS} {_QUOTIENTS} {_SUMS} {_CASTS} {_CONSTANTS} {_LINEAR}".split()
    functions |= {getattr(torch, name) for name in names if callable(getattr(torch, name, None))}
    return modules, frozenset(functions), frozenset(names)


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


def _known(node: Node) -> bool:
    modules, functions, methods = _linear()
    if node.op == "module":
        return _twin.kind(node.module) in modules
    return node.op == "item" or node.target in (methods if node.op == "method" else functions)


def _by_hand(node: Node, name: str) -> bool:
    """Whether a call is what a ReLU is written by hand with: the sign of the image's values."""
    one, other = node.argument(0, "input"), node.argument(1, "other")
    with_zero = any(
        isinstance(values, Node) and _rectifiers.is_zero(zero, values)
        for values, zero in ((one, other), (other, one))
    )
    return name == "heaviside" or (name in _COMPARISONS.split() and with_zero)


def _name(node: Node) -> str:
    return str(node.target if node.op == "method" else getattr(node.target, "__name__", ""))


def unruled(node: Node, moving: Collection[Node], results: Iterable[Any]) -> str:
    """Say why a call that is no unit does not hand the true gradient on under every rule; empty if it does.

    `moving` are those of its arguments through which gradients reach the image, `results` the tensors that came of it.
    """
    name = _name(node)
    if not _known(node):
        hint = "; it looks like a ReLU written by hand: use torch.relu" if _by_hand(node, name) else ""
        return f"it, only for ReLU and LeakyReLU{hint}"
    if name not in _CONSTANTS.split() and not all(tensor.is_floating_point() for tensor in results):
        return "what makes integers of the image"
    return misused(node, moving)


def misused(node: Node, moving: Collection[Node]) -> str:
    """Say in which way a known function is not linear in the image; empty if it is."""
    name = _name(node)
    met = [found for found in inputs_of(node) if found in moving]
    if name in _QUOTIENTS.split():
        divisor = node.argument(*((0, "self") if name in ("rdiv", "rtruediv") else (1, "other")))
        if any(found is divisor for found in met):
            return "a division by what depends on the image"
        return "" if node.kwargs.get("rounding_mode") is None else "a division that rounds"
    if name in f"{_PRODUCTS} {_FACTORS}".split():
        return "a product of tensors that depend on the image" if len(met) > 1 else ""
    if name in ("lerp", "lerp_"):
        weight = node.argument(2, "weight")
        return "a weight that depends on the image" if any(found is weight for found in met) else ""
    first = node.argument(0, "input", node.kwargs.get("self"))
    if name in _SUMS.split() or not met or (len(met) == 1 and met[0] is first):
        return ""
    return "it where more than its input depends on the image"
