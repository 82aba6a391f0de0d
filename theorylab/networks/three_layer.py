"""The random three-layer network of the paper: filters on patches, a unit, a dense readout.

With one patch, the whole image, it is the three-layer fully connected network.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from theorylab import _random, _validation
from theorylab.model import models
from theorylab.model.laws import TruncatedGaussian, WeightLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.units import RELU, Unit
from theorylab.networks.from_stack import Blueprint
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.readout import DrawnRows, Rows, StoredRows


@_validation.checked
class ThreeLayerNetwork(GraphNetwork):
    """Convolution, unit, max-pooling if asked for, dense readout; no bias unless asked for.

    A graph of the nodes "input", "filters", "unit", "pool", "flatten" and "readout" whose weights are read row by row.

    Parameters
    ----------
    grid : PatchGrid
    filters : array, (N, C, kh, kw), or Rows
    readout : array, (K, N, H', W'), or Rows
        Of the dtype of `filters`, float32 or float64: the dtype of everything that the network computes.  With
        pooling the last two axes are the pooled plane's.
    pool : MaxPool, optional
        Between the unit and the readout.
    hidden_bias : float, default 0.0
        Added to every pre-activation.
    unit : Unit, default ReLU()

    Attributes
    ----------
    filter_rows, readout_rows : Rows

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, or a weight is not finite.

    Notes
    -----
    The network of Lemma 1.  Its ``V_{q_ij, k}`` is ``readout[k, i, row, column]`` with ``j`` the patch at
    (row, column).  A raw map is Eq. 4 without its normalising coefficient.  With overlapping pooling windows ``h``
    acts on the sum of what a unit receives, not on each readout weight.

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 2), kernel=1)
    >>> net = ThreeLayerNetwork(grid, [[[[2.0]]]], [[[[1.0, -1.0]]]])
    >>> trace = net.forward([[[3.0, 4.0]]])
    >>> float(trace.logit(0)), trace.logits
    (-2.0, array([-2.]))
    >>> net.backward(trace, [[1.0]], ["saliency", "guided"])[:, 0, 0, 0]
    array([[ 2., -2.],
           [ 2.,  0.]])
    """

    def __init__(
        self,
        grid: PatchGrid,
        filters: np.ndarray | Rows,
        readout: np.ndarray | Rows,
        *,
        pool: MaxPool | None = None,
        hidden_bias: float = 0.0,
        unit: Unit = RELU,
    ) -> None:
        self.grid, self.pool, self.unit = grid, pool, unit
        self.filter_rows = _rows(filters, "filters", "N", (grid.input_shape[0], *grid.kernel))
        n_filters = self.filter_rows.shape[0]
        stack = models.three_layer(grid, n_filters, unit=unit, pool=pool)
        self.readout_rows = _rows(readout, "readout", "K", stack.shape_above)
        stack = dataclasses.replace(stack, n_logits=self.readout_rows.shape[0])
        if self.readout_rows.dtype != self.filter_rows.dtype:
            raise ValueError(
                f"readout: dtype {self.readout_rows.dtype} beside filters of {self.filter_rows.dtype}"
            )
        self.hidden_bias = _validation.finite_number(hidden_bias, "hidden_bias")
        names = ["filters", "unit", *([] if pool is None else ["pool"]), "flatten", "readout"]
        blueprint = Blueprint(stack, names=names, bias=bool(hidden_bias))
        biases = np.full(n_filters, hidden_bias, self.filter_rows.dtype)
        rows = {"filters.weight": self.filter_rows, "readout.weight": self.readout_rows}
        super().__init__(blueprint.nodes, {**rows, **({"filters.bias": biases} if hidden_bias else {})})

    @property
    def filters(self) -> np.ndarray:
        """``(N, C, kh, kw)``; a ValueError if they exceed the memory limit and are drawn block by block."""
        return self.filter_rows.array()


def _rows(weights: np.ndarray | Rows, name: str, count: str, row_shape: tuple[int, ...]) -> Rows:
    rows = weights if isinstance(weights, Rows) else StoredRows(_validation.real_array(weights, name))
    if len(rows.shape) != 4 or 0 in rows.shape:
        raise ValueError(f"{name}: expected four axes, none of them empty, got {rows.shape}")
    if rows.shape[1:] != row_shape:
        raise ValueError(f"{name}: expected ({count}, {', '.join(map(str, row_shape))}), got {rows.shape}")
    return rows


@_validation.checked
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
    """Draw a three-layer CNN with random weights.

    Parameters
    ----------
    grid, n_filters, pool, unit
        As of :func:`theorylab.model.models.three_layer`.
    n_logits : int, default 1000
        ``K``.
    law, readout_law : WeightLaw
        Of all weights, TruncatedGaussian(0.1) by default; of the readout, if it is another.
    seed : int or Generator
    hidden_bias : float, default 0.0
        Added to every pre-activation.
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
    n_logits = _validation.positive_integer(n_logits, "n_logits")
    features = models.three_layer(grid, n_filters, pool=pool).shape_above
    parent = _random.sequence(seed)
    draw = functools.partial(DrawnRows, dtype=dtype, memory_limit=memory_limit)
    filters = draw(law, n_filters, (grid.input_shape[0], *grid.kernel), _random.child(parent, 0))
    readout = draw(law if readout_law is None else readout_law, n_logits, features, _random.child(parent, 1))
    return ThreeLayerNetwork(grid, filters, readout, pool=pool, hidden_bias=hidden_bias, unit=unit)


@_validation.checked
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
    """Draw a three-layer fully connected network with random weights.

    Parameters
    ----------
    input_shape : (C, H, W)
    n_hidden : int, default 4096
        Hidden units.
    n_logits, law, seed, readout_law, hidden_bias, unit, dtype, memory_limit
        As for :func:`three_layer_cnn`, which raises what is wrong with them.

    Returns
    -------
    ThreeLayerNetwork
        With one patch, the whole image; the weights of hidden unit ``i`` are ``filters[i]``.

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
    shape = _validation.image_shape(input_shape, "input_shape")
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
