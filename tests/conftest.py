"""One Hypothesis profile, and what many tests want: the small classifier, one thread, pages in a browser."""

import browsers
import pytest
from hypothesis import settings

settings.register_profile("theorylab", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("theorylab")


@pytest.fixture(scope="session")
def classifier():
    """The small classifier, read once in a run of the tests."""
    from theorylab import training

    return training.small_classifier()


@pytest.fixture
def one_torch_thread():
    """Two fight for a processor that something else is using, and are ten times slower."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    driver = browsers.start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()
