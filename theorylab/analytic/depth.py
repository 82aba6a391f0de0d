"""The law of the modified gradient at every depth of a random fully connected network.

Layers ``o^(l) = φ(W^(l)ᵀ o^(l−1))`` of ``n_l`` units, ``o^(0) = x``, weights ``N(0, c_l²)``, a linear readout of
standard deviation ``c_V`` above the last hidden layer.  ``V̂^(l)`` is what a rule hands to ``o^(l)``; every function
here speaks of one fixed logit.

The *form* ``V̂^(l) = A o^(l) + B P g`` is exact at every width, for every rule and unit: ``P`` projects off ``o^(l)``, ``g`` is
standard normal and independent of the two random scalars.  For a unit's weights split into ``w = z o/‖o‖² + w⊥``; the
gradient ``T`` that the layer above hands on depends on the weights through the pre-activations ``z`` alone, so ``Σ w⊥ T``
is Gaussian given all of them.  In general it is a limit of wide layers that ``A`` and ``B`` are numbers ``α`` and ``β``; the
mean alignment errs by ``O(1/n)`` (:mod:`theorylab.analytic.finite_width`), one network scatters about it by ``O(1/√n)``.
Two kinds of rules have exact means at every width, ``α = 0`` and ``β`` as below:

*Rules without a gate* (DeconvNet).  ``V̂^(l)`` is made of the weights above layer ``l`` and ``o^(l)`` of those below it: they are
independent, whatever ``h`` and the unit are, and ``V̂^(l)`` is symmetric.

*Rules whose h is a multiple of the identity* (saliency).  ``V̂`` changes its sign with the readout.  For a fixed vector ``u``,
``⟨V̂, u⟩`` is a multiple of the logit's derivative along ``u``, whose tangent ``t`` obeys
``E‖t^(l)‖² = n_l E[φ'(z)² (w·t^(l−1))²] = n_l c_l² ‖t^(l−1)‖² (1 + a²)/2`` (``w`` and ``−w`` are as likely), whatever ``o`` is.

The paper (Proposition 1) has mean zero and independent entries for all its rules at every layer: true of saliency and
DeconvNet, and false of guided backpropagation below the topmost layer.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import optimize

from theorylab import _validation
from theorylab.analytic import _angles
from theorylab.analytic._layer_laws import bias_laws, readout_kind, standard_deviations
from theorylab.analytic._uniform_moments import lost_between, unit_moments
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.laws import BiasLaw, Uniform, WeightLaw
from theorylab.model.rules import Rule
from theorylab.model.units import RELU, Unit


@dataclasses.dataclass(frozen=True)
class LayerProfile:
    """What a rule hands to the output of one layer: ``V̂ ≈ α o + β ξ``, ``ξ`` standard normal.

    Attributes
    ----------
    layer : int
        ``l``; 0 is the input.
    alpha, beta : float
        Infinite, or zero, where the number is beyond a double's range.
    alignment : float
        Cosine between ``V̂`` and ``o``: ``α‖o‖/√(α²‖o‖² + β² n)``.
    class_distance : float
        Distance between the unit-norm ``V̂`` of two logits of one network, in the limit of wide layers.
    """

    layer: int
    alpha: float
    beta: float
    alignment: float
    class_distance: float


def _exponential(logarithm: float) -> float:
    """``exp``, infinite or zero beyond a double's range instead of an OverflowError."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.exp(logarithm))


