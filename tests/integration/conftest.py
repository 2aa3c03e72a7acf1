"""A contest of two styles, a miniature base and miniature weights: small enough to go the whole way in seconds."""

import os

import pytest
from small_contest import call, write_config, write_contest


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """The evaluator's feature cache for all these tests; the user's own is left alone."""
    os.environ["JDART_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Folder with `base` and `weights`."""
    from jdart.runtime import start

    start("cpu")
    from evaluator.weights.miniature import write_miniature
    from jdart.models.presets import write_base

    folder = tmp_path_factory.mktemp("models")
    write_base(folder / "base", "tiny", seed=1)
    write_miniature(folder / "weights", 11)
    return folder


@pytest.fixture
def contest(tmp_path):
    """A references folder: three pictures and two prompts a style."""
    return write_contest(tmp_path / "references")


@pytest.fixture
def config(tmp_path, contest, models):
    """Path of a configuration; call with changes such as train={"steps": 3} to write another."""

    return lambda **changes: str(write_config(tmp_path, models, contest, changes))


@pytest.fixture
def jdart():
    """Run the command line in this process; returns click's result, whose output holds no traceback."""
    return call


@pytest.fixture
def measured_once(monkeypatch):
    """A plan takes its seconds once instead of three times: for tests of what it counts, not of what it measures."""
    monkeypatch.setattr("jdart.planning.measure.GOES", 1)
