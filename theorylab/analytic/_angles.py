"""How the angle between two signals falls from layer to layer, however many layers there are."""

from __future__ import annotations

import math

_NARROW = 1e-3
"""Below this angle its series is right to 1e-7: see :func:`descend`."""


def descend(cosine: float, share: float, depth: int) -> tuple[float, float]:
    """Return the cosine after `depth` layers, and the product of ``1 − share θ/π`` over them.

    A layer takes ``cos θ`` to ``(1 − share) cos θ + share [sin θ + (π − θ) cos θ]/π``.

    Notes
    -----
    Small angles take as many layers as they are small, and their cosines lose all digits.  With ``u = 1/θ`` and
    ``a = share/(3π)`` the map is ``u' = u + a + (3/2) a²/u + O(u⁻²)``, so ``n`` layers lead from ``u₀`` to the solution of
    ``u = u₀ + a n + (3/2) a ln(u/u₀)``; and ``ln(1 − 3aθ) + 3 ln(u'/u) = −(3/2) a²θ² + O(θ³)`` sums to
    ``−(3/2) a (1/u₀ − 1/u)``.

    Examples
    --------
    >>> cosine, product = descend(0.0, 1.0, 10**9)
    >>> cosine == 1, round(1e27 * product)
    (True, 197)
    """
    product = 1.0
    for layer in range(depth):
        angle = math.acos(min(cosine, 1.0))
        if angle < _NARROW:
            further, after = _narrow(angle, share, depth - layer)
            return math.cos(after), product * further
        factor = 1 - share * angle / math.pi
        rectified = (math.sin(angle) + (math.pi - angle) * cosine) / math.pi
        before, cosine = cosine, (1 - share) * cosine + share * rectified
        if cosine == before:  # a branch too weak to move it
            return cosine, product * factor ** (depth - layer)
        product *= factor
    return cosine, product


def _narrow(angle: float, share: float, depth: int) -> tuple[float, float]:
    """Return the product over `depth` layers that begin with a small angle, and the angle after them."""
    if angle == 0:
        return 1.0, 0.0
    a, start = share / (3 * math.pi), 1 / angle
    u = start + a * depth
    for _ in range(8):  # each leaves a share of a/u
        u = start + a * depth + 1.5 * a * math.log(u / start)
    return (start / u) ** 3 * math.exp(-1.5 * a * (1 / start - 1 / u)), 1 / u
