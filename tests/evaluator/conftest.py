from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from fixture_contest import draw_contest

from evaluator import Report, score_submission
from evaluator.weights.miniature import write_miniature

# The networks are tiny: threads that wait for each other on a busy machine cost far more than they give.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The feature cache of all these tests, commands included; the user's own is left alone."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["JDART_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    write_miniature(folder, seed=11)
    return folder


@pytest.fixture(scope="session")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fixture contest; tests must not change it, see `outputs`."""
    folder = tmp_path_factory.mktemp("contest")
    draw_contest(folder)
    return folder


@pytest.fixture(scope="session")
def report(pack: Path, contest: Path) -> Report:
    return score_submission(contest / "outputs", references=contest / "references", weights=pack, write=False)


@pytest.fixture
def outputs(contest: Path, tmp_path: Path) -> Path:
    """A copy of the contest's outputs that a test may change."""
    return Path(shutil.copytree(contest / "outputs", tmp_path / "outputs"))


@pytest.fixture
def references(contest: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(contest / "references", tmp_path / "references"))
