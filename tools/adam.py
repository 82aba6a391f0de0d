"""Adam: gradient descent with an adaptive step for every weight."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

BETA_1, BETA_2, EPS = 0.9, 0.999, 1e-8
"""Decay rates of the running means of the gradient and of its square, and what is added to the root of the latter."""


class Adam:
    """Adam's state for parameters of these names and shapes.

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

    def __init__(self, parameters: Mapping[str, np.ndarray]) -> None:
        self._steps = 0
        self._means = {name: np.zeros_like(array) for name, array in parameters.items()}
        self._squares = {name: np.zeros_like(array) for name, array in parameters.items()}

    def step(
        self, parameters: Mapping[str, np.ndarray], gradients: Mapping[str, np.ndarray], rate: float
    ) -> dict[str, np.ndarray]:
        """Return the parameters after one step, in their dtypes; the arguments stay unchanged."""
        self._steps += 1
        scale = rate / (1 - BETA_1**self._steps)
        correction = np.sqrt(1 - BETA_2**self._steps)
        moved = {}
        for name, mean in self._means.items():
            gradient, square = gradients[name], self._squares[name]
            mean += (1 - BETA_1) * (gradient - mean)
            square += (1 - BETA_2) * (gradient**2 - square)
            # Python numbers do not change the dtype of an array; a NumPy float64 would.
            moved[name] = parameters[name] - scale * mean / (np.sqrt(square) / float(correction) + EPS)
        return moved