@_validation.checked
def depth_profile(
    widths: Sequence[int],
    rule: Rule | str,
    *,
    stds: float | Sequence[float] | np.ndarray | None = None,
    input_norm: float = 1.0,
    unit: Unit = RELU,
    biases: BiasLaw | Sequence[BiasLaw | None] | None = None,
    readout: WeightLaw | None = None,
) -> list[LayerProfile]:
    """Mean and noise of the modified gradient at every layer of a random fully connected network.

    Parameters
    ----------
    widths : sequence of int
        Entries of the input, then units of each hidden layer; at least one hidden layer.
    rule : Rule or str
        Any: of this package or of your own.
    stds : float or sequence of float, optional
        Standard deviations of the weights.  A sequence goes from the input up: one number for each hidden layer, with
        the readout's at the end or without it (1 then).  One number holds for every matrix, the readout's included.
        By default ``√(2/fan-in)`` for hidden layers and 1 for the readout.
    input_norm : float
        ``‖x‖``.
    unit : Unit, default ReLU()
        Of the hidden layers.
    biases : WeightLaw, or sequence of them, optional
        Laws of the hidden layers' biases, Gaussian or uniform, from the input up; one law holds for every layer.
    readout : WeightLaw, optional
        The readout's law, if it is not Gaussian; wins over `stds`.

    Returns
    -------
    list of LayerProfile, top layer first
        One record for the output of every layer below the last hidden one, whose own ``V̂`` is the readout; the last
        record is the input's.  Without biases the alignments depend on nothing but the widths, the rule, the unit and the
        kind of the readout's law.

    Raises
    ------
    TypeError, ValueError
        If a width or a standard deviation is not a positive number, there is no hidden layer, or the number of
        standard deviations does not fit.
    NoLaw
        For a unit that is not homogeneous, and for biases of another law.

    Notes
    -----
    ``E‖o^(l)‖² = n_l c_l² ‖o^(l−1)‖² (1 + a²)/2``, because ``φ(z)²`` holds half of ``z²`` and ``a²`` of the other half.  Start
    from ``α = 0``, ``β = c_V``.  Below layer ``l``, ``s = c_l ‖o^(l−1)‖``: the component of ``Σ w T`` along ``o^(l−1)`` is
    ``n_l E[z T]/‖o^(l−1)‖`` and each other one has variance ``c_l² n_l E[T²]``.

    For ``β = 1`` let ``F(t)`` and ``S(t)`` be ``E[z T]/s`` and ``E[T²]`` at the signal ``t = α s/β``
    (:mod:`theorylab.analytic._unit_moments`).  Then ``β'² = c_l² n_l β² S`` and the ratio
    ``ρ = α'‖o^(l−1)‖/(β' √n_{l−1}) = √(n_l/n_{l−1}) F/√S`` is free of every scale.  A hidden layer has
    ``s = ‖o‖ √(2/(n (1 + a²)))``, hence ``t' = ρ √(2/(1 + a²))``: the recursion runs in ``t`` alone, and the norms are carried as
    logarithms.  The topmost step, from the readout, has exact ``α`` and exact ``β`` at every width (given ``‖o^(l−1)‖``).

    Where ``α`` stays 0, ``S = (up² + down²)(1 + shut²)/4``: saliency and DeconvNet have the same numbers.

    *Two logits* share ``α o`` and a part of their noises.  Given the pre-activations of a layer, what ``Σ w T`` has across ``o``
    is normal for both, with the covariance ``c² Σ T T'``: so ``δ²``, the part of ``β²`` that each has alone, obeys
    ``δ'² = c_l² n_l (E[T²] − E[T T'])``, in closed form (:mod:`theorylab.analytic._unit_moments`), from ``δ = β`` at the readout.
    The squared distance is ``2 δ²/β²`` over ``1 + ρ²``, again free of every scale, and at equal widths of the width.  Exact at
    every width are ``√2`` of rules whose h is a multiple of the identity and the topmost step of rules without a gate;
    otherwise it is the limit of wide layers, with a relative error of order depth over width.  Measured below five layers of 50,
    100 and 200 units: guided backpropagation's mean alignments at most 0.005 above the law, the root of its mean squared
    distance 5, 2 and 0 % (0.7 each) below, DeconvNet's within 1 %.  A ratio of expectations, in which two norms differ, is
    another number there: 0.467, 0.398 and 0.344 for 0.289.  At PyTorch's defaults alignments were at most 0.011 above, and
    within 0.003 below eight layers of 512.
    :func:`~theorylab.analytic.infinite_depth_class_distance` says what becomes of it.

    *Biases* ``b`` of variance ``c_b²`` make ``s² = c_l² ‖o^(l−1)‖² + c_b²``, of which the bias has the share ``1 − e``.  As
    ``E[w T] = c² o E[∂T/∂z]``, only the ratio changes, ``ρ = √(n_l/n_{l−1}) √e F/√S`` with ``F = s E[∂T/∂z]``: what
    biases decide says nothing of ``o``.  For Gaussian biases ``F``, ``S`` and the loss of two logits are as they were; for
    uniform ones they are integrals (:mod:`theorylab.analytic._uniform_moments`).  PyTorch's defaults, weights and biases of
    variance ``1/(3 fan-in)``, lose energy until ``e`` is 1/6: deep layers' alignment is 0.13, where it would be 0.46.

    *A readout* ``V`` of another law enters through ``E[h(V)]`` alone, at the topmost step.

    Examples
    --------
    Guided backpropagation recovers every hidden layer, and the input better than three layers would (0.483):

    >>> records = depth_profile([1000] + [3000] * 5, "guided")
    >>> [round(record.alignment, 3) for record in records]
    [0.303, 0.409, 0.442, 0.452, 0.663]

    And it forgets which logit is explained:

    >>> [round(record.class_distance, 3) for record in records]
    [1.113, 0.805, 0.57, 0.405, 0.243]
    >>> depth_profile([50, 100], "saliency")
    [LayerProfile(layer=0, alpha=0.0, beta=1.414..., alignment=0.0, class_distance=1.414...)]
    """
    rule = Rule(rule)
    if not unit.homogeneous:
        raise NoLaw(rule, unit, "depth_profile")
    sizes = [_validation.positive_integer(width, "widths") for width in widths]
    if len(sizes) < 2:
        raise ValueError(f"widths: expected the input's and at least one hidden layer's, got {sizes}")
    hidden, top = standard_deviations(stds, sizes)
    top, kind = (top, 1.0) if readout is None else (readout.std, readout_kind(readout))
    laws = bias_laws(biases, len(hidden), rule, unit)
    active = math.hypot(1.0, unit.slope) / math.sqrt(2)  # of ‖z‖, what ‖φ(z)‖ holds
    log_norms = [math.log(_validation.positive_number(input_norm, "input_norm"))]
    shares = []  # of the bias, in a pre-activation's variance
    for width, std, bias in zip(sizes[1:], hidden, laws, strict=True):
        size = of_weights = log_norms[-1] + math.log(std)
        if bias is not None:
            size = float(np.logaddexp(2 * of_weights, 2 * math.log(bias.std))) / 2
        shares.append(-math.expm1(2 * (of_weights - size)))
        log_norms.append(size + math.log(width) / 2 + math.log(active))

    records = []
    signal, log_beta, apart = 0.0, math.log(top), 1.0  # the last one is δ²/β²
    for layer in range(len(sizes) - 2, -1, -1):
        above, below = sizes[layer + 1], sizes[layer]
        share = shares[layer]
        uniform = share if share > 0 and isinstance(laws[layer], Uniform) else None
        first, second = (float(moment) for moment in unit_moments(rule, unit, signal, 1.0, uniform))
        lost = float(lost_between(rule, unit, signal, 1.0, apart, uniform))
        if layer == len(sizes) - 2:
            first, lost = kind * first, second - kind**2 * (second - lost)
        apart = lost / second
        log_beta += math.log(hidden[layer]) + math.log(above) / 2 + math.log(second) / 2
        ratio = math.sqrt((1 - share) * above / below) * first / math.sqrt(second)
        alpha = 0.0
        if ratio:
            size = math.log(abs(ratio)) + log_beta + math.log(below) / 2 - log_norms[layer]
            alpha = math.copysign(_exponential(size), ratio)
        whole = math.hypot(1.0, ratio)
        distance = math.sqrt(2 * apart) / whole
        records.append(LayerProfile(layer, alpha, _exponential(log_beta), ratio / whole, distance))
        signal = ratio / active
    return records


