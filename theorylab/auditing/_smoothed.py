"""An attribution whose maps are means over noisy copies of the picture."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from theorylab import _random, _validation
from theorylab.auditing._maps import called_many
from theorylab.auditing._torch_attribution import TorchAttribution
from theorylab.auditing.adapters import OfNetwork
from theorylab.methods._gradients import noisy_copies


@_validation.checked
class SmoothedAttribution:
    """The mean of an attribution's maps over noisy copies of the picture: SmoothGrad of any attribution.

    Parameters
    ----------
    attribute : NetworkAttribution, MethodAttribution, ModuleAttribution or CaptumAttribution
    noise : float, default 0.15
        Standard deviation of the normal noise, as a share of the picture's range.
    draws : int, default 10
        Copies, the same ones for every target and network.
    seed : int, default 0

    Raises
    ------
    TypeError, ValueError
        If the attribution is not one of these, the noise is negative, or the draws are no positive integer.

    Notes
    -----
    Called with a picture (C, H, W) and a logit's index it returns a map (C, H, W), float64.  What an audit's null calls MPRT is
    smooth MPRT (Hedström et al. 2024, arXiv:2401.06465) of the attribution inside: both maps, before and after all weights
    have been drawn anew, are means over noise.

    Examples
    --------
    >>> from theorylab.auditing import NetworkAttribution
    >>> from theorylab.networks import vgg16
    >>> net = vgg16(input_shape=(3, 32, 32), n_logits=4, n_hidden=8)
    >>> attribute = SmoothedAttribution(NetworkAttribution(net, "guided"), draws=2)
    >>> attribute(np.linspace(0, 1, 3 * 32 * 32).reshape(3, 32, 32), 2).shape, attribute.layers[-1]
    ((3, 32, 32), 'classifier.6')
    """

    def __init__(self, attribute: Any, *, noise: float = 0.15, draws: int = 10, seed: int = 0) -> None:
        if not isinstance(attribute, (OfNetwork, TorchAttribution)):
            what = "one that knows its network, such as NetworkAttribution"
            raise TypeError(f"attribute: expected {what}, got {_validation.kind(attribute)}")
        self.attribute: Any = attribute
        self.noise, self.draws, self.seed = noise, draws, seed
        noisy_copies(np.zeros(1), noise, draws, seed)  # refuses what is wrong
        self.__name__ = f"smoothed {getattr(attribute, '__name__', type(attribute).__name__)}"

    def many(self, x: np.ndarray, targets: Sequence[int]) -> np.ndarray:
        """Return the maps of several targets, (T, C, H, W)."""
        x = _validation.real_array(x, "x").astype(np.float64)
        total = np.zeros(1)
        for copy in noisy_copies(x, self.noise, self.draws, self.seed):
            total = total + called_many(self.attribute, copy, targets) / self.draws
        return total

    def __call__(self, x: np.ndarray, target: int) -> np.ndarray:
        """Return the map of one target."""
        return np.asarray(self.many(x, [target])[0])

    @property
    def layers(self) -> tuple[str, ...]:
        """Of the attribution inside."""
        return tuple(self.attribute.layers)

    @property
    def gradient(self) -> Any:
        """The plain gradient, not smoothed."""
        return self.attribute.gradient

    def randomized(self, layers: Collection[str], seed: _random.Seed) -> SmoothedAttribution:
        """Return the same attribution with these layers' weights drawn anew."""
        return self._of(self.attribute.randomized(layers, seed))

    def _of(self, attribute: Any) -> SmoothedAttribution:
        """Smooth another attribution with the same noise."""
        return SmoothedAttribution(attribute, noise=self.noise, draws=self.draws, seed=self.seed)
