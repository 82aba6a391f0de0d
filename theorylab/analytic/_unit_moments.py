"""Two expectations that carry a modified gradient one layer down: for every rule and every piecewise linear unit.

A unit of a wide layer has the pre-activation ``z ~ N(0, s²)`` and receives ``V̂ = α φ(z) + β ξ`` from above, ``ξ`` a
standard normal that knows nothing of ``z``.  A rule hands on ``T = h(V̂)``, times the factor ``shut`` where ``z ≤ 0``
(:meth:`~theorylab.model.rules.Rule.shut`), and the layer below sees it through ``E[z T]`` and ``E[T²]`` alone.

Let ``ζ = z/s``, ``t = α s`` and ``θ(t) = atan2(β, −t)``, the angle of the wedge ``ζ > 0, tζ + βξ > 0``.  The point
``(ζ, ξ)`` has a uniform direction, so this wedge has the probability ``P(t) = θ/(2π)``, and an integral over its angles gives
``E[(tζ + βξ)²; wedge] = K(t) = (t² + β²) P(t) + tβ/(2π)``.  With ``h(v) = up·max(v, 0) + down·max(−v, 0)``
the half ``ζ > 0`` has ``E[h(V̂)²; ζ > 0] = B(t) = up² K(t) + down² K(−t)``.  The other half is its mirror image with ``−a t`` for
``t``, ``a`` the unit's slope, so ``E[T²] = B(t) + shut² B(−a t)``.

By Stein's lemma ``E[ζ T] = E[∂T/∂ζ]``.  Where ``ζ > 0`` the slope has the mean ``G(t) = t (up P(t) − down P(−t))``, where
``ζ < 0`` it has ``−shut G(−a t)``.  At ``ζ = 0``, where the density is ``1/√(2π)``, ``T`` jumps by ``(1 − shut) h(βξ)``, of mean
``(1 − shut)(up + down) β/√(2π)``.  This form loses no digits: rules without a mean get an exact 0.

*Two logits* of one network send ``V̂ = α φ(z) + τ η + δ ξ`` and ``V̂' = α φ(z) + τ η + δ ξ'``, with ``τ² + δ² = β²``: they share
``z`` and ``η``, and each has a ``ξ`` of its own.  Of what they share they lose ``L = E[T²] − E[T T'] = E[Var(T | z, η)]``.  On
the half ``ζ > 0`` let ``h`` be the positive part, and ``u, v`` the two signals, of variance ``r² = t² + β²`` and covariance
``k = r² − δ²``.  Stein's lemma on ``E[u v; u, v, ζ > 0]``, along ``u``, gives three terms: ``k P₃`` with the orthant
``P₃ = 1/8 + [2 asin(t/r) + asin(k/r²)]/(4π)``; from the edge ``u = 0``, where ``v`` and ``ζ`` have the correlation
``c = t δ²/(β √(r⁴ − k²))``, ``√(r⁴ − k²) (1 + c)/(4π)``; and from the edge ``ζ = 0``, ``t (2β² − δ²)/(4πβ)``.  Let
``sin A = δ/(√2 r)``: then ``P(t) − P₃ = A/(2π)`` and ``√(r⁴ − k²) = r² sin 2A``.  Of the last two terms ``t δ²`` cancels
and ``t β`` is in ``K(t)``, which leaves ``L = δ² P₃ + r² (2A − sin 2A)/(4π)``, with all its digits as ``δ`` falls.  Any ``h`` is
``(up + down) max(v, 0) − down v``, and the same steps give
``L(t) = δ² [up² P(t) + down² P(−t)] − (up + down)² [δ² A/(2π) − r² (2A − sin 2A)/(4π)]``: to first order ``δ² E[h'(V̂)²]``.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab.model.rules import Rule
from theorylab.model.units import Unit


def unit_moments(
    rule: Rule, unit: Unit, signal: float | np.ndarray, noise: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``E[z T]/s`` and ``E[T²]`` of what a unit hands on; `signal` is ``α s``, of either sign, `noise` is ``β``, at least 0.

    Examples
    --------
    Guided backpropagation without noise has ``T = max(z, 0)`` for ``α = s = 1``: half of a normal's energy, twice.

    >>> from theorylab.model.units import RELU, LeakyReLU
    >>> [float(moment) for moment in unit_moments(Rule.GUIDED, RELU, 1.0, 0.0)]
    [0.5, 0.5]

    Without signal saliency and DeconvNet recover nothing, whatever the unit, and half of the noise's energy passes:

    >>> [float(moment) for moment in unit_moments(Rule.DECONVNET, LeakyReLU(0.2), 0.0, 1.0)]
    [0.0, 0.5]
    """
    signal, noise = np.asarray(signal, dtype=np.float64), np.asarray(noise, dtype=np.float64)
    shut = rule.shut(unit)
    slope, energy = _open_half(rule, signal, noise)
    shut_slope, shut_energy = _open_half(rule, -unit.slope * signal, noise)
    jump = (1 - shut) * (rule.up + rule.down) * noise / (2 * math.pi)
    return slope - shut * shut_slope + jump, energy + shut**2 * shut_energy


