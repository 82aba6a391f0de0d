"""The same networks in PyTorch, and their maps by Captum: what the comparison is with."""

from __future__ import annotations

import numpy as np
import torch
from captum.attr import Deconvolution, GuidedBackprop, Saliency
from torch import nn

from theorylab.model.rules import Rule
from theorylab.networks import nodes

_METHODS = {Rule.SALIENCY: Saliency, Rule.DECONVNET: Deconvolution, Rule.GUIDED: GuidedBackprop}


def three_layer(n_filters, kernel, stride, n_patches):
    """Convolution, ReLU and one logit, without biases."""
    return nn.Sequential(
        nn.Conv2d(3, n_filters, kernel, stride=stride, bias=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(n_filters * n_patches, 1, bias=False),
    ).eval()


def of(net):
    """A graph without branches, with its own parameters: no copies."""
    layers, channels = [], net.input_shape[0]
    for node in net.nodes[1:]:
        match node:
            case nodes.Conv():
                layers.append(nn.Conv2d(channels, node.n_filters, node.kernel, padding=node.padding))
                channels = node.n_filters
            case nodes.Activation():
                layers.append(nn.ReLU())
            case nodes.MaxPool():
                layers.append(nn.MaxPool2d(node.windows.size))
            case nodes.AdaptiveAveragePool():
                layers.append(nn.AdaptiveAvgPool2d(node.size))
            case nodes.Flatten():
                layers.append(nn.Flatten())
            case nodes.Dense():
                size = net.parameters[f"{node.name}.weight"].shape
                layers.append(nn.Linear(size[1], size[0]))
        if isinstance(node, (nodes.Conv, nodes.Dense)):
            for part in ("weight", "bias"):
                value = torch.from_numpy(net.parameters[f"{node.name}.{part}"])
                setattr(layers[-1], part, nn.Parameter(value, requires_grad=True))
    return nn.Sequential(*layers).eval()


def maps(model, x, rules, targets):
    """(R, T, C, H, W) by Captum, each with a forward pass of its own, as a user has them."""
    return batch_maps(model, x, rules, targets)[:, :, 0]


def batch_maps(model, xs, rules, targets):
    """As :func:`maps` of several pictures, (R, T, B, C, H, W)."""
    found = []
    for rule in rules:
        options = {"abs": False} if rule is Rule.SALIENCY else {}
        for target in targets:
            own = xs.clone().requires_grad_()
            map_ = _METHODS[rule](model).attribute(own, target=target, **options)
            found.append(map_.detach().cpu().numpy())
    return np.array(found).reshape(len(rules), len(targets), *xs.shape)
