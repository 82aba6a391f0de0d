"""The two passes through a graph, node by node: from the input to the logits, and down from the last node to the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from theorylab.kernels import magnitude
from theorylab.model.rules import Rule
from theorylab.networks import _scaling
from theorylab.networks._ties import settle
from theorylab.networks.nodes import Activation, Arrays, Conv, Flatten, MaxPool, Node, Parameters, RuleRows

Backward = Callable[[Node, Parameters, np.ndarray, Any, RuleRows], Arrays]


def ascent(
    nodes: Sequence[Node],
    parameters: Parameters,
    images: np.ndarray,
    keep: Collection[str] = (),
    *,
    exact_ties: bool = False,
) -> tuple[np.ndarray, dict[str, Any], dict[str, np.ndarray]]:
    """Run nodes, in topological order, on a batch of images of the parameters' dtype.

    Returns the output of the last node, (B, ...), what each node keeps for its backward pass, by name, and the outputs of
    the nodes of `keep`.  With `exact_ties` equal patches below a max-pool have equal outputs, to the last bit.  A ValueError
    that names the node if an activation leaves the range of the dtype.
    """
    values = {nodes[0].name: images}
    readers = Counter(name for node in nodes for name in node.inputs)
    saved: dict[str, Any] = {}
    kept = {name: images for name in keep if name == nodes[0].name}
    last_pool = max((n for n, node in enumerate(nodes) if isinstance(node, MaxPool)), default=0)
    for number, node in enumerate(nodes[1:], start=1):
        with np.errstate(over="ignore", invalid="ignore"):
            value, saved[node.name] = node.forward(parameters, *(values[name] for name in node.inputs))
        if exact_ties and isinstance(node, Conv) and number < last_pool:
            for output, source in zip(value, values[node.source], strict=True):
                settle(output, source, saved[node.name])
        # Flatten and the ReLU only hand on numbers that were checked before.
        in_range = isinstance(node, Flatten) or (isinstance(node, Activation) and not node.unit.slope)
        if not in_range and not np.isfinite(magnitude.largest(value)).all():
            raise ValueError(
                f"node {node.name!r}: activations leave the range of {images.dtype}; take "
                + ("smaller weights" if images.dtype == np.float64 else "dtype float64 or smaller weights")
            )
        values[node.name] = value
        if node.name in keep:
            kept[node.name] = value
        for name in node.inputs:
            readers[name] -= 1
            if not readers[name]:  # all that will read it have: its memory is free again
                del values[name]
    return values[nodes[-1].name], saved, kept


def _keeps_range(node: Node, rows: RuleRows) -> bool:
    """Whether what a node hands down is no larger than what it was given, which was in range."""
    if isinstance(node, Activation):
        return all(max(abs(rule.up), abs(rule.down)) <= 1 >= abs(rule.shut(node.unit)) for rule, _ in rows)
    return isinstance(node, Flatten)


def descent(
    nodes: Sequence[Node],
    parameters: Parameters,
    saved: Mapping[str, Any],
    seeds: np.ndarray,
    rules: Sequence[Rule],
    dtype: np.dtype,
    backward: Backward | None = None,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Send logit gradients down, (T, K), under each of R rules, behind the forward pass that `saved` is from.

    Yields name, gradients and exponents at the output of every node: the gradient is ``gradients · 2**exponents``, complete,
    whatever reads the node.  Above the first unit all rules share one, (T, ...) and (T,); below it they are rules × targets,
    (R·T, ...) and (R·T,).  A ValueError that names the node if a gradient leaves the range of the dtype within one layer.
    `backward` may take the place of the nodes' own under a single rule: any map of what a node is given that is positively
    homogeneous.
    """
    count = len(seeds)
    rows = [(rule, slice(r * count, (r + 1) * count)) for r, rule in enumerate(rules)]
    step = backward or (lambda node, *given: node.backward(*given))

    def parted(gradient: np.ndarray, exponents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if len(exponents) == count * len(rules):
            return gradient, exponents
        return np.concatenate([gradient] * len(rules)), np.tile(exponents, len(rules))

    # In range first, in the network's dtype second: a float64 seed of 1e-200 is not a float32 zero.
    seed, scale = _scaling.rescale(seeds, np.zeros(len(seeds), dtype=np.int64), slack=0)
    # A copy: nodes may overwrite what they are given.
    gradients = {nodes[-1].name: (seed.astype(dtype), scale)}
    for node in reversed(nodes[1:]):
        gradient, exponents = gradients.pop(node.name)
        yield node.name, gradient, exponents
        if isinstance(node, Activation):
            gradient, exponents = parted(gradient, exponents)
        with np.errstate(over="ignore", invalid="ignore"):
            shares = step(node, parameters, gradient, saved[node.name], rows)
        del gradient
        for name, share in zip(node.inputs, shares, strict=True):
            scaled = share, exponents
            if backward is not None or not _keeps_range(node, rows):
                try:
                    scaled = _scaling.rescale(share, exponents)
                except ValueError as error:
                    raise ValueError(f"node {node.name!r}: {error}") from None
            if name in gradients:
                first = gradients[name]
                if len(first[1]) != len(scaled[1]):
                    first, scaled = parted(*first), parted(*scaled)
                scaled = _scaling.add(first, scaled)
            gradients[name] = scaled
    yield (nodes[0].name, *gradients[nodes[0].name])
