"""A layer of PyTorch as a node of the explicit graph, or a refusal that says what of it has no counterpart."""

from __future__ import annotations

import functools
from typing import Any

from theorylab.model.pooling import MaxPool as PoolWindows
from theorylab.model.stack import Shape
from theorylab.networks.nodes import (
    AdaptiveAveragePool,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    MaxPool,
    Node,
    Pair,
)


def _need(fits: object, what: str) -> None:
    if not fits:
        raise ValueError(f"{what} has no counterpart in the graph")


def _pair(value: Any) -> tuple[Any, Any]:
    first, second = value if isinstance(value, (tuple, list)) else (value, value)
    return first, second


def _conv_padding(module: Any) -> Pair:
    if module.padding == "valid":
        return 0
    if module.padding == "same":
        odd = all(side % 2 for side in module.kernel_size)
        _need(odd, f"padding='same' of kernel {module.kernel_size}, more on one side than on the other,")
        return module.kernel_size[0] // 2, module.kernel_size[1] // 2
    padding: Pair = module.padding
    return padding


def layer(name: str, source: str, shape: Shape, module: Any, prefix: str) -> Node:
    """Return the node of a module that owns parameters or pools.

    Parameters
    ----------
    name, source : str
        Of the node and of what it reads.
    shape : tuple of int
        Of what it reads.
    module : torch.nn.Module
        Of exactly one of the known types: a subclass may compute anything.
    prefix : str
        Of its parameters.

    Raises
    ------
    TypeError
        If the type is unknown.
    ValueError
        If an option has no counterpart; the message names it.
    """
    from torch import nn

    kind = type(module)
    if kind is nn.Conv2d:
        _need(module.groups == 1, f"groups={module.groups}")
        _need(_pair(module.dilation) == (1, 1), f"dilation={module.dilation}")
        _need(module.padding_mode == "zeros", f"padding_mode={module.padding_mode!r}")
        padding, bias = _conv_padding(module), module.bias is not None
        return Conv(
            name,
            source,
            module.out_channels,
            module.kernel_size,
            module.stride,
            padding,
            bias=bias,
            prefix=prefix,
        )
    if kind is nn.Linear:
        return Dense(name, source, module.out_features, bias=module.bias is not None, prefix=prefix)
    if kind is nn.BatchNorm2d:
        return BatchNorm(name, source, module.eps, prefix=prefix)
    if kind is nn.MaxPool2d:
        _need(_pair(module.dilation) == (1, 1), f"dilation={module.dilation}")
        _need(not module.ceil_mode, "ceil_mode=True")
        _need(not module.return_indices, "return_indices=True")
        return MaxPool(name, source, PoolWindows(module.kernel_size, module.stride, module.padding))
    if kind is nn.AvgPool2d:
        _need(not module.ceil_mode, "ceil_mode=True")
        _need(module.divisor_override is None, f"divisor_override={module.divisor_override}")
        included = bool(module.count_include_pad)
        return AveragePool(name, source, module.kernel_size, module.stride, module.padding, included)
    if kind is nn.AdaptiveAvgPool2d:
        size = _pair(module.output_size)
        if None in size and len(shape) == 3:  # None: as many as there are
            size = (size[0] or shape[1], size[1] or shape[2])
        return AdaptiveAveragePool(name, source, size)
    raise TypeError("from_torch does not know this layer")


def parameters_of(module: Any, prefix: str) -> dict[str, Any]:
    """Tensors of a module by name.  Batch normalisation without a scale and shift of its own has 1 and 0."""
    import torch

    tensors = {f"{prefix}.{name}": tensor for name, tensor in module.named_parameters(recurse=False)}
    if type(module) is torch.nn.BatchNorm2d:
        if module.weight is None:
            tensors[f"{prefix}.weight"] = torch.ones_like(module.running_mean)
        if module.bias is None:
            tensors[f"{prefix}.bias"] = torch.zeros_like(module.running_mean)
        tensors |= {
            f"{prefix}.running_{part}": getattr(module, f"running_{part}") for part in ("mean", "var")
        }
    return tensors


@functools.cache
def _pools() -> dict[Any, tuple[type, tuple[str, ...]]]:
    from torch import nn
    from torch.nn import functional

    window = ("kernel_size", "stride", "padding")
    return {
        functional.max_pool2d: (nn.MaxPool2d, (*window, "dilation", "ceil_mode", "return_indices")),
        functional.avg_pool2d: (
            nn.AvgPool2d,
            (*window, "ceil_mode", "count_include_pad", "divisor_override"),
        ),
        functional.adaptive_avg_pool2d: (nn.AdaptiveAvgPool2d, ("output_size",)),
    }


def pool_of(node: Any) -> Any:
    """Return the pooling module that a pooling function of ``torch.nn.functional`` stands for, or None."""
    if node.op != "call_function" or node.target not in _pools():
        return None
    kind, names = _pools()[node.target]
    options = {name: value for name, value in node.kwargs.items() if name != "input"}
    return kind(**dict(zip(names, node.args[1:], strict=False)), **options)
