"""Random three-layer networks, with the paper's sizes as defaults."""

from __future__ import annotations

import numpy as np

from theorylab import _random, _validation
from theorylab.laws import TruncatedGaussian, WeightLaw
from theorylab.networks.readout import DrawnRows
from theorylab.networks.three_layer import ThreeLayerNetwork
from theorylab.patches import PatchGrid
from theorylab.pooling import MaxPool
from theorylab.units import RELU, Unit


def three_layer_cnn(
    grid: PatchGrid,
    n_filters: int = 256,
    n_logits: int = 1000,
    pool: MaxPool | None = None,
    law: WeightLaw = TruncatedGaussian(0.1),  # noqa: B008 - frozen
    *,
    seed: _random.Seed = 0,
    readout_law: WeightLaw | None = None,
    hidden_bias: float = 0.0,
    unit: Unit = RELU,
    dtype: type = np.float64,
    memory_limit: int | None = None,
) -> ThreeLayerNetwork:
    """A three-layer CNN with random weights.

    Parameters
    ----------
    grid : PatchGrid
        Input shape, filter size, stride and padding.
    n_filters : int, default 256
        ``N``.
    n_logits : int, default 1000
        ``K``.
    pool : MaxPool, optional
        Between the ReLU and the readout; windows may overlap.
    law : WeightLaw, default TruncatedGaussian(0.1)
        Of all weights.
    seed : int or Generator
    readout_law : WeightLaw, optional
        Of the readout, if it is another.
    hidden_bias : float, default 0.0
        Added to every pre-activation.
    unit : Unit, default ReLU()
    dtype : float64 or float32
        Of weights, logits and maps.
    memory_limit : int, optional
        Bytes of filters, and of readouts, that are kept; 256 MB by default.  What exceeds it is drawn anew at
        each pass, block by block: less memory, more time, the same numbers.

    Returns
    -------
    ThreeLayerNetwork

    Raises
    ------
    TypeError, ValueError
        If a count is not a positive integer, the bias is not finite, or dtype or seed are of the wrong kind.

    Notes
    -----
    The network of Lemma 1.  Logit ``k`` has its own stream of random numbers: it does not change when logits
    are added.  At 224 × 224 × 3 with 7 × 7 filters and stride 2 the largest of 1000 logits needs 3 billion
    draws (about a minute); a logit chosen by its index needs a thousandth.

    Examples
    --------
    >>> net = three_layer_cnn(PatchGrid((3, 8, 8), kernel=3), n_filters=4, n_logits=5)
    >>> net.filters.shape, net.logits(np.ones((3, 8, 8))).shape
    ((4, 3, 3, 3), (5,))
    """
    n_filters = _validation.positive_integer(n_filters, "n_filters")
    n_logits = _validation.positive_integer(n_logits, "n_logits")
    parent = _random.sequence(seed)
    filters = DrawnRows(
        law,
        n_filters,
        (grid.input_shape[0], *grid.kernel),
        _random.child(parent, 0),
        dtype=dtype,
        memory_limit=memory_limit,
    )
    readout = DrawnRows(
        law if readout_law is None else readout_law,
        n_logits,
        (n_filters, *(grid.output_shape if pool is None else pool.output_shape(grid.output_shape))),
        _random.child(parent, 1),
        dtype=dtype,
        memory_limit=memory_limit,
    )
    return ThreeLayerNetwork(grid, filters, readout, pool=pool, hidden_bias=hidden_bias, unit=unit)


def three_layer_fcn(
    input_shape: tuple[int, int, int],
    n_hidden: int = 4096,
    n_logits: int = 1000,
    *,
    law: WeightLaw = TruncatedGaussian(0.1),  # noqa: B008 - frozen
    seed: _random.Seed = 0,
    readout_law: WeightLaw | None = None,
    hidden_bias: float = 0.0,
    unit: Unit = RELU,
    dtype: type = np.float64,
    memory_limit: int | None = None,
) -> ThreeLayerNetwork:
    """A three-layer fully connected network with random weights.

    Parameters
    ----------
    input_shape : (C, H, W)
    n_hidden : int, default 4096
        Hidden units.
    n_logits, law, seed, readout_law, hidden_bias, unit, dtype, memory_limit
        As for :func:`three_layer_cnn`.

    Returns
    -------
    ThreeLayerNetwork
        With one patch, the whole image; hidden unit ``i``'s weights are ``filters[i]``.

    Raises
    ------
    TypeError, ValueError
        As :func:`three_layer_cnn`.

    Notes
    -----
    Eq. 4 with ``J = 1``.  The hidden weights of 4096 units on 224 × 224 × 3 are 4.9 GB: they are drawn in
    blocks, once in the forward and once in the backward pass.  For maps of many networks, sample the law of
    the map instead, with :func:`theorylab.sampling.fcn_maps`.

    Examples
    --------
    >>> net = three_layer_fcn((1, 4, 4), n_hidden=6, n_logits=3)
    >>> net.filters.shape
    (6, 1, 4, 4)
    """
    shape = tuple(input_shape)
    if len(shape) != 3:
        raise ValueError(f"input_shape: expected (C, H, W), got {input_shape!r}")
    return three_layer_cnn(
        PatchGrid(shape, kernel=shape[1:]),
        _validation.positive_integer(n_hidden, "n_hidden"),
        n_logits,
        law=law,
        seed=seed,
        readout_law=readout_law,
        hidden_bias=hidden_bias,
        unit=unit,
        dtype=dtype,
        memory_limit=memory_limit,
    )
