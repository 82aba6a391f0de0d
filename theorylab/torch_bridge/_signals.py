"""Gradients of many signals behind one forward pass: all in one backward pass where PyTorch can, else one by one."""

from __future__ import annotations

import math
from typing import Any

from theorylab.model.rules import Rule
from theorylab.torch_bridge._calls import steps_of
from theorylab.torch_bridge._recording import Recorder

# Steps of a backward pass that ``torch.func.vmap`` has a rule for: of others it may warn that they are slow, or fail.
_BATCHED = """
    Rectify Convolution Addmm Mm Bmm Add Sub Rsub Neg Mul Div Mean Sum Cat Stack Split Unbind
    MaxPool2DWithIndices AdaptiveMaxPool2D AvgPool2D AdaptiveAvgPool2D
    NativeBatchNorm CudnnBatchNorm NativeLayerNorm NativeGroupNorm
    View UnsafeView ReshapeAlias Clone T Transpose Permute Expand Squeeze Unsqueeze Slice Select Flip Roll Repeat
    ConstantPadNd ReflectionPad2D ReplicationPad2D UpsampleNearest2D UpsampleBilinear2D PixelShuffle ToCopy
    Gelu Silu Sigmoid Tanh Hardswish Hardtanh Elu Softmax
"""
# Of the largest tensor of a pass on a CPU; beyond its caches nothing is gained.
_BYTES = 2**25


def send_back(
    recorder: Recorder, logits: Any, image: Any, signals: Any, rules: tuple[Rule, ...], maps: Any
) -> None:
    """Fill `maps` (S, B, C, H, W) with gradients of `image` for `signals` at the logits (S, B, K), under a rule each."""
    import torch

    size, start = _at_once(recorder, logits, len(rules)), 0
    while start < len(rules):
        rows = slice(start, start + size)
        recorder.current.rules = rules[rows]
        try:
            if len(rules[rows]) == 1:
                maps[start] = _gradient(logits, image, signals[start])
            else:
                maps[rows] = torch.func.vmap(lambda signal: _gradient(logits, image, signal))(signals[rows])
        except Exception as error:
            if len(rules[rows]) > 1:  # what failed together may go alone
                size = size // 2 if isinstance(error, torch.cuda.OutOfMemoryError) else 1
                continue
            # A backward hook of the user's may raise anything.
            reason = [*str(error).splitlines(), type(error).__name__][0]
            raise ValueError(f"module: PyTorch cannot differentiate it: {reason}") from error
        start += size


def _at_once(recorder: Recorder, logits: Any, count: int) -> int:
    """Return how many of `count` signals go back in one pass."""
    known = {f"{name}Backward" for name in _BATCHED.split()} | {"torch::autograd::AccumulateGrad"}
    if recorder.hooked or not all(
        step.name().rstrip("0123456789") in known for step in steps_of(logits.grad_fn)
    ):
        return 1
    if logits.device.type != "cpu":
        return count
    largest: int = max(math.prod(node.shape) for node in recorder.nodes) * logits.element_size()
    return min(count, max(1, _BYTES // max(1, largest)))  # pictures may be empty


def _gradient(logits: Any, image: Any, signal: Any) -> Any:
    import torch

    return torch.autograd.grad(
        logits, image, signal, retain_graph=True, allow_unused=True, materialize_grads=True
    )[0]