def infinite_depth_alignment() -> float:
    """Alignment of guided backpropagation with a hidden layer far below the readout, all widths equal and large.

    Returns
    -------
    float, to about 1e-15: 0.45590111...

    Notes
    -----
    The fixed point of :func:`depth_profile`'s recursion, which takes ``t`` to ``√2 F(t)/√S(t)`` one layer down.  With
    ``t = cot ψ``, ``K₁ = (π−ψ) cos ψ + sin ψ`` and ``K₂ = (π−ψ)/2 + sin(2ψ)/4`` this is ``g(ψ) = K₁/√(2π K₂)``, that is
    ``π cos²ψ [(π−ψ) + sin ψ cos ψ] = sin²ψ [(π−ψ) cos ψ + sin ψ]²``, which mixes ``ψ`` with its sine: no
    closed form, one root by bisection.  With ``ρ = t/√2`` the alignment is ``ρ/√(1 + ρ²)``.

    It exists, is unique and attracts every start.  ``K₁' = −(π−ψ) sin ψ`` and ``K₂' = −sin²ψ``, so ``g`` falls from 1 at
    ``ψ = 0`` to ``√2/π`` at ``π/2`` (its slope has the sign of ``sin²ψ − (π−ψ)²``); the recursion therefore rises with
    ``t`` and stays below 1 (``ψ > π/4``).  Its derivative ``−g' sin²ψ`` is at most ``(π−ψ) sin³ψ/√(2π K₂)``, and
    ``2K₂ ≥ π − ψ`` bounds that by ``√((π−ψ)/π) sin³ψ < 1``: a contraction.  At the root it is 0.286: from
    the sixth layer down an alignment is within 0.001 of the limit.

    An input of ``d`` entries below layers of ``n`` units has ``ρ √(n/d)`` in place of ``ρ``.

    Examples
    --------
    >>> round(infinite_depth_alignment(), 6)
    0.455901
    >>> round(depth_profile([500] * 40, "guided")[-1].alignment, 6)
    0.455901
    """
    ratio = fixed_signal() / math.sqrt(2)
    return float(ratio / math.hypot(1.0, ratio))