def _open_half(rule: Rule, signal: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``G`` and ``B``; what belongs to ``−t`` follows from ``P(−t) = ½ − P(t)`` and ``K(−t) = ½(t² + β²) − K(t)``."""
    probability = np.arctan2(noise, -signal) / (2 * math.pi)
    energy = signal**2 + noise**2
    # Where the signal is negative and the noise small, what is left is less than the rounding of the angle.
    rectified = np.maximum(energy * probability + signal * noise / (2 * math.pi), 0.0)
    return (
        signal * ((rule.up + rule.down) * probability - rule.down / 2),
        (rule.up**2 - rule.down**2) * rectified + rule.down**2 * energy / 2,
    )


def lost_between(
    rule: Rule,
    unit: Unit,
    signal: float | np.ndarray,
    noise: float | np.ndarray,
    own: float | np.ndarray,
) -> np.ndarray:
    """``E[T²] − E[T T']`` for two logits of one network; `own` is ``δ²``, what each has alone of the noise's variance ``β²``.

    Examples
    --------
    Two independent weights of a readout under DeconvNet: ``E[σ(V)²] − E[σ(V)]²``.

    >>> from theorylab.model.units import RELU
    >>> bool(abs(lost_between(Rule.DECONVNET, RELU, 0.0, 1.0, 1.0) - (1 / 2 - 1 / (2 * np.pi))) < 1e-15)
    True
    """
    signal, noise, own = (np.asarray(value, dtype=np.float64) for value in (signal, noise, own))
    lost = _lost_in_open_half(rule, signal, noise, own)
    shut = rule.shut(unit)
    if shut:
        lost = lost + shut**2 * _lost_in_open_half(rule, -unit.slope * signal, noise, own)
    return np.asarray(np.maximum(lost, 0.0))


def _lost_in_open_half(rule: Rule, signal: np.ndarray, noise: np.ndarray, own: np.ndarray) -> np.ndarray:
    probability = np.arctan2(noise, -signal) / (2 * math.pi)
    energy = signal**2 + noise**2
    sine = np.sqrt(
        np.divide(own / 2, energy, out=np.zeros(np.broadcast(own, energy).shape), where=energy > 0)
    )
    angle = np.arcsin(np.minimum(sine, 1.0))
    # 2A − sin 2A, whose digits cancel at small angles.
    bend = np.where(angle < 1e-3, 4 / 3 * angle**3, 2 * angle - np.sin(2 * angle))
    smooth = own * ((rule.up**2 - rule.down**2) * probability + rule.down**2 / 2)
    kink = own * angle / (2 * math.pi) - energy * bend / (4 * math.pi)
    return np.asarray(smooth - (rule.up + rule.down) ** 2 * kink)
