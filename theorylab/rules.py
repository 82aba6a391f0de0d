"""The three backward rules of Eq. 1–2, stated once for the whole package.

A ReLU with input ``y`` receives a gradient ``R`` from above and hands on ``T = h(R) g'(y)``.  The rules differ
in ``h`` (is the *backward* signal rectified?) and in ``g`` (does the *forward* mask apply?), and nowhere else.
"""

from __future__ import annotations

import enum

import numpy as np


class Rule(enum.Enum):
    """How a gradient passes back through a ReLU.

    =============  =======================  ==================
    rule           ``h(R)``                 ``g'(y)``
    =============  =======================  ==================
    ``SALIENCY``   ``R``                    ``1 if y > 0``
    ``DECONVNET``  ``max(R, 0)``            ``1``
    ``GUIDED``     ``max(R, 0)``            ``1 if y > 0``
    =============  =======================  ==================

    The indicator is strict: ``y == 0`` is masked.  Every function of the package takes a member or its value.

    Source: Eq. 1 and 2 of the paper.

    Examples
    --------
    >>> Rule("guided")
    <Rule.GUIDED: 'guided'>
    >>> Rule.DECONVNET.backward([-1.0, 2.0], [3.0, -3.0])
    array([0., 2.])
    """

    SALIENCY = "saliency"
    DECONVNET = "deconvnet"
    GUIDED = "guided"

    @classmethod
    def _missing_(cls, value: object) -> Rule:
        known = ", ".join(repr(rule.value) for rule in cls)
        raise ValueError(f"unknown rule {value!r}: choose one of {known}")

    @property
    def rectifies_gradient(self) -> bool:
        """Whether ``h`` is the ReLU (DeconvNet, guided backpropagation) and not the identity."""
        return self is not Rule.SALIENCY

    @property
    def masks_by_activation(self) -> bool:
        """Whether ``g`` is the ReLU (saliency, guided backpropagation) and not the identity."""
        return self is not Rule.DECONVNET

    def h(self, gradient: np.ndarray) -> np.ndarray:
        """``h`` of Eq. 2 applied to a gradient of any shape; a new array of the same dtype."""
        gradient = np.asarray(gradient)
        return np.maximum(gradient, 0) if self.rectifies_gradient else gradient.copy()

    def backward(self, gradient: np.ndarray, pre_activation: np.ndarray) -> np.ndarray:
        """``T = h(R) g'(y)`` of Eq. 1, element by element.

        Parameters
        ----------
        gradient : array_like
            ``R``, the gradient with respect to the ReLU's output.
        pre_activation : array_like, broadcastable to `gradient`
            ``y``, the ReLU's input in the forward pass.

        Returns
        -------
        numpy.ndarray
            The (modified) gradient with respect to the ReLU's input, in the dtype of `gradient`.
        """
        result = self.h(gradient)
        if self.masks_by_activation:
            # np.where, not a product: an infinite gradient behind a closed ReLU is 0, not NaN.
            result = np.where(np.asarray(pre_activation) > 0, result, result.dtype.type(0))
        return result


PAPER: tuple[Rule, ...] = (Rule.SALIENCY, Rule.DECONVNET, Rule.GUIDED)
"""The rules that the paper speaks of, in its order."""
