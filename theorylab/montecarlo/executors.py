"""Executors, which run blocks in this process, in worker processes or on a cluster, with the same numbers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import importlib
import itertools
import logging
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from typing import Any, Protocol, TypeVar, runtime_checkable

import joblib
import threadpoolctl

from theorylab import _validation
from theorylab._version import __version__
from theorylab.montecarlo.tasks import Call, Task, run_task

Key = TypeVar("Key")


@runtime_checkable
class Executor(Protocol):
    """Runs tasks and hands back what they measured."""

    def run(
        self, tasks: Iterable[tuple[Key, Task | Call]], *, keep: bool = False
    ) -> Iterator[tuple[Key, Any]]:
        """Yield results as they are finished, in any order, each with its key.

        Parameters
        ----------
        tasks : iterable
            Asked for one by one as workers become free.
        keep : bool
            Whether the caller saves each result at once: then none may wait for others.
        """


def _keyed(key: Any, task: Task | Call) -> tuple[Any, Any]:
    return key, run_task(task)


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Have what is started meanwhile, a thread or a process, take no interrupt; this thread takes it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # by loky, it would let the interrupt through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stay_with(parent: int) -> None:
    """End this worker soon after its parent is killed, as joblib's workers do only after minutes.

    A terminal sends its interrupt to workers too; they leave it to the parent, which ends them, and print no traceback.  Until
    here :func:`_no_interrupt` keeps it from them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@_validation.checked
@dataclasses.dataclass(frozen=True)
class JoblibExecutor:
    """Worker processes on this machine; with one, this process.

    Parameters
    ----------
    jobs : int

    Raises
    ------
    TypeError, ValueError
        If `jobs` is not a positive integer.

    Examples
    --------
    >>> import numpy as np
    >>> from theorylab.montecarlo import measurement
    >>> def throw(rng, size):
    ...     return measurement({"eyes": rng.integers(1, 7, size).astype(float)})
    >>> [(key, result)] = JoblibExecutor(1).run([("first", Task(throw, np.random.SeedSequence(0), 5))])
    >>> key, result.replicates
    ('first', 5)
    """

    jobs: int = 1

    def __post_init__(self) -> None:
        """Check the number of jobs."""
        object.__setattr__(self, "jobs", _validation.positive_integer(self.jobs, "jobs"))

    def run(
        self, tasks: Iterable[tuple[Key, Task | Call]], *, keep: bool = False
    ) -> Iterator[tuple[Key, Any]]:
        """See :class:`Executor`; a worker process that dies is a ChildProcessError."""
        processes = {"backend": "loky", "initializer": _stay_with, "initargs": (os.getpid(),)}
        parallel = joblib.Parallel(
            n_jobs=self.jobs,
            return_as="generator_unordered",
            pre_dispatch="2*n_jobs",
            batch_size=1 if keep else "auto",
            **(processes if self.jobs > 1 else {}),
        )
        with _no_interrupt() if self.jobs > 1 else contextlib.nullcontext():
            results = parallel(joblib.delayed(_keyed)(key, task) for key, task in tasks)
        try:
            while (result := _next(results)) is not None:
                yield result
        except RuntimeError as error:
            # The classes of joblib and loky are not in their public interfaces.
            if type(error).__name__ not in ("TerminatedWorkerError", "BrokenProcessPool"):
                raise
            raise ChildProcessError(
                "a worker process died, perhaps for lack of memory; try fewer of them"
            ) from None
        finally:
            _next(results, close=True)


