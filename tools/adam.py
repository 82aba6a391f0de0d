"""Adam: gradient descent with an adaptive step for every weight."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class Adam:
    """Adam's state for one set of parameters.

    Parameters
    ----------
    parameters : mapping of str to array
        Only their names and shapes matter; the arrays are not kept.
    beta1, beta2 : float
        Decay rates of the running means of the gradient and of its square.
    eps : float
        Added to the square root of the second mean.

    Notes
    -----
    Kingma and Ba, *Adam: a method for stochastic optimization* (2015), algorithm 1:
    ``m ← β₁ m + (1 − β₁) g``, ``v ← β₂ v + (1 − β₂) g²``, ``θ ← θ − rate · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + eps)``.

    Examples
    --------
    >>> adam = Adam({"w": np.zeros(2)})
    >>> adam.step({"w": np.zeros(2)}, {"w": np.array([3.0, -0.1])}, rate=0.5)["w"].round(6)
    array([-0.5,  0.5])
    """

    def __init__(
        self,
        parameters: Mapping[str, np.ndarray],
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self._steps = 0
        self._means = {name: np.zeros_like(array) for name, array in parameters.items()}
        self._squares = {name: np.zeros_like(array) for name, array in parameters.items()}

    def step(
        self, parameters: Mapping[str, np.ndarray], gradients: Mapping[str, np.ndarray], rate: float
    ) -> dict[str, np.ndarray]:
        """Return the parameters after one step; the arguments stay unchanged.

        Parameters
        ----------
        parameters, gradients : mapping of str to array
            With the names and shapes of the constructor's parameters.
        rate : float

        Returns
        -------
        dict of str to array, of the parameters' dtypes

        Raises
        ------
        KeyError
            If a name is missing.
        """
        self._steps += 1
        scale = rate / (1 - self.beta1**self._steps)
        correction = np.sqrt(1 - self.beta2**self._steps)
        moved = {}
        for name, mean in self._means.items():
            gradient, square = gradients[name], self._squares[name]
            mean += (1 - self.beta1) * (gradient - mean)
            square += (1 - self.beta2) * (gradient**2 - square)
            # Python numbers do not change the dtype of an array; a NumPy float64 would.
            moved[name] = parameters[name] - scale * mean / (np.sqrt(square) / float(correction) + self.eps)
        return moved
