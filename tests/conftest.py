"""One Hypothesis profile: the same examples in every run, and no deadline on a shared machine."""

from hypothesis import settings

settings.register_profile("theorylab", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("theorylab")
