import os

import pytest
from small_event import SmallEvent


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory):
    """What is unpacked or noted goes to a folder of the tests, not to the user's cache."""
    before = os.environ.get("JDART_CACHE")
    os.environ["JDART_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["JDART_CACHE"]
    else:
        os.environ["JDART_CACHE"] = before


@pytest.fixture
def event(tmp_path):
    """A contest of two styles with two pictures each, and an event with rules that a test gives."""
    return SmallEvent(tmp_path)
