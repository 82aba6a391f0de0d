"""Deep networks with max-pools, written out from the definitions: PyTorch only convolves."""

import itertools

import naive
import numpy as np
import pytest

from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.specs import AdaptiveAveragePool, ConvSpec, Residual

torch = pytest.importorskip("torch")


def places_of_windows(plane, pool):
    """Flat positions that each window holds, row by row; −1 outside the plane."""
    corners = itertools.product(*(naive.pool_starts(pool, axis, side) for axis, side in enumerate(plane)))
    within = list(itertools.product(range(pool.size[0]), range(pool.size[1])))
    return np.array(
        [
            [
                (top + i) * plane[1] + left + k
                if 0 <= top + i < plane[0] and 0 <= left + k < plane[1]
                else -1
                for i, k in within
            ]
            for top, left in corners
        ]
    )


def first_maxima(activations, pool):
    """Flat position of the first maximum of every window, (C, windows): a closed window's is its first entry."""
    held = places_of_windows(activations.shape[1:], pool)
    values = np.where(held < 0, -np.inf, activations.reshape(len(activations), -1)[:, held])
    return held[np.arange(len(held)), values.argmax(axis=2)]


def hand_on(rule, gradient, opened):
    """``T`` of a ReLU, spelled out."""
    if isinstance(rule, Rule):
        gradient = gradient * torch.where(gradient > 0, rule.up, -rule.down)
        return gradient * opened if rule.gate else gradient
    if rule != "saliency":
        gradient = gradient * (gradient > 0)
    return gradient if rule == "deconvnet" else gradient * opened


def run(layer, o, rng, digits):
    """What a layer makes of `o`, and how a rule's gradient goes back through it."""
    if isinstance(layer, MaxPool):
        winners = torch.from_numpy(first_maxima(o.numpy(), layer))
        plane = [len(naive.pool_starts(layer, axis, side)) for axis, side in enumerate(o.shape[1:])]

        def unpool(rule, gradient):
            full = torch.zeros(o.flatten(1).shape, dtype=o.dtype)
            return full.scatter_add(1, winners, gradient.flatten(1)).reshape(o.shape)

        return o.flatten(1).gather(1, winners).unflatten(1, plane), unpool
    if isinstance(layer, AdaptiveAveragePool):
        count = o.shape[1] * o.shape[2]
        return o.mean(dim=(1, 2), keepdim=True), lambda rule, gradient: gradient.expand(o.shape) / count
    if isinstance(layer, Residual):
        inner, steps = o, []
        for number, part in enumerate(layer.branch):
            make = run if number + 1 < len(layer.branch) else convolve
            inner, back = make(part, inner, rng, digits)
            steps.append(back)
        skip, around = (o, None) if layer.shortcut is None else convolve(layer.shortcut, o, rng, digits)
        z = inner + skip

        def through(rule, gradient):
            below = above = hand_on(rule, gradient, z > 0)
            for back in reversed(steps):
                above = back(rule, above)
            return above + (below if around is None else around(rule, below))

        return z.clamp(min=0), through
    z, down = convolve(layer, o, rng, digits)
    return z.clamp(min=0), lambda rule, gradient: down(rule, hand_on(rule, gradient, z > 0))


def convolve(layer, o, rng, digits):
    """A convolution without a unit."""
    kind = o.numpy().dtype
    w = layer.std * rng.standard_normal((layer.n_filters, len(o), *layer.kernel), dtype=kind)
    w = torch.from_numpy(w.astype(kind))
    z = torch.nn.functional.conv2d(o[None], w, stride=layer.stride, padding=layer.padding)[0]
    if digits is not None:  # equal patches tie, whatever the order of additions
        z = z.round(decimals=digits)

    def down(rule, gradient):
        shape = (1, *o.shape)
        return torch.nn.grad.conv2d_input(shape, w, gradient[None], layer.stride, layer.padding)[0]

    return z, down


def network(x, layers, rules, rng, readout_std=1.0, digits=None):
    """One draw: for each rule a list of (V̂, o) for what each convolution or residual block reads, from the top down."""
    kind = np.float32 if digits is None else np.float64
    o, tape = torch.from_numpy(x.astype(kind)), []
    for layer in layers:
        below = o
        o, back = run(layer, o, rng, digits)
        tape.append((layer, below, back))
    readout, maps = torch.from_numpy(readout_std * rng.standard_normal(o.shape).astype(kind)), {}
    for rule in rules:
        gradient, maps[rule] = readout, []
        for layer, below, back in reversed(tape):
            gradient = back(rule, gradient)
            if isinstance(layer, (ConvSpec, Residual)):
                maps[rule].append((gradient.numpy().astype(np.float64), below.numpy().astype(np.float64)))
    return maps
