"""The same networks in PyTorch, and their maps by Captum: what the comparison is with."""

from __future__ import annotations

import numpy as np
import torch
import torch_graphs
from torch import nn

from theorylab.model.rules import Rule
from theorylab.networks import nodes


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
    layers = []
    for node in net.nodes[1:]:
        layers.append(torch_graphs.module_of(node, net.shapes[node.source]))
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
    return np.array([[torch_graphs.captum_maps(model, xs, rule.value, k) for k in targets] for rule in rules])


def residual(net):
    """ResNet-50 with the parameters of ours."""
    return torch_graphs.loaded(lambda: torch_graphs.ResNet(None, net.n_logits), net.parameters)


def compiled(model, rules, targets):
    """Six maps of a model without branches as one graph that PyTorch compiles: ``run(x)`` gives (R * T, C, H, W).

    One forward pass keeps masks and winners; the signals of all rules and logits go back as one batch, each rule's gate
    written out.
    """
    layers = list(model)
    seeds = torch.eye(layers[-1].out_features)[targets].repeat(len(rules), 1)
    count = len(targets)

    def gated(v, mask):
        rows = []
        for index, rule in enumerate(rules):
            own = v[count * index : count * (index + 1)]
            own = own.clamp(min=0) if rule in (Rule.DECONVNET, Rule.GUIDED) else own
            rows.append(own if rule is Rule.DECONVNET else own * mask)
        return torch.cat(rows)

    def six(x):
        y, kept = x, []
        for layer in layers:
            match layer:
                case nn.ReLU():
                    kept.append(y > 0)
                    y = layer(y)
                case nn.MaxPool2d():
                    shape = y.shape
                    y, winners = nn.functional.max_pool2d(y, layer.kernel_size, return_indices=True)
                    kept.append((shape, winners))
                case nn.AdaptiveAvgPool2d():  # the identity at this size
                    kept.append(None)
                case _:
                    kept.append(y.shape)
                    y = layer(y)
        v = seeds
        for layer, saved in zip(reversed(layers), reversed(kept), strict=True):
            match layer:
                case nn.Linear():
                    v = v @ layer.weight
                case nn.Flatten():
                    v = v.reshape(-1, *saved[1:])
                case nn.ReLU():
                    v = gated(v, saved)
                case nn.MaxPool2d():
                    (_, channels, height, width), winners = saved
                    flat = torch.zeros(len(v), channels, height * width)
                    flat = flat.scatter(2, winners.flatten(2).expand(len(v), -1, -1), v.flatten(2))
                    v = flat.reshape(-1, channels, height, width)
                case nn.Conv2d():
                    v = nn.functional.conv_transpose2d(v, layer.weight, padding=layer.padding)
        return v

    fast = torch.compile(six)

    def run(x):
        with torch.no_grad():
            return fast(x)

    return run
