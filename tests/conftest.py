"""One Hypothesis profile, and the classifier that many tests look at."""

import pytest
from hypothesis import settings

settings.register_profile("theorylab", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("theorylab")


@pytest.fixture(scope="session")
def classifier():
    """The small classifier, read once in a run of the tests."""
    from theorylab import training

    return training.small_classifier()
