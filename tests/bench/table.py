"""Lines of the tables that close a run."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

WHOLE = 11
ROUNDS = int(os.environ.get("BENCH_ROUNDS", WHOLE))
"""Of each in turn; a first look, with fewer, is not kept."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table; times are medians in seconds."""

    work: str
    against: str
    ours: float
    theirs: float | None
    target: float


@dataclasses.dataclass(frozen=True)
class Growth:
    """Cost against a size: ``cost ∝ size^exponent``, fitted by least squares to logarithms of medians."""

    work: str
    size: str
    sizes: tuple[float, ...]
    medians: tuple[float, ...]

    @property
    def exponent(self) -> float:
        return float(np.polyfit(np.log(self.sizes), np.log(self.medians), 1)[0])
