"""The small random modules that implementations are tried on: each has one thing that some of them get wrong."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

SHAPE = (3, 12, 11)
LOGITS = 5
FUNCTIONAL, OVERLAPPING = "functional ReLUs", "overlapping max-pool"
# Without ties: behind a ReLU, windows of zeros have no winner that implementations agree on.
_POOLED = "convolutions, max-pools before the ReLUs"
KINDS = {
    "chain": "convolutions, dense layers and a module for each ReLU",
    FUNCTIONAL: "the same, its ReLUs written as F.relu, torch.relu and x.relu()",
    "one ReLU for all": "the same, with one ReLU module in three places",
    "max-pool": _POOLED,
    OVERLAPPING: f"{_POOLED}; windows share pixels",
    "residual": "two branches that are added",
    "without biases": "the chain with strides and without biases",
    "dense": "dense layers alone",
}
"""What each network is made of, by name; the first is the plainest."""


@functools.cache
def _classes() -> dict[str, type]:
    import torch
    from torch import nn

    class Chain(nn.Sequential):
        def forward(self, x: Any) -> Any:
            for (
                layer
            ) in self:  # no layer of its own for the change of shape, for which Captum's LRP has no rule
                x = layer(x.flatten(1) if isinstance(layer, nn.Linear) else x)
            return x

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2, self.fc1, self.fc2 = _weighted(nn)

        def forward(self, x: Any) -> Any:
            x = nn.functional.relu(self.conv1(x))
            x = torch.relu(self.conv2(x))
            return self.fc2(self.fc1(x.flatten(1)).relu())

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 6, 3, 2, padding=1)
            self.relu1 = nn.ReLU()
            self.branch1, self.branch2 = (nn.Conv2d(6, 6, 3, padding=1) for _ in range(2))
            self.relu2, self.relu3 = nn.ReLU(), nn.ReLU()
            self.fc = nn.Linear(6 * 6 * 6, LOGITS)

        def forward(self, x: Any) -> Any:
            x = self.relu1(self.stem(x))
            x = self.relu3(self.branch2(self.relu2(self.branch1(x))) + x)
            return self.fc(x.flatten(1))

    return {"chain": Chain, "functional": Functional, "residual": Residual}


def _weighted(nn: Any, stride: int = 1, bias: bool = True) -> list[Any]:
    height, width = ((side - 1) // stride - 1 for side in SHAPE[1:])
    return [
        nn.Conv2d(3, 6, 3, stride, padding=1, bias=bias),
        nn.Conv2d(6, 6, 3, bias=bias),
        nn.Linear(6 * height * width, 16, bias=bias),
        nn.Linear(16, LOGITS, bias=bias),
    ]


def _pooled(nn: Any, pool: Any, size: int) -> list[Any]:
    return [
        nn.Conv2d(3, 6, 3, padding=1),
        pool,
        nn.ReLU(),
        nn.Conv2d(6, 8, 2),
        nn.ReLU(),
        nn.Linear(size, LOGITS),
    ]


def _between(layers: list[Any], units: Callable[[], Any]) -> list[Any]:
    return [part for layer in layers for part in (layer, units())][:-1]


def module(name: str, seed: np.random.SeedSequence, dtype: Any) -> Any:
    """Return a module in evaluation mode, from (1, 3, 12, 11) to logits (1, 5); its weights are numbers of float32 too."""
    import torch
    from torch import nn

    made, one = _classes(), nn.ReLU()
    match name:
        case "chain":
            net = made["chain"](*_between(_weighted(nn), nn.ReLU))
        case "functional ReLUs":
            net = made["functional"]()
        case "one ReLU for all":
            net = made["chain"](*_between(_weighted(nn), lambda: one))
        case "max-pool":
            net = made["chain"](*_pooled(nn, nn.MaxPool2d(2), 8 * 5 * 4))
        case "overlapping max-pool":
            net = made["chain"](*_pooled(nn, nn.MaxPool2d(3, 2), 8 * 4 * 4))
        case "residual":
            net = made["residual"]()
        case "without biases":
            net = made["chain"](*_between(_weighted(nn, 2, False), nn.ReLU))
        case "dense":
            layers = [nn.Linear(math.prod(SHAPE), 30), nn.Linear(30, 20), nn.Linear(20, LOGITS)]
            net = made["chain"](*_between(layers, nn.ReLU))
        case _:
            raise ValueError(f"network: unknown {name!r}")
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            std = math.sqrt(2 / parameter[0].numel()) if parameter.ndim > 1 else 0.5
            parameter.copy_(torch.tensor(std * rng.standard_normal(tuple(parameter.shape))))
    return net.to(dtype).eval()


def scaled(net: Any, factor: float) -> Any:
    """Multiply the biases of a chain: with a picture scaled alike all activations are, and the gradient stays."""
    import torch

    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                parameter *= factor
    return net


def picture(seed: np.random.SeedSequence) -> np.ndarray:
    """Return a picture of noise, of numbers that float32 has too."""
    drawn = np.random.default_rng(seed).standard_normal(SHAPE)
    return drawn.astype(np.float32).astype(np.float64)
