"""Claims side by side in a few processes: the laws of one are worked out while networks of another run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import AuthenticationError, connection
from typing import Any

import threadpoolctl

from proofs_checks.bench import Bench
from proofs_checks.claim import Claim
from theorylab import subjects
from theorylab.montecarlo.executors import JoblibExecutor
from theorylab.montecarlo.tasks import Call
from theorylab.progress import Progress, stepper

Judged = Callable[[Sequence[str], Bench], list[Any]]
"""What is found of claims, by their ids, on a bench whose progress is told of "claims" one by one."""

FEW = 3
"""Jobs up to which claims stand side by side, each in one process.  More are kept busy by the blocks of one study at a time."""

Address = tuple[tuple[str, int], bytes]
"""Where a process tells its progress, and the key that opens it."""


def groups(claims: Sequence[Claim]) -> list[list[str]]:
    """Return the ids of claims that share studies together, in the order of their firsts.

    Examples
    --------
    >>> import proofs_checks
    >>> groups([claim for claim in proofs_checks.registry() if claim.id in ("lemma1", "equation9", "error-rate", "figure7")])
    [['lemma1'], ['error-rate'], ['equation9', 'figure7']]
    """
    found: dict[str, list[str]] = {}
    for claim in claims:
        found.setdefault(claim.shares or claim.id, []).append(claim.id)
    return list(found.values())


def run(claims: Sequence[Claim], bench: Bench, judged: Judged) -> list[Any]:
    """Return what is found of the claims, in their order: the same bits for any number of jobs."""
    together = groups(claims)
    large = bench.subject.source not in subjects.PACKAGED  # what a claim keeps of it takes a gigabyte
    if not 1 < bench.jobs <= FEW or bench.executor is not None or large or len(together) == 1:
        return _alone(judged, [claim.id for claim in claims], bench)
    found: dict[str, Any] = {}
    with _heard(bench.progress, len(claims)) as address:
        share = dataclasses.replace(bench, jobs=1, progress=None)
        calls = [
            (ids, Call(functools.partial(_elsewhere, judged, ids, share, address), ())) for ids in together
        ]
        for ids, results in JoblibExecutor(bench.jobs).run(calls, keep=True):
            found |= zip(ids, results, strict=True)
    return [found[claim.id] for claim in claims]


def _alone(judged: Judged, ids: Sequence[str], bench: Bench) -> list[Any]:
    # BLAS rounds differently with more threads, and a worker process has one.
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        return judged(ids, bench)


def _elsewhere(
    judged: Judged, ids: Sequence[str], bench: Bench, address: Address | None, _: Any
) -> list[Any]:
    if address is None:
        return _alone(judged, ids, bench)
    where, key = address
    with connection.Client(where, authkey=key) as told:
        return _alone(judged, ids, dataclasses.replace(bench, progress=lambda *words: told.send(words)))


@contextlib.contextmanager
def _heard(progress: Progress | None, n_claims: int) -> Iterator[Address | None]:
    """Yield where other processes may tell their progress, which is handed on from a thread; None without `progress`."""
    if progress is None:
        yield None
        return
    key, one_at_a_time, over = os.urandom(16), threading.Lock(), threading.Event()
    failed: list[Exception] = []
    listening: list[threading.Thread] = []
    one_more = stepper(progress, "claims", n_claims)

    def listen(told: connection.Connection) -> None:
        with told, contextlib.suppress(EOFError, OSError):
            while True:
                label, done, total = told.recv()
                try:
                    with one_at_a_time:
                        if label == "claims":
                            one_more()
                        else:
                            progress(label, done, total)
                except Exception as error:
                    failed.append(error)

    def accept() -> None:
        while not over.is_set():
            # Of a process that is gone, or none of ours.
            with contextlib.suppress(OSError, EOFError, AuthenticationError):
                told = listener.accept()
                listening.append(threading.Thread(target=listen, args=(told,), daemon=True))
                listening[-1].start()

    with connection.Listener(("127.0.0.1", 0), authkey=key) as listener:
        address = ("127.0.0.1", int(listener.address[1])), key
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield address
        finally:
            over.set()
            connection.Client(address[0], authkey=key).close()  # nothing else wakes it
            accepting.join()
            for thread in listening:  # until each process has closed its end
                thread.join()
    if failed:
        raise failed[0]
