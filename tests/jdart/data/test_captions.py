"""Captions from texts and tables, filters, and the report of `jdart data`."""

import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from contest.errors import UserError
from jdart.cli import main
from jdart.config import DataConfig
from jdart.config.problem import Problem
from jdart.data.captions import load_pictures
from jdart.data.facts import read_facts, style_pictures


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("bus", "olive_tree")):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{name}.png")
    return tmp_path


def captions(folder, kind):
    return [picture.caption for picture in load_pictures(folder, "an image of {object}", "07", kind)]


EXPECTED = ["a red bus, 07", 'an "olive tree", drawn']
FILES = {
    "txt": {"bus.txt": "\ufeffa red bus, {id}\n", "olive_tree.txt": 'an "{object}", drawn'},
    "jsonl": {
        "metadata.jsonl": '{"file_name": "bus.png", "text": "a red bus, {id}"}\n\n'
        '{"file_name": "olive_tree.png", "text": "an \\"{object}\\", drawn"}\n'
    },
    "csv": {
        "metadata.csv": '\ufefftext,file_name,note\r\n"a red bus, {id}",bus.png,x\r\n'
        '"an ""{object}"", drawn",olive_tree.png,\r\n'
    },
}


@pytest.mark.parametrize("auto", [False, True])
@pytest.mark.parametrize("kind", FILES)
def test_captions_come_from_where_they_are_asked_for(kind, auto, folder):
    for name, text in FILES[kind].items():
        (folder / name).write_text(text, "utf-8")
    assert captions(folder, "auto" if auto else kind) == EXPECTED
    assert captions(folder, "file_name") == ["an image of bus", "an image of olive tree"]


def test_auto_takes_the_names_where_there_is_nothing_else(folder):
    (folder / "README.txt").write_text("no caption")
    assert captions(folder, "auto") == ["an image of bus", "an image of olive tree"]


@pytest.mark.parametrize(
    ("kind", "files", "words"),
    [
        ("txt", {"bus.txt": b"\xff\xfe"}, ["bus.txt is not UTF-8", "olive_tree.png has no olive_tree.txt"]),
        ("txt", {"bus.txt": b" \n", "olive_tree.txt": b"{what}"}, ["bus.txt is empty", "'{what}'"]),
        ("auto", {"bus.txt": b"a bus"}, ["olive_tree.png has no olive_tree.txt"]),
        ("auto", {"metadata.csv": b"", "metadata.jsonl": b""}, ["are both there"]),
        ("csv", {}, ["no metadata.csv"]),
        ("csv", {"metadata.csv": b"\xff"}, ["metadata.csv is not UTF-8"]),
        ("csv", {"metadata.csv": b"file,text\n"}, ["no column file_name"]),
        ("csv", {"metadata.csv": b"file_name,text\nbus.png,red, big\n"}, ["line 2: 3 values for 2", "double quotes"]),
        ("csv", {"metadata.csv": b'file_name,text\nbus.png,"a "b" c"\n'}, ["line 2"]),
        ("jsonl", {"metadata.jsonl": b"{\n[]\n"}, ["line 1: not a JSON object", "line 2: not a JSON object"]),
        (
            "jsonl",
            {
                "metadata.jsonl": b'{"file_name": "bus.png", "text": "a"}\n{"file_name": "bus.png", "text": "b"}\n'
                b'{"file_name": "cat.png", "text": "c"}\n{"file_name": "x.png", "text": 1}\n'
            },
            [
                "line 2: bus.png a second time",
                "line 3: no picture cat.png",
                "line 4: needs",
                "olive_tree.png is not in",
            ],
        ),
    ],
)
def test_every_problem_of_the_captions_is_told_together(kind, files, words, folder):
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with pytest.raises(UserError) as caught:
        captions(folder, kind)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


# Filters


