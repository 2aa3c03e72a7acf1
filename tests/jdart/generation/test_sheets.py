import numpy as np
import pytest
from PIL import Image

from contest.errors import UserError
from contest.lettering import fit_text, font_of
from jdart.generation.sheets import CAPTION, CELL, GAP, HEADING, MARGIN, TITLE, contact_sheet, strip

RED, BLUE = (255, 0, 0), (0, 0, 255)
FIRST_ROW = MARGIN + TITLE + 4 * GAP + HEADING


def save(path, colour, size=(64, 64)):
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.fixture
def style(tmp_path):
    references = [save(tmp_path / f"reference{i}.png", RED) for i in range(3)]
    outputs = {f"Prompt {i}": save(tmp_path / f"output{i}.png", BLUE, (64, 32)) for i in range(9)}
    return references, outputs


def share(sheet, colour):
    return (np.abs(np.asarray(sheet, dtype=int) - colour).max(axis=2) < 40).sum() / CELL**2


def test_every_picture_is_on_the_sheet_once_and_enlarged(style):
    references, outputs = style
    sheet = contact_sheet(references, outputs, "Style 07")
    assert share(sheet, RED) == pytest.approx(len(references), rel=0.01)
    assert share(sheet, BLUE) == pytest.approx(len(outputs) / 2, rel=0.01)  # twice as wide as high


def test_references_are_above_outputs_in_cells(style):
    references, outputs = style
    pixels = np.asarray(contact_sheet(references, outputs, "Style 07"))
    reds, blues = ((np.abs(pixels.astype(int) - colour).max(axis=2) < 40) for colour in (RED, BLUE))
    assert np.flatnonzero(reds.any(axis=1)).max() < np.flatnonzero(blues.any(axis=1)).min()
    assert np.flatnonzero(reds.any(axis=1)).min() == FIRST_ROW
    assert np.flatnonzero(reds.any(axis=0)).min() == MARGIN


def test_captions_and_title_are_drawn(style):
    references, outputs = style
    bare = np.asarray(contact_sheet(references, {str(i): path for i, path in enumerate(outputs.values())}, ""))
    full = np.asarray(contact_sheet(references, outputs, "Style 07"))
    changed = np.flatnonzero((bare != full).any(axis=(1, 2)))
    assert changed.min() < MARGIN + TITLE
    assert changed.max() > full.shape[0] - MARGIN - 3 * GAP - CAPTION


def test_long_captions_are_cut_to_the_cell():
    font = font_of(CAPTION)
    cut = fit_text("a very long prompt that cannot possibly fit in a cell", font, CELL)
    assert cut.endswith("...")
    assert font.getlength(cut) <= CELL
    assert fit_text("Dolphin", font, CELL) == "Dolphin"


def test_a_style_without_outputs_yet_still_has_a_sheet(style):
    assert share(contact_sheet(style[0][:1], {}, "Style 07"), RED) == pytest.approx(1, rel=0.01)


def test_an_unreadable_picture_is_named(style, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"broken.png: not a readable picture"):
        contact_sheet(style[0], {"Dolphin": tmp_path / "broken.png"}, "Style 07")


# The loss plot


def test_a_strip_holds_its_pictures_from_left_to_right():
    colours = [np.full((4, 5, 3), value, np.uint8) for value in (0, 100)]
    row = strip(colours)
    assert row.shape == (4, 5 + GAP + 5, 3)
    assert (row[:, :5] == 0).all()
    assert (row[:, 5 : 5 + GAP] == 255).all()
    assert (row[:, -5:] == 100).all()
    assert (strip(colours[:1]) == colours[0]).all()
