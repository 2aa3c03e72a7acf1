import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory):
    """Notes on files go to a folder of the tests, not to the user's cache."""
    before = os.environ.get("JDART_CACHE")
    os.environ["JDART_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["JDART_CACHE"]
    else:
        os.environ["JDART_CACHE"] = before


@pytest.fixture
def cache(tmp_path_factory, monkeypatch):
    """A cache of one test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("JDART_CACHE", str(folder))
    return folder
