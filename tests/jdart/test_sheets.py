import io

import numpy as np
import pytest
from PIL import Image

from jdart.plots import loss_plot, read_losses, running_mean
from jdart.sheets import CAPTION, CELL, GAP, HEADING, MARGIN, TITLE, _fit, _font, contact_sheet
from submission.errors import UserError

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
    font = _font(CAPTION)
    cut = _fit("a very long prompt that cannot possibly fit in a cell", font, CELL)
    assert cut.endswith("...")
    assert font.getlength(cut) <= CELL
    assert _fit("Dolphin", font, CELL) == "Dolphin"


def test_a_style_without_outputs_yet_still_has_a_sheet(style):
    assert share(contact_sheet(style[0][:1], {}, "Style 07"), RED) == pytest.approx(1, rel=0.01)


def test_an_unreadable_picture_is_named(style, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"broken.png: not a readable picture"):
        contact_sheet(style[0], {"Dolphin": tmp_path / "broken.png"}, "Style 07")


# The loss plot


def test_running_mean_is_that_of_a_plain_loop():
    values = np.random.default_rng(0).standard_normal(50)
    values[[3, 20, 21, 22]] = np.nan
    expected = []
    for end in range(1, 51):
        window = [value for value in values[max(0, end - 3) : end] if not np.isnan(value)]
        expected.append(sum(window) / len(window) if window else np.nan)
    np.testing.assert_allclose(running_mean(values, 3), expected, atol=1e-12)


def test_plot_is_a_picture_and_the_same_every_time(tmp_path):
    table = tmp_path / "loss.csv"
    table.write_text("step,loss,lr\n" + "".join(f"{i},{1 / i},1e-4\n" for i in range(1, 101)) + "101,nan,1e-4\n")
    rows = read_losses(table)
    assert (len(rows), rows[1]) == (101, (2, 0.5))
    for name in ("a.png", "b.png"):
        loss_plot(rows, tmp_path / "new folder" / name)
    first, second = ((tmp_path / "new folder" / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second
    assert Image.open(io.BytesIO(first)).size == (960, 540)


def test_plot_of_nothing_is_empty_not_an_error(tmp_path):
    loss_plot([], tmp_path / "loss.png")
    assert (tmp_path / "loss.png").exists()


@pytest.mark.parametrize("content", ["", "step\n1\n", "step,loss\n1,high\n", "step,loss\n1\n"])
def test_a_malformed_table_is_named(tmp_path, content):
    table = tmp_path / "loss.csv"
    table.write_text(content)
    if content == "":
        assert read_losses(table) == []
    else:
        with pytest.raises(UserError, match=r"loss.csv: not a table"):
            read_losses(table)
