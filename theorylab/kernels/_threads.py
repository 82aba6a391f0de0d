"""Work in independent pieces on as many threads as BLAS may use, and BLAS itself on one thread meanwhile.

A piece is cut by the shapes of its arrays and never by the number of threads, so neither are the numbers.  How many
threads there are is the user's decision, taken where everybody takes it: ``OPENBLAS_NUM_THREADS`` or
:func:`threadpoolctl.threadpool_limits`.  A call from a worker of another one, or beside it, gets one.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import threadpoolctl

_lock = threading.Lock()
_inside = threading.local()  # .threads: what the call around this one may use
_running = 0  # calls from outside that have not come back
_lowered: list[
    tuple[threadpoolctl.LibController, int]
] = []  # libraries, with the limits that they had before


@functools.cache
def _blas() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController().select(user_api="blas")


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, os.cpu_count() or 1), thread_name_prefix="theorylab")


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _running, _lock, _inside
    _pool.cache_clear()
    _lock, _inside, _running = threading.Lock(), threading.local(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextlib.contextmanager
def single_blas() -> Iterator[int]:
    """BLAS on one thread inside; yields how many threads of our own there may be.

    Examples
    --------
    >>> with single_blas() as threads:
    ...     threads >= 1
    True
    """
    global _running
    around = getattr(_inside, "threads", None)
    if around is not None:
        yield around
        return
    libraries = _blas().lib_controllers
    with _lock:
        if _running:
            allowed = 1  # the first to come has lowered the limit and works on all threads
        else:
            limits = [library.num_threads for library in libraries]
            allowed = min(limits, default=os.cpu_count() or 1)
            _lowered[:] = zip(libraries, limits, strict=True) if allowed > 1 else []
            for library, _ in _lowered:
                library.set_num_threads(1)
        _running += 1
    _inside.threads = allowed
    try:
        yield allowed
    finally:
        _inside.threads = None
        with _lock:
            _running -= 1
            if not _running:
                for library, limit in _lowered:
                    library.set_num_threads(limit)


@functools.cache
def _current() -> Callable[[], int] | None:
    try:
        return ctypes.CDLL(None).sched_getcpu
    except (AttributeError, OSError, TypeError):  # another system than Linux
        return None


def _processor() -> int | None:
    """The number of the processor that this thread runs on, where the system tells."""
    current = _current()
    return None if current is None else current()


@contextlib.contextmanager
def _elsewhere(processor: int | None) -> Iterator[None]:
    """This thread on any processor but that one.

    A thread that is woken may be put on the processor of the one that wakes it, and wait there for milliseconds beside an
    idle one: longer than most pieces take.
    """
    allowed = os.sched_getaffinity(0) if processor is not None else set()
    others = allowed - {processor}
    if not others or others == allowed:
        yield
        return
    os.sched_setaffinity(0, others)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def run(piece: Callable[[int], object], count: int) -> None:
    """``piece(0)`` to ``piece(count - 1)``, in any order, several at a time.

    Parameters
    ----------
    piece : callable
        Of its number; writes where no other does.
    count : int

    Examples
    --------
    >>> done = [0] * 5
    >>> run(lambda i: done.__setitem__(i, i * i), 5)
    >>> done
    [0, 1, 4, 9, 16]
    """
    with single_blas() as threads:
        numbers, failed = itertools.count(), threading.Event()

        def work() -> None:
            # Whoever is free takes the next piece: pieces need not be of one size.
            try:
                while not failed.is_set() and (number := next(numbers)) < count:
                    piece(number)
            except BaseException:
                failed.set()  # nobody begins another one
                raise

        here, floating_point = _processor(), np.geterr()

        def helper() -> None:
            _inside.threads = 1
            # NumPy keeps what to do about an overflow for each thread: a helper does what its caller asked for.
            with _elsewhere(here), np.errstate(**floating_point):
                work()

        helpers = [_pool().submit(helper) for _ in range(min(threads, count) - 1)]
        try:
            work()
        finally:
            for future in helpers:
                future.result()


def workspace(slot: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array of this thread's own that the next call for the same slot takes back: fresh memory is slow.

    Examples
    --------
    >>> workspace("example", (2, 3), np.dtype(float)).shape
    (2, 3)
    """
    size = math.prod(shape) * dtype.itemsize
    slots = _own.__dict__
    if slot not in slots or slots[slot].size < size:
        slots[slot] = np.empty(size, np.uint8)
    return slots[slot][:size].view(dtype).reshape(shape)


_own = threading.local()
