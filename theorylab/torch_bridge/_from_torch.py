"""Turn a PyTorch module into an explicit NumPy network."""

from __future__ import annotations

from typing import Any

import numpy as np

from theorylab import _validation
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.nodes import Input
from theorylab.networks.parameters import trace_shapes
from theorylab.torch_bridge._available import require_torch


@_validation.checked
def from_torch(module: Any, input_shape: tuple[int, int, int]) -> GraphNetwork:
    """Turn a PyTorch module into an explicit NumPy network.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode, all float32 or all float64, from ``(B, C, H, W)`` to logits ``(B, K)``.  It may be made of
        Conv2d, Linear, ReLU, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, BatchNorm2d, Flatten, Identity, Dropout and
        their containers; additions; pooling functions; ``mean((2, 3))``; ``flatten``, ``view`` and ``reshape`` to ``(N, -1)``.
    input_shape : (C, H, W)

    Returns
    -------
    GraphNetwork
        Parameters are named as the module's and copied: training that goes on does not change them.  A module that is
        called more than once is as many nodes, which share their parameters; the second is called ``name_1``.  Batch
        normalisation without parameters of its own gets weights of 1 and biases of 0.  Parameters that the output
        does not depend on are left out.

    Raises
    ------
    ModuleNotFoundError
        If PyTorch is not installed.
    TypeError
        If `module` is no ``torch.nn.Module`` or a size is no integer.
    ValueError
        If the module cannot be run or watched (see :func:`attribute`), or the image goes through something else than
        the layers above, an option of them that the graph does not have (groups, dilation, ``ceil_mode`` of averages, padding
        other than zeros), or a backward hook; if shapes do not fit; if graph and module differ on another image than that they
        were read with.  The message names the module or function.

    Notes
    -----
    Eq. 1 at every ReLU, however it is written (see :func:`attribute`).  The module runs on two random images, the graph
    on one of them.  A layer with a parametrization, or whose weight a forward hook computes, has the weight as it is.
    An operation in place changes every name of
    its tensor, as in PyTorch; one that changes a tensor through a view of another shape which is read again is refused.

    Examples
    --------
    >>> from torch import nn
    >>> relu = nn.ReLU(inplace=True)
    >>> module = nn.Sequential(nn.Conv2d(1, 2, 2), relu, nn.Flatten(), nn.Linear(8, 4), relu, nn.Linear(4, 3))
    >>> net = from_torch(module, (1, 3, 3))
    >>> [node.name for node in net.nodes]
    ['input', '0', '1', '2', '3', '1_1', '5']
    >>> list(net.parameters) == list(module.state_dict())
    True
    """
    require_torch()
    import torch

    from theorylab.torch_bridge import _twin
    from theorylab.torch_bridge._recording import Recorder
    from theorylab.torch_bridge._translate import Translation

    module = _twin.check_classifier(module)
    dtype, device = _twin.precision(module)
    shape = Input("input", tuple(input_shape)).output_shape()
    for path, part in module.named_modules():
        if part._backward_hooks or part._backward_pre_hooks:
            raise ValueError(
                f"{_twin.labelled(path, part)}: it has a backward hook, which the graph cannot hold; remove it"
            )
    first, second = np.random.default_rng(0).standard_normal((2, *shape))
    with torch.inference_mode(False), torch.enable_grad():
        recorder = Recorder(module, device, strict=True)
        output = recorder.run(torch.tensor(first[None], dtype=dtype, device=device, requires_grad=True))
        if not isinstance(output, torch.Tensor):
            got = _validation.kind(output)
            raise ValueError(f"module: expected one tensor of logits as output, got {got}")
        translation = Translation(recorder.nodes, shape)
        last = translation.run(recorder.result)
    # What the output does not depend on is left out: the graph has no loose ends.
    needed = {last}
    for node in reversed(translation.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    nodes = [node for node in translation.nodes if node.name in needed]
    wanted = trace_shapes(nodes)[1]
    held = {name: translation.parameters[name].detach().cpu().numpy().copy() for name in wanted}
    network = GraphNetwork(nodes, held)
    with torch.inference_mode(False):
        expected = recorder.again(torch.tensor(second[None], dtype=dtype, device=device)).cpu().numpy()[0]
    # On another image than the one that it was read with: what depends on values shows.
    tolerance = (1e-8 if expected.dtype == np.float64 else 1e-3) * np.abs(expected).max()
    if not np.allclose(network.logits(second.astype(expected.dtype)), expected, rtol=0, atol=tolerance):
        raise ValueError(
            f"module: {type(module).__name__} computes something else than its layers, as if it read values of the image"
        )
    return network
