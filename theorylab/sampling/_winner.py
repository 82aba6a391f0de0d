"""The readout of the largest of many logits, drawn without the other readouts."""

from __future__ import annotations

import numpy as np
from scipy import special


def winning_readout(
    readout: np.ndarray, activations: np.ndarray, std: float, n_logits: int, rng: np.random.Generator
) -> np.ndarray:
    """Turn the readout of one logit into that of the largest of `n_logits`.

    `readout` holds independent ``N(0, std²)`` entries, `activations` the input of the readout, at least 0.  One uniform number
    of `rng` determines the maximum.

    Notes
    -----
    Given the activations ``a``, the logits are ``std ‖a‖`` times independent standard normals, which are the components of
    the readouts along ``a``.  The component of the winner is the largest of ``K``, drawn by inverting its distribution
    function ``Φ^K``; the part orthogonal to ``a`` keeps its law.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> activations = np.array([0.0, 2.0])
    >>> winners = [winning_readout(rng.standard_normal(2), activations, 1.0, 1000, rng) for _ in range(500)]
    >>> np.mean(winners, axis=0).round(1)  # 3.24 is the mean of the largest of 1000
    array([0. , 3.3])
    """
    norm = np.linalg.norm(activations)
    if norm == 0:  # every logit is 0, so the first wins, whatever its readout
        return readout
    direction = activations / norm
    maximum = special.ndtri_exp(np.log(rng.random()) / n_logits)
    shift = np.asarray(std * maximum - np.vdot(direction, readout), dtype=readout.dtype)
    return np.asarray(readout + shift * direction)
