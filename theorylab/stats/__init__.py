"""Tests, intervals, multiplicity and power.  Imports checks of arguments alone: it sees numbers, never networks or laws."""

from theorylab.stats.comparison import compare_p_value, detectable_effect, interval
from theorylab.stats.multiplicity import bonferroni

__all__ = ["bonferroni", "compare_p_value", "detectable_effect", "interval"]
