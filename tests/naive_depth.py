"""Deep networks with max-pools, written out from the definitions: PyTorch only convolves."""

import itertools

import numpy as np
import pytest

from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule

torch = pytest.importorskip("torch")


def places_of_windows(plane, pool):
    """Flat positions that each window holds, row by row."""
    corners = itertools.product(
        range(0, plane[0] - pool.size[0] + 1, pool.stride[0]),
        range(0, plane[1] - pool.size[1] + 1, pool.stride[1]),
    )
    within = list(itertools.product(range(pool.size[0]), range(pool.size[1])))
    return np.array([[(top + i) * plane[1] + left + k for i, k in within] for top, left in corners])


def first_maxima(activations, pool):
    """Flat position of the first maximum of every window, (C, windows): a closed window's is its first entry."""
    held = places_of_windows(activations.shape[1:], pool)
    winner = activations.reshape(len(activations), -1)[:, held].argmax(axis=2)
    return held[np.arange(len(held)), winner]


def hand_on(rule, gradient, opened):
    """``T`` of a ReLU, spelled out."""
    if isinstance(rule, Rule):
        gradient = gradient * torch.where(gradient > 0, rule.up, -rule.down)
        return gradient * opened if rule.gate else gradient
    if rule != "saliency":
        gradient = gradient * (gradient > 0)
    return gradient if rule == "deconvnet" else gradient * opened


def network(x, layers, rules, rng, readout_std=1.0, digits=None):
    """One draw: for each rule a list of (V̂, o) for what each convolution reads, from the top down."""
    kind = np.float32 if digits is None else np.float64
    o, tape = torch.from_numpy(x.astype(kind)), []
    for layer in layers:
        if isinstance(layer, MaxPool):
            winners = torch.from_numpy(first_maxima(o.numpy(), layer))
            tape.append((None, o, winners))
            rows = (o.shape[1] - layer.size[0]) // layer.stride[0] + 1
            o = o.flatten(1).gather(1, winners).unflatten(1, (rows, -1))
        else:
            w = layer.std * rng.standard_normal((layer.n_filters, len(o), *layer.kernel), dtype=kind)
            w = torch.from_numpy(w.astype(kind))
            z = torch.nn.functional.conv2d(o[None], w, stride=layer.stride, padding=layer.padding)[0]
            if digits is not None:  # equal patches tie, whatever the order of additions
                z = z.round(decimals=digits)
            tape.append((layer, o, (w, z > 0)))
            o = z.clamp(min=0)
    readout, maps = torch.from_numpy(readout_std * rng.standard_normal(o.shape).astype(kind)), {}
    for rule in rules:
        gradient, maps[rule] = readout, []
        for layer, below, data in reversed(tape):
            if layer is None:
                full = torch.zeros(below.flatten(1).shape, dtype=below.dtype)
                gradient = full.scatter(1, data, gradient.flatten(1)).reshape(below.shape)
            else:
                t = hand_on(rule, gradient, data[1])[None]
                shape = (1, *below.shape)
                gradient = torch.nn.grad.conv2d_input(shape, data[0], t, layer.stride, layer.padding)[0]
                maps[rule].append((gradient.numpy().astype(np.float64), below.numpy().astype(np.float64)))
    return maps
