"""Moments of a Gaussian filter on one or two half-spaces.

A ReLU is open only where ``w·y > 0``; the theory of the three-layer network needs these three moments and no others.  Each
function takes the standard deviation ``c`` of the filter.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab import _validation


@_validation.checked
def mean(y: np.ndarray, *, std: float = 1.0) -> np.ndarray:
    """Return ``E[w 1(w·y > 0)]`` for ``w ~ N(0, c² I)``.

    Parameters
    ----------
    y : array, (..., p)
        Patches.  A patch of zeros gives zeros, because the indicator is strict.
    std : float
        ``c``.

    Returns
    -------
    array, (..., p)
        ``c/√(2π) y/‖y‖``.

    Notes
    -----
    Write ``w = z û + w⊥`` with ``û = y/‖y‖``.  The event is ``z > 0``; ``w⊥`` is independent of it and has mean 0.
    Only ``û E[z 1(z > 0)] = û c/√(2π)`` remains.  The paper uses it in the proof of Theorem 1.

    Examples
    --------
    >>> mean(np.array([3.0, 4.0])).round(4)
    array([0.2394, 0.3192])
    """
    std = _validation.positive_number(std, "std")
    y = _validation.real_array(y, "y")
    return std / math.sqrt(2 * math.pi) * unit(y)


@_validation.checked
def second_moment(y: np.ndarray, *, std: float = 1.0) -> np.ndarray:
    """Return ``E[w wᵀ 1(w·y > 0)]``, (p, p): ``c²/2`` times the identity, or zeros for a patch of zeros.

    Notes
    -----
    ``w wᵀ`` is even in ``w`` and the half-spaces ``w·y > 0`` and ``w·y < 0`` are each other's mirror image, so each
    holds one half of ``E[w wᵀ] = c² I``.

    Examples
    --------
    >>> second_moment(np.array([3.0, 4.0]), std=2.0)
    array([[2., 0.],
           [0., 2.]])
    """
    std = _validation.positive_number(std, "std")
    y = _validation.real_array(y, "y")
    return (std**2 / 2 if y.any() else 0.0) * np.eye(y.size)


@_validation.checked
def pair_terms(gap: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the three coefficients of the pair matrix ``M`` from ``‖u − v‖`` and ``‖u + v‖`` of unit vectors.

    ``M = (π − θ)/(2π) I + k₊ (u+v)(u+v)ᵀ − k₋ (u−v)(u−v)ᵀ`` with ``tan(θ/2) = ‖u−v‖/‖u+v‖``, ``k₊ = tan(θ/2)/(4π)`` and
    ``k₋ = cot(θ/2)/(4π)``, 0 where the vector is: every digit counts however small ``θ`` or ``π − θ`` is, where a cosine has lost
    half of them.

    Parameters
    ----------
    gap, total : arrays of one shape

    Returns
    -------
    a, k₊, k₋ : arrays of the same shape

    Examples
    --------
    >>> a, plus, minus = pair_terms(np.array(1e-9), np.array(2.0))
    >>> round(float(a), 12), round(float(minus * 1e-9 * 2 * math.pi), 12), round(float(plus / 1e-9 * 8 * math.pi), 12)
    (0.499999999841, 1.0, 1.0)
    """
    if gap.shape != total.shape:
        raise ValueError(f"gap, total: expected arrays of one shape, got {gap.shape} and {total.shape}")
    plus, minus = (
        np.divide(p, 4 * math.pi * q, out=np.zeros(np.shape(p)), where=(p > 0) & (q > 0))
        for p, q in ((gap, total), (total, gap))
    )
    return np.arctan2(total, gap) / math.pi, plus, minus


@_validation.checked
def pair_matrix(y: np.ndarray, other: np.ndarray, *, std: float = 1.0) -> np.ndarray:
    """Return ``E[w wᵀ 1(w·y > 0) 1(w·y' > 0)]`` for two patches.

    Parameters
    ----------
    y, other : arrays, (p,)
    std : float
        ``c``.

    Returns
    -------
    array, (p, p)
        ``c² {(π−θ)/(2π) I + [u u'ᵀ + u' uᵀ − cos θ (u uᵀ + u' u'ᵀ)]/(2π sin θ)}``.

    Raises
    ------
    ValueError
        If the patches differ in length.

    Notes
    -----
    Outside the plane of the two patches ``w`` is independent of the event, which has probability ``(π − θ)/(2π)``:
    the first term.  Inside the plane write ``w = r (cos φ, sin φ)`` with ``E[r²] = 2`` and the wedge of allowed
    angles symmetric about the bisector, of half-width ``η = (π − θ)/2``.  Then ``E[w wᵀ 1]`` is diagonal in the
    basis (bisector, its normal) with entries ``(2η ± sin 2η)/(2π) = ((π − θ) ± sin θ)/(2π)``; the part ``± sin θ/(2π)``
    times (bisector² − normal²), written with ``u`` and ``u'``, is the second term.  It is computed from ``u ± u'``:
    :func:`pair_terms`.

    Examples
    --------
    For orthogonal patches in the plane, the diagonal is a quarter; off it is the product of two half-normal means.

    >>> pair_matrix(np.array([1.0, 0.0]), np.array([0.0, 5.0])).round(4)
    array([[0.25  , 0.1592],
           [0.1592, 0.25  ]])
    """
    std = _validation.positive_number(std, "std")
    y = _validation.real_array(y, "y")
    other = _validation.real_array(other, "other")
    if y.ndim != 1 or y.shape != other.shape:
        raise ValueError(f"y, other: expected two patches (p,), got {y.shape} and {other.shape}")
    if not y.any() or not other.any():
        return np.zeros((y.size, y.size))
    u, v = unit(y), unit(other)
    a, plus, minus = pair_terms(*(np.asarray(np.linalg.norm(w)) for w in (u - v, u + v)))
    result: np.ndarray = std**2 * (
        a * np.eye(y.size) + plus * np.outer(u + v, u + v) - minus * np.outer(u - v, u - v)
    )
    return result


@_validation.checked
def unit(y: np.ndarray) -> np.ndarray:
    """Vectors (..., p) over their norms, of any size; zeros stay zeros."""
    if not y.ndim:
        raise ValueError("y: expected vectors (..., p), got a number")
    largest = abs(y).max(axis=-1, keepdims=True, initial=0.0)
    y = np.ldexp(y.astype(np.float64), -np.frexp(largest)[1])
    norms = np.linalg.norm(y, axis=-1, keepdims=True)
    return np.asarray(np.divide(y, norms, out=np.zeros(y.shape), where=norms > 0))
