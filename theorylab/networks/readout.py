"""Weights that may be too large to hold: rows that are drawn when they are asked for.

A row is the readout weights of one logit, or one filter.  The readout of a three-layer CNN with 256 filters, 109 × 109
positions and 1000 logits has 2.97 billion weights; the share of one logit is 12 MB in float32.  Row ``k`` comes from the
``k``-th child of a seed sequence: a single row, a block of them and the whole array are the same numbers.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Iterator

import numpy as np

from theorylab import _random, _validation
from theorylab.kernels import _threads, dense
from theorylab.model.laws import WeightLaw

Progress = Callable[[int, int], None]
#: Bytes of weights that are kept in memory; more are drawn anew at every pass.
MEMORY_LIMIT = 256 * 2**20


@_validation.checked
class StoredRows:
    """Rows of an array that exists.

    Parameters
    ----------
    array : float array, (n, ...)
        It is not copied; networks only read it.  With a readout, row ``k`` is the ``V_{·k}`` of Eq. 4.

    Examples
    --------
    >>> rows = StoredRows(np.eye(3))
    >>> rows.row(1)
    array([0., 1., 0.])
    """

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def array(self) -> np.ndarray:
        """Return the array."""
        return self._array

    def row(self, index: int) -> np.ndarray:
        """Return one row, ``(...)``."""
        row: np.ndarray = self._array[index]
        return row

    def blocks(self, indices: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield one block."""
        if indices is None:
            yield np.arange(self.shape[0]), self._array
        elif len(indices):
            yield np.asarray(indices), self._array[indices]


