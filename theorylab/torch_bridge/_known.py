"""What may stand in a module beside its ReLUs."""

from __future__ import annotations

import functools
import operator
from typing import Any

from theorylab.torch_bridge._tracing import argument, described

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
    channel_shuffle t
"""
_METHODS = "view view_as reshape_as expand expand_as contiguous size dim clone add_ sub_ mul_ div_ neg_"
_OPERATORS = "add sub mul truediv neg matmul getitem iadd isub imul itruediv"
_ATTRIBUTES = ("shape", "ndim", "dtype", "device")


@functools.cache
def _linear() -> tuple[frozenset[Any], frozenset[Any], frozenset[str]]:
    """Types of modules, functions and names of methods of the lists above."""
    import torch
    from torch.nn import functional

    modules = frozenset(getattr(torch.nn, name) for name in _MODULES.split() if hasattr(torch.nn, name))
    functions = {
        *(getattr(functional, name) for name in _FUNCTIONAL.split()),
        *(getattr(torch, name) for name in _TORCH.split()),
        *(getattr(operator, name) for name in _OPERATORS.split()),
    }
    return modules, frozenset(functions), frozenset(f"{_TORCH} {_METHODS}".split())


@functools.cache
def _random() -> dict[Any, tuple[int, str, bool]]:
    """Functions that have a training mode: position, name and default of the argument that says so."""
    import torch
    from torch.nn import functional

    dropouts = (getattr(functional, f"dropout{suffix}") for suffix in ("", "1d", "2d", "3d"))
    return {
        **dict.fromkeys(dropouts, (2, "training", True)),
        **dict.fromkeys((functional.alpha_dropout, functional.feature_alpha_dropout), (2, "training", False)),
        **dict.fromkeys((torch.dropout, torch.alpha_dropout, torch.feature_dropout), (2, "train", False)),
        functional.rrelu: (3, "training", False),
        functional.batch_norm: (5, "training", False),
    }


def check_evaluation(node: Any, traced: Any) -> None:
    """Refuse an fx node that is random or looks at its batch: dropout and batch normalisation in training mode."""
    from torch import nn
    from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
    from torch.nn.modules.dropout import _DropoutNd

    if node.op == "call_module":
        # Layers of torch.nn may hold others, which torch.fx does not look at.
        for module in traced.get_submodule(node.target).modules():
            if module.training and isinstance(module, (_NormBase, _DropoutNd, nn.RReLU)):
                raise ValueError(f"{described(node, traced)}: in training mode; call module.eval() first")
            if isinstance(module, _BatchNorm) and module.running_mean is None:
                raise ValueError(f"{described(node, traced)}: it has no running statistics to normalise with")
    elif node.op == "call_function" and node.target in _random():
        position, option, default = _random()[node.target]
        if argument(node, position, option, default):
            raise ValueError(f"{described(node, traced)}: in training mode; call module.eval() first")


def check_rule(node: Any, traced: Any, rule: str) -> None:
    """Refuse an fx node that is no unit and whose gradient a rule other than the true gradient might not leave alone."""
    modules, functions, methods = _linear()
    match node.op:
        case "call_module":
            known = type(traced.get_submodule(node.target)) in modules
        case "call_function":
            known = node.target in functions or (node.target is getattr and node.args[1] in _ATTRIBUTES)
        case "call_method":
            known = node.target in methods
        case _:
            known = True
    if not known:
        raise ValueError(
            f"{described(node, traced)}: rule {rule!r} is not defined for it, only for ReLU and LeakyReLU"
        )
