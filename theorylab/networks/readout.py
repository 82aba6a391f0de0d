"""Weights that may be too large to hold: rows that are drawn when they are asked for.

A row is one logit's readout weights, or one filter.  The readout of a three-layer CNN with 256 filters,
109 × 109 positions and 1000 logits has 2.97 billion weights; one logit's share is 12 MB in float32.  Row ``k``
comes from the ``k``-th child of a seed sequence: a single row, a block of them and the whole array are the
same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

from theorylab import _random, _validation
from theorylab.laws import WeightLaw

#: Bytes of weights that are kept in memory; more are drawn anew at every pass.
MEMORY_LIMIT = 256 * 2**20


class Rows(Protocol):
    """What a network asks of its weights: ``shape[0]`` rows of shape ``shape[1:]``."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype: ...

    def array(self) -> np.ndarray: ...
    def row(self, index: int) -> np.ndarray: ...
    def blocks(self, indices: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]: ...


class StoredRows:
    """Rows of an array that exists.

    Parameters
    ----------
    array : float array, (n, ...)

    Notes
    -----
    Rows are views; a network only reads them.  With a readout, row ``k`` is the ``V_{·k}`` of Eq. 4.

    Examples
    --------
    >>> rows = StoredRows(np.eye(3))
    >>> rows.row(1)
    array([0., 1., 0.])
    """

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, ...)``."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self._array.dtype

    def array(self) -> np.ndarray:
        """All rows, ``(n, ...)``."""
        return self._array

    def row(self, index: int) -> np.ndarray:
        """One row, ``(...)``."""
        return self._array[index]

    def blocks(self, indices: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pairs ``(indices, rows)`` that together hold the rows asked for; all of them by default."""
        if indices is None:
            yield np.arange(self.shape[0]), self._array
        elif len(indices):
            yield np.asarray(indices), self._array[indices]


class DrawnRows:
    """Rows drawn from a law, each from its own stream of random numbers.

    Parameters
    ----------
    law : WeightLaw
    count : int
        How many rows.
    row_shape : tuple of int
    sequence : SeedSequence
        Row ``k`` is drawn from its child with key ``k``.
    dtype : float64 or float32
        float32 rows are other draws than float64 rows, not roundings of them.
    memory_limit : int, default 256 MB
        Bytes.  Rows that fit together are drawn once, at the first pass over all, and kept.  Otherwise
        blocks of at most a quarter of the limit (at least one row) are drawn at every pass.
    threads : int, default 2
        How many rows are drawn at the same time.  The numbers do not depend on it.

    Raises
    ------
    TypeError, ValueError
        If a count is not a positive integer or the dtype is another.

    Notes
    -----
    With a readout, row ``k`` is the ``V_{·k}`` of Eq. 4; with filters, row ``i`` is ``w_i``.

    Examples
    --------
    >>> from theorylab.laws import Gaussian
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
        threads: int = 2,
    ) -> None:
        self._law = law
        self._shape = (_validation.positive_integer(count, "count"), *row_shape)
        self._sequence = sequence
        self._dtype = np.dtype(dtype)
        if self._dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype: expected float32 or float64, got {self._dtype}")
        limit = MEMORY_LIMIT if memory_limit is None else memory_limit
        self._limit = _validation.positive_integer(limit, "memory_limit")
        self._threads = _validation.positive_integer(threads, "threads")
        self._kept: np.ndarray | None = None

    @property
    def law(self) -> WeightLaw:
        """Of every entry."""
        return self._law

    @property
    def shape(self) -> tuple[int, ...]:
        """``(count, *row_shape)``."""
        return self._shape

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self._dtype

    @property
    def nbytes(self) -> int:
        """Size of all rows together."""
        return math.prod(self._shape) * self._dtype.itemsize

    def array(self) -> np.ndarray:
        """All rows, ``(count, *row_shape)``, read-only; a ValueError if they exceed the memory limit."""
        if self.nbytes > self._limit:
            raise ValueError(
                f"weights {self._shape} of {self._dtype} take {self.nbytes:,} bytes, the memory_limit is "
                f"{self._limit:,}: go through them with .blocks(), or raise memory_limit"
            )
        if self._kept is None:
            kept = self._draw(np.arange(self._shape[0]))
            kept.flags.writeable = False
            self._kept = kept
        return self._kept

    def row(self, index: int) -> np.ndarray:
        """One row, ``row_shape``: drawn alone unless all are kept."""
        if not 0 <= index < self._shape[0]:
            raise IndexError(f"row {index} of {self._shape[0]}")
        if self._kept is not None:
            return self._kept[index]
        rng = np.random.default_rng(_random.child(self._sequence, int(index)))
        return self._law.sample(self._shape[1:], seed=rng, dtype=self._dtype.type)

    def blocks(self, indices: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pairs ``(indices, rows)`` that together hold the rows asked for, in their order; all by default."""
        if indices is None and self.nbytes <= self._limit:
            yield np.arange(self._shape[0]), self.array()
            return
        indices = np.arange(self._shape[0]) if indices is None else np.asarray(indices)
        step = max(1, self._limit // 4 * self._shape[0] // self.nbytes)
        for start in range(0, len(indices), step):
            part = indices[start : start + step]
            yield part, self._draw(part)

    def _draw(self, indices: np.ndarray) -> np.ndarray:
        block = np.empty((len(indices), *self._shape[1:]), dtype=self._dtype)

        def fill(place: int) -> None:
            block[place] = self.row(indices[place])

        if self._threads == 1 or len(indices) == 1:
            for place in range(len(indices)):
                fill(place)
        else:
            # NumPy's generators let go of the interpreter lock.  Each row writes to its own place: the order
            # in which threads finish changes nothing; list() passes on what they raise.
            with ThreadPoolExecutor(self._threads) as pool:
                list(pool.map(fill, range(len(indices))))
        return block
