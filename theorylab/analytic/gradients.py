"""The gradient of one logit in deep random dense networks: of two inputs, and how its size scatters from net to net."""

from __future__ import annotations

import math
from collections.abc import Sequence

from theorylab import _validation
from theorylab.analytic import _angles
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.units import RELU, Unit


@_validation.checked
def gradient_correlation(cosine: float, depth: int, *, branch_scale: float | None = None) -> float:
    """Return the correlation of a logit's gradients at two inputs, in wide dense networks of ReLUs.

    Parameters
    ----------
    cosine : float
        Of the two inputs.
    depth : int
        Hidden layers; or residual blocks, if `branch_scale` is given.
    branch_scale : float, optional
        ``b > 0``: each block adds ``b U max(W o, 0)`` to its input ``o``, with weights of variance 2 (``W``) and 1 (``U``) over
        their fan-in: a branch has ``b²`` times the energy of its input.

    Returns
    -------
    float
        ``E⟨∇, ∇'⟩/E‖∇‖²``, for Gaussian weights without biases.

    Raises
    ------
    TypeError, ValueError
        If the cosine is not between -1 and 1, the depth no positive integer, or the scale not above 0.

    Notes
    -----
    Two inputs at the angle ``θ`` open the same unit with the probability ``(π − θ)/2π``, half of the inputs one.  The gradients
    pass that unit together, and the weights below it have fresh signs: so a layer multiplies their correlation by
    ``1 − θ_l/π``.  The angle of the next layer's inputs is that of rectified normals,
    ``cos θ' = k₁(cos θ) = [sin θ + (π − θ) cos θ]/π``.

    ``∏_l (1 − θ_l/π)``; of blocks ``∏_l [1 + b²(1 − θ_l/π)]/(1 + b²)``, with ``cos θ' = [cos θ + b² k₁(cos θ)]/(1 + b²)``.

    ``θ' = θ − θ²/3π + …``, so that ``θ_l → 3π/l``, and the correlation falls as ``l⁻³``: a power law, also of residual blocks,
    where ``θ_l`` is ``(1 + b²)/b²`` times as large, each factor differs from 1 by as much less, and the fall begins later.
    Inputs that open a quarter of the units together in every layer, ``θ = π/2``, would have ``2⁻ˡ`` and, for ``b = 1``,
    ``(3/4)ˡ``: the exponential decay of Balduzzi et al. (2017, arXiv 1702.08591).

    Exact for one hidden layer of any width (the length of a filter is independent of the gates).  Deeper it is the limit of
    wide layers and of many entries of the input; at a finite width the correlation is larger, by a share of order one over the
    width that grows with depth. Measured for orthogonal inputs at 128 units: 0, 1, 3, 5, 9 and 13 % at 1 to 6 layers; 1 % at 4
    blocks with ``b = 1``.  With 9 entries, inputs of the cosine ½ had 8 % more at 4 layers, however wide.

    Examples
    --------
    >>> [round(gradient_correlation(0.0, depth), 4) for depth in (1, 2, 4, 8, 16)]
    [0.5, 0.3016, 0.1416, 0.05, 0.0133]
    >>> round(gradient_correlation(0.0, 16, branch_scale=1.0), 4)
    0.0684
    """
    cosine = _validation.finite_number(cosine, "cosine")
    if abs(cosine) > 1:
        raise ValueError(f"cosine: expected a number between -1 and 1, got {cosine}")
    # How much of what arrives passes the units, of all that goes on.
    share = 1.0
    if branch_scale is not None:
        b = _validation.positive_number(branch_scale, "branch_scale")
        share = 1 / (1 + b**-2) if b > 1 else b * b / (1 + b * b)  # neither square may overflow
    return _angles.descend(cosine, share, _validation.positive_integer(depth, "depth"))[1]


@_validation.checked
def gradient_fourth_moment(widths: Sequence[int], *, unit: Unit = RELU) -> float:
    """Return ``E‖∇‖⁴/(E‖∇‖²)²`` of a logit's gradient in a random dense network; exact for all widths.

    Parameters
    ----------
    widths : sequence of int
        Entries of the input, then units of each hidden layer; at least one hidden layer.
    unit : Unit, default ReLU()
        Of the hidden layers, of the slope ``a`` below 0.

    Returns
    -------
    float
        At least 1; free of the input and of the scales of the Gaussian weights and readout.

    Raises
    ------
    TypeError, ValueError
        If a width is not a positive integer, or there is no hidden layer.
    NoLaw
        For a unit that is not homogeneous.

    Notes
    -----
    A unit's gate depends on its weights by the sign of its pre-activation alone, and a column of Gaussian weights above it
    takes any sign without a change of law.  So the gradient has the law of a product of Gaussian matrices and of gates ``D``
    that are 1 or ``a``, each with probability ½, independent of each other and of the matrices, at every width.  (Hanin and
    Nica, 2020, arXiv 1812.05994, prove it for ReLUs.)  A Gaussian matrix turns a vector into its length times a standard normal
    one, hence

    ``‖∇‖² = c² χ²(n_0) ∏_{l=1}^{L} S_l``, ``S_l = Σ_{i ≤ n_l} D_i² g_i²``,

    all independent, ``c`` the product of the weights' standard deviations.  ``E S = n(1 + a²)/2``, ``Var S = n[3(1 + a⁴)/2 −
    (1 + a²)²/4]``, and ``E χ⁴/(E χ²)² = 1 + 2/n``: the ratio is

    ``(1 + 2/n_0) ∏_l (1 + κ/n_l)``, ``κ = 6(1 + a⁴)/(1 + a²)² − 1``, which is 5 of ReLUs.

    For many wide layers ``ln ‖∇‖²`` is nearly normal with the variance ``2/n_0 + κ Σ_l 1/n_l``.

    Examples
    --------
    >>> round(gradient_fourth_moment([20, 20, 20, 20]), 4) == round(1.1 * 1.25**3, 4)
    True
    """
    if not unit.homogeneous:
        raise NoLaw(None, unit, "gradient_fourth_moment")
    sizes = [_validation.positive_integer(width, "widths") for width in widths]
    if len(sizes) < 2:
        raise ValueError(f"widths: expected the input's and at least one hidden layer's, got {sizes}")
    square = unit.slope**2
    scatter = 6 * (1 + square**2) / (1 + square) ** 2 - 1
    return (1 + 2 / sizes[0]) * math.prod(1 + scatter / size for size in sizes[1:])
