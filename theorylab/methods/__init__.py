"""The methods that people use today to explain a logit, beside the backward rules: explicit NumPy on the package's networks.

:func:`attribute` runs them all; what each does stands there, but for the rules of relevance (Bach et al. 2015; deep Taylor,
Montavon et al. 2017), which stand here.

A logit's relevance is the logit itself for lrp-epsilon, whose shares have both signs, and its size for the others, whose shares
are positive: a negative logit would turn the sign of the whole map round, as it does in Captum, and two classes would differ
by that alone.  On its way down, a layer with outputs ``z = Σ_i z_i`` hands ``R z_i / z`` to what ``z_i`` comes from.  With
``w`` the weights, ``b`` the biases, ``⁺`` and ``⁻`` positive and negative parts, convolutions and dense layers have

- lrp-epsilon: ``z_i = a_i w_i`` and ``z = Σ z_i + b``;
- lrp-alpha1beta0: ``z_i = a_i⁺ w_i⁺ + a_i⁻ w_i⁻`` and ``z = Σ z_i + b⁺`` (Zennit's ZPlus);
- deep-taylor: the same without biases, so that no relevance is lost; where the picture comes in, ``z_i = w_i²``, or, for a
  picture between `low` and `high`, ``z_i = x_i w_i − low_i w_i⁺ − high_i w_i⁻`` (Zennit's WSquare and ZBox).

`epsilon` times its sign is added to every ``z``; where ``z`` is 0 even so, nothing is handed on.  It has the units of ``z``:
for a network of small activations take it smaller.

All else follows Zennit.  Units, of any slope, hand relevance on as it is (its Pass); a max-pool hands it to the winner; sums of
branches and average pools follow ``z_i / z`` with what they add (its Norm).  Batch normalisation is merged into the convolution
below it if nothing else reads that one (its SequentialMergeBatchNorm, for every ``eps``); elsewhere there is no rule, and
:class:`NoRule` says so.

>>> NAMES[:3]
('input-x-gradient', 'integrated-gradients', 'smoothgrad')
"""

from theorylab.methods import _cam, _gates, _gradients, _relevance  # noqa: F401 - they register
from theorylab.methods._attribute import attribute
from theorylab.methods._method import NAMES, Method, NoRule, method

__all__ = ["NAMES", "Method", "NoRule", "attribute", "method"]
