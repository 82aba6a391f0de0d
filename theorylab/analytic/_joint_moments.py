"""Small integrals over the pre-activations ``z ~ N(0, G)`` of a few patches, ``G`` their Gram matrix times the filters' variance.

A max-pool window, alone or with its neighbours: its largest value, and the modified gradient that it hands on.  Below a
pool, a unit that receives ``V̂_j = Σ_s a_s σ(z_(j+s)) + β ξ``, because its window's patches stand at neighbouring positions:
``G`` is nearly singular, and derivatives come by Stein's lemma instead of an inverse.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from theorylab.analytic._conditioning import chunks
from theorylab.analytic._gaussian_rule import POINTS, ROUNDING, factors, handed_on, normals, points_for
from theorylab.model.rules import Rule

# Relative to the size of a window's pre-activations, the handicap of each further position: patches that are equal up to
# rounding tie, and the first wins.
TIE = 1e-8


def _draws(gram: np.ndarray, points: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield normals ``z`` (n, points, k) of some Gram matrices at a time, and which."""
    u = normals(gram.shape[-1], points)
    for part in chunks(len(gram), points * gram.shape[-1]):
        yield part, u @ factors(gram[part])[0].swapaxes(1, 2)


def winner(z: np.ndarray, gram: np.ndarray, rule: Rule) -> np.ndarray:
    """Which entry of a window receives the gradient, (n, points), from `z` (n, k, points) and its covariance."""
    size = z.shape[1]
    scale = np.sqrt(np.trace(gram, axis1=1, axis2=2) / size)
    first = (z - TIE * scale[:, None, None] * np.arange(size)[:, None]).argmax(axis=1)
    # Without a gate a closed window sends it to its first entry.
    return first if rule.gate else np.where(z.max(axis=1) > 0, first, 0)


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
    result = np.trace(gram, axis1=1, axis2=2) / (2 * gram.shape[-1])
    for part, z in _draws(gram, points):
        z = np.maximum(z, 0)
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
    result = np.empty(len(gram))
    u = normals(gram.shape[-1], points).T
    for part in chunks(len(gram), points * gram.shape[-1]):
        z = (factors(gram[part])[0] @ u).reshape(-1, 2, size, points)
        largest = np.maximum(z[:, :, 0], 0)
        for n in range(1, size):  # much quicker than a maximum over an axis
            np.maximum(largest, z[:, :, n], out=largest)
        gap = largest[:, 0] - largest[:, 1]
        result[part] = np.einsum("np,np->n", gap, gap) / points
    return result


def contradictory(gram: np.ndarray, size: int) -> np.ndarray:
    """Whether approximate matrices (n, k, k) are too rough to say who wins among their first `size` entries: (n,).

    Entries that do not fit together make a negative eigenvalue, and the error is no smaller than that.  Who wins is unknown
    where it exceeds the least variance of any combination of the window's pre-activations, unless patches are equal.

    Examples
    --------
    Neighbours are 0.14 apart, so that the outer two are at most 0.28 apart, not 0.45:

    >>> gram = np.array([[1.0, 0.99, 0.9], [0.99, 1.0, 0.99], [0.9, 0.99, 1.0]])
    >>> contradictory(np.stack([gram, np.eye(3)]), 2)
    array([ True, False])
    """
    values = np.linalg.eigvalsh(gram[:, :size, :size])[:, ::-1]
    least = np.where(values > ROUNDING * values[:, :1], values, np.inf).min(axis=1)
    return np.asarray(-np.linalg.eigvalsh(gram)[:, 0] > least)


