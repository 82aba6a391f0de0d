"""Moments of a modified gradient that remembers the activations of its neighbours.

Below a max-pool a unit receives ``V̂_j = Σ_s a_s σ(z_(j+s)) + β ξ``: its window's patches stand at neighbouring positions.
The pre-activations of the neighbours are jointly normal, their Gram matrix nearly singular; so they are integrated over a
fixed quasi-random rule, and derivatives come by Stein's lemma instead of an inverse.
"""

from __future__ import annotations

import numpy as np

from theorylab.analytic._gaussian_rule import POINTS, chunks, factors, handed_on, normals
from theorylab.rules import Rule


def neighbour_moments(
    gram: np.ndarray, a: np.ndarray, beta: np.ndarray, rule: Rule, centre: int, points: int = POINTS
) -> tuple[np.ndarray, np.ndarray]:
    """What a filter's mean and energy become at one unit.

    Parameters
    ----------
    gram : array, (n, S, S)
        Covariance ``c² G`` of the pre-activations of ``S`` neighbours; rows of zeros for those that do not exist.
    a : array, (n, S)
        Coefficients of their activations.
    beta : array, (n,)
    rule : Rule
    centre : int
        Which of the neighbours is the unit itself.

    Returns
    -------
    coefficients : array, (n, S)
        ``b`` in ``E[w T_j] = c² Σ_s b_s y_(j+s)``.
    second : array, (n,)
        ``E[T_j²]``.

    Notes
    -----
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
    size = gram.shape[-1]
    u = normals(size, points)
    coefficients, second = np.zeros(a.shape), np.zeros(len(gram))
    for part in chunks(len(gram), points * size):
        weights, noise = a[part], np.broadcast_to(beta[part, None], (len(a[part]), points))
        z = u @ factors(gram[part])[0].swapaxes(1, 2)  # (n, points, S)
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
