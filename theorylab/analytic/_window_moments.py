"""One max-pool window: its largest value, and the modified gradient that it hands on; a small integral per window.

The window holds the pre-activations ``z ~ N(0, G)``, ``G`` the Gram matrix of its patches times the filters' variance.
"""

from __future__ import annotations

import numpy as np

from theorylab.analytic._gaussian_rule import EXACT, POINTS, chunks, factors, handed_on, normals
from theorylab.rules import Rule

# Relative to the size of a window's pre-activations, the handicap of each further position: patches that are equal up to
# rounding tie, and the first wins.
_TIE = 1e-5


def largest_energy(gram: np.ndarray, points: int = POINTS) -> np.ndarray:
    """``E[max(0, z_1, …, z_k)²]`` for ``z ~ N(0, gram)``: (n,) from (n, k, k).

    Notes
    -----
    A maximum is nearly its entries: what is integrated is the difference to their mean square, which is known.

    Examples
    --------
    Of two independent normals the square of the larger one counts, unless both are negative:

    >>> exact = 3 / 4 + 1 / (2 * np.pi)
    >>> bool(abs(largest_energy(np.eye(2)[None])[0] - exact) < 1e-2)
    True
    """
    size = gram.shape[-1]
    u = normals(size, points)
    result = np.trace(gram, axis1=1, axis2=2) / (2 * size)
    for part in chunks(len(gram), points * size):
        z = np.maximum(u @ factors(gram[part])[0].swapaxes(1, 2), 0)
        result[part] += (z.max(axis=2) ** 2 - (z**2).mean(axis=2)).mean(axis=1)
    return np.asarray(result)


def largest_gap(gram: np.ndarray, points: int = POINTS) -> np.ndarray:
    """``E[(max(0, z_1, …, z_k) − max(0, z'_1, …, z'_k))²]`` for two windows at once: (n,) from (n, 2k, 2k).

    Of two neighbouring windows it is small, and so is then its error: that keeps Gram matrices of pooled activations
    positive.

    Examples
    --------
    Two windows of one independent entry each: ``1/2 + 1/2 − 2/(2π)``.

    >>> bool(abs(largest_gap(np.eye(2)[None])[0] - (1 - 1 / np.pi)) < 1e-2)
    True
    """
    size = gram.shape[-1] // 2
    u = normals(2 * size, points)
    result = np.empty(len(gram))
    for part in chunks(len(gram), points * 2 * size):
        z = np.maximum(u @ factors(gram[part])[0].swapaxes(1, 2), 0)
        result[part] = ((z[..., :size].max(axis=2) - z[..., size:].max(axis=2)) ** 2).mean(axis=1)
    return result


def pooled_moments(
    gram: np.ndarray,
    alpha: np.ndarray,
    beta: np.ndarray,
    rule: Rule,
    *,
    floor: float = EXACT,
    points: int = POINTS,
) -> tuple[np.ndarray, np.ndarray]:
    """What a filter's mean and energy become behind a window.

    Parameters
    ----------
    gram : array, (n, k, k)
        ``c² ⟨y_j, y_m⟩``, ``c`` the filters' standard deviation.
    alpha, beta : arrays, (n,)
        The pool hands its winner ``V̂ = α max(0, z_1, …, z_k) + β ξ``.
    rule : Rule
    floor : float
        Relative error of `gram`.

    Returns
    -------
    coefficients : array, (n, k, k)
        ``b`` in ``E[w T_j] = c² Σ_m b_jm y_m``.
    second : array, (n, k)
        ``E[T_j²]``.

    Notes
    -----
    ``T_j = 1(j wins) h(V̂)``, and ``z_j > 0`` too if the rule has a gate.  Without one, a window that has no positive entry
    sends its gradient to its first one.  ``ξ`` is integrated in closed form.  With ``z = L u`` and
    ``u`` standard normal, ``Cov(w, u) = c² Yᵀ L⁻ᵀ``, so ``E[w T] = c² Σ_m y_m (L⁻ᵀ E[u T])_m``.

    Examples
    --------
    A window of one position is no pool:

    >>> b, second = pooled_moments(np.array([[[4.0]]]), np.zeros(1), np.ones(1), Rule.GUIDED)
    >>> bool(abs(b.item() - 1 / (2 * np.pi) / 2) < 1e-3), bool(abs(second.item() - 1 / 4) < 1e-12)
    (True, True)
    """
    size = gram.shape[-1]
    u = normals(size, points)
    coefficients, second = np.empty(gram.shape), np.empty(gram.shape[:2])
    handicap = _TIE * np.arange(size)
    for part in chunks(len(gram), points * size):
        root, inverse = factors(gram[part], floor)
        z = u @ root.swapaxes(1, 2)
        scale = np.sqrt(np.trace(gram[part], axis1=1, axis2=2) / size)
        winner = (z - scale[:, None, None] * handicap).argmax(axis=2)
        largest = np.maximum(np.take_along_axis(z, winner[..., None], axis=2)[..., 0], 0)
        mean, std = alpha[part, None] * largest, np.broadcast_to(beta[part, None], largest.shape)
        _, first, energy = handed_on(rule, mean, std)
        if rule.gate:
            first, energy = first * (largest > 0), energy * (largest > 0)
        else:
            winner = np.where(largest > 0, winner, 0)
        wins = winner[:, None] == np.arange(size)[:, None]  # (n, k, points)
        second[part] = (wins * energy[:, None]).mean(axis=2)
        coefficients[part] = (wins * first[:, None]) @ u / points @ inverse.swapaxes(1, 2)
    return coefficients, second