def pooled_moments(
    gram: np.ndarray,
    alpha: np.ndarray,
    beta: np.ndarray,
    rule: Rule,
    *,
    points: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a filter's mean and energy behind a window: ``b`` (n, k, k) in ``E[w T_j] = c² Σ_m b_jm y_m``, and ``E[T_j²]``.

    `gram` (n, k, k) holds ``c² ⟨y_j, y_m⟩``.  The pool hands its winner
    ``V̂ = α max(0, z_1, …, z_k) + β ξ``.

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
    points = points or points_for(size)
    u = normals(size, points)
    coefficients, second = np.empty(gram.shape), np.empty(gram.shape[:2])
    for part in chunks(len(gram), points * size):
        root, inverse = factors(gram[part])
        z = root @ u.T
        largest = np.maximum(z.max(axis=1), 0)
        mean, std = alpha[part, None] * largest, np.broadcast_to(beta[part, None], largest.shape)
        _, first, energy = handed_on(rule, mean, std)
        if rule.gate:
            first, energy = first * (largest > 0), energy * (largest > 0)
        wins = winner(z, gram[part], rule)[:, None] == np.arange(size)[:, None]  # (n, k, points)
        second[part] = (wins * energy[:, None]).mean(axis=2)
        coefficients[part] = (wins * first[:, None]) @ u / points @ inverse.swapaxes(1, 2)
    return coefficients, second


def mixed_moments(
    gram: np.ndarray, a: np.ndarray, beta: np.ndarray, rule: Rule, *, points: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """As `pooled_moments`, for a pool that hands its winner a mixture of its neighbours: ``V̂ = Σ_s a_s M_s + β ξ``.

    ``M_s`` is the largest of window ``s``, or 0.  `gram` (n, S k, S k) holds the covariances of the ``S`` windows, one window
    after the other and the receiving one first, with rows of zeros for windows that do not exist; `a` is (n, S).  Returned are
    ``b`` (n, k, S k) and ``E[T_j²]`` (n, k).

    Let ``W`` be the window's own pre-activations and ``O`` all others, which meet ``T_j`` through ``V̂`` alone.  There
    Stein's lemma needs slopes only: ``b_m = E[1(j wins) h'(V̂) a_s 1(m wins window s)]``.  Where ``W`` moves, another entry
    may win and ``T_j`` jumps; but ``E[z_W T_j] = G_WW b_W + G_WO b_O`` leaves ``b_W``.  With ``z_W = L u`` and
    ``G_WO = L R`` it is ``b_W = L⁻ᵀ (E[u T_j] − R b_O)``, and the others are ``z_O = Rᵀ u`` and what that leaves.

    Examples
    --------
    A neighbour that is not received changes nothing:

    >>> gram = np.array([[[4.0, 1.0], [1.0, 2.0]]])
    >>> b, second = mixed_moments(gram, np.array([[0.3, 0.0]]), np.ones(1), Rule.GUIDED)
    >>> alone, same = pooled_moments(gram[:, :1, :1], np.array([0.3]), np.ones(1), Rule.GUIDED)
    >>> bool(abs(b[0, 0, 0] - alone.item()) < 2e-3), float(b[0, 0, 1]), bool(abs(second - same).item() < 2e-3)
    (True, 0.0, True)
    """
    windows = a.shape[1]
    size = gram.shape[-1] // windows
    # Few for so many normals: see `theorylab.analytic.tolerances`.
    points = points or max(POINTS, 1 << (4 * gram.shape[-1]).bit_length())
    u = normals(gram.shape[-1], points)
    own, others = u[:, :size], u[:, size:]
    coefficients, second = np.empty((len(gram), size, gram.shape[-1])), np.empty((len(gram), size))
    for part in chunks(len(gram), points * gram.shape[-1]):
        inner, weights = gram[part, :size, :size], a[part]
        root, inverse = factors(inner)
        shared = inverse.swapaxes(1, 2) @ gram[part, :size, size:]
        left = factors(gram[part, size:, size:] - shared.swapaxes(1, 2) @ shared)[0]
        z = np.concatenate([root @ own.T, shared.swapaxes(1, 2) @ own.T + left @ others.T], axis=1)
        z = z.reshape(len(inner), windows, size, points)
        largest = np.maximum(z.max(axis=2), 0)
        mean = (weights[:, None] @ largest)[:, 0]
        slope, first, energy = handed_on(rule, mean, np.broadcast_to(beta[part, None], mean.shape))
        is_open = largest[:, 0] > 0
        if rule.gate:
            slope, first, energy = slope * is_open, first * is_open, energy * is_open
        wins = winner(z[:, 0], inner, rule)[:, None] == np.arange(size)[:, None]  # (n, k, points)
        second[part] = (wins * energy[:, None]).mean(axis=2)
        chosen = z[:, 1:].argmax(axis=2)[:, :, None] == np.arange(size)[:, None]
        chosen &= largest[:, 1:, None] > 0
        moves = chosen.reshape(len(inner), -1, points).swapaxes(1, 2).astype(np.float64)
        outer = (wins * slope[:, None]) @ moves / points * np.repeat(weights[:, 1:], size, axis=1)[:, None]
        along = (wins * first[:, None]) @ own / points - outer @ shared.swapaxes(1, 2)
        coefficients[part] = np.concatenate([along @ inverse.swapaxes(1, 2), outer], axis=2)
    return coefficients, second


def regression(gram: np.ndarray, coefficients: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Express ``Σ_m b_m y_m`` by some of the patches alone: (n, k) of `coefficients` (n, k), 0 where `kept` (k,) is False.

    `gram` (n, k, k) holds the patches' inner products.  What the kept ones cannot express is left out.

    Examples
    --------
    A patch that is twice another one needs no coefficient of its own:

    >>> gram = np.array([[[1.0, 2.0], [2.0, 4.0]]])
    >>> regression(gram, np.array([[1.0, 1.0]]), np.array([True, False]))
    array([[3., 0.]])
    """
    result = np.where(kept, coefficients, 0.0)
    if kept.all():
        return result
    inverse = factors(gram[:, kept][:, :, kept])[1]
    cross = gram[:, kept][:, :, ~kept] @ coefficients[:, ~kept, None]
    result[:, kept] += (inverse @ (inverse.swapaxes(1, 2) @ cross))[..., 0]
    return result


def neighbour_moments(
    gram: np.ndarray, a: np.ndarray, beta: np.ndarray, rule: Rule, centre: int, points: int = POINTS
) -> tuple[np.ndarray, np.ndarray]:
    """Return a filter's mean and energy at one unit: ``b`` (n, S) in ``E[w T_j] = c² Σ_s b_s y_(j+s)``, and ``E[T_j²]``.

    `gram` (n, S, S) is the covariance of the pre-activations of ``S`` neighbours, with rows of zeros for those that do not exist;
    `centre` is the unit itself among them, and `a` (n, S) holds the coefficients of their activations.

    ``T = h(V̂)``, times ``1(z_j > 0)`` if the rule has a gate.  Stein: ``E[w T] = c² Σ_s y_(j+s) E[∂T/∂z_(j+s)]``.  With
    ``m = Σ_s a_s σ(z_(j+s))`` and ``ξ`` integrated, the slope is ``a_s 1(z_(j+s) > 0) E[h'(V̂)]`` under the gate; and the
    gate's jump adds to ``b_0`` the density of ``z_j`` at 0 times ``E[h(V̂) | z_j = 0]``.

    Examples
    --------
    Alone it is the closed form: ``α = 0`` leaves the jump, ``β/√(2π)`` times the density ``1/√(2π)``.

    >>> b, second = neighbour_moments(np.ones((1, 1, 1)), np.zeros((1, 1)), np.ones(1), Rule.GUIDED, 0)
    >>> bool(abs(b.item() - 1 / (2 * np.pi)) < 1e-12), bool(abs(second.item() - 1 / 4) < 1e-12)
    (True, True)
    """
    coefficients, second = np.zeros(a.shape), np.zeros(len(gram))
    for part, z in _draws(gram, points):
        weights, noise = a[part], np.broadcast_to(beta[part, None], (len(a[part]), points))
        slope, _, energy = handed_on(rule, (np.maximum(z, 0) @ weights[..., None])[..., 0], noise)
        if rule.gate:
            is_open = z[..., centre] > 0
            slope, energy = slope * is_open, energy * is_open
        second[part] = energy.mean(axis=1)
        coefficients[part] = weights * ((slope[:, None] @ (z > 0).astype(np.float64))[:, 0] / points)
        if rule.gate:
            variance = gram[part, centre, centre]
            alive = variance > 0
            share = np.divide(
                gram[part, :, centre], variance[:, None], out=np.zeros(weights.shape), where=alive[:, None]
            )
            # The others given z_j = 0: what regression on z_j leaves.
            z -= share[:, None] * z[..., centre, None]
            z[..., centre] = 0
            _, jump, _ = handed_on(rule, (np.maximum(z, 0) @ weights[..., None])[..., 0], noise)
            coefficients[part, centre] += np.divide(
                jump.mean(axis=1), np.sqrt(2 * np.pi * variance), out=np.zeros(len(weights)), where=alive
            )
            # A patch of zeros activates nothing: the gate is closed at 0.
            coefficients[part] *= alive[:, None]
            second[part] *= alive
    return coefficients, second
