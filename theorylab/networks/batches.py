"""Many pictures at a time through one network: what statistics over thousands of pictures need."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from theorylab import _validation
from theorylab.model.rules import Rule
from theorylab.networks import _scaling
from theorylab.networks._passes import ascent, descent
from theorylab.networks.graph import GraphNetwork


def batch_logits(net: GraphNetwork, images: np.ndarray) -> np.ndarray:
    """Compute the logits of several pictures, (B, C, H, W) to (B, K).

    The dtype is the network's; errors are those of :meth:`GraphNetwork.forward`.

    Examples
    --------
    >>> from theorylab.networks import vgg16
    >>> net = vgg16(input_shape=(3, 32, 32), n_logits=5, n_hidden=8)
    >>> batch_logits(net, np.ones((2, 3, 32, 32))).shape
    (2, 5)
    """
    return ascent(net.nodes, net.weights, _checked(net, images))[0]


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
            seeds = np.eye(net.n_logits)[logits[:, t]]
            passed = descent(net.nodes, net.weights, saved, seeds, [rule] * len(seeds), net.dtype)
            for name, gradient, exponents in passed:
                if name == net.nodes[0].name:
                    maps[:, r, t] = _scaling.undo(gradient, exponents)[0]
    return maps


def _checked(net: GraphNetwork, images: np.ndarray) -> np.ndarray:
    shape = (*np.shape(images)[:1], *net.input_shape)
    return _validation.real_array(images, "images", shape).astype(net.dtype, copy=False)