def _next(results: Any, close: bool = False) -> Any:
    """Return the next result or None, without joblib's warning of tasks that an interrupt leaves unfinished."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*tasks which were still being processed")
        return results.close() if close else next(results, None)


@_validation.checked
@dataclasses.dataclass(frozen=True)
class DaskExecutor:
    """The workers of a Dask cluster that is already there (``pip install distributed``).

    Workers may come and go: another worker repeats what a lost one was running.  Each needs this version of theorylab.

    Parameters
    ----------
    address : str
        Of the scheduler, as in ``tcp://127.0.0.1:8786``.
    timeout : float, default 5
        Seconds to wait for the scheduler's answer.
    notify : callable, optional
        ``notify(message)``, called when the cluster has no worker yet.

    Examples
    --------
    >>> DaskExecutor("tcp://127.0.0.1:8786").address
    'tcp://127.0.0.1:8786'
    """

    address: str
    timeout: float = 5.0
    notify: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        """Check the time; the scheduler is asked by :meth:`connect`."""
        object.__setattr__(self, "timeout", _validation.positive_number(self.timeout, "timeout"))

    def connect(self) -> Any:
        """Ask whether a scheduler is there; return the package distributed.

        Raises
        ------
        ModuleNotFoundError
            Without the package distributed.
        ConnectionError
            If no scheduler answers within `timeout`, or what answers is none.
        """
        try:
            distributed: Any = importlib.import_module("distributed")
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "a cluster needs the package distributed: pip install distributed"
            ) from None

        async def ask() -> Any:
            async with distributed.rpc(self.address, timeout=self.timeout) as remote:
                return await asyncio.wait_for(remote.identity(), self.timeout)

        # Not by a client: one that fails is closed when it is collected, which takes 20 s and prints a traceback.  In a
        # thread, because notebooks have an event loop that runs.
        try:
            with concurrent.futures.ThreadPoolExecutor(1) as thread:
                found = thread.submit(asyncio.run, ask()).result()
            kind = found["type"]
        except Exception as error:  # whatever another program's answer or an address that is none leads to
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConnectionError(f"scheduler {self.address}: no answer ({reason})") from None
        if kind != "Scheduler":
            raise ConnectionError(f"scheduler {self.address}: is a {str(kind).lower()}, not a scheduler")
        return distributed

    def run(
        self, tasks: Iterable[tuple[Key, Task | Call]], *, keep: bool = False
    ) -> Iterator[tuple[Key, Any]]:
        """See :class:`Executor`.

        Raises
        ------
        ModuleNotFoundError, ConnectionError
            As :meth:`connect`; if the scheduler is lost.
        ChildProcessError
            If a block was lost with its worker again and again.
        ValueError
            If a worker has another version of theorylab.
        """
        distributed = self.connect()
        client = distributed.Client(self.address, timeout=self.timeout, set_as_default=False)
        # Silence its tracebacks of a lost connection, for which an error is raised below.
        logger = logging.getLogger("distributed.client")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            with client:
                yield from self._stream(distributed, client, iter(tasks))
        except (
            asyncio.CancelledError,
            concurrent.futures.CancelledError,
            distributed.comm.core.CommClosedError,
        ):
            raise ConnectionError(f"scheduler {self.address}: the connection is lost") from None
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"scheduler {self.address}: {error}; its workers need this version of theorylab"
            ) from None
        except distributed.scheduler.KilledWorker:
            raise ChildProcessError(
                f"scheduler {self.address}: one block was lost with its worker several times, "
                "perhaps for lack of memory"
            ) from None
        finally:
            logger.setLevel(level)

    def _stream(
        self, distributed: Any, client: Any, tasks: Iterator[tuple[Key, Task | Call]]
    ) -> Iterator[tuple[Key, Any]]:
        """Keep twice as many blocks on the cluster as it has threads, until all are done."""
        running: dict[Any, Key] = {}
        sent = simulation = None
        notified = False
        while True:
            threads = sum(client.ncores().values())
            for key, task in itertools.islice(tasks, max(0, 2 * max(1, threads) - len(running))):
                # Send a simulation, which holds the picture, once and as a task: a task is run again if its worker is
                # lost, but scattered data are gone.
                if task.simulate is not sent:
                    sent, simulation = task.simulate, client.submit(_same, task.simulate, pure=False)
                future = client.submit(_on_worker, __version__, simulation, _with(task, _same), pure=False)
                running[future] = key
            if not running:
                return
            try:
                with client.as_current():  # `wait` asks for the client of this thread
                    done = distributed.wait(list(running), timeout=5, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                if not threads and not notified and self.notify is not None:
                    self.notify(f"scheduler {self.address}: it has no workers; waiting for one")
                    notified = True
                continue
            notified = False
            # Yield in the order of sending, because blocks are merged in that order.
            for future in [future for future in running if future in done]:
                yield running.pop(future), future.result()


def _same(simulate: Any) -> Any:
    return simulate


def _with(task: Any, simulate: Any) -> Any:
    return dataclasses.replace(task, simulate=simulate)


def _on_worker(version: str, simulate: Any, rest: Any) -> Any:
    if __version__ != version:
        raise ValueError(f"a worker has theorylab {__version__}, this study is of {version}")
    # Never lift the limit: a worker's threads share it, and the first to end would lift it for the others.
    threadpoolctl.threadpool_limits(1, user_api="blas")
    return run_task(_with(rest, simulate))
