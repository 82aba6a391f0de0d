"""The trained networks of the shared data folder, where it is present: tests that need them skip without it."""

from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[2] / "shared" / "data"
CONVOLUTIONS = DATA / "vgg16_convolutions.npz"
HEAD = DATA / "vgg16_mri_head.npz"
SIZE = 240
CLASSES = ("glioma", "meningioma", "none", "pituitary")

needs_data = pytest.mark.skipif(not HEAD.exists(), reason="the shared networks are not there")


def classifier():
    """VGG-16's convolutions with four dense layers, a torch module: ``--model real_networks:classifier``.

    The file's first filters are stored for RGB and read it as if its first channel were blue; scales and shifts behind a ReLU
    are taken into the next dense layer.
    """
    import torch
    from torch import nn

    convolutions, head = (dict(np.load(file)) for file in (CONVOLUTIONS, HEAD))
    tensor = lambda array: torch.from_numpy(np.ascontiguousarray(array))  # noqa: E731
    layers, block = [], 1
    for name in sorted(name for name in convolutions if name.endswith("_W")):
        if int(name[4]) != block:
            layers.append(nn.MaxPool2d(2))
            block = int(name[4])
        weights = convolutions[name]
        weights = weights[:, :, ::-1] if name == "conv1_1_W" else weights
        conv = nn.Conv2d(weights.shape[2], weights.shape[3], 3, padding=1)
        conv.weight.data = tensor(weights.transpose(3, 2, 0, 1))
        conv.bias.data = tensor(convolutions[f"{name[:-1]}b"])
        layers += [conv, nn.ReLU()]
    layers += [nn.MaxPool2d(2), nn.Flatten()]
    scale, shift = None, None
    for number in range(1, 5):
        weights, bias = head[f"fc{number}_W"], head[f"fc{number}_b"]
        if number == 1:
            weights = weights.reshape(7, 7, 512, -1).transpose(2, 0, 1, 3).reshape(len(weights), -1)
        if scale is not None:
            bias, weights = bias + shift @ weights, scale[:, None] * weights
        dense = nn.Linear(*weights.shape)
        dense.weight.data, dense.bias.data = tensor(weights.T), tensor(bias)
        layers += [dense] if number == 4 else [dense, nn.ReLU()]
        scale, shift = head.get(f"bn{number}_scale"), head.get(f"bn{number}_shift")
    return nn.Sequential(*layers).eval()
