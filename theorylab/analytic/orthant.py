"""Probability that every coordinate of a centred Gaussian vector is positive."""

from __future__ import annotations

import numpy as np

from theorylab import _validation
from theorylab.analytic import _conditioning, _cones

_TOLERANCE = 1e-8  # of the checks on a correlation matrix
_ALIKE = 1e-15  # a correlation this close to ±1 counts as ±1
_REPLICATES = 16


def closed_orthants(correlations: np.ndarray) -> np.ndarray:
    """Return orthant probabilities (...) in up to three dimensions, many at once, from correlations (..., k, k).

    Diagonals must be 1; entries beyond ±1 by rounding are clipped.  ValueError for larger ``k`` or matrices that are not
    square.  The angles between the conditions are ``acos ρ``: see :func:`~theorylab.analytic._cones.from_angles`.

    Examples
    --------
    For exchangeable variables with correlation ½: each of ``k + 1`` independent variables is equally likely the least.

    >>> [float(closed_orthants(np.full((k, k), 0.5) + np.eye(k) / 2).round(12)) for k in range(4)]
    [1.0, 0.5, 0.333333333333, 0.25]
    """
    correlations = np.asarray(correlations, dtype=np.float64)
    k = correlations.shape[-1] if correlations.ndim >= 2 else -1
    if correlations.ndim < 2 or correlations.shape[-2] != k or k > 3:
        raise ValueError(f"correlations: expected (..., k, k) with k of at most 3, got {correlations.shape}")
    rows, columns = np.triu_indices(k, 1)
    return _cones.from_angles(np.arccos(np.clip(correlations[..., rows, columns], -1.0, 1.0)), k)


def _correlation(value: np.ndarray) -> np.ndarray:
    """Check a correlation matrix and make it exactly symmetric."""
    matrix = _validation.real_array(value, "correlation").astype(np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"correlation: expected (k, k), got {matrix.shape}")
    diagonal = np.diag(matrix)
    if (diagonal <= 0).any():
        raise ValueError(
            f"correlation: coordinate {int(np.argmax(diagonal <= 0))} has no variance and is never positive; "
            "leave it out or answer 0"
        )
    if (abs(diagonal - 1) > _TOLERANCE).any():
        raise ValueError("correlation: the diagonal is not 1; divide a covariance by its standard deviations")
    if (abs(matrix - matrix.T) > _TOLERANCE).any():
        raise ValueError("correlation: the matrix is not symmetric")
    if len(matrix) and np.linalg.eigvalsh(matrix)[0] < -_TOLERANCE * len(matrix):
        raise ValueError("correlation: the matrix has a negative eigenvalue, so no vector has it")
    matrix = np.clip((matrix + matrix.T) / 2, -1, 1)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def _merged(matrix: np.ndarray) -> np.ndarray | None:
    """Keep one of each set of coordinates with correlation 1; return None if two have correlation −1."""
    if (matrix < -1 + _ALIKE).any():
        return None
    kept = [r for r in range(len(matrix)) if not (matrix[r, :r] > 1 - _ALIKE).any()]
    return matrix[np.ix_(kept, kept)]


def _rows(correlations: np.ndarray) -> np.ndarray:
    """Vectors (..., k, k) with these inner products."""
    values, vectors = np.linalg.eigh(correlations)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :])


def small_orthants(correlations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return orthant probabilities in up to five dimensions, in closed form or by a one-dimensional quadrature.

    `correlations` (n, k, k) are not checked: :func:`orthant_probability` checks a single matrix.  Values and errors are (n,);
    an error is the difference between two quadratures.  ValueError for larger ``k``.  See
    :func:`~theorylab.analytic._cones.small`.

    Examples
    --------
    >>> value, error = small_orthants(np.full((1, 4, 4), 0.5) + np.eye(4) / 2)
    >>> float(value[0].round(12)), bool(error[0] < 1e-11)
    (0.2, True)
    """
    correlations = np.asarray(correlations, dtype=np.float64)
    k = correlations.shape[-1]
    if k <= 3:
        value = closed_orthants(correlations)
        return value, np.zeros(value.shape)
    if k > 5:
        raise ValueError(f"correlations: expected at most 5 dimensions, got {k}")
    rows = _rows(correlations)
    return _cones.small(rows / np.linalg.norm(rows, axis=2, keepdims=True))


def orthant_probability_with_error(correlation: np.ndarray, *, points: int = 2**12) -> tuple[float, float]:
    """Return ``P(z_1 > 0, …, z_k > 0)`` of a centred Gaussian vector, and an estimate of its error.

    Parameters
    ----------
    correlation : array, (k, k)
        May be singular.  Coordinates with correlation 1 are merged; a correlation of −1 gives 0, because the
        inequalities are strict.  Rounding of a correlation near ±1 moves the probability by up to 1e-8.
    points : int, default 4096
        Points of each of the 16 quasi-random rules beyond five dimensions; rounded up to a power of 2.

    Returns
    -------
    value, error : float
        The error is 0 for up to three (distinct) coordinates, the difference of two quadratures for four and five.  For more
        it is a bound that holds with probability 0.997: 3.6 standard errors of 16 independently shifted quasi-random rules
        (Student's t with 15 degrees of freedom).

    Raises
    ------
    TypeError, ValueError
        If the matrix is not finite, square, symmetric, positive semidefinite and of unit diagonal.

    Notes
    -----
    See :func:`closed_orthants`, :func:`small_orthants` and :mod:`theorylab.analytic._conditioning`.

    Examples
    --------
    >>> value, error = orthant_probability_with_error(np.full((7, 7), 0.5) + np.eye(7) / 2)
    >>> abs(value - 1 / 8) < error < 1e-4
    True
    """
    matrix = _merged(_correlation(correlation))
    points = _validation.positive_integer(points, "points")
    if matrix is None:
        return 0.0, 0.0
    if len(matrix) <= 5:
        value, error = small_orthants(matrix[None])
        return float(value[0]), float(error[0])
    lower, active, _ = _conditioning.triangular(_rows(matrix)[None], np.ones((1, len(matrix)), dtype=bool))
    cube = _conditioning.points(len(matrix) - 1, 1 << (points - 1).bit_length(), _REPLICATES)
    values = _conditioning.moments(lower, active, cube)[0][:, 0]
    return float(values.mean()), 3 * float(_conditioning.error(values))


def orthant_probability(correlation: np.ndarray) -> float:
    """Return ``P(z_1 > 0, …, z_k > 0)`` of a centred Gaussian vector of any dimension; in closed form up to three.

    Parameters, errors: as for :func:`orthant_probability_with_error`, which also estimates the error; ``k = 0`` gives 1.

    Examples
    --------
    >>> orthant_probability(np.eye(3))
    0.125
    """
    return orthant_probability_with_error(correlation)[0]
