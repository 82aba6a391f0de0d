"""Pieces of work, which an executor runs anywhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import threadpoolctl

from theorylab import _validation
from theorylab.montecarlo.moments import Measurement, Simulation


@dataclasses.dataclass(frozen=True)
class Task:
    """One block: a simulation, its random numbers and how many replicates."""

    simulate: Simulation
    seed: np.random.SeedSequence
    size: int

    def run(self) -> Measurement:
        """Measure the block, or say that the simulation returned something else."""
        found = self.simulate(np.random.default_rng(self.seed), self.size)
        if not isinstance(found, Measurement):
            what = "expected a Measurement, which theorylab.montecarlo.measurement makes"
            raise TypeError(f"simulate: {what}, got {_validation.kind(found)}")
        if found.replicates != self.size:
            raise ValueError(f"simulate: expected {self.size} replicates, got {found.replicates}")
        return found


@dataclasses.dataclass(frozen=True)
class Call:
    """Some of the things, by their places, that a function measures one by one; it has random numbers of its own."""

    simulate: Callable[[tuple[int, ...]], Any]
    places: tuple[int, ...]

    def run(self) -> Any:
        """Measure them."""
        return self.simulate(self.places)


def run_task(task: Task | Call) -> Any:
    """Run one block with one BLAS thread, because BLAS rounds differently with more of them."""
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        return task.run()
