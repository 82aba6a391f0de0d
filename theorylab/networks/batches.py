"""Many pictures at a time through one network, for statistics over pictures; and passes whose steps are the caller's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from theorylab import _validation
from theorylab.model.rules import Rule
from theorylab.networks import _scaling
from theorylab.networks._passes import Backward, ascent, descent
from theorylab.networks._trace import GraphTrace
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.nodes import Dense


def batch_activations(net: GraphNetwork, images: np.ndarray, names: Collection[str]) -> dict[str, np.ndarray]:
    """Compute what some nodes make of several pictures (B, C, H, W): their outputs, (B, ...), by name.

    The dtype is the network's; errors are those of :meth:`GraphNetwork.forward`.

    Examples
    --------
    >>> from theorylab.networks import vgg16
    >>> net = vgg16(input_shape=(3, 32, 32), n_logits=5, n_hidden=8)
    >>> batch_activations(net, np.ones((2, 3, 32, 32)), ["features.1"])["features.1"].shape
    (2, 64, 32, 32)
    """
    net._check_names(names)
    return ascent(net.nodes, net.weights, _checked(net, images), names)[2]


def batch_maps(
    net: GraphNetwork, images: np.ndarray, logits: np.ndarray, rules: Sequence[Rule | str]
) -> np.ndarray:
    """Compute raw maps of several pictures, each of other logits.

    Parameters
    ----------
    net : GraphNetwork
    images : array, (B, C, H, W)
    logits : integer array, (B, T)
        Indices; row ``b`` belongs to picture ``b``.
    rules : sequence of Rule or str, length R

    Returns
    -------
    array, (B, R, T, C, H, W), of the network's dtype
        As :func:`theorylab.visualize_many` gives them, picture by picture.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit, a logit does not exist or a rule is unknown; and as :meth:`GraphNetwork.forward`.

    Notes
    -----
    Eq. 1 at every unit.  All pictures are held in memory together, with what the backward pass needs of them.

    Examples
    --------
    >>> from theorylab.networks import vgg16
    >>> net = vgg16(input_shape=(3, 32, 32), n_logits=5, n_hidden=8)
    >>> batch_maps(net, np.ones((2, 3, 32, 32)), np.array([[0, 1], [2, 4]]), ["guided"]).shape
    (2, 1, 2, 3, 32, 32)
    """
    checked_rules, images, logits = [Rule(rule) for rule in rules], _checked(net, images), np.asarray(logits)
    if logits.ndim != 2 or len(logits) != len(images) or logits.dtype.kind not in "iu":
        raise ValueError(
            f"logits: expected integers of shape ({len(images)}, T), got {logits.dtype} of {logits.shape}"
        )
    if logits.size and not (logits.min() >= 0 and logits.max() < net.n_logits):
        raise ValueError(f"logits: indices go from 0 to {net.n_logits - 1}")
    _, saved, _ = ascent(net.nodes, net.weights, images)
    maps = np.empty((len(images), len(checked_rules), logits.shape[1], *net.input_shape), dtype=net.dtype)
    for r, rule in enumerate(checked_rules):
        for t in range(logits.shape[1]):
            maps[:, r, t] = _down(net, saved, np.eye(net.n_logits)[logits[:, t]], rule)
    return maps


def batch_gradients(
    net: GraphNetwork, images: np.ndarray, logit_gradient: np.ndarray, rule: Rule | str
) -> np.ndarray:
    """Compute raw maps (B, C, H, W) of several pictures of that shape, all of one gradient (K,) at the logits.

    As :func:`theorylab.visualize` gives them, picture by picture, without their logits.

    Examples
    --------
    >>> from theorylab.networks import vgg16
    >>> net = vgg16(input_shape=(3, 32, 32), n_logits=5, n_hidden=8)
    >>> batch_gradients(net, np.ones((2, 3, 32, 32)), np.eye(5)[3], "guided").shape
    (2, 3, 32, 32)
    """
    images, last = _checked(net, images), net.nodes[-1]
    dense = isinstance(last, Dense)  # keeps nothing, and its outputs are read by nobody
    _, saved, _ = ascent(net.nodes[:-1] if dense else net.nodes, net.weights, images, exact_ties=True)
    saved = {last.name: None, **saved}
    return _down(net, saved, np.tile(logit_gradient, (len(images), 1)), Rule(rule))


def substituted(trace: GraphTrace, logit_gradient: np.ndarray, backward: Backward) -> np.ndarray:
    """Send a gradient (K,) at the logits down to the picture, (C, H, W), by steps that stand in for the nodes' own.

    Parameters
    ----------
    trace : GraphTrace
    logit_gradient : array, (K,)
    backward : callable
        ``backward(node, parameters, gradient, saved, rules)`` gives what a node hands to each of its inputs; positively
        homogeneous in the gradient, (1, ...).

    Returns
    -------
    array, (C, H, W), of the network's dtype

    Raises
    ------
    ValueError
        If what is handed down leaves the range of the dtype; the message names the node.

    Examples
    --------
    >>> from theorylab.networks import vgg16
    >>> trace = vgg16(input_shape=(3, 32, 32), n_logits=5, n_hidden=8).forward(np.ones((3, 32, 32)))
    >>> substituted(trace, np.eye(5)[3], lambda node, *given: node.backward(*given)).shape
    (3, 32, 32)
    """
    return np.asarray(
        _down(trace.network, trace.saved, logit_gradient[None], Rule.SALIENCY, backward=backward)[0]
    )


def _down(
    net: GraphNetwork, saved: Mapping[str, Any], seeds: np.ndarray, rule: Rule, **options: Backward
) -> np.ndarray:
    passed = descent(net.nodes, net.weights, saved, seeds, [rule], net.dtype, **options)
    for name, gradient, exponents in passed:
        if name == net.nodes[0].name:
            found = gradient, exponents
    return _scaling.undo(*found)[0]


def _checked(net: GraphNetwork, images: np.ndarray) -> np.ndarray:
    shape = (*np.shape(images)[:1], *net.input_shape)
    return _validation.real_array(images, "images", shape).astype(net.dtype, copy=False)
