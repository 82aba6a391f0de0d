"""Tests, intervals, multiplicity and power.  Sees numbers only, never networks or laws."""

from theorylab.stats.comparison import compare_p_value, detectable_effect, interval
from theorylab.stats.multiplicity import bonferroni

__all__ = ["bonferroni", "compare_p_value", "detectable_effect", "interval"]
