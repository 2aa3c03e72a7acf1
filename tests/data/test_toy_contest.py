"""The toy contest in the repository is what the toy lab draws, and what its shipped rules say."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from submission import contest_from_references, load_contest
from toylab.nouns import TAUGHT
from toylab.world import FONT

DATA = Path(__file__).parents[2] / "data"
SAMPLE, HELD_OUT = DATA / "sample", DATA / "held_out"


@pytest.mark.skipif(not FONT.is_file(), reason="the font is not installed: apt-get install fonts-noto-color-emoji")
def test_program_draws_the_committed_pictures_again(tmp_path):
    from toylab.__main__ import SEED
    from toylab.contest import write

    write(tmp_path / "sample", tmp_path / "held_out", SEED)
    drawn = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert drawn == sorted(path.relative_to(DATA) for part in (SAMPLE, HELD_OUT) for path in part.rglob("*.*"))
    for path in drawn:
        if path.suffix == ".png":
            with Image.open(tmp_path / path) as new, Image.open(DATA / path) as committed:
                assert (committed.mode, committed.size) == ("RGB", (64, 64))
                difference = np.abs(np.asarray(new, np.int16) - np.asarray(committed, np.int16))
                assert difference.mean() < 1, path  # other versions of FreeType and Pillow differ in single pixels
        else:
            assert (tmp_path / path).read_text("utf-8") == (DATA / path).read_text("utf-8")


def test_shipped_rules_are_those_of_the_folder():
    assert load_contest("toy") == contest_from_references(SAMPLE, name="toy")


def test_prompts_are_not_among_their_styles_references_and_the_base_knows_all():
    contest = load_contest("toy")
    for style, prompts in contest.styles.items():
        references = {path.stem.replace("_", " ") for path in (SAMPLE / style / "images").iterdir()}
        assert len(references) == contest.references
        assert references.isdisjoint(prompt.lower() for prompt in prompts)
        assert set(prompts) <= set(TAUGHT)
        assert {path.stem for path in (HELD_OUT / style).iterdir()} == set(prompts)


def test_small_enough_for_a_repository():
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 1_500_000


def test_registry_lists_board_a():
    lines = [line.split() for line in (DATA / "registry.txt").read_text().splitlines() if line[0] != "#"]
    pictures = [path for path, _, _ in lines if path.endswith(".png")]
    assert len(pictures) == 150
    assert {path.split("/")[0] for path in pictures} == set(load_contest("jittor-style-a").styles)
    assert all(len(digest) == 64 and int(digest, 16) >= 0 and int(size) > 0 for _, digest, size in lines)
