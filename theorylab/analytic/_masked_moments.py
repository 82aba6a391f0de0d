"""Two expectations that carry a modified gradient one layer down, for every network of ReLUs.

A unit of a wide layer has the pre-activation ``z ~ N(0, s²)`` and receives ``V̂ = α σ(z) + β ξ`` from above, ``ξ`` a
standard normal that knows nothing of ``z``, ``α ≥ 0``.  Guided backpropagation hands on ``T = σ(V̂) 1(z > 0)``, and
the layer below sees it through ``E[z T]`` and ``E[T²]`` alone.

Where ``T`` does not vanish ``z > 0``, so ``V̂ = α z + β ξ`` there.  In polar coordinates ``z = s ϱ cos φ``,
``ξ = ϱ sin φ`` this is ``r ϱ cos(φ − ψ)`` with ``r = √(α²s² + β²)`` and ``ψ = atan2(β, αs)`` in ``[0, π/2]``.  Both
signs are positive on the wedge ``ψ − π/2 < φ < π/2``; ``φ`` is uniform on the circle and ``E[ϱ²] = 2``.  Hence
``E[z T] = (s r/π) ∫ cos φ cos(φ − ψ) dφ`` and ``E[T²] = (r²/π) ∫ cos²(φ − ψ) dφ`` over the wedge, which are
``s r K₁/(2π)`` and ``r² K₂/π`` with the two functions of ``ψ`` below.

Stein's lemma finds the first one again: ``E[z T] = s² E[∂T/∂z]``, where ``T`` has the slope ``α`` on the wedge, of probability
``(π−ψ)/(2π)``, and jumps by ``σ(βξ)``, of mean ``β/√(2π)``, at ``z = 0``, where the density is ``1/(s√(2π))``.
"""

from __future__ import annotations

import math

import numpy as np


def angle_functions(psi: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``K₁ = (π−ψ) cos ψ + sin ψ`` and ``K₂ = (π−ψ)/2 + sin(2ψ)/4``, both at least π/4 on ``[0, π/2]``.

    Examples
    --------
    No gradient but noise (``ψ = π/2``) and a gradient that is the activation itself (``ψ = 0``):

    >>> [[round(float(k), 4) for k in angle_functions(psi)] for psi in (math.pi / 2, 0.0)]
    [[1.0, 0.7854], [3.1416, 1.5708]]
    """
    psi = np.asarray(psi, dtype=np.float64)
    opening = math.pi - psi
    return opening * np.cos(psi) + np.sin(psi), opening / 2 + np.sin(2 * psi) / 4


def guided_moments(signal: float | np.ndarray, noise: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``E[z T]/s`` and ``E[T²]`` of guided backpropagation.

    Parameters
    ----------
    signal, noise : arrays that broadcast
        ``α s`` and ``β``, neither negative.

    Returns
    -------
    two arrays: ``r K₁(ψ)/(2π)`` and ``r² K₂(ψ)/π``

    Examples
    --------
    ``T = σ(z)`` for ``α = s = 1`` and no noise: half of the second moment of a normal, twice.

    >>> [float(m) for m in guided_moments(1.0, 0.0)]
    [0.5, 0.5]
    """
    signal, noise = np.asarray(signal, dtype=np.float64), np.asarray(noise, dtype=np.float64)
    radius = np.hypot(signal, noise)
    first, second = angle_functions(np.arctan2(noise, signal))
    return radius * first / (2 * math.pi), radius**2 * second / math.pi


def deconvnet_moments(signal: float | np.ndarray, noise: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``E[z T]/s`` and ``E[T²]`` of DeconvNet, ``T = σ(α σ(z) + β ξ)``, which has no forward mask.

    Parameters
    ----------
    signal, noise : arrays that broadcast
        ``α s``, of either sign, and ``β``, not negative.

    Returns
    -------
    two arrays
        By Stein's lemma ``E[z T]/s = α s P(z > 0, αz + βξ > 0) = α s (π − ψ)/(2π)``, ``ψ = atan2(β, αs)`` in ``[0, π]``; and
        ``r² K₂(ψ)/π`` where ``z > 0``, ``β²/4`` where it is not.

    Examples
    --------
    Without signal half of the noise's energy passes, and nothing is recovered:

    >>> [float(m) for m in deconvnet_moments(0.0, 1.0)]
    [0.0, 0.5]
    """
    signal, noise = np.asarray(signal, dtype=np.float64), np.asarray(noise, dtype=np.float64)
    psi = np.arctan2(noise, signal)
    _, second = angle_functions(psi)
    power = (signal**2 + noise**2) * second / math.pi + noise**2 / 4
    # Where the signal is negative and the noise small, what is left is less than the rounding of ψ.
    return signal * (math.pi - psi) / (2 * math.pi), np.maximum(power, 0.0)
