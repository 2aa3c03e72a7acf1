import pytest
from tiny_entry import CONTEST, good_files, write_files


@pytest.fixture
def contest():
    return CONTEST


@pytest.fixture
def entry(tmp_path):
    """A folder without findings."""
    return write_files(tmp_path / "entry", good_files())
