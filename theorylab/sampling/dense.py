"""Maps of random networks with one hidden layer that reads the whole image, drawn without the weights of that layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from theorylab import _validation
from theorylab.model.laws import STANDARD_NORMAL, WeightLaw
from theorylab.model.rules import Rule
from theorylab.model.units import RELU, Unit
from theorylab.sampling._winner import winning_readout


@_validation.checked
class DenseSampler:
    """Sampler of the exact joint law of the raw maps of all rules and readouts, in time ``O(n_hidden + d)`` a map.

    Parameters
    ----------
    x : array of any shape
        The image, ``d`` entries.
    n_hidden : int
        Number of hidden units.
    filter_std : float, default 1.0
        ``c`` of the Gaussian weights of the hidden units.
    readout : WeightLaw, default Gaussian(1.0)
    unit : Unit, default ReLU()
    dtype : float64 or float32
        Dtype of the maps.

    Raises
    ------
    TypeError, ValueError
        For bad input.

    Notes
    -----
    Split each hidden unit's weights into the part along the image and the rest, ``w_i = c (z_i x̂ + w_i⊥)``.  The gates
    depend on ``z`` alone.  Given ``z`` and the signals ``T_i = h(V_i) g'(z_i)`` of all rules and readouts, the remaining part
    of the weights sums to Gaussian maps with the Gram matrix of the signals: ``S = c [⟨T, z⟩ x̂ + √(T Tᵀ) (I − x̂ x̂ᵀ) g]``
    has the exact law of the maps.

    Examples
    --------
    >>> sampler = DenseSampler(np.ones((1, 2, 2)), 1000)
    >>> sampler.draw(np.random.default_rng(0), [Rule.GUIDED, Rule.SALIENCY], n_readouts=2).shape
    (2, 2, 1, 2, 2)
    """

    def __init__(
        self,
        x: np.ndarray,
        n_hidden: int,
        *,
        filter_std: float = 1.0,
        readout: WeightLaw = STANDARD_NORMAL,
        unit: Unit = RELU,
        dtype: type = np.float64,
    ) -> None:
        x = _validation.image(x, np.shape(x)).astype(np.float64, copy=False)
        self.direction = x / np.linalg.norm(x)
        self.n_hidden = _validation.positive_integer(n_hidden, "n_hidden")
        self.filter_std = _validation.positive_number(filter_std, "filter_std")
        self.readout, self.unit, self.dtype = readout, unit, np.dtype(dtype)

    def draw(
        self, rng: Generator, rules: Sequence[Rule], *, n_readouts: int = 1, n_logits: int | None = None
    ) -> np.ndarray:
        """Draw the maps of one fresh network, (rules, n_readouts, then the shape of the image).

        Parameters: as for :meth:`theorylab.sampling.of_stack.Sampler.draw`.
        """
        along = rng.standard_normal(self.n_hidden)
        readouts = [self.readout.sample(self.n_hidden, seed=rng) for _ in range(n_readouts)]
        if n_logits is not None:
            activation = self.unit.forward(along)
            readouts = [winning_readout(v, activation, self.readout.std, n_logits, rng) for v in readouts]
        signals = np.stack([rule.backward(v, along, self.unit) for rule in rules for v in readouts])
        rest = rng.standard_normal((len(signals), *self.direction.shape))
        rest -= (rest * self.direction).reshape(len(rest), -1).sum(axis=1).reshape(
            -1, *[1] * self.direction.ndim
        ) * self.direction
        values, vectors = np.linalg.eigh(signals @ signals.T)
        root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
        maps = np.multiply.outer(signals @ along, self.direction) + np.tensordot(root, rest, axes=1)
        shape = (len(rules), n_readouts, *self.direction.shape)
        scaled: np.ndarray = self.filter_std * maps
        return scaled.astype(self.dtype, copy=False).reshape(shape)
