"""How fast layer-wise relevance propagation forgets the logit in a random dense network: z+, which is α1β0 and deep Taylor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from theorylab import _validation

_ROOT = math.sqrt(2 * math.pi)
_SPREAD = math.pi - 1  # variance of a standard normal's positive part over its squared mean


def _direction(value: np.ndarray, name: str) -> np.ndarray:
    """Return an array as a vector of norm 1: its scale does not matter, and may be beyond what a square can hold."""
    vector = _validation.real_array(value, name).astype(np.float64).ravel()
    if not vector.any():
        raise ValueError(f"{name}: is zero everywhere")
    vector = vector / abs(vector).max()
    return np.asarray(vector / np.linalg.norm(vector))


@_validation.checked
def relevance_cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Return the cosine of two relevances behind one layer of the positive parts of Gaussian weights.

    Parameters
    ----------
    first, second : array
        Relevance of each unit over its ``z``, for two logits; of any shape, not zero.

    Returns
    -------
    float
        Expected inner product over the square root of the product of expected energies.

    Raises
    ------
    TypeError, ValueError
        If an array is not finite or is zero, or they have unlike sizes.

    Notes
    -----
    The z+ rule multiplies by a matrix ``A`` of entries ``max(w, 0)``, ``w ~ N(0, c²)``: of mean ``c μ``, ``μ² = 1/2π``, and of
    variance ``c² v``, ``v = 1/2 − μ²``.  Entries are independent, so ``E⟨A r, A s⟩ = n' c² (μ² Σr Σs + v ⟨r, s⟩)`` for each
    ``n'`` units below, and the cosine is

    ``(μ² Σr Σs + v ⟨r, s⟩) / √((μ² (Σr)² + v ‖r‖²) (μ² (Σs)² + v ‖s‖²))``.

    Exact as a ratio of expectations for vectors that do not depend on ``A``; the cosine of one draw tends to it as ``n'`` grows.

    Examples
    --------
    Two logits directly above the layer share ``1/π``, whatever the width:

    >>> round(relevance_cosine(np.array([1.0, 0.0]), np.array([0.0, 1.0])) * np.pi, 12)
    1.0
    """
    r = _direction(first, "first")
    s = _direction(second, "second")
    if r.shape != s.shape:
        raise ValueError(f"second: expected as many numbers as in first, {r.size}, got {s.size}")

    def product(a: np.ndarray, b: np.ndarray) -> float:
        return float(a.sum() * b.sum() + _SPREAD * (a @ b))

    return product(r, s) / math.sqrt(product(r, r) * product(s, s))


@_validation.checked
def relevance_collapse(x: np.ndarray, widths: Sequence[int]) -> list[float]:
    """Return one minus the cosine of the z+ relevances of two logits, layer by layer, in a wide dense network of ReLUs.

    Parameters
    ----------
    x : array
        The image, of any shape, not zero.
    widths : sequence of int
        Units of the hidden layers, from the input up; at least one.

    Returns
    -------
    list of float
        At the last hidden layer, at each one below it, and at the input: one number more than `widths` has.

    Raises
    ------
    TypeError, ValueError
        If a width is not a positive integer, there is none, or the image is not finite or zero.

    Notes
    -----
    Bias-free, Gaussian weights and readout of any scale; relevance ``R_i = a_i Σ_j w⁺_ij R_j/z_j``, ``z_j = Σ_i a_i w⁺_ij``,
    starts at one logit.  Sixt, Granz and Landgraf (2020, arXiv 1912.09818) prove that the product of such matrices tends to
    rank one; this is how fast.

    *The limit.*  Let ``q = ‖r‖²/(Σr)²`` for ``r = R/z``.  One layer takes ``1 − cos`` to ``(π−1) q (1−cos)/(1 + (π−1) q)``
    (:func:`relevance_cosine` for equal energies), and an activation is half a Gaussian, ``E[a²]/E[a]² = π``, so the next layer
    of ``n`` units has ``q = π (1 + (π−1) q)/n``. From ``q = 1`` at the logit: ``1 − 1/π`` at the last hidden layer,
    ``π(π−1)²/n`` one below, and a factor of ``π(π−1)/n`` in each further one.  (Without the activations, a bare product of such
    matrices, each ``π`` is absent: ``(π−1)²/n`` and ``(π−1)/n``.)

    *The correction.*  Activations depend on the weights that relevance comes back by, which changes a step by ``O(1/√n)``.
    Given the pre-activation ``ζ_j`` of unit ``j``, in standard deviations, its weight to unit ``i`` is shifted by
    ``c ζ_j a_i/‖a‖``.  To first order that raises the mean of ``w⁺`` by ``(√(2π)/2) ζ_j a_i/‖a‖`` of itself and its variance by
    ``κ ζ_j a_i/‖a‖``, ``κ = 1/(√(2π) v)``; and ``z_j`` by ``(√(2π)/2) ζ_j ‖a‖/Σa``.  Averages of ``ζ`` over open units with
    weight 1 or ``r_j²`` are ``√(2π)/2`` and ``τ = 4/√(2π)``. With ``skew = Σa³/(Σa²)^{3/2}`` and ``spread = √(Σa²)/Σa`` of the
    layer below, its ``1 − cos`` has the factor ``exp(−k)``,

    ``k = √(2π) τ spread − κ τ skew + u − u_above``, ``u = π (skew − spread)``, ``u_above = 0`` below the readout.

    Equal widths: ``k = 4.40/√n`` and ``2.88/√n``.  What is left is ``O(1/n)``: measured at equal widths, +3, 0, −2 and −2 % at
    64, 128, 256 and 512 units one layer below the last, and −13, −8, −7 and −3 % two layers below.

    Examples
    --------
    Two classes are one map, three layers below the logits:

    >>> collapse = relevance_collapse(np.ones(300), [300, 300, 300])
    >>> [f"{1 - value:.5f}" for value in collapse]
    ['0.31831', '0.96519', '0.99931', '0.99999']
    """
    a = np.abs(_direction(x, "x"))
    sizes = [_validation.positive_integer(width, "widths") for width in widths]
    if not sizes:
        raise ValueError("widths: expected those of one hidden layer at least, got none")
    below = [(float(a.sum()), float((a**2).sum()), float((a**3).sum()))]
    below += [(n / _ROOT, n / 2, 2 * n / _ROOT) for n in sizes[:-1]]
    tau, kappa = 4 / _ROOT, 1 / (_ROOT * (0.5 - 1 / _ROOT**2))
    found = [1 - 1 / math.pi]
    mean_square, above = math.pi, 0.0  # E[(R/a)²] over E[R/a]²: the readout's positive parts are not flat
    for width, (sums, squares, cubes) in zip(reversed(sizes), reversed(below), strict=True):
        share = _SPREAD * mean_square * math.pi / width
        skew, spread = cubes / squares**1.5, math.sqrt(squares) / sums
        under = math.pi * (skew - spread)
        correction = tau * (_ROOT * spread - kappa * skew) + under - above
        found.append(found[-1] * share / (1 + share) * math.exp(-correction))
        mean_square, above = 1 + share, under
    return found
