"""Jittor on the CPU, and a miniature base model, made once for all tests."""

import numpy as np
import pytest

from jdart.runtime import start

start("cpu")


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory):
    from jdart.models.presets import write_base

    folder = tmp_path_factory.mktemp("models") / "base"
    write_base(folder, "tiny", seed=3)
    return folder


@pytest.fixture
def base(base_folder):
    from jdart.models.build import Base

    return Base(base_folder)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def close():
    """Largest difference relative to the largest reference value."""

    def relative(ours, theirs):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.shape == theirs.shape
        return float(np.abs(ours - theirs).max() / np.abs(theirs).max())

    return relative