@_validation.checked
class DrawnRows:
    """Rows drawn from a law, each from its own stream of random numbers.

    Parameters
    ----------
    law : WeightLaw
        Also an attribute.
    count : int
        How many rows.
    row_shape : tuple of int
        With a readout, row ``k`` is the ``V_{·k}`` of Eq. 4; with filters, row ``i`` is ``w_i``.
    sequence : SeedSequence
        Row ``k`` is drawn from its child with key ``k``.
    dtype : float64 or float32
        float32 rows are other draws than float64 rows, not roundings of them.
    memory_limit : int, default 256 MB
        Bytes.  Rows that fit together are drawn once, at the first pass over all, and kept.  Otherwise
        blocks of at most a quarter of the limit (at least one row) are drawn at every pass.

    Raises
    ------
    TypeError, ValueError
        If a count is not a positive integer or the dtype is another.

    Examples
    --------
    >>> from theorylab.model.laws import Gaussian
    >>> rows = DrawnRows(Gaussian(1.0), 5, (2, 3), np.random.SeedSequence(0))
    >>> last = rows.row(4)
    >>> bool((rows.array()[4] == last).all())
    True
    """

    def __init__(
        self,
        law: WeightLaw,
        count: int,
        row_shape: tuple[int, ...],
        sequence: np.random.SeedSequence,
        *,
        dtype: type = np.float64,
        memory_limit: int | None = None,
    ) -> None:
        self.law = law
        self.shape = (_validation.positive_integer(count, "count"), *row_shape)
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype: expected float32 or float64, got {self.dtype}")
        limit = MEMORY_LIMIT if memory_limit is None else memory_limit
        self._limit = _validation.positive_integer(limit, "memory_limit")
        self._sequence = sequence
        self._kept: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        """Size of all rows together."""
        return math.prod(self.shape) * self.dtype.itemsize

    def array(self) -> np.ndarray:
        """Return all rows, ``(count, *row_shape)``, read-only; a ValueError if they exceed the memory limit."""
        if self.nbytes > self._limit:
            raise ValueError(
                f"weights {self.shape} of {self.dtype} take {self.nbytes:,} bytes, the memory_limit is "
                f"{self._limit:,}: go through them with .blocks(), or raise memory_limit"
            )
        if self._kept is None:
            self._kept = self._draw(np.arange(self.shape[0]))
            self._kept.flags.writeable = False
        return self._kept

    def row(self, index: int) -> np.ndarray:
        """Return one row, ``row_shape``: drawn alone unless all are kept."""
        if not 0 <= index < self.shape[0]:
            raise IndexError(f"row {index} of {self.shape[0]}")
        if self._kept is None:
            rng = np.random.default_rng(_random.child(self._sequence, int(index)))
            return self.law.sample(self.shape[1:], seed=rng, dtype=self.dtype.type)
        row: np.ndarray = self._kept[index]
        return row

    def blocks(self, indices: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield one block of all rows if they fit the memory limit, else blocks of a quarter of it."""
        if indices is None and self.nbytes <= self._limit:
            yield np.arange(self.shape[0]), self.array()
            return
        indices = np.arange(self.shape[0]) if indices is None else np.asarray(indices)
        step = max(1, self._limit // 4 * self.shape[0] // self.nbytes)
        for start in range(0, len(indices), step):
            part = indices[start : start + step]
            yield part, self._draw(part)

    def _draw(self, indices: np.ndarray) -> np.ndarray:
        if len(indices) == 1:
            return self.row(indices[0])[None]  # not copied
        block = np.empty((len(indices), *self.shape[1:]), dtype=self.dtype)

        def fill(position: int) -> None:
            block[position] = self.row(indices[position])

        _threads.run(fill, len(indices))  # NumPy's generators let go of the interpreter lock
        return block


Rows = StoredRows | DrawnRows
"""Weights that a layer reads row by row: ``shape[0]`` rows of shape ``shape[1:]``."""


def row_blocks(weights: np.ndarray | Rows) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield consecutive rows with the slice of indices that they have; an array is one block."""
    if isinstance(weights, Rows):
        for indices, rows in weights.blocks():
            yield slice(int(indices[0]), int(indices[-1]) + 1), rows
    else:
        yield slice(0, len(weights)), weights


def backward_rows(gradient: np.ndarray, weights: np.ndarray | Rows) -> np.ndarray:
    """Send gradients through a dense layer, (B, K) to (B, n); only Rows with a gradient that is not 0 are drawn."""
    if not isinstance(weights, Rows):
        return dense.backward_input(gradient, weights)
    shares = (
        dense.backward_input(gradient[:, indices], rows.reshape(len(rows), -1))
        for indices, rows in weights.blocks(np.flatnonzero(gradient.any(axis=0)))
    )
    zeros = np.zeros((len(gradient), math.prod(weights.shape[1:])), gradient.dtype)
    return functools.reduce(operator.iadd, shares, next(shares, zeros))


@dataclasses.dataclass(frozen=True)
class Readout:
    """Logits that are computed when they are asked for: ``f_k = ⟨V_k, a⟩`` of Eq. 4, one row of weights at a time.

    Parameters
    ----------
    weights : Rows
        ``K`` rows of ``n`` weights each; the axes of a row do not matter.
    bias : array, (K,), or None
    features : array, (B, n)
        What the rows are multiplied with: ``a``.
    progress : callable, optional
        ``progress(done, total)`` in logits, while all of them are computed.

    Examples
    --------
    >>> readout = Readout(StoredRows(np.array([[1.0, 2.0], [3.0, 4.0]])), None, np.array([[1.0, -1.0]]))
    >>> readout.logits(), readout.logit(1)
    (array([[-1., -1.]]), array([-1.]))
    """

    weights: Rows
    bias: np.ndarray | None
    features: np.ndarray
    progress: Progress | None = None

    def logits(self) -> np.ndarray:
        """Compute all logits, ``(B, K)``."""
        count = self.weights.shape[0]
        logits = np.empty((len(self.features), count), dtype=self.features.dtype)
        if self.progress is not None:
            self.progress(0, count)  # the time left is counted from here, not from the first block
        for indices, rows in self.weights.blocks():
            for index, row in zip(indices, rows, strict=True):
                logits[:, index] = self._product(index, row)
            if self.progress is not None:
                self.progress(int(indices[-1]) + 1, count)
        return logits

    def logit(self, index: int) -> np.ndarray:
        """Compute one logit, ``(B,)``, bit by bit that of :meth:`logits`; an IndexError if there is no such."""
        return self._product(index, self.weights.row(index))

    def _product(self, index: int, row: np.ndarray) -> np.ndarray:
        # Pairwise summation row by row, not BLAS: the same bits for any size of block, stored or drawn, and for any
        # number of threads.
        products = np.array([(row.reshape(-1) * features).sum() for features in self.features])
        return products if self.bias is None else products + self.bias[index]
