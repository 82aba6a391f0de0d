"""Turn an explicit NumPy network into a PyTorch module."""

from __future__ import annotations

import operator
from typing import Any

from theorylab import _validation
from theorylab.model.units import ReLU
from theorylab.networks import nodes as kinds
from theorylab.networks.graph import GraphNetwork
from theorylab.torch_bridge._available import require_torch


@_validation.checked
def to_torch(net: GraphNetwork, device: Any = None) -> Any:
    """Turn an explicit NumPy network into a PyTorch module, to run it on a graphics card.

    Parameters
    ----------
    net : GraphNetwork
    device : str or torch.device, optional
        Where its parameters lie; the CPU unless given.

    Returns
    -------
    torch.fx.GraphModule
        In evaluation mode, from ``(B, C, H, W)`` to logits ``(B, K)``, of the network's dtype.  Its ``state_dict`` has the
        names of ``net.parameters``, whose values are copied.

    Raises
    ------
    ModuleNotFoundError
        If PyTorch is not installed.
    TypeError
        If `net` is no GraphNetwork.
    ValueError
        If weights are drawn row by row and not held, or a node has no module; the message names it.  If `device` does not exist.

    Notes
    -----
    The inverse of :func:`from_torch`; the rules are those of :func:`attribute_many`.

    Examples
    --------
    >>> import numpy as np
    >>> from theorylab.networks import vgg16
    >>> net = vgg16(input_shape=(3, 32, 32), n_logits=4, n_hidden=8)
    >>> x = np.ones((1, 3, 32, 32), dtype=net.dtype)
    >>> import torch
    >>> found = to_torch(net)(torch.from_numpy(x)).detach().numpy()
    >>> bool(np.allclose(found[0], net.logits(x[0]), atol=1e-5))
    True
    """
    require_torch()
    import torch

    from theorylab.torch_bridge._attribute import device_of

    place = torch.device("cpu") if device is None else device_of(device)
    if net.rows:
        raise ValueError(f"net: {next(iter(net.rows))} is drawn row by row, and PyTorch needs all of it")
    graph = torch.fx.Graph()
    values, parts = {net.nodes[0].name: graph.placeholder("x")}, {}
    with torch.device("meta"):  # parameters come from the network
        for node in net.nodes[1:]:
            read = [values[name] for name in node.inputs]
            if isinstance(node, kinds.Add):
                total = read[0]
                for other in read[1:]:
                    total = graph.call_function(operator.add, (total, other))
                values[node.name] = total
                continue
            path = getattr(node, "prefix", None) or node.name
            parts[path] = _module(node, net.shapes[node.inputs[0]])
            values[node.name] = graph.call_module(path, (read[0],))
    graph.output(values[net.nodes[-1].name])
    held = {name: torch.tensor(array, device=place) for name, array in net.parameters.items()}
    for path, part in parts.items():
        if isinstance(part, torch.nn.BatchNorm2d):
            held[f"{path}.num_batches_tracked"] = torch.zeros((), dtype=torch.long, device=place)
    module = torch.fx.GraphModule(parts, graph, "Network")
    module.load_state_dict(held, assign=True)
    return module.requires_grad_(False).eval()


def _module(node: kinds.Node, shape: tuple[int, ...]) -> Any:
    """Return the module of PyTorch that a node is, without parameters; `shape` is what it reads."""
    from torch import nn

    match node:
        case kinds.Conv():
            return nn.Conv2d(shape[0], node.n_filters, node.kernel, node.stride, node.padding, bias=node.bias)
        case kinds.Dense():
            return nn.Linear(shape[0], node.n_outputs, bias=node.bias)
        case kinds.Activation():
            return nn.ReLU() if isinstance(node.unit, ReLU) else nn.LeakyReLU(node.unit.slope)
        case kinds.MaxPool(windows=windows):
            return nn.MaxPool2d(windows.size, windows.stride, windows.padding, ceil_mode=windows.ceil_mode)
        case kinds.AveragePool():
            return nn.AvgPool2d(node.size, node.stride, node.padding, count_include_pad=node.include_padding)
        case kinds.AdaptiveAveragePool():
            return nn.AdaptiveAvgPool2d(node.size)
        case kinds.BatchNorm():
            return nn.BatchNorm2d(shape[0], eps=node.eps)
        case kinds.Flatten():
            return nn.Flatten()
    raise ValueError(f"net: node {node.name!r}, {type(node).__name__}, is no module of PyTorch")
