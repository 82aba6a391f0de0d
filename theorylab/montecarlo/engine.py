"""Replicates in blocks, on any number of worker processes, with the same numbers for any number of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import joblib
import numpy as np
import threadpoolctl

from theorylab import _random, _validation
from theorylab.montecarlo.moments import ArrayMoments, Statistics

Progress = Callable[[int, int], None]


@dataclasses.dataclass
class Measurement:
    """What one block, or a whole study, measured: numbers once a replicate, and moments of maps."""

    statistics: Statistics
    maps: dict[str, ArrayMoments] = dataclasses.field(default_factory=dict)

    def merge(self, other: Measurement) -> None:
        """Take in the next block, in place."""
        self.statistics.merge(other.statistics)
        for name, moments in other.maps.items():
            self.maps[name].merge(moments)

    @property
    def replicates(self) -> int:
        """Replicates behind it."""
        return self.statistics.count


Simulation = Callable[[np.random.Generator, int], Measurement]
"""``simulate(rng, size)``: measures `size` independent replicates drawn from `rng`."""


def measurement(
    numbers: Mapping[str, np.ndarray], maps: Mapping[str, ArrayMoments] | None = None
) -> Measurement:
    """A block's measurement from vectors of one number a replicate.

    Examples
    --------
    >>> measurement({"a": np.array([1.0, 2.0])}).replicates
    2
    """
    return Measurement(Statistics.of(numbers), dict(maps or {}))


def replicate(
    simulate: Simulation,
    replicates: int,
    *,
    block: int,
    seed: _random.Seed | np.random.SeedSequence,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Measurement:
    """Run independent replicates and merge what they measured.

    Parameters
    ----------
    simulate : callable
        ``simulate(rng, size) -> Measurement``; importable (a module's function, or a partial of one) if ``jobs > 1``.
    replicates : int
        At least this many are run: whole blocks only.
    block : int
        Replicates a block.  Part of the study's definition: it fixes which random numbers a replicate sees.
    seed : int, Generator or SeedSequence
        Block ``b`` draws from the seed's child ``b``, so more replicates keep the earlier ones.
    jobs : int
        Worker processes.  The result does not depend on it: blocks are merged in their order, and each runs with one
        BLAS thread, because BLAS rounds differently with another number of threads.
    progress : callable, optional
        ``progress(done, total)`` in replicates.

    Returns
    -------
    Measurement
        Memory does not grow with the number of replicates.

    Examples
    --------
    >>> def throw(rng, size):
    ...     return measurement({"eyes": rng.integers(1, 7, size).astype(float)})
    >>> study = replicate(throw, 6000, block=100, seed=1)
    >>> value, error = study.statistics.estimate(lambda mean: mean["eyes"])
    >>> abs(value - 3.5) < 4 * error
    True
    """
    replicates = _validation.positive_integer(replicates, "replicates")
    block = _validation.positive_integer(block, "block")
    jobs = _validation.positive_integer(jobs, "jobs")
    parent = seed if isinstance(seed, np.random.SeedSequence) else _random.sequence(seed)
    n_blocks = -(-replicates // block)
    tasks = (joblib.delayed(_run_block)(simulate, _random.child(parent, b), block) for b in range(n_blocks))
    merged: Measurement | None = None
    # A generator in the order of the tasks: blocks are merged as they come and then forgotten.
    parallel = joblib.Parallel(n_jobs=min(jobs, n_blocks), return_as="generator", pre_dispatch="2*n_jobs")
    for done, result in enumerate(parallel(tasks), start=1):
        if merged is None:
            merged = result
        else:
            merged.merge(result)
        if progress is not None:
            progress(done * block, n_blocks * block)
    assert merged is not None
    return merged


def _run_block(simulate: Simulation, seed: np.random.SeedSequence, size: int) -> Measurement:
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        return simulate(np.random.default_rng(seed), size)
