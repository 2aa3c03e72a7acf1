"""A contest of two styles, a miniature base and miniature weights: small enough to go the whole way in seconds."""

import os

import pytest
import yaml
from small_contest import call, write_contest


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

    def write(**changes):
        raw = {
            "name": "small",
            "references": str(contest),
            "output": str(tmp_path / "out"),
            "base": {"model": str(models / "base")},
            "data": {"size": 32},
            "lora": {"r": 2},
            "train": {"steps": 3, "batch_size": 2, "learning_rate": 0.005},
            "generate": {"sampler": "ddim", "steps": 3, "strength": 0.7, "guidance_scale": 2.0, "batch_size": 2},
            "score": {"weights": str(models / "weights")},
        }
        for section, value in changes.items():
            raw[section] = {**raw[section], **value} if isinstance(raw.get(section), dict) else value
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(raw))
        return str(path)

    return write


@pytest.fixture
def jdart():
    """Run the command line in this process; returns click's result, whose output holds no traceback."""
    return call


@pytest.fixture
def measured_once(monkeypatch):
    """A plan takes its seconds once instead of three times: for tests of what it counts, not of what it measures."""
    monkeypatch.setattr("jdart.planning.measure.GOES", 1)
