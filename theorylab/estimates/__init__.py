"""Exact laws but for one integral, which is averaged over draws; joins closed forms and simulation, and says its error."""

from theorylab.estimates.pooled_cosine import pooled_expected_cosine

__all__ = ["pooled_expected_cosine"]
