"""Probability that a standard normal vector lies in a cone of a few half-spaces, from their unit inward normals.

A probability is a volume on the sphere: in up to three dimensions angles give it, and four need one integral.  Angles are taken
from the normals themselves.  An arc cosine of an inner product would lose half of the digits of normals that nearly coincide or
oppose each other, as those of patches in a line, in a plane or of nearly one colour do.
"""

from __future__ import annotations

import math

import numpy as np

_NODES = 12  # of each Gauss–Legendre rule
_TOLERANCE = 1e-12  # of each piece of the integral over an angle
_HALVINGS = 40

ROOTS, WEIGHTS = (values.astype(np.float64) for values in np.polynomial.legendre.leggauss(_NODES))


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles between unit vectors (..., d), with an error of rounding at every size: ``tan(θ/2) = ‖a − b‖/‖a + b‖``.

    Examples
    --------
    >>> float(angle(np.array([1.0, 0.0]), np.array([1.0, 1e-12])))
    1e-12
    """
    return np.asarray(2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)))


def across(rows: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Return unit parts of unit `rows` (n, k, d) orthogonal to a unit `axis` (n, d); zero where there is none.

    What is projected is the difference of row and axis (or of its opposite), which subtraction leaves exact if it is small.
    """
    near = np.where(np.einsum("nkd,nd->nk", rows, axis) < 0, -1.0, 1.0)
    rest = rows - near[:, :, None] * axis[:, None]
    rest = rest - np.einsum("nkd,nd->nk", rest, axis)[:, :, None] * axis[:, None]
    sizes = np.linalg.norm(rest, axis=2, keepdims=True)
    return np.asarray(np.divide(rest, sizes, out=np.zeros(rest.shape), where=sizes > 0))


def from_angles(angles: np.ndarray, k: int) -> np.ndarray:
    """Probabilities of cones of up to three half-spaces, from the angles (..., k (k − 1)/2) between their normals.

    ``2^−k (1 + Σ_{r<s} (1 − 2 θ_rs/π))``.  For ``k = 2`` two half-planes leave a wedge of ``π − θ`` out of ``2π``.  For ``k = 3``
    the complement of the event "some condition fails" has the same probability as the event itself by symmetry, so inclusion
    and exclusion leaves ``2P = 1 − 3/2 + Σ P_rs``.  Normals that coincide or oppose each other need no special care: the formula
    gives the merged event, or 0.
    """
    return np.asarray(np.maximum(0.0, 2.0**-k * (1 + (1 - 2 / math.pi * angles).sum(axis=-1))))


