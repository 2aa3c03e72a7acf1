"""`jdart search` with drafts: every candidate drawn cheaply, the better ones in earnest."""

import json

import numpy as np
import pytest
from PIL import Image

from evaluator import score_submission
from jdart.generation.notes import read_notes

DRAFT = {"steps": 4, "interval": 2, "keep": 0.25}
CHANGES = {
    "train": {"steps": 2},
    "generate": {"steps": 8},
    "search": {"candidates": 4, "round": 4, "draft": DRAFT},
}
CELLS = [("00", "Moon"), ("00", "Ice cream"), ("01", "Dog"), ("01", "Sun")]


@pytest.fixture
def searched(jdart, config, tmp_path):
    path = config(**CHANGES)
    result = jdart("search", path)
    assert result.exit_code == 0, result.output
    return path, tmp_path / "out", result.output


def picture(out, kind, number, style, prompt):
    return out / "search" / kind / f"{number:02}" / style / f"{prompt}.png"


def test_the_best_drafts_are_drawn_in_earnest_and_none_is_in_the_entry(searched, jdart, config, tmp_path):
    _, out, output = searched
    told = json.loads((out / "choices.json").read_text())
    assert f"{told['final']:.4f} as chosen" in output and "price in pictures" in output
    again = score_submission(out, cache=False, write=False)
    assert told["final"] == pytest.approx(again.scores.final, abs=1e-8)
    for style, prompt in CELLS:
        one = told["styles"][style][prompt]["tried"]
        drafted = [n for n in range(4) if picture(out, "drafts", n, style, prompt).exists()]
        drawn = [n for n in range(4) if picture(out, "candidates", n, style, prompt).exists()]
        assert drafted == [1, 2, 3], "candidate 0 is drawn in any case"
        assert len(drawn) == 2 and drawn[0] == 0
        worth = json.loads((out / "search" / "rounds" / style / "00.json").read_text())["looks"][prompt]
        best = max(worth, key=lambda number: worth[number]["worth"])
        assert drawn[1] == int(best)
        assert [n for n, row in one.items() if row.get("stopped")] == [f"{n:02}" for n in drafted if n != drawn[1]]

        cheap, whole = (read_notes(picture(out, kind, drawn[1], style, prompt)) for kind in ("drafts", "candidates"))
        assert (cheap["draft"], cheap["steps"], cheap["seed"]) == (2, 4, whole["seed"])
        assert "draft" not in whole and whole["steps"] == 8
        pixels = [
            np.asarray(Image.open(picture(out, kind, drawn[1], style, prompt))) for kind in ("drafts", "candidates")
        ]
        assert not np.array_equal(*pixels)
        assert "draft" not in read_notes(out / "images" / style / f"{prompt}.png")

    refused = jdart("redraw", picture(out, "drafts", 1, "00", "Moon"))
    assert (refused.exit_code, "a draft of a search" in refused.output) == (2, True)


def test_what_a_draft_is_worth_is_its_part_of_final(searched):
    """Style of each times the mean of the rest, and the other way round; FID, the same for all, is what is left."""
    _, out, _ = searched
    looks = json.loads((out / "search" / "rounds" / "00" / "00.json").read_text())["looks"]
    rows = [look for prompt in looks.values() for look in prompt.values()]
    style = np.array([0.2 * row["dino"] + 0.4 * row["hist"] + 0.4 * (1 - row["lpips"]) for row in rows])
    rest = np.array([0.5 * row["clip_r"] + 0.1 * row["clip_iqa"] for row in rows])
    left = np.array([row["worth"] for row in rows]) - style * rest.mean() - style.mean() * rest
    fid = left / (style + style.mean())
    assert len(rows) == 6 and np.ptp(fid) < 1e-9 and 0 <= fid[0] <= 0.4


def test_drafts_that_are_there_are_not_drawn_again(searched, jdart, config, tmp_path):
    _, whole, _ = searched
    path = config(**CHANGES, output=str(tmp_path / "again"))
    assert jdart("search", path, "--loras", whole).exit_code == 0
    again = tmp_path / "again"
    drafts = sorted((again / "search" / "drafts").rglob("*.png"))
    assert len(drafts) == 3 * len(CELLS)
    before = {draft: draft.read_bytes() for draft in drafts}
    assert all(draft.read_bytes() == (whole / draft.relative_to(again)).read_bytes() for draft in drafts)
    drafts[0].unlink()  # as a run that was killed would leave it
    (again / "search" / "rounds" / "00" / "00.json").unlink()
    times = {draft: draft.stat().st_mtime_ns for draft in drafts[1:]}
    assert jdart("search", path).exit_code == 0
    assert {draft: draft.read_bytes() for draft in drafts} == before
    assert {draft: draft.stat().st_mtime_ns for draft in drafts[1:]} == times


@pytest.mark.parametrize(
    ("draft", "word"),
    [
        ({"interval": 1}, "is the picture itself"),
        ({"steps": 9}, "9 are more than the 8 of a picture"),
        ({"keep": 1.0}, "keep: 1.0 is not between"),
        ({"interval": 0}, "interval: 0 is below 1"),
    ],
)
def test_a_draft_that_makes_no_sense_is_refused(jdart, config, draft, word):
    result = jdart("search", config(**{**CHANGES, "search": {**CHANGES["search"], "draft": draft}}))
    assert (result.exit_code, word in result.output) == (2, True), result.output


def test_fewer_steps_must_fit_what_else_is_asked(jdart, config, tmp_path):
    changes = {
        **CHANGES,
        "generate": {"steps": 8, "strength": None, "colour": {"guidance": {"first": 0.8, "last": 0.95}}},
    }
    result = jdart("search", config(**changes))
    assert result.exit_code == 2 and "search.draft.steps: 4 do not fit" in result.output
    assert not (tmp_path / "out").exists(), "before anything is trained"


def test_both_ways_of_stopping_are_refused(jdart, config):
    result = jdart("search", config(**{**CHANGES, "search": {**CHANGES["search"], "prune": {}}}))
    assert (result.exit_code, "prune and draft" in result.output) == (2, True)
