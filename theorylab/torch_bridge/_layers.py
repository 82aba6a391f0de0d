"""A layer of PyTorch as a node of the explicit graph, or a refusal that says what of it has no counterpart."""

from __future__ import annotations

import functools
from typing import Any

from theorylab.model.pooling import MaxPool
from theorylab.model.stack import Shape
from theorylab.networks import nodes
from theorylab.torch_bridge import _twin

_KINDS = "Conv2d Linear BatchNorm2d MaxPool2d AvgPool2d AdaptiveAvgPool2d"
# Options that have no counterpart in the graph unless they are this.
_PLAIN = {
    "groups": 1,
    "dilation": 1,
    "padding_mode": "zeros",
    "return_indices": False,
    "divisor_override": None,
}


def _pair(value: Any) -> tuple[Any, Any]:
    first, second = value if isinstance(value, (tuple, list)) else (value, value)
    return first, second


def _conv_padding(module: Any) -> nodes.Pair:
    if module.padding == "valid":
        return 0
    if module.padding == "same":
        height, width = module.kernel_size
        if not (height % 2 and width % 2):
            raise ValueError(
                f"padding='same' of kernel {module.kernel_size}, more on one side than on the other, has no counterpart "
                "in the graph"
            )
        return height // 2, width // 2
    padding: nodes.Pair = module.padding
    return padding


def layer(name: str, source: str, shape: Shape, module: Any, prefix: str) -> nodes.Node:
    """Return the node of a module that owns parameters or pools: of its name, source, source's shape, parameters' prefix.

    A TypeError if the module's type is unknown, a ValueError if an option of it has no counterpart.
    """
    from torch import nn

    kind = _twin.kind(module)  # exactly: a subclass may compute anything
    if kind not in [getattr(nn, name) for name in _KINDS.split()]:
        raise TypeError("from_torch does not know this layer")
    for option, plain in _PLAIN.items():
        value = getattr(module, option, plain)
        if _pair(value) != (plain, plain):
            raise ValueError(f"{option}={value!r} has no counterpart in the graph")
    if kind is nn.BatchNorm2d:
        return nodes.BatchNorm(name, source, module.eps, prefix=prefix)
    if kind is nn.MaxPool2d:
        windows = MaxPool(module.kernel_size, module.stride, module.padding, bool(module.ceil_mode))
        return nodes.MaxPool(name, source, windows)
    if kind is nn.AvgPool2d:
        if module.ceil_mode:
            raise ValueError("ceil_mode=True has no counterpart in the graph")
        included = bool(module.count_include_pad)
        return nodes.AveragePool(name, source, module.kernel_size, module.stride, module.padding, included)
    if kind is nn.AdaptiveAvgPool2d:
        size = _pair(module.output_size)
        if None in size and len(shape) == 3:  # None: as many as there are
            size = (size[0] or shape[1], size[1] or shape[2])
        return nodes.AdaptiveAveragePool(name, source, size)
    weights: dict[str, Any] = {"bias": module.bias is not None, "prefix": prefix}
    if kind is nn.Linear:
        return nodes.Dense(name, source, module.out_features, **weights)
    padding = _conv_padding(module)
    return nodes.Conv(
        name, source, module.out_channels, module.kernel_size, module.stride, padding, **weights
    )


def parameters_of(module: Any, prefix: str) -> dict[str, Any]:
    """Tensors of a module by name.  Batch normalisation without a scale and shift of its own has 1 and 0."""
    import torch

    # By attribute: a parametrization computes what has no entry of its own.
    held = {name: getattr(module, name, None) for name in ("weight", "bias")}
    tensors = {f"{prefix}.{name}": tensor for name, tensor in held.items() if tensor is not None}
    if _twin.kind(module) is torch.nn.BatchNorm2d:
        mean: Any = module.running_mean
        plain = {f"{prefix}.weight": torch.ones_like(mean), f"{prefix}.bias": torch.zeros_like(mean)}
        statistics = {f"{prefix}.running_mean": mean, f"{prefix}.running_var": module.running_var}
        return {**plain, **tensors, **statistics}
    return tensors


@functools.cache
def _pools() -> dict[Any, tuple[type, str]]:
    from torch import nn
    from torch.nn import functional

    window = "kernel_size stride padding"
    return {
        functional.max_pool2d: (nn.MaxPool2d, f"{window} dilation ceil_mode return_indices"),
        functional.avg_pool2d: (nn.AvgPool2d, f"{window} ceil_mode count_include_pad divisor_override"),
        functional.adaptive_avg_pool2d: (nn.AdaptiveAvgPool2d, "output_size"),
    }


def pool_of(node: Any) -> Any:
    """Return the pooling module that a pooling function of ``torch.nn.functional`` stands for, or None."""
    if node.op != "function" or node.target not in _pools():
        return None
    kind, names = _pools()[node.target]
    options = {name: value for name, value in node.kwargs.items() if name != "input"}
    return kind(**dict(zip(names.split(), node.args[1:], strict=False)), **options)
