"""The random three-layer network of the paper: filters on patches, a ReLU, a dense readout.

With one patch, the whole image, it is the three-layer fully connected network.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from theorylab import _validation
from theorylab.kernels import conv
from theorylab.kernels import pool as pooling
from theorylab.kernels import unit as units
from theorylab.networks.readout import DrawnRows, Rows, StoredRows
from theorylab.patches import PatchGrid
from theorylab.pooling import MaxPool
from theorylab.rules import Rule
from theorylab.units import RELU, Unit

# Bytes of gradients that one step of the backward pass may hold; it decides how many maps go together.
_BACKWARD_BYTES = 256 * 2**20

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Trace:
    """What a forward pass leaves for the backward passes.

    Attributes
    ----------
    pre_activation : array, (N, H', W')
        ``w_i · y_j`` plus the hidden bias.
    logits : array, (K,)
        Computed when first asked for: with a large readout this is the expensive part.
    progress : callable or None
        Told while they are computed, ``progress(done, total)`` in logits.
    """

    network: ThreeLayerNetwork
    pre_activation: np.ndarray
    progress: Progress | None = dataclasses.field(default=None, repr=False, compare=False)

    @functools.cached_property
    def logits(self) -> np.ndarray:
        """``(K,)``: ``f_k = ⟨V_k, a⟩``, ``a`` the rectified, and pooled, pre-activations."""
        return self.network._read_out(self._pooled[0], self.progress)

    def logit(self, index: int) -> np.floating:
        """One of the `logits`, bit by bit; of a readout that is not kept only its row is drawn.

        An IndexError if there is no such logit.
        """
        if "logits" in self.__dict__:
            return self.logits[index]
        return _product(self.network.readout_rows.row(index), self._pooled[0])

    @functools.cached_property
    def _pooled(self) -> tuple[np.ndarray, np.ndarray | None]:
        """What the readout sees, (N, H'', W''), and the winners where there is a pooling layer."""
        activation = units.forward(self.pre_activation, self.network.unit)
        if self.network.pool is None:
            return activation, None
        values, winners = pooling.forward(activation[None], self.network.pool)
        return values[0], winners


class ThreeLayerNetwork:
    """Convolution, ReLU, max-pooling if asked for, dense readout; no bias unless asked for.

    Parameters
    ----------
    grid : PatchGrid
    filters : array, (N, C, kh, kw), or Rows
    readout : array, (K, N, H', W'), or Rows
        Of the dtype of `filters`, float32 or float64: the dtype of everything that the network computes.  With
        pooling the last two axes are the pooled plane's.
    pool : MaxPool, optional
        Between the ReLU and the readout.
    hidden_bias : float, default 0.0
        Added to every pre-activation.
    unit : Unit, default ReLU()

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, or a weight is not finite.

    Notes
    -----
    The network of Lemma 1.  Its ``V_{q_ij, k}`` is ``readout[k, i, row, column]`` with ``j`` the patch at
    (row, column).

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
        self.grid = grid
        self.unit = unit
        self.pool = pool
        self.filter_rows = _rows(filters, "filters")
        self.readout_rows = _rows(readout, "readout")
        wanted = (grid.input_shape[0], *grid.kernel)
        if self.filter_rows.shape[1:] != wanted:
            raise ValueError(
                f"filters: expected (N, {', '.join(map(str, wanted))}), got {self.filter_rows.shape}"
            )
        plane = grid.output_shape if pool is None else pool.output_shape(grid.output_shape)
        hidden = (self.filter_rows.shape[0], *plane)
        if self.readout_rows.shape[1:] != hidden:
            raise ValueError(
                f"readout: expected (K, {', '.join(map(str, hidden))}), got {self.readout_rows.shape}"
            )
        if self.readout_rows.dtype != self.filter_rows.dtype:
            raise ValueError(
                f"readout: dtype {self.readout_rows.dtype} beside filters of {self.filter_rows.dtype}"
            )
        if isinstance(hidden_bias, bool) or not isinstance(
            hidden_bias, (int, float, np.integer, np.floating)
        ):
            raise TypeError(f"hidden_bias: expected a number, got {type(hidden_bias).__name__}")
        if not math.isfinite(hidden_bias):
            raise ValueError(f"hidden_bias: expected a finite number, got {hidden_bias}")
        self.hidden_bias = float(hidden_bias)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """``(C, H, W)``."""
        return self.grid.input_shape

    @property
    def n_logits(self) -> int:
        """``K``."""
        return self.readout_rows.shape[0]

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64; images are converted to it."""
        return self.filter_rows.dtype

    @property
    def filters(self) -> np.ndarray:
        """``(N, C, kh, kw)``; a ValueError if they exceed the memory limit and are drawn block by block."""
        return self.filter_rows.array()

    @property
    def _hidden_shape(self) -> tuple[int, int, int]:
        rows, columns = self.grid.output_shape
        return self.filter_rows.shape[0], rows, columns

    def forward(self, x: np.ndarray, *, progress: Progress | None = None) -> Trace:
        """Forward pass up to the ReLU; the logits follow when they are asked for.

        Parameters
        ----------
        x : array, (C, H, W)
        progress : callable, optional
            ``progress(done, total)`` in logits, once they are asked for; never called if they are not.

        Returns
        -------
        Trace

        Raises
        ------
        TypeError, ValueError
            If `x` is not a finite real array of the network's input shape.
        """
        x = _validation.real_array(x, "x", self.input_shape).astype(self.dtype, copy=False)
        pre_activation = np.empty(self._hidden_shape, dtype=self.dtype)
        for indices, filters in self.filter_rows.blocks():
            pre_activation[indices[0] : indices[-1] + 1] = conv.forward(x[None], filters, self.grid)[0]
        if self.hidden_bias:
            pre_activation += self.dtype.type(self.hidden_bias)
        return Trace(self, pre_activation, progress)

    def logits(self, x: np.ndarray) -> np.ndarray:
        """The ``K`` logits of an image.

        Parameters
        ----------
        x : array, (C, H, W)

        Returns
        -------
        array, (K,)

        Raises
        ------
        TypeError, ValueError
            If `x` is not a finite real array of the network's input shape.
        """
        return self.forward(x).logits

    def _read_out(self, activation: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        logits = np.empty(self.n_logits, dtype=self.dtype)
        if progress is not None:
            progress(0, self.n_logits)  # the time left is counted from here, not from the first block
        for indices, rows in self.readout_rows.blocks():
            for index, row in zip(indices, rows, strict=True):
                logits[index] = _product(row, activation)
            if progress is not None:
                progress(int(indices[-1]) + 1, self.n_logits)
        return logits

    def backward(self, trace: Trace, logit_gradients: np.ndarray, rules: Sequence[Rule | str]) -> np.ndarray:
        """Raw maps of many rules and targets behind one forward pass.

        Parameters
        ----------
        trace : Trace
            Of this network's `forward`.
        logit_gradients : array, (T, K)
            Each row seeds one backward pass; a unit vector gives the map of one logit.  Only readouts with a
            gradient that is not 0 are drawn.
        rules : sequence of Rule or str, length R

        Returns
        -------
        array, (R, T, C, H, W)

        Raises
        ------
        ValueError
            If the gradients' shape is another, a gradient is not finite or a rule is unknown.

        Notes
        -----
        Eq. 4 without its normalising coefficient.
        """
        chosen = [Rule(rule) for rule in rules]
        seeds = np.asarray(logit_gradients)
        seeds = _validation.real_array(seeds, "logit_gradients", (*seeds.shape[:1], self.n_logits))
        seeds = seeds.astype(self.dtype, copy=False)
        maps = np.empty((len(chosen), len(seeds), *self.input_shape), dtype=self.dtype)
        entries = math.prod(self._hidden_shape) * 2 + self.grid.n_patches * self.grid.patch_size * 2
        together = max(1, _BACKWARD_BYTES // (entries * self.dtype.itemsize * max(1, len(chosen))))
        for start in range(0, len(seeds) if chosen else 0, together):
            part = slice(start, start + together)
            maps[:, part] = self._maps(trace, seeds[part], chosen)
        return maps

    def _maps(self, trace: Trace, seeds: np.ndarray, rules: list[Rule]) -> np.ndarray:
        upstream = np.zeros((len(seeds), *self.readout_rows.shape[1:]), dtype=self.dtype)
        for indices, rows in self.readout_rows.blocks(np.flatnonzero(seeds.any(axis=0))):
            for index, row in zip(indices, rows, strict=True):
                for t in np.flatnonzero(seeds[:, index]):
                    upstream[t] += seeds[t, index] * row
        _, winners = trace._pooled if self.pool is not None else (None, None)
        if winners is not None:
            winners = np.broadcast_to(winners, upstream.shape)
            upstream = pooling.backward(upstream, winners, (len(seeds), *self._hidden_shape))
        # With overlapping windows `h` acts on the sum of what a unit receives, not on each readout weight.
        signal = np.concatenate(
            [units.backward(upstream, trace.pre_activation[None], rule, self.unit) for rule in rules]
        )
        del upstream
        maps: np.ndarray | None = None
        for indices, filters in self.filter_rows.blocks():
            part = signal[:, indices[0] : indices[-1] + 1]  # a slice: no copy where all filters are at hand
            share = conv.backward_input(part, filters, self.grid)
            maps = share if maps is None else np.add(maps, share, out=maps)
        assert maps is not None  # a network has at least one filter
        return maps.reshape(len(rules), len(seeds), *self.input_shape)


def _product(row: np.ndarray, activation: np.ndarray) -> np.floating:
    # Pairwise summation row by row, not BLAS: the same bits for any size of block, kept or drawn, and for any
    # number of threads.
    return (row * activation).sum()


def _rows(weights: np.ndarray | Rows, name: str) -> Rows:
    if isinstance(weights, (DrawnRows, StoredRows)):
        return weights
    array = _validation.real_array(weights, name)
    if array.ndim != 4 or not array.size:
        raise ValueError(f"{name}: expected four axes, none of them empty, got {array.shape}")
    return StoredRows(array)
