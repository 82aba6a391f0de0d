"""Turn a PyTorch module into an explicit NumPy network."""

from __future__ import annotations

from typing import Any

from theorylab import _validation
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.parameters import trace_shapes
from theorylab.torch_bridge import _tracing
from theorylab.torch_bridge._translate import Translation


@_validation.checked
def from_torch(module: Any, input_shape: tuple[int, int, int]) -> GraphNetwork:
    """Turn a PyTorch module into an explicit NumPy network.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode, all float32 or all float64, from ``(B, C, H, W)`` to logits ``(B, K)``.  It may be made of
        Conv2d, Linear, ReLU, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, BatchNorm2d, Flatten, Identity, Dropout and
        their containers; additions; pooling functions; ``flatten``, ``view`` and ``reshape`` to ``(N, -1)``.
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
        If ``torch.fx`` cannot trace the module, or it holds something else than the layers above, an option of them
        that the graph does not have (groups, dilation, ``ceil_mode``, padding other than zeros), dropout or batch
        normalisation in training mode, a forward hook, mixed dtypes or half precision; if shapes do not fit.  The
        message names the module or function.

    Notes
    -----
    Eq. 1 at every ReLU, however it is written (see :func:`attribute`).  An operation in place changes every name of
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
    _tracing.require_torch()
    traced = _tracing.trace(module)
    hooked = _tracing.hooked(module)
    if hooked:
        raise ValueError(f"{hooked}: it has a forward hook, which the graph cannot hold; remove it")
    _tracing.precision(traced)  # one dtype and one device, or an error
    translation = Translation(traced, tuple(input_shape))
    last = translation.run()
    # What the output does not depend on is left out: the graph has no loose ends.
    needed = {last}
    for node in reversed(translation.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    nodes = [node for node in translation.nodes if node.name in needed]
    wanted = trace_shapes(nodes)[1]
    held = {name: translation.parameters[name].detach().cpu().numpy().copy() for name in wanted}
    return GraphNetwork(nodes, held)
