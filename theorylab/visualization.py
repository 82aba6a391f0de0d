"""One forward pass, many backward passes: rules × targets."""

# The module is not called ``visualize``: the package offers a function of that name, and importing a
# submodule sets an attribute of its parent, so ``theorylab.visualize`` would turn into the module.

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from theorylab import _random
from theorylab.rules import Rule


class Network(Protocol):
    """What a network must offer to be visualized."""

    @property
    def n_logits(self) -> int: ...

    def forward(self, x: np.ndarray) -> Any:
        """A trace; its ``logits`` attribute, ``(K,)``, is read only if a target needs it."""

    def backward(self, trace: Any, logit_gradients: np.ndarray, rules: list[Rule]) -> np.ndarray:
        """Gradients ``(T, K)`` of T targets in, raw maps ``(R, T, C, H, W)`` out."""


def cost_gradient(logits: np.ndarray) -> np.ndarray:
    """Gradient of the squared error between the softmax and the one-hot vector of the largest logit.

    Parameters
    ----------
    logits : array, (K,)

    Returns
    -------
    array, (K,), of the same dtype

    Notes
    -----
    The authors' "cost" target.  With ``p`` the softmax, ``w`` the winner and ``u = 2 (p − e_w)``,
    its Jacobian gives ``∂L/∂f_k = p_k (u_k − Σ_m p_m u_m)``.  Write ``s = Σ_{k≠w} p_k = 1 − p_w`` and
    ``q = Σ_{k≠w} p_k²``; then ``∂L/∂f_w = −2 p_w (s² + q)`` and ``∂L/∂f_k = 2 p_k (p_k + s p_w − q)``.
    In this form nothing is subtracted from a number close to it when the winner takes all.

    Examples
    --------
    >>> cost_gradient(np.array([0.0, 0.0]))
    array([-0.5,  0.5])
    """
    logits = np.asarray(logits)
    winner = int(np.argmax(logits))
    weights = np.exp(logits - logits[winner])  # at most 1: no overflow
    p = weights / weights.sum()
    others = np.delete(p, winner)
    s, q = others.sum(), (others**2).sum()
    gradient = 2 * p * (p + s * p[winner] - q)
    gradient[winner] = -2 * p[winner] * (s * s + q)
    return gradient


def _seeds(trace: Any, targets: list[int | str], n_logits: int, seed: _random.Seed) -> np.ndarray:
    """One row of logit gradients per target."""
    rng = None
    rows = []
    for target in targets:
        if isinstance(target, str) and target == "cost":
            rows.append(cost_gradient(trace.logits))
            continue
        if isinstance(target, str) and target == "max":
            index = int(np.argmax(trace.logits))
        elif isinstance(target, str):
            rng = _random.generator(seed) if rng is None else rng
            index = int(rng.integers(n_logits))
        else:
            index = target
        # The seed of a backward pass is 1, never the logit: a negative logit would turn the signs round
        # before the backward ReLU sees them.
        rows.append(np.arange(n_logits) == index)
    return np.array(rows, dtype=np.float64)


def _check_target(target: object, n_logits: int) -> int | str:
    if isinstance(target, str) and target in ("max", "random", "cost"):
        return target
    if isinstance(target, bool) or not isinstance(target, (int, np.integer)):
        raise ValueError(
            f"unknown target {target!r}: choose 'max', 'random', 'cost' or a logit's index below {n_logits}"
        )
    if not 0 <= target < n_logits:
        raise ValueError(f"target: logit {target} does not exist, indices go from 0 to {n_logits - 1}")
    return int(target)


def visualize_many(
    net: Network,
    x: np.ndarray,
    rules: Iterable[Rule | str],
    targets: Iterable[int | str],
    *,
    seed: _random.Seed = 0,
) -> np.ndarray:
    """Raw maps of several rules and targets behind one forward pass.

    Parameters
    ----------
    net : Network
        One of :mod:`theorylab.networks`.
    x : array, (C, H, W)
    rules : iterable of Rule or str, length R
    targets : iterable of str or int, length T
        "max": the largest logit; "random": one drawn with `seed` (each "random" draws anew); "cost": the
        authors' squared error between the softmax and the one-hot vector of the largest logit; or an index.
    seed : int or Generator
        For "random" only.

    Returns
    -------
    array, (R, T, C, H, W), of the network's dtype
        Not normalised: see :mod:`theorylab.display`.

    Raises
    ------
    TypeError
        If `rules` or `targets` is a single one and not several.
    ValueError
        If a rule or target is unknown, or `x` does not fit the network.

    Notes
    -----
    Eq. 1–2; for three-layer networks the result is Eq. 4 without its normalising coefficient.

    Examples
    --------
    >>> from theorylab.networks import three_layer_cnn
    >>> from theorylab.patches import PatchGrid
    >>> net = three_layer_cnn(PatchGrid((1, 6, 6), kernel=3), n_filters=4, n_logits=5)
    >>> visualize_many(net, np.ones((1, 6, 6)), ["saliency", "guided"], ["max", 3, "cost"]).shape
    (2, 3, 1, 6, 6)
    """
    for name, several in (("rules", rules), ("targets", targets)):
        if isinstance(several, (str, Rule)) or not isinstance(several, Iterable):
            raise TypeError(f"{name}: expected a sequence, got {several!r}")
    chosen = [Rule(rule) for rule in rules]
    checked = [_check_target(target, net.n_logits) for target in targets]
    trace = net.forward(x)
    seeds = _seeds(trace, checked, net.n_logits, seed).reshape(len(checked), net.n_logits)
    return net.backward(trace, seeds, chosen)


def visualize(
    net: Network, x: np.ndarray, rule: Rule | str, target: int | str = "max", *, seed: _random.Seed = 0
) -> np.ndarray:
    """The raw map of one rule and one target.

    Parameters
    ----------
    net : Network
        One of :mod:`theorylab.networks`.
    x : array, (C, H, W)
    rule : Rule or str
    target : str or int, default "max"
        "max", "random", "cost" or a logit's index: see :func:`visualize_many`.
    seed : int or Generator
        For "random" only.

    Returns
    -------
    array, (C, H, W), of the network's dtype

    Raises
    ------
    ValueError
        If the rule or target is unknown, or `x` does not fit the network.

    Notes
    -----
    Eq. 1–2.

    Examples
    --------
    >>> from theorylab.networks import three_layer_cnn
    >>> from theorylab.patches import PatchGrid
    >>> net = three_layer_cnn(PatchGrid((1, 6, 6), kernel=3), n_filters=4, n_logits=5)
    >>> x = np.linspace(-1, 1, 36).reshape(1, 6, 6)
    >>> saliency = visualize(net, x, "saliency", target=2)
    >>> bool(np.isclose(np.vdot(saliency, x), net.logits(x)[2]))  # no biases: homogeneous
    True
    """
    return visualize_many(net, x, [rule], [target], seed=seed)[0, 0]
