"""One Hypothesis profile, and a cache of its own for every run of the tests."""

import pytest
from hypothesis import settings

settings.register_profile("theorylab", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("theorylab")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Trained weights go to a temporary folder: nothing of the user's is read or written, by subprocesses neither."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THEORYLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def classifier(own_cache):
    """The small classifier at seed 0, trained once in a run of the tests."""
    from theorylab import training

    return training.small_classifier()
