"""The sample contest in the repository is what its program draws, and what its shipped rules say."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from submission import contest_from_references, load_contest

DATA = Path(__file__).parents[2] / "data"
SAMPLE = DATA / "sample"


@pytest.fixture(scope="module")
def program():
    sys.path.insert(0, str(DATA))  # as when it is run as a script
    try:
        import draw_sample
    finally:
        sys.path.remove(str(DATA))
    return draw_sample


def test_program_draws_the_committed_pictures_again(program, tmp_path):
    program.write(tmp_path)
    drawn = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert drawn == sorted(path.relative_to(SAMPLE) for path in SAMPLE.rglob("*.*"))
    for path in drawn:
        if path.suffix == ".png":
            with Image.open(tmp_path / path) as new, Image.open(SAMPLE / path) as committed:
                assert committed.mode == "RGB"
                assert committed.size == (128, 128)
                difference = np.abs(np.asarray(new, np.int16) - np.asarray(committed, np.int16))
                assert difference.mean() < 0.01, path  # other versions of Pillow draw single edge pixels otherwise
        else:
            assert (tmp_path / path).read_text("utf-8") == (SAMPLE / path).read_text("utf-8")


def test_shipped_rules_are_those_of_the_folder():
    assert load_contest("sample") == contest_from_references(SAMPLE)


def test_prompts_are_not_among_their_styles_references():
    contest = load_contest("sample")
    for style, prompts in contest.styles.items():
        references = {path.stem.replace("_", " ") for path in (SAMPLE / style / "images").iterdir()}
        assert len(references) == contest.references
        assert references.isdisjoint(prompt.lower() for prompt in prompts)


def test_small_enough_for_a_repository():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 600_000


def test_registry_lists_board_a():
    lines = [line.split() for line in (DATA / "registry.txt").read_text().splitlines() if line[0] != "#"]
    pictures = [path for path, _, _ in lines if path.endswith(".png")]
    assert len(pictures) == 150
    assert {path.split("/")[0] for path in pictures} == set(load_contest("jittor-style-a").styles)
    assert all(len(digest) == 64 and int(digest, 16) >= 0 and int(size) > 0 for _, digest, size in lines)
