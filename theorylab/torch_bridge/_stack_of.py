"""Describe a PyTorch module by its architecture and the scale of its weights."""

from __future__ import annotations

from typing import Any

from theorylab import _validation
from theorylab.description import INITS, description, refusal
from theorylab.model.stack import Stack
from theorylab.torch_bridge._from_torch import from_torch
from theorylab.torch_bridge._translate import NoCounterpart


@_validation.checked
def stack_of(
    module: Any, input_shape: tuple[int, int, int], *, init: str = "as-is", biases: bool = False
) -> Stack:
    """Describe a PyTorch module as a random network: its architecture, and how large the weights of each layer are.

    Parameters
    ----------
    module : torch.nn.Module
        As :func:`from_torch` takes it: Conv2d, Linear, pools, BatchNorm2d behind a convolution, Flatten, Dropout and additions
        around residual blocks, with one kind of unit (ReLU, or LeakyReLU of one slope) behind each layer of weights and each
        sum but the logits.
    input_shape : (C, H, W)
    init : "as-is", "pytorch" or "kaiming"
        Standard deviation ``c`` of each layer's weights, ``n`` its fan-in.  "as-is": their root mean square in the module.
        "pytorch": ``1/√(3n)``, that of the uniform weights with which Conv2d and Linear begin.  "kaiming": ``√(2/n)``, that of
        ``nn.init.kaiming_normal_``.
    biases : bool, default False
        Whether the hidden layers keep the biases that they have.  "as-is": Gaussian, as large as the module's, the shifts of
        batch normalisation included.  "pytorch": uniform, as the weights then are too, on ``±1/√n``.  "kaiming" leaves them 0.

    Returns
    -------
    Stack
        Its weights are Gaussian, whatever those of the module are, but with `biases` under "pytorch".  The scales of batch
        normalisation count as part of the convolutions before it under "as-is"; under the other two it is the identity, as before
        any training.

    Raises
    ------
    NoLaw
        If no Stack is this module; the message names the layer.  What :func:`theorylab.law` does not know, such as overlapping
        pools, is described, and refused by `law`.
    ModuleNotFoundError, TypeError, ValueError
        As :func:`from_torch`, if the module cannot be run or watched; if `init` is another word.

    Notes
    -----
    ``law(stack_of(module, shape), x, rule)`` is the law of the maps that the same architecture shows with independent
    Gaussian weights of this size: if it knew nothing.  Where the kind of weights matters beside their size is the readout: in a
    three-layer network the mean map of guided backpropagation and DeconvNet is proportional to ``E max(V, 0)``, which is
    1.085 times as large for uniform weights ``V`` as for Gaussian ones.

    Examples
    --------
    >>> from torch import nn
    >>> module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))
    >>> stack = stack_of(module, (3, 8, 8), init="kaiming")
    >>> stack.layers[0].n_filters, round(stack.layers[0].std ** 2 * 27, 6), stack.n_logits
    (8, 2.0, 10)
    >>> stack_of(nn.Sequential(nn.Flatten(), nn.Linear(192, 9), nn.GELU(), nn.Linear(9, 2)), (3, 8, 8))
    Traceback (most recent call last):
    theorylab.analytic.nolaw.NoLaw: no law at 2 (GELU), from_torch does not know this layer: no Stack describes it; ...
    """
    init = _validation.choice(init, ("as-is", *INITS), "init")
    try:
        net = from_torch(module, input_shape)
    except NoCounterpart as error:
        raise refusal(str(error).replace(": ", ", ", 1)) from None
    return description(net.nodes, net.parameters if init == "as-is" else init, biases=biases)
