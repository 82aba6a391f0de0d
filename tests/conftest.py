"""One Hypothesis profile, and what many tests want: the small classifier, one thread, pages in a browser."""

import browsers
import pytest
from hypothesis import settings

settings.register_profile("theorylab", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("theorylab")


def pytest_collection_modifyitems(items):
    """Begin with the modules and classes that hold slow tests: what several processes end with is short."""

    def scope(item):
        return item.nodeid.partition("[")[0].rpartition("::")[0]

    slow = {scope(item) for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: scope(item) not in slow)


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
