"""What is said of each layer of a deep network: the size of its weights, the laws of its biases and of the readout."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from theorylab import _validation
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.laws import BiasLaw, Gaussian, Uniform, WeightLaw
from theorylab.model.rules import Rule
from theorylab.model.units import Unit


def standard_deviations(
    stds: float | Sequence[float] | np.ndarray | None, widths: list[int]
) -> tuple[list[float], float]:
    """Return standard deviations of the hidden layers' weights, from the input up, and of the readout."""
    hidden = len(widths) - 1
    if stds is None:
        return [math.sqrt(2 / fan_in) for fan_in in widths[:-1]], 1.0
    values = [_validation.positive_number(std, "stds") for std in np.ravel(stds).tolist()]
    if np.ndim(stds) == 0:
        values *= hidden + 1
    if len(values) not in (hidden, hidden + 1):
        raise ValueError(
            f"stds: expected {hidden} (hidden layers) or {hidden + 1} (and the readout), got {len(values)}"
        )
    return values[:hidden], values[hidden] if len(values) > hidden else 1.0


def readout_kind(readout: WeightLaw) -> float:
    """``E[max(V, 0)]`` of a readout's weights over that of Gaussian ones of the same size: ``√(3π/8)`` of uniform ones."""
    # Exactly 1 of Gaussian ones: a law asks.
    return 1.0 if isinstance(readout, Gaussian) else math.sqrt(2 * math.pi) * readout.relu_mean / readout.std


def bias_laws(
    biases: BiasLaw | Sequence[BiasLaw | None] | None, count: int, rule: Rule, unit: Unit
) -> list[Gaussian | Uniform | None]:
    """Return the laws of the hidden layers' biases, from the input up."""
    listed = list(biases) if isinstance(biases, Sequence) else [biases] * count
    if len(listed) != count:
        raise ValueError(f"biases: expected {count} laws, one for each hidden layer, got {len(listed)}")
    known: list[Gaussian | Uniform | None] = []
    for bias in listed:
        if bias is not None and not isinstance(bias, (Gaussian, Uniform)):
            raise NoLaw(rule, unit, f"biases of the law {bias!r} in a deep network")
        known.append(bias)
    return known
