"""First and second moments of a standard normal vector on an orthant, in closed form for few conditions.

A condition is a row ``n_r``; the orthant is the set where ``n_r·w > 0`` for every active row.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab.analytic import _cones

_COINCIDE = 1e-14  # unit rows this near each other are the same condition; this near their opposites, they exclude each other


def _at_most_four(k: int) -> None:
    if k > 4:
        raise ValueError(f"rows: a closed form exists for at most 4 conditions, got {k}")


def _conditions(rows: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return unit rows (zero if not active), the active rows without repeats, and whether all can hold together.

    If two rows exclude each other, no row is active.
    """
    norms = np.linalg.norm(rows, axis=2)
    units = rows / np.where(active, norms, np.inf)[:, :, None]
    active = active.copy()
    possible = np.ones(len(rows), dtype=bool)
    for r in range(rows.shape[1]):
        for s in range(r + 1, rows.shape[1]):
            gap, total = (np.linalg.norm(units[:, r] + sign * units[:, s], axis=1) for sign in (-1, 1))
            possible &= ~(active[:, r] & active[:, s] & (total < _COINCIDE))
            active[:, s] &= ~(active[:, r] & (gap < _COINCIDE))
    return units, active & possible[:, None], possible


def event_probabilities(rows: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``P(n_1·w > 0, …, n_k·w > 0)`` for up to five conditions, many at once.

    The conditions are those of `rows` (n, k, p) that are `active` (n, k); these must not be zero.  Value and error (n,) are
    those of :func:`~theorylab.analytic._cones.small`; ValueError for more than five rows.

    Examples
    --------
    >>> event_probabilities(np.array([[[1.0, 0.0], [1.0, 1.0]]]), np.array([[True, True]]))[0]
    array([0.375])
    """
    if rows.shape[1] > 5:
        raise ValueError(f"rows: expected at most 5 conditions, got {rows.shape[1]}")
    units, active, possible = _conditions(rows, active)
    value, error = possible.astype(np.float64), np.zeros(len(rows))
    counts = active.sum(axis=1)
    for count in range(1, rows.shape[1] + 1):
        which = np.flatnonzero(counts == count)
        held = units[which][active[which]].reshape(len(which), count, rows.shape[2])
        value[which], error[which] = _cones.small(held)
    return value, error


def orthant_mean(rows: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Return ``E[w 1(n_1·w > 0, …, n_k·w > 0)]`` for ``w ~ N(0, I)``, up to four conditions, in closed form.

    `rows` and `active` are as in :func:`event_probabilities`; ValueError for more than four rows.  The mean is (n, p).

    Integrating ``w φ(w) = −∇φ(w)`` over the cone by the divergence theorem leaves its faces: with ``u_r`` the unit
    inward normal of face ``r``, ``Σ_r u_r φ(0) P(n_s·w > 0 for s ≠ r | n_r·w = 0)``.  Given ``n_r·w = 0`` the other values
    have covariances ``ρ_st − ρ_rs ρ_rt`` (unit rows), an orthant of dimension ``k − 1``.  An inactive condition
    enters as an independent coordinate, and a factor 2 cancels its probability.  Rows that coincide are one face; opposite
    rows leave no cone, and the mean is zero.

    Examples
    --------
    For two orthogonal conditions, each face gives ``½/√(2π)``.

    >>> orthant_mean(np.array([[[2.0, 0.0], [0.0, 1.0]]]), np.ones((1, 2), dtype=bool)).round(4)
    array([[0.1995, 0.1995]])
    """
    n, k, _ = rows.shape
    _at_most_four(k)
    units, active, _ = _conditions(rows, active)
    result = np.zeros((n, rows.shape[2]))
    for r in range(k):
        others = [s for s in range(k) if s != r]
        face = _cones.closed(_cones.across(units[:, others], units[:, r]), active[:, others])
        result += (face * active[:, r] / math.sqrt(2 * math.pi))[:, None] * units[:, r]
    return result


def orthant_second_moment(rows: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Return ``E[w wᵀ 1(n_1·w > 0, …)] − P I`` for ``w ~ N(0, I)`` and up to four conditions of probability ``P``.

    `rows` and `active` are as in :func:`orthant_mean`.  The result (n, p, p) is symmetric and has trace zero: length and
    direction of ``w`` are independent, so ``E[‖w‖² 1] = p P``.

    Integrating by parts once more than for the mean, ``E[w_a w_b 1] = δ_ab P + Σ_r u_ra φ(0) E[w_b Π_{s≠r} 1 | n_r·w = 0]``.
    The last factor is the mean on an orthant with one condition less, in the space orthogonal to ``n_r``; its rows are the
    projections of ``n_s`` on this space.

    Examples
    --------
    For a quarter of the plane, the product of two half-normal means off the diagonal and zeros on it.

    >>> orthant_second_moment(np.array([[[2.0, 0.0], [0.0, 1.0]]]), np.ones((1, 2), dtype=bool)).round(4)
    array([[[0.    , 0.1592],
            [0.1592, 0.    ]]])
    """
    n, k, p = rows.shape
    _at_most_four(k)
    units, active, _ = _conditions(rows, active)
    result = np.zeros((n, p, p))
    for r in range(k):
        others = [s for s in range(k) if s != r]
        projected = _cones.across(units[:, others], units[:, r])
        # If this row is inactive, it may be the repeat of another, whose projection would be zero.
        inner = orthant_mean(projected, active[:, others] & active[:, r, None])
        weight = active[:, r] / math.sqrt(2 * math.pi)
        result += weight[:, None, None] * units[:, r, :, None] * inner[:, None, :]
    # Symmetric but for rounding.
    return (result + result.swapaxes(1, 2)) / 2