def closed(units: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Probabilities (n,) of cones of up to three unit normals (n, k, d); those that do not count (n, k) have no effect."""
    k = units.shape[1]
    first, second = np.triu_indices(k, 1)
    both = counts[:, first] & counts[:, second]
    # A condition that does not count enters as an independent one, whose probability ½ the scale cancels.
    angles = np.where(both, angle(units[:, first], units[:, second]), math.pi / 2)
    return np.asarray(from_angles(angles, k) * 2.0 ** (~counts).sum(axis=1))


def small(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of cones of up to five unit normals (n, k, d), and their errors: (n,) each.

    Up to three are in closed form.  Five leave, by inclusion, exclusion and symmetry as above,
    ``2P = 1 − 5/2 + Σ P_rs − Σ P_rst + Σ P_rstu``.  For four see :func:`_four`.
    """
    n, k, _ = units.shape
    if k <= 3:
        return closed(units, np.ones((n, k), dtype=bool)), np.zeros(n)
    if k == 4:
        return _four(units)
    value, error = np.full(n, 1 - k / 2), np.zeros(n)
    for size, sign in ((2, 1), (3, -1), (4, 1)):
        for part in _subsets(k, size):
            term, doubt = small(units[:, part])
            value, error = value + sign * term, error + doubt
    return np.clip(value / 2, 0.0, 1.0), error / 2


def _subsets(k: int, size: int) -> list[list[int]]:
    return [[r for r in range(k) if code >> r & 1] for code in range(1 << k) if code.bit_count() == size]


def _four(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Four half-spaces: a closed form, plus or minus the smallest of their sixteen cones.

    Reversing a condition is a complement, so the probabilities ``P_σ`` of all sixteen cones (signs ``σ`` of the normals) follow
    from one of them and from closed forms:  ``P = P_stu − P_σ`` where ``σ`` reverses ``r``, and
    ``P = P_rtu + P_stu − P_tu + P_σ`` where it reverses ``r`` and ``s``.  The signs of the combination ``Σ c_r n_r`` with the
    least norm belong to a cone that is empty if the normals lie in three dimensions or fewer, and thin if they nearly do.  So
    singular normals have a closed form, and near them little is left to integrate.
    """
    n, _, d = units.shape
    if d != 4:
        units = np.concatenate([units, np.zeros((n, 4, max(0, 4 - d)))], axis=2)
        units = np.asarray(np.linalg.qr(units.swapaxes(1, 2), mode="r")).swapaxes(1, 2)
    values, vectors = np.linalg.eigh(units @ units.swapaxes(1, 2))
    least = vectors[:, :, 0]
    least *= np.where((least < 0).sum(axis=1) > 2, -1.0, 1.0)[:, None]
    flips = least < 0
    rest, error = _thin(np.where(flips, -1.0, 1.0)[:, :, None] * units, abs(least) + 0.3 * abs(values[:, :1]))
    reversed_, every = flips.sum(axis=1), np.ones((n, 4), dtype=bool)
    value = np.where(reversed_ == 1, -rest, rest)
    for r in range(4):
        others = [s for s in range(4) if s != r]
        value += flips[:, r] * closed(units[:, others], every[:, others])
    for r, s in _subsets(4, 2):
        kept = (reversed_ == 2) & ~flips[:, r] & ~flips[:, s]
        value -= kept * closed(units[:, [r, s]], every[:, :2])
    return np.clip(value, 0.0, 1.0), error


def _thin(units: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of cones of four unit normals (n, 4, 4) whose sum with these `weights` ≥ 0 (n, 4) is small, and its error.

    No vector has positive products with ``m_1, m_2, m_3`` and with ``g ∝ −Σ_{r<4} c_r m_r``.  Turn the last normal from ``g``
    to ``m_4``: ``m = g cos φ + q sin φ``.  Then ``dP/dφ = E[(m'·w) 1(m_1·w, m_2·w, m_3·w > 0) | m·w = 0]/√(2π)``, and by
    the divergence theorem, with ``p_r`` the part of ``m_r`` orthogonal to ``m``, this is ``1/(2π) Σ_r (p_r·m')/‖p_r‖ Q_r``, where
    ``2π Q_r = π − α_r`` is the wedge that the other two leave on the face of ``r``.  In coordinates ``p_r = (t_r, ζ_r)``:
    ``t_r = m_r·m'`` turns with ``φ``, ``ζ_r`` in the plane across ``g`` and ``q`` does not.
    """
    n = len(units)
    order = np.argsort(weights, axis=1)
    units, weights = (
        np.take_along_axis(array, order.reshape(n, 4, *[1] * (array.ndim - 2)), axis=1)
        for array in (units, weights)
    )
    start = -np.einsum("nr,nrd->nd", weights[:, :3], units[:, :3])
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    ahead = across(units[:, 3:], start)
    end = angle(start, units[:, 3])
    frame = np.linalg.qr(np.stack([start, ahead[:, 0]], axis=2), mode="complete")[0]
    flat = units[:, :3] @ frame[:, :, 2:]  # ζ
    along, aside = (np.einsum("nrd,nd->nr", units[:, :3], axis) for axis in (start, ahead[:, 0]))

    def slope(which: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """dP/dφ for the cones `which` (w,) at their angles (w, nodes)."""
        z = flat[which, :, :, None]
        t = [along[which, r, None] * -np.sin(phi) + aside[which, r, None] * np.cos(phi) for r in range(3)]
        sizes = [np.sqrt(t[r] ** 2 + (z[:, r] ** 2).sum(axis=1)) for r in range(3)]
        # Normals of the edges, p_r × p_s, and the volume that the three span.
        edges = []
        for r, s in ((1, 2), (2, 0), (0, 1)):
            plane = z[:, r, 0] * z[:, s, 1] - z[:, r, 1] * z[:, s, 0]
            edges.append(
                (plane, z[:, r, 1] * t[s] - t[r] * z[:, s, 1], t[r] * z[:, s, 0] - z[:, r, 0] * t[s])
            )
        volume = abs(sum(t[r] * edges[r][0] for r in range(3)))
        total = np.zeros(phi.shape)
        for r in range(3):
            (a, b, c), (e, f, g) = edges[r - 1], edges[r - 2]
            alpha = np.arctan2(volume * sizes[r], -(a * e + b * f + c * g))
            total += np.divide(t[r], sizes[r], out=np.zeros(phi.shape), where=sizes[r] > 0) * (
                math.pi - alpha
            )
        return total / (4 * math.pi**2)

    def integral(which: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        middle, half = (high + low) / 2, (high - low) / 2
        return np.asarray(slope(which, middle[:, None] + half[:, None] * ROOTS) @ WEIGHTS * half)

    value, error = np.zeros(n), np.zeros(n)
    which, low, high = np.arange(n), np.zeros(n), end
    whole = integral(which, low, high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        left, right = integral(which, low, middle), integral(which, middle, high)
        gap = abs(left + right - whole)
        bad = gap > _TOLERANCE
        np.add.at(value, which[~bad], (left + right)[~bad])
        np.add.at(error, which[~bad], gap[~bad])
        which = np.concatenate([which[bad], which[bad]])
        low, high = np.concatenate([low[bad], middle[bad]]), np.concatenate([middle[bad], high[bad]])
        whole = np.concatenate([left[bad], right[bad]])
        if not len(which):
            break
    np.add.at(value, which, whole)
    np.add.at(error, which, abs(whole))
    return value, error
