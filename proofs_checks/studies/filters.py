"""How the filters of a convolution lie in the space of patches: how many dimensions they fill, and the cone around them."""

from __future__ import annotations

import numpy as np
from scipy import optimize


def directions(weights: np.ndarray) -> np.ndarray:
    """Return filters ``(N, ...)`` as rows of norm 1, float64; a zero filter, which has no direction, is left out."""
    rows = weights.reshape(len(weights), -1).astype(np.float64)
    sizes = np.linalg.norm(rows, axis=1)
    return np.asarray(rows[sizes > 0] / sizes[sizes > 0, None])


def dimension(rows: np.ndarray) -> float:
    """Return the participation ratio of the eigenvalues of the second-moment matrix of directions (N, d).

    ``(Σ λ)²/Σ λ²``: the number of eigenvalues if they are equal, 1 if all filters lie on a line.

    Examples
    --------
    >>> dimension(np.eye(3)), dimension(np.ones((4, 1)))
    (3.0, 1.0)
    """
    # Products have the same eigenvalues as the second moments, up to a factor, whose trace is N.
    return float(len(rows) ** 2 / ((rows @ rows.T) ** 2).sum())


def random_dimension(n: int, size: int) -> float:
    """Return the :func:`dimension` of `n` random directions of a space of `size` dimensions: ``N d/(N + d − 1)``.

    The reciprocal of the mean reciprocal: the square of the product of two random directions has the mean 1/d, so
    ``E Σ (w_i·w_j)² = N + N (N − 1)/d``.

    Examples
    --------
    >>> random_dimension(1, 27), random_dimension(64, 1)
    (1.0, 1.0)
    """
    return n * size / (n + size - 1)


def cone(rows: np.ndarray) -> float:
    """Return the half-angle in degrees of the narrowest circular cone that holds all directions (N, d); 90 if none does.

    Its cosine is the distance of the filters' convex hull from the origin: no axis has a larger least product with the
    filters than the hull's nearest point.  At 90 no half-space holds the filters, so that without biases no patch is dead.

    Examples
    --------
    >>> round(cone(np.eye(2))), round(cone(np.array([[1.0, 0.0], [-1.0, 0.0]])))
    (45, 90)
    """
    # min ‖Σ λ_i w_i‖² + (Σ λ_i − 1)² over λ ≥ 0 is reached on the ray to that point.
    flat = np.vstack([np.linalg.qr(rows.T, mode="r"), np.ones(len(rows))])
    goal = np.zeros(len(flat))
    goal[-1] = 1
    shares, _ = optimize.nnls(flat, goal, maxiter=30 * len(rows))
    return float(np.degrees(np.arccos(min(1.0, np.linalg.norm(flat[:-1] @ shares) / shares.sum()))))
