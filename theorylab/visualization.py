"""One forward pass, many backward passes: rules × targets."""

# The module is not called ``visualize``: the package offers a function of that name, and importing a
# submodule sets an attribute of its parent, so ``theorylab.visualize`` would turn into the module.

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from theorylab import _random, _validation
from theorylab.model.rules import Rule


@runtime_checkable
class Network(Protocol):
    """What a network must offer to be visualized."""

    @property
    def n_logits(self) -> int:
        """``K``."""

    def forward(self, x: np.ndarray) -> Any:
        """Return a trace; its ``logits`` attribute, ``(K,)``, is read only if a target needs it."""

    def backward(self, trace: Any, logit_gradients: np.ndarray, rules: list[Rule]) -> np.ndarray:
        """Return raw maps ``(R, T, C, H, W)`` of the gradients ``(T, K)`` of T targets."""


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
    p: np.ndarray = weights / weights.sum()
    others = np.delete(p, winner)
    s, q = others.sum(), (others**2).sum()
    gradient: np.ndarray = 2 * p * (p + s * p[winner] - q)
    gradient[winner] = -2 * p[winner] * (s * s + q)
    return gradient


def check_target(target: object, n_logits: int) -> int | str:
    """Return "max", "random", "cost" or the index of a logit as an int; a ValueError if `target` is none of these."""
    if isinstance(target, str) and target.casefold() in ("max", "random", "cost"):
        return target.casefold()
    target = _validation.integer(target)
    if isinstance(target, bool) or not isinstance(target, (int, np.integer)):
        raise ValueError(
            f"unknown target {_validation.shown(target)}: choose 'max', 'random', 'cost' or a logit's index below {n_logits}"
        )
    if not 0 <= target < n_logits:
        raise ValueError(f"target: logit {target} does not exist, indices go from 0 to {n_logits - 1}")
    return int(target)


def logit_gradients(
    targets: Sequence[int | str], n_logits: int, logits: Callable[[], np.ndarray], seed: _random.Seed
) -> np.ndarray:
    """Work out what seeds the backward passes of T targets: a float64 array, (T, K).

    The seed of a logit is 1, never the logit itself: a negative one would turn the signs round before the rule sees them.

    Parameters
    ----------
    targets : sequence of int or str, length T
        As :func:`check_target` returns them.
    n_logits : int
        ``K``.
    logits : callable
        Gives the logits, ``(K,)``; called only if a target depends on them.
    seed : int or Generator
        As for :func:`visualize_many`.

    Examples
    --------
    >>> logit_gradients(["max", 0], 3, lambda: np.array([1.0, 2.0, 0.0]), seed=0)
    array([[0., 1., 0.],
           [1., 0., 0.]])
    """
    rng = None
    gradients = np.zeros((len(targets), n_logits))
    for gradient, target in zip(gradients, targets, strict=True):
        if target == "cost":
            gradient[:] = cost_gradient(logits())
            continue
        if isinstance(target, int):
            index = target
        elif target == "max":
            index = int(np.argmax(logits()))
        else:
            rng = _random.generator(seed) if rng is None else rng
            index = int(rng.integers(n_logits))
        gradient[index] = 1
    return gradients


@_validation.checked
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
    >>> from theorylab.model.patches import PatchGrid
    >>> net = three_layer_cnn(PatchGrid((1, 6, 6), kernel=3), n_filters=4, n_logits=5)
    >>> visualize_many(net, np.ones((1, 6, 6)), ["saliency", "guided"], ["max", 3, "cost"]).shape
    (2, 3, 1, 6, 6)
    """
    checked_rules = [Rule(rule) for rule in rules]
    checked_targets = [check_target(target, net.n_logits) for target in targets]
    trace = net.forward(x)
    gradients = logit_gradients(checked_targets, net.n_logits, lambda: trace.logits, seed)
    return net.backward(trace, gradients, checked_rules)


@_validation.checked
def visualize(
    net: Network, x: np.ndarray, rule: Rule | str, target: int | str = "max", *, seed: _random.Seed = 0
) -> np.ndarray:
    """Compute the raw map of one rule and one target, (C, H, W): Eq. 1–2.

    Parameters
    ----------
    net, x, rule, target, seed
        As for :func:`visualize_many`, with one rule and one target; so are the dtype and the errors.

    Examples
    --------
    >>> from theorylab.networks import three_layer_cnn
    >>> from theorylab.model.patches import PatchGrid
    >>> net = three_layer_cnn(PatchGrid((1, 6, 6), kernel=3), n_filters=4, n_logits=5)
    >>> x = np.linspace(-1, 1, 36).reshape(1, 6, 6)
    >>> saliency = visualize(net, x, "saliency", target=2)
    >>> bool(np.isclose(np.vdot(saliency, x), net.logits(x)[2]))  # no biases: homogeneous
    True
    """
    maps: np.ndarray = visualize_many(net, x, [rule], [target], seed=seed)[0, 0]
    return maps
