"""Run independent pieces of work on as many threads as BLAS may use; BLAS uses one thread meanwhile.

The plan: :func:`single_blas` reads the limit of BLAS, lowers it to 1 and gives the limit to :func:`run`, whose threads each
take the next piece until none is left.  The user sets the limit as usual, by ``OPENBLAS_NUM_THREADS`` or
:func:`threadpoolctl.threadpool_limits`.  A nested or concurrent call runs on one thread.  Callers cut pieces by the shapes
of arrays alone, so the numbers do not depend on the number of threads.
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
from typing import Any

import numpy as np
import threadpoolctl

_lock = threading.Lock()
_inside = threading.local()  # .threads: number of threads of the enclosing call
_arrays = threading.local()  # the arrays of `workspace`, by slot
_running = 0  # outermost calls that have not returned
_lowered: list[tuple[Any, int]] = []  # libraries (of threadpoolctl, untyped), with the limits to restore


@functools.cache
def _blas() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController().select(user_api="blas")


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, os.cpu_count() or 1), thread_name_prefix="theorylab")


def _forget() -> None:
    """Start afresh in a forked child, which has none of its parent's threads."""
    global _running, _lock, _inside
    _pool.cache_clear()
    _lock, _inside, _running = threading.Lock(), threading.local(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextlib.contextmanager
def single_blas() -> Iterator[int]:
    """Limit BLAS to one thread inside the context, and yield the number of threads that the caller may use instead.

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
            allowed = 1  # a concurrent call has lowered the limit and uses all threads
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
def _current() -> Callable[[], int | None]:
    try:
        get_processor: Callable[[], int] = ctypes.CDLL(None).sched_getcpu
        return get_processor
    except (AttributeError, OSError, TypeError):  # another system than Linux
        return lambda: None


def _processor() -> int | None:
    """Return the number of the processor that runs this thread, or None where the system does not tell."""
    return _current()()


@contextlib.contextmanager
def _elsewhere(processor: int | None) -> Iterator[None]:
    """Keep this thread off one processor: that of the thread that started it.

    The system may wake a thread on the processor of its caller, where it waits for milliseconds although another
    processor is idle: longer than most pieces take.
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
    """Call ``piece(0)`` to ``piece(count - 1)``, in any order, several at a time.

    Two pieces never write to the same memory.

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
            # A free thread takes the next piece, so pieces may differ in size.
            try:
                while not failed.is_set() and (number := next(numbers)) < count:
                    piece(number)
            except BaseException:
                failed.set()  # no thread begins another piece
                raise

        here, floating_point = _processor(), np.geterr()

        def helper() -> None:
            _inside.threads = 1
            # NumPy keeps its error handling for each thread: helpers take over that of the caller.
            with _elsewhere(here), np.errstate(**floating_point):
                work()

        helpers = [_pool().submit(helper) for _ in range(min(threads, count) - 1)]
        try:
            work()
        finally:
            for future in helpers:
                future.result()


def workspace(slot: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array that belongs to this thread until its next call for the same slot: fresh memory is slow.

    Examples
    --------
    >>> workspace("example", (2, 3), np.dtype(float)).shape
    (2, 3)
    """
    size = math.prod(shape) * dtype.itemsize
    slots: dict[str, np.ndarray] = _arrays.__dict__
    if slot not in slots or slots[slot].size < size:
        slots[slot] = np.empty(size, np.uint8)
    return slots[slot][:size].view(dtype).reshape(shape)