def fixed_signal() -> float:
    """``t = α s/β`` of guided backpropagation far below the readout, all widths equal; see `infinite_depth_alignment`."""

    def excess(signal: float) -> float:
        first, second = unit_moments(Rule.GUIDED, RELU, signal, 1.0, None)
        return float(math.sqrt(2) * first / np.sqrt(second)) - signal

    return float(optimize.brentq(excess, 0.0, 1.0, xtol=1e-15, rtol=1e-15))


def deconvnet_correlation(depth: int) -> float:
    """Correlation of DeconvNet's gradient between two positions, `depth` convolutions below the readout.

    For convolutional networks without pooling, a dense readout of independent Gaussian weights and one fixed logit.

    Parameters
    ----------
    depth : int
        Convolutions that the gradient has passed, at least 1.

    Returns
    -------
    float
        ``1/π`` after one layer, then ``ρ ↦ [√(1−ρ²) + (π − arccos ρ) ρ]/π`` for every further one; tends to 1, like
        ``1 − 9π²/(2 depth²)``.

    Raises
    ------
    TypeError, ValueError
        If `depth` is not a positive integer.

    Notes
    -----
    Take two positions of one channel, both far from the border, whose offset is a multiple of the product of all strides.
    (Otherwise different taps of a filter serve the two at some layer, and the correlation starts again from 0 there.)
    One layer down the entries are
    ``Σ_i Σ_r w_ir σ(V̂_i(pos − r))``, with the *same* weights at both.  Given the layer above they are jointly Gaussian
    with the covariance ``c² Σ_i Σ_r σ(V̂_i(pos − r)) σ(V̂_i(pos' − r))``, and every term of it has the mean
    ``E[σ(a) σ(b)] = s² [√(1−ρ²) + (π − arccos ρ) ρ]/(2π)`` for normals ``a, b`` of variance ``s²`` and correlation
    ``ρ``, the same for all pairs of different positions.  The distance does not enter.

    Exact at every number of filters after one layer, where ``a`` and ``b`` are readout weights (``ρ = 0``).  Below that
    the covariance is a sum over filters that share their history; it settles on its mean as their number grows.  Measured:
    0.491(3) and 0.604(7) below two and three layers of 32 filters, for 0.494 and 0.605.

    Examples
    --------
    >>> [round(deconvnet_correlation(depth), 4) for depth in (1, 2, 5)]
    [0.3183, 0.4937, 0.7359]
    """
    return _angles.descend(0.0, 1.0, _validation.positive_integer(depth, "depth"))[0]
