"""Maps of the paper's random networks of one hidden layer, by their sizes."""

from __future__ import annotations

import numpy as np

from theorylab import _random, _validation
from theorylab.model.laws import STANDARD_NORMAL, Gaussian, WeightLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.specs import ConvSpec
from theorylab.model.stack import Stack
from theorylab.sampling.of_stack import draw


@_validation.checked
def three_layer_maps(
    x: np.ndarray,
    grid: PatchGrid,
    rule: Rule | str,
    n_filters: int,
    *,
    size: int,
    law: WeightLaw = STANDARD_NORMAL,
    filter_law: WeightLaw | None = None,
    pool: MaxPool | None = None,
    n_logits: int | None = None,
    seed: _random.Seed = 0,
) -> np.ndarray:
    """Draw raw maps of `size` independent random three-layer networks.

    Parameters
    ----------
    x : array, (C, H, W)
    grid : PatchGrid
    rule : Rule or str
    n_filters : int
        ``N``.
    size : int
        Number of maps.
    law : WeightLaw, default Gaussian(1.0)
        Law of the readout.
    filter_law : WeightLaw, optional
        Law of the filters; Gaussian with ``law.std`` if not given.
    pool : MaxPool, optional
        Between the ReLU and the readout; windows may overlap.
    n_logits, seed, errors
        As for :func:`~theorylab.sampling.draw`.

    Returns
    -------
    array, (size, C, H, W) float64

    Notes
    -----
    :func:`~theorylab.sampling.draw` of a network with one hidden layer.  The winner's readout is ``c [m â + (I − â âᵀ) g]``,
    ``a`` the activations, ``m`` the maximum of ``K`` standard normals, drawn by inverting its distribution function ``Φ^K``.

    Examples
    --------
    >>> grid = PatchGrid((1, 6, 6), kernel=3)
    >>> three_layer_maps(np.ones((1, 6, 6)), grid, "guided", 8, size=5, n_logits=10).shape
    (5, 1, 6, 6)
    """
    filters = Gaussian(law.std) if filter_law is None else filter_law
    hidden = ConvSpec(n_filters, grid.kernel, grid.stride, grid.padding, filters)
    layers = (hidden,) if pool is None else (hidden, pool)
    stack = Stack(grid.input_shape, layers, readout=law)
    return draw(stack, x, rule, size=size, n_logits=n_logits, seed=seed)[:, 0, 0]


@_validation.checked
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
    """Draw raw maps of `size` independent fully connected networks, without their Gaussian weights.

    Parameters
    ----------
    x : array of any shape
        The image, ``d`` entries.
    n_hidden : int
        Number of hidden units.
    rule, size, n_logits, seed, errors
        As for :func:`three_layer_maps`.
    std : float
        ``c``, of both layers.

    Returns
    -------
    array, (size, *x.shape) float64

    Notes
    -----
    See :class:`~theorylab.sampling.DenseSampler`.  The winner of ``K`` logits has the readout ``V = m â + (I − â âᵀ) g``,
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
    x = _validation.image(x, np.shape(x))
    hidden = ConvSpec(_validation.positive_integer(n_hidden, "n_hidden"), (1, x.size), std=Gaussian(std))
    stack = Stack((1, 1, x.size), (hidden,), readout=hidden.weights)
    maps = draw(stack, x.reshape(stack.input_shape), rule, size=size, n_logits=n_logits, seed=seed)
    return maps.reshape(-1, *x.shape)
