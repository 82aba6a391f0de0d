"""The expectations of :mod:`theorylab.analytic._unit_moments` where a unit's bias is uniform: integrals over one number.

A pre-activation ``z = w·o + b`` of variance 1, of which a share is the bias's, has the density
``f(z) = [Φ((z + h)/s) − Φ((z − h)/s)]/(2h)`` with ``h = √(3 share)`` and ``s² = 1 − share``.  Given ``z``, what a rule hands on
is a function of normals, in closed form; ``z`` is integrated.  By Stein's lemma given ``b`` the layer below sees ``E[∂T/∂z]``:
the slopes, and ``f(0)`` times the jump of ``T`` at 0.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from theorylab.analytic import _unit_moments
from theorylab.analytic._gaussian_rule import handed_on, rectified_normal
from theorylab.model.rules import Rule
from theorylab.model.units import Unit

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_FAR = 8.5  # deviations, beyond which a normal has 2e-17


def _half(share: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes above 0 and their weights, which sum to ½, along a last axis; and ``f(0)``."""
    h, s = np.sqrt(3 * share), np.sqrt(1 - share)
    # Pieces: where the density is flat, and where it falls off.
    edges = np.maximum(np.stack([0 * h, h - _FAR * s, h - 2 * s, h + 2 * s, h + _FAR * s], axis=-1), 0)
    middle, reach = (edges[..., 1:] + edges[..., :-1]) / 2, (edges[..., 1:] - edges[..., :-1]) / 2
    z = middle[..., None] + reach[..., None] * _NODES
    h, s = h[..., None, None], s[..., None, None]
    density = (special.ndtr((z + h) / s) - special.ndtr((z - h) / s)) / (2 * h)
    weights = density * reach[..., None] * _WEIGHTS
    flat = (*share.shape, -1)
    at_zero = special.erf(h[..., 0, 0] / s[..., 0, 0] / math.sqrt(2)) / (2 * h[..., 0, 0])
    return z.reshape(flat), weights.reshape(flat), at_zero


def unit_moments(
    rule: Rule,
    unit: Unit,
    signal: float | np.ndarray,
    noise: float | np.ndarray,
    share: float | np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """``s E[∂T/∂z]``, which is ``E[z T]/s`` of a normal ``z``, and ``E[T²]``; `signal` is ``α s``.

    The share of a uniform bias is above 0; None without one, for a normal ``z``.

    Examples
    --------
    >>> from theorylab.model.units import RELU
    >>> [round(float(v), 4) for v in unit_moments(Rule.GUIDED, RELU, 1.0, 0.0, 0.5)]
    [0.5, 0.5]
    """
    if share is None:
        return _unit_moments.unit_moments(rule, unit, signal, noise)
    signal, noise, share = np.broadcast_arrays(
        *(np.asarray(v, dtype=np.float64) for v in (signal, noise, share))
    )
    z, weights, at_zero = _half(share)
    shut, beta = rule.shut(unit), noise[..., None]
    first = (1 - shut) * (rule.up + rule.down) * noise / math.sqrt(2 * math.pi) * at_zero
    second = np.zeros(signal.shape)
    # Both halves: below 0, z is −|z|, and V̂ rises with the unit's slope.
    for factor, sign, slope in ((1.0, 1.0, 1.0), (shut, -1.0, unit.slope)):
        if factor:
            mean = signal[..., None] * sign * slope * z
            rises, _, squared = handed_on(rule, mean, np.broadcast_to(beta, mean.shape))
            first = first + factor * slope * signal * (weights * rises).sum(-1)
            second = second + factor**2 * (weights * squared).sum(-1)
    return first, second


def lost_between(
    rule: Rule,
    unit: Unit,
    signal: float | np.ndarray,
    noise: float | np.ndarray,
    own: float | np.ndarray,
    share: float | np.ndarray | None,
) -> np.ndarray:
    """``E[T²] − E[T T']`` for two logits of one network, as in :mod:`theorylab.analytic._unit_moments`.

    Given ``z`` the two are normals ``u, v`` of mean ``m``, variance ``β²`` and correlation ``ρ``.  With ``q = m/β`` both are
    positive with the probability ``P = Φ(q) − 2 T(q, √((1−ρ)/(1+ρ)))``, ``T`` Owen's function, and Stein's lemma gives
    ``E[u₊ 1(v)] = m P + β φ(q) (1 + ρ) Φ(r)`` with ``r = q √((1−ρ)/(1+ρ))``, and
    ``E[u₊ v₊] = m E[u₊ 1(v)] + ρ β² P + β φ(q) E[v₊ | u = 0]``.

    Examples
    --------
    >>> from theorylab.model.units import RELU
    >>> bool(abs(lost_between(Rule.DECONVNET, RELU, 0.0, 1.0, 1.0, 0.5) - (1 / 2 - 1 / (2 * np.pi))) < 1e-12)
    True
    """
    if share is None:
        return _unit_moments.lost_between(rule, unit, signal, noise, own)
    signal, noise, own, share = np.broadcast_arrays(
        *(np.asarray(v, dtype=np.float64) for v in (signal, noise, own, share))
    )
    z, weights, _ = _half(share)
    shut = rule.shut(unit)
    lost = np.zeros(signal.shape)
    for factor, slope in ((1.0, 1.0), (shut, -unit.slope)):
        if factor:
            gap = _lost(rule, signal[..., None] * slope * z, noise[..., None], own[..., None])
            lost = lost + factor**2 * (weights * gap).sum(-1)
    return np.maximum(lost, 0.0)


def _lost(rule: Rule, mean: np.ndarray, noise: np.ndarray, own: np.ndarray) -> np.ndarray:
    rho = 1 - own / noise**2
    q = mean / noise
    bent = np.sqrt((1 - rho) / (1 + rho))
    density = np.exp(-q * q / 2) / math.sqrt(2 * math.pi)
    both = special.ndtr(q) - 2 * special.owens_t(q, bent)
    half = mean * both + noise * density * (1 + rho) * special.ndtr(q * bent)
    _, beside, _ = rectified_normal(mean * (1 - rho), noise * np.sqrt(1 - rho**2))
    product = mean * half + rho * noise**2 * both + noise * density * beside
    probability, _, squared = rectified_normal(mean, np.broadcast_to(noise, mean.shape))
    sum_, down = rule.up + rule.down, rule.down
    # h(v) = (up + down) v₊ − down v: what the two lose of v₊ v₊, of v₊ v and of v v.
    return np.asarray(sum_**2 * (squared - product) - 2 * sum_ * down * own * probability + down**2 * own)
