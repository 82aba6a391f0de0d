"""Replicates in blocks, on any number of worker processes, with the same numbers for any number of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from theorylab import _random, _validation
from theorylab.montecarlo.executors import Executor, JoblibExecutor
from theorylab.montecarlo.moments import Measurement, Simulation
from theorylab.montecarlo.tasks import Task, run_task
from theorylab.progress import Progress


@runtime_checkable
class Checkpoints(Protocol):
    """A store of finished blocks, such as :class:`~theorylab.montecarlo.checkpoints.CheckpointFolder`."""

    def load(self, study: str, block: int) -> Measurement | None:
        """Load a saved block, or None if there is none that can be trusted."""

    def save(self, study: str, block: int, measured: Measurement) -> None:
        """Keep a block."""


@_validation.checked
@dataclasses.dataclass(frozen=True)
class Study:
    """One simulation, cut into blocks.

    Parameters
    ----------
    name : str
        Names the study in checkpoints and in progress; no other study of the run may have it.
    simulate : callable
        ``simulate(rng, size) -> Measurement``; importable (a module's function, a partial of one or an instance of a
        module's class) where worker processes run it.  Where replicates are not alike, as pictures of a folder are not,
        it has a method ``part(first, size)`` that gives the simulation of one block.
    replicates : int
        At least this many are run, whole blocks only, unless `stop` ends it sooner.
    block : int
        Replicates a block.  Part of the study's definition: it fixes which random numbers a replicate sees.
    seed : int, Generator or SeedSequence
        Block ``b`` draws from the seed's child ``b``, so more replicates keep the earlier ones.
    stop : callable, optional
        ``stop(measured) -> bool``, asked after each block in the order of blocks, whatever the order in which they
        were finished: what it decides does not depend on how the blocks are run.
    begin : int, default 0
        The first block to run: those before it are left out, because an earlier run of the same study has them.

    Examples
    --------
    >>> from theorylab.montecarlo import measurement
    >>> Study("dice", measurement, 25, block=10, seed=0).n_blocks
    3
    """

    name: str
    simulate: Simulation
    replicates: int
    block: int
    seed: _random.Seed | np.random.SeedSequence
    stop: Callable[[Measurement], bool] | None = None
    begin: int = 0

    def __post_init__(self) -> None:
        """Check the counts and make a seed sequence of the seed."""
        for name in ("replicates", "block"):
            object.__setattr__(self, name, _validation.positive_integer(getattr(self, name), name))
        if not 0 <= self.begin < self.n_blocks:
            raise ValueError(f"begin: expected a block of {self.n_blocks}, from 0 on, got {self.begin}")
        if not isinstance(self.seed, np.random.SeedSequence):
            object.__setattr__(self, "seed", _random.sequence(self.seed))

    @property
    def n_blocks(self) -> int:
        """Number of whole blocks that hold all replicates."""
        return -(-self.replicates // self.block)

    def task(self, block: int) -> Task:
        """Return the task of one block for an executor."""
        assert isinstance(self.seed, np.random.SeedSequence)
        part = getattr(self.simulate, "part", None)
        simulate = self.simulate if part is None else part(block * self.block, self.block)
        return Task(simulate, _random.child(self.seed, block), self.block)


class _Merged:
    """A running study: blocks arrive in any order and are merged in the order of their numbers."""

    def __init__(self, study: Study, checkpoints: Checkpoints | None, progress: Progress | None) -> None:
        self.study = study
        self.checkpoints = checkpoints
        self.progress = progress
        self.measured: Measurement | None = None
        self.next = study.begin
        self.waiting: dict[int, Measurement] = {}
        self.stored: set[int] = set()
        self.finished = False
        while not self.finished and (block := self._load(self.next)) is not None:
            self._merge(block)

    def _load(self, block: int) -> Measurement | None:
        return None if self.checkpoints is None else self.checkpoints.load(self.study.name, block)

    def _merge(self, block: Measurement) -> None:
        if self.measured is None:
            self.measured = block
        else:
            self.measured.merge(block)
        self.next += 1
        enough = self.study.stop is not None and self.study.stop(self.measured)
        self.finished = enough or self.next == self.study.n_blocks
        if self.progress is not None:
            blocks = self.next if self.finished else self.study.n_blocks
            self.progress(self.study.name, self.next * self.study.block, blocks * self.study.block)

    def missing(self) -> Iterator[int]:
        """Yield the blocks to run; workers ask for them one by one, so none starts once the study is finished."""
        for block in range(self.next, self.study.n_blocks):
            if self.finished:
                return
            if self._load(block) is not None:
                # Read it again when its turn comes, to save memory.
                self.stored.add(block)
            else:
                yield block

    def take(self, block: int, measured: Measurement) -> None:
        if self.checkpoints is not None:
            self.checkpoints.save(self.study.name, block, measured)
        self.waiting[block] = measured
        self.advance()

    def advance(self) -> None:
        """Merge the blocks that have arrived, up to the first that is missing."""
        while not self.finished:
            if self.next in self.waiting:
                self._merge(self.waiting.pop(self.next))
            elif self.next in self.stored:
                # The stored block may have been damaged meanwhile.
                self._merge(self._load(self.next) or run_task(self.study.task(self.next)))
            else:
                return
        self.waiting.clear()


@_validation.checked
def replicate_all(
    studies: Sequence[Study],
    *,
    executor: Executor | None = None,
    checkpoints: Checkpoints | None = None,
    progress: Progress | None = None,
) -> list[Measurement]:
    """Run the blocks of many studies side by side and merge each study's blocks in order.

    Parameters
    ----------
    studies : sequence of Study
    executor : Executor, optional
        Where blocks run: worker processes (:class:`~theorylab.montecarlo.executors.JoblibExecutor`) or a cluster
        (:class:`~theorylab.montecarlo.executors.DaskExecutor`); in this process if not given.
    checkpoints : Checkpoints, optional
        Each block is kept here as soon as it is finished, and what is kept already is not run again.
    progress : callable, optional
        ``progress(name, done, total)`` in replicates.

    Returns
    -------
    list of Measurement, one a study
        The same bits for every executor, with and without checkpoints, however often the run was interrupted: a block's
        numbers follow from its seed, blocks are merged in their order and each runs with one BLAS thread.  On another
        kind of processor they are equal up to rounding.

    Raises
    ------
    ValueError
        If two studies have one name.
    OSError
        If a checkpoint cannot be written or workers are lost for good; what was kept stays.

    Examples
    --------
    >>> from theorylab.montecarlo import measurement
    >>> def throw(rng, size):
    ...     return measurement({"eyes": rng.integers(1, 7, size).astype(float)})
    >>> def sure(measured):
    ...     value, error = measured.statistics.estimate(lambda mean: mean["eyes"])
    ...     return error < 0.02 * value
    >>> dice = [Study(name, throw, 6000, block=100, seed=seed, stop=sure) for seed, name in enumerate(("red", "blue"))]
    >>> [measured.replicates for measured in replicate_all(dice)]
    [600, 700]
    """
    names = [study.name for study in studies]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"studies: two are called {name!r}")
    runs = [_Merged(study, checkpoints, progress) for study in studies]

    def tasks() -> Iterator[tuple[tuple[int, int], Task]]:
        for index, run in enumerate(runs):
            for block in run.missing():
                yield (index, block), run.study.task(block)

    for (index, block), result in (executor or JoblibExecutor(1)).run(tasks(), keep=checkpoints is not None):
        if not runs[index].finished:
            runs[index].take(block, result)
    for run in runs:
        run.advance()  # in case its last blocks were all in the checkpoints
    assert all(run.finished for run in runs)
    return [run.measured for run in runs if run.measured is not None]


@_validation.checked
def replicate(
    simulate: Simulation,
    replicates: int,
    *,
    block: int,
    seed: _random.Seed | np.random.SeedSequence,
    jobs: int = 1,
    executor: Executor | None = None,
    name: str = "replicates",
    progress: Progress | None = None,
    begin: int = 0,
) -> Measurement:
    """Run independent replicates and merge what they measured.

    Parameters
    ----------
    simulate, replicates, block, seed, begin
        As in :class:`Study`: whole blocks are run, so ``replicates=1, block=5`` measures five.
    jobs : int
        Worker processes; as every executor of :func:`replicate_all` they give the same bits.
    executor : Executor, optional
        In the place of worker processes.
    name, progress
        ``progress(name, done, total)`` is told in replicates.

    Returns
    -------
    Measurement
        Memory does not grow with the number of replicates.

    Raises
    ------
    TypeError, ValueError
        If a count is not a positive integer, for a seed of the wrong kind, or if `simulate` returns no Measurement or one of
        another number of replicates than it was asked for.

    Examples
    --------
    >>> from theorylab.montecarlo import measurement
    >>> def throw(rng, size):
    ...     return measurement({"eyes": rng.integers(1, 7, size).astype(float)})
    >>> study = replicate(throw, 6000, block=100, seed=1)
    >>> value, error = study.statistics.estimate(lambda mean: mean["eyes"])
    >>> abs(value - 3.5) < 4 * error
    True
    """
    study = Study(name, simulate, replicates, block, seed, begin=begin)
    if executor is None:
        executor = JoblibExecutor(min(_validation.positive_integer(jobs, "jobs"), study.n_blocks - begin))
    (measured,) = replicate_all([study], executor=executor, progress=progress)
    return measured
