"""Tests, intervals, multiplicity and power.  Imports checks of arguments alone: it sees numbers, never networks or laws."""

from theorylab.stats.comparison import (
    anytime_interval,
    bounded_interval,
    compare_p_value,
    detectable_effect,
    interval,
)
from theorylab.stats.multiplicity import bonferroni
from theorylab.stats.samples import sample_distances

__all__ = [
    "anytime_interval",
    "bonferroni",
    "bounded_interval",
    "compare_p_value",
    "detectable_effect",
    "interval",
    "sample_distances",
]
