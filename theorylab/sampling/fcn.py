"""Exact draws of the maps of a random fully connected three-layer network in ``O(n_hidden + d)`` a map."""

from __future__ import annotations

import numpy as np

from theorylab import _random, _validation
from theorylab.laws import Gaussian
from theorylab.rules import Rule
from theorylab.sampling._winner import winning_readout


def fcn_maps(
    x: np.ndarray,
    n_hidden: int,
    rule: Rule | str,
    *,
    size: int,
    std: float = 1.0,
    n_logits: int | None = None,
    seed: _random.Seed = 0,
) -> np.ndarray:
    """Raw maps of `size` independent fully connected networks with Gaussian weights, without their weights.

    Parameters
    ----------
    x : array of any shape
        The image, ``d`` entries.
    n_hidden : int
        Hidden units.
    rule : Rule or str
    size : int
        How many maps.
    std : float
        ``c``, of both layers.
    n_logits : int, optional
        Each map is that of the largest of this many logits.
    seed : int or Generator

    Returns
    -------
    array, (size, *x.shape) float64

    Raises
    ------
    TypeError, ValueError
        For bad input.

    Notes
    -----
    Split each hidden unit's weights into the part along the image and the rest, ``w_i = c (z_i x̂ + w_i⊥)``.  The masks
    depend on ``z`` alone, and given ``z`` and the readout ``c V`` the rest adds up to a Gaussian, so
    ``S = c² [A x̂ + √B (I − x̂ x̂ᵀ) g]`` with ``A = Σ_i h(V_i) z_i 1_i`` and ``B = Σ_i h(V_i)² 1_i`` (no indicators ``1_i`` for
    DeconvNet) has exactly the law of the map.  The winner of ``K`` logits has ``V = m â + (I − â âᵀ) g``,
    ``a_i = max(z_i, 0)``.

    Examples
    --------
    >>> x = np.ones((1, 2, 2))
    >>> maps = fcn_maps(x, 1000, "guided", size=3, seed=0)
    >>> maps.shape
    (3, 1, 2, 2)
    >>> bool((maps > 0).all())
    True
    """
    rule = Rule(rule)
    x = _validation.image(x, np.shape(x)).astype(np.float64, copy=False)
    n_hidden = _validation.positive_integer(n_hidden, "n_hidden")
    size = _validation.positive_integer(size, "size")
    if n_logits is not None:
        n_logits = _validation.positive_integer(n_logits, "n_logits")
    std = Gaussian(std).std
    unit = x / np.linalg.norm(x)
    parent = _random.sequence(seed)
    maps = np.empty((size, *x.shape))
    for i in range(size):
        rng = np.random.default_rng(_random.child(parent, i))
        along = rng.standard_normal(n_hidden)
        readout = rng.standard_normal(n_hidden)
        if n_logits is not None:
            readout = winning_readout(readout, np.maximum(along, 0), 1.0, n_logits, rng)
        signal = rule.backward(readout, along)
        rest = rng.standard_normal(x.shape)
        rest -= (rest * unit).sum() * unit
        maps[i] = std**2 * ((signal @ along) * unit + np.sqrt(signal @ signal) * rest)
    return maps
