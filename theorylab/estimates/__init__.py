"""Laws with one integral that is averaged over draws, each with its standard error.  May import closed forms and simulation."""

from theorylab.estimates.pooled_cosine import pooled_expected_cosine

__all__ = ["pooled_expected_cosine"]
