"""What depth does to the difference between two logits' modified gradients."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from theorylab import _validation
from theorylab.analytic._unit_moments import lost_between, unit_moments
from theorylab.analytic.depth import fixed_signal
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.rules import Rule
from theorylab.model.units import RELU


@dataclasses.dataclass(frozen=True)
class Decay:
    """The distance of two logits after ``L`` layers: ``coefficient · factor^L · L^(−power)`` for large ``L``.

    Attributes
    ----------
    factor : float
    power : float
    coefficient : float
        NaN where the widths decide it.
    """

    factor: float
    power: float
    coefficient: float


@_validation.checked
def infinite_depth_class_distance(rule: Rule | str) -> Decay:
    """How the distance between two logits' unit-norm gradients falls with depth: dense ReLU layers, equal and large widths.

    Parameters
    ----------
    rule : Rule or str
        Without a gate, with a multiple of the identity for ``h``, or guided backpropagation.

    Returns
    -------
    Decay
        Saliency: ``√2`` at every depth.  DeconvNet: ``3π/L``.  Guided backpropagation: times 0.7343 a layer.

    Raises
    ------
    TypeError, ValueError
        If the rule is unknown.
    NoLaw
        For a gate with any other ``h``.

    Notes
    -----
    The limit of :func:`~theorylab.analytic.depth_profile`'s recursion for ``ε = δ²/β²``, the share of its noise that a logit
    has alone.  The distance is proportional to ``√ε``.

    *h a multiple of the identity*: ``L(t)`` and ``B(t)`` of :mod:`theorylab.analytic._unit_moments` are the same share of
    ``δ²`` and of ``β²``; ``ε`` stays 1.

    *Without a gate* ``t = 0``.  Expanded to the third order in ``A``, ``ε' = ε − 4κ/(3π) ε √(ε/2)`` with
    ``κ = (up + down)²/(up² + down²)``: the distance ``d = √(2ε)`` loses ``κ d²/(3π)`` a layer and tends to ``3π/(κL)``.  For
    DeconvNet, ``κ = 1``, that is 0.942 at ``L = 10`` and 0.0942 at 100, where the recursion has 0.507 and 0.0846.

    *Guided backpropagation* at its fixed angle ``ψ`` (:func:`~theorylab.analytic.infinite_depth_alignment`): to first order a
    unit hands on ``δ² P(z > 0, V̂ > 0)``, hence ``ε' = λ ε`` with ``λ = sin²ψ (π−ψ)/[(π−ψ) + ½ sin 2ψ] = 0.539``, and the
    distance falls by ``√λ``.  In convolutions of finite width a part of order one over the width falls more slowly
    (:mod:`theorylab.analytic.conv_depth`).

    Examples
    --------
    >>> infinite_depth_class_distance("guided")
    Decay(factor=0.734..., power=0.0, coefficient=nan)
    >>> infinite_depth_class_distance("deconvnet") == Decay(1.0, 1.0, 3 * math.pi)
    True
    """
    rule = Rule(rule)
    if rule.up + rule.down == 0:
        return Decay(1.0, 0.0, math.sqrt(2))
    if not rule.gate:
        share = (rule.up + rule.down) ** 2 / (rule.up**2 + rule.down**2)
        return Decay(1.0, 1.0, 3 * math.pi / share)
    if rule.up <= 0 or rule.down != 0:
        raise NoLaw(rule, RELU, "infinite depth", "depth_profile has its numbers at any depth")
    signal, small = fixed_signal(), 1e-40
    _, second = unit_moments(Rule.GUIDED, RELU, signal, 1.0)
    lost = lost_between(Rule.GUIDED, RELU, signal, 1.0, small)
    return Decay(float(np.sqrt(lost / (small * second))), 0.0, math.nan)