@pytest.fixture
def sizes(tmp_path):
    for width, height in ((64, 64), (32, 64), (64, 16)):
        Image.new("RGB", (width, height)).save(tmp_path / f"{width}x{height}.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 50)).save(tmp_path / "turned.png", exif=exif)
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, ["32x64", "64x16", "64x64", "turned"]),
        ({"min_size": 32}, ["32x64", "64x64", "turned"]),
        ({"min_size": 33}, ["64x64", "turned"]),
        ({"min_aspect": 0.6}, ["64x16", "64x64"]),
        ({"max_aspect": 1.0}, ["32x64", "64x64", "turned"]),
        ({"max_aspect": 0.5}, ["32x64", "turned"]),
    ],
)
def test_pictures_are_left_out_by_size_and_aspect_as_they_are_seen(settings, kept, sizes, caplog):
    found = style_pictures(sizes, "00", DataConfig(**settings))
    assert [picture.path.stem for picture in found] == kept
    assert len(caplog.records) == 4 - len(kept)
    if settings:
        assert all("left out" in record.getMessage() for record in caplog.records)


def test_all_left_out_is_an_error(sizes):
    with pytest.raises(UserError, match="every picture is left out"):
        style_pictures(sizes, "00", DataConfig(min_size=1000))


@pytest.mark.parametrize(
    "settings",
    [
        {"captions": "tags"},
        {"min_size": -1},
        {"min_aspect": -0.1},
        {"max_aspect": 0.0},
        {"min_aspect": 2.0, "max_aspect": 1.0},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(Problem, match=list(settings)[-1]):
        DataConfig(**settings)


def test_facts_are_those_of_the_picture_as_it_is_seen(sizes):
    facts = read_facts(sizes / "turned.png")
    assert (facts.width, facts.height, facts.aspect, facts.mode, facts.orientation) == (50, 100, 0.5, "RGB", 6)
    Image.fromarray(np.zeros((2, 3), np.uint16)).save(sizes / "deep.png")
    assert read_facts(sizes / "deep.png").mode == "I;16"


# jdart data


@pytest.fixture
def run(tmp_path):
    images = tmp_path / "references" / "00" / "images"
    images.mkdir(parents=True)
    (images.parent / "prompt.json").write_text('{"0": "Moon"}')
    noise = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(images / "wide.png")
    Image.fromarray(noise).save(images / "wide_again.bmp")
    Image.new("CMYK", (16, 16)).save(images / "small.jpg")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"references": str(tmp_path / "references"), "data": {"size": 32}}))

    def go(*arguments):
        result = CliRunner().invoke(main, ["data", str(tmp_path / "c.yaml"), *map(str, arguments)])
        assert "Traceback" not in result.output
        return result

    go.images = images
    return go


def test_the_report_tells_size_mode_duplicates_and_what_is_left_out(run):
    result = run("--json", "--set", "data.min_size=20")
    assert result.exit_code == 0, result.output
    (style,) = json.loads(result.output)
    small, wide, again = style["rows"]
    assert (small["facts"]["mode"], small["left_out"]) == ("CMYK", "16 x 16, shorter side below data.min_size 20")
    assert (wide["facts"]["width"], wide["facts"]["height"], wide["same_as"]) == (64, 40, None)
    assert again["same_as"] == "00/wide.png"
    assert wide["picture"]["caption"] == "an image of wide in style_00"
    assert "2 of 3 pictures" in run("--set", "data.min_size=20").output


def test_what_cannot_be_learnt_is_a_finding(run):
    assert run("--set", "data.min_size=2000").exit_code == 1
    assert "no metadata.csv" in run("--set", "data.captions=csv").output
    (run.images / "broken.png").write_bytes(b"no picture")
    result = run("--json")
    assert result.exit_code == 1
    assert "not a readable picture" in json.loads(result.output)[0]["rows"][0]["problem"]


def test_the_sheet_shows_the_squares_that_are_cut(run, tmp_path):
    result = run("--sheet", tmp_path / "sheet.png", "--set", "data.size=160")
    assert result.exit_code == 0, result.output
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    from jdart.data.pictures import crop, read_rgb, resize_short_side

    expected = crop(resize_short_side(read_rgb(run.images / "wide.png"), 160), 160)
    assert sheet.shape[1] == 10 + 3 * 170
    np.testing.assert_array_equal(sheet[38:198, 180:340], expected)
