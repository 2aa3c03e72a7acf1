"""What lies in a folder of references: what Pillow reads is learnt, the rest is named with why."""

import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image, ImageCms, features

from contest.errors import UserError
from jdart.cli import main
from jdart.config import DataConfig
from jdart.data.captions import load_pictures, not_learnt
from jdart.data.facts import read_facts, style_pictures
from jdart.data.pictures import read_rgb

RED = (200, 40, 60)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "references" / "00" / "images"
    folder.mkdir(parents=True)
    (folder.parent / "prompt.json").write_text('{"0": "Moon"}')
    Image.new("RGB", (80, 80), RED).save(folder / "bus.png")
    return folder


KINDS = {
    "jfif": "JPEG",
    "jpe": "JPEG",
    "tif": "TIFF",
    "tiff": "TIFF",
    "gif": "GIF",
    "avif": "AVIF",
    "webp": "WEBP",
    "bmp": "BMP",
    "dib": "DIB",
    "apng": "PNG",
    "tga": "TGA",
    "ppm": "PPM",
    "jp2": "JPEG2000",
}


@pytest.mark.parametrize("ending", KINDS)
def test_what_pillow_reads_is_learnt(ending, images):
    if ending == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    path = images / f"cat.{ending.upper()}"
    Image.new("RGB", (8, 6), RED).save(path, KINDS[ending])
    assert [picture.object for picture in load_pictures(images, "{object}", "00")] == ["bus", "cat"]
    assert read_rgb(path).shape == (6, 8, 3)
    assert np.abs(read_rgb(path).astype(int) - RED).max() < 12
    assert not not_learnt(images)


@pytest.mark.parametrize(
    ("name", "content", "why", "picture"),
    [
        ("cat.heic", HEIC, "a HEIC (a phone's photo), which is not read; save it as PNG", True),
        ("cat.jxl", b"\xff\x0a...", "a JPEG XL, which is not read; save it as PNG", True),
        ("cat", None, "a PNG by its contents, not by its name", True),
        ("cat.png.bak", None, "a PNG by its contents, not by its name", True),
        ("../cat.png", None, "lies above images; put it in there", True),
        ("cat.txt", b"a cat", "a text without a picture of its name", False),
        ("bus.txt", b"a bus", "not read, as data.captions is file_name", False),
        ("metadata.csv", b"file_name,text\n", "not read, as data.captions is file_name", False),
        ("metadata.jsonl", b"", "not read, as data.captions is file_name", False),
        ("all.zip", b"PK\3\4", "no picture: a zip archive", False),
        ("empty", b"", "no picture: empty", False),
    ],
)
def test_the_rest_is_named_with_why(name, content, why, picture, images):
    (images / name).write_bytes((images / "bus.png").read_bytes() if content is None else content)
    (one,) = not_learnt(images)
    assert (one.name, one.picture) == (name, picture)
    assert one.why.startswith(why)
    assert len(load_pictures(images, "{object}", "00")) == 1


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("cat.ico", "ICO", "a picture of the kind ICO, which is not learnt; save it as PNG"),
        ("cat.pcx", "PCX", "a picture of the kind PCX, which is not learnt; save it as PNG"),
        ("cat.j2k", "JPEG2000", "a JPEG 2000 by its contents, not by its name; let its name end in .jp2"),
        ("cat.heic", "JPEG", "a JPEG by its contents, not by its name; let its name end in .jpg"),
        ("cat.dng", "TIFF", "a TIFF, which is not read; save it as PNG"),  # a raw photo's preview
    ],
)
def test_the_cure_for_a_picture_of_another_name_works(name, kind, why, images):
    Image.new("RGB", (80, 80), RED).save(images / name, kind)
    (one,) = not_learnt(images)
    assert one.why == why
    if "end in" in why:
        (images / name).rename(images / f"cat{why.rpartition(' ')[2]}")
    else:
        Image.new("RGB", (80, 80), RED).save((images / name).with_suffix(".png"))
        (images / name).unlink()
    assert len(style_pictures(images, "00", DataConfig())) == 2
    assert not not_learnt(images)


def test_folders_are_named_and_what_systems_leave_is_not(images):
    (images / "more").mkdir()
    (images / "cat.png").mkdir()
    for name in ("Thumbs.db", ".DS_Store", "._bus.png", "desktop.ini"):
        (images / name).write_bytes(b"x")
    assert [one.name for one in not_learnt(images)] == ["cat.png", "more"]
    assert all("not looked into" in one.why for one in not_learnt(images))


@pytest.mark.parametrize(("captions", "unread"), [
    ("file_name", ["bus.txt", "metadata.jsonl"]),
    ("txt", ["metadata.jsonl"]),
    ("jsonl", ["bus.txt"]),
    ("auto", ["bus.txt"]),
])  # fmt: skip
def test_captions_that_are_not_read_are_named(captions, unread, images):
    (images / "bus.txt").write_text("a bus")
    (images / "metadata.jsonl").write_text('{"file_name": "bus.png", "text": "a bus"}')
    assert [one.name for one in not_learnt(images, captions)] == unread


def test_a_folder_without_pictures_says_what_is_there(images):
    (images / "bus.png").unlink()
    (images / "bus.heic").write_bytes(HEIC)
    with pytest.raises(UserError, match=r"no pictures; .*bus.heic: a HEIC") as caught:
        load_pictures(images, "{object}", "00")
    assert "\n" not in str(caught.value)


def test_training_logs_what_it_does_not_learn_and_what_twice(images, caplog):
    (images / "cat.heic").write_bytes(HEIC)
    (images / "bus2.png").write_bytes((images / "bus.png").read_bytes())
    assert len(style_pictures(images, "00", DataConfig())) == 2
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "not learnt: cat.heic: a HEIC" in said[0]
    assert "bus2.png: the same file as bus.png, learnt twice" in said[1] or "bus.png: the same file as bus2" in said[1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (POINTER, "a Git LFS pointer, not the picture.*git lfs pull"),
        (HEIC, "a HEIC .*export it as PNG"),
        (b"<html>", "a web page .*replace or remove it"),
        (b"", "empty.*replace or remove it"),
    ],
)
def test_a_picture_that_is_none_says_what_it_is(content, words, images):
    (images / "bus.png").write_bytes(content)
    with pytest.raises(UserError, match=f"bus.png: not a readable picture .{words}"):
        read_rgb(images / "bus.png")


def test_fractions_are_refused(images):
    Image.new("F", (8, 8)).save(images / "deep.tiff")
    with pytest.raises(UserError, match="save it with 8 bits"):
        read_rgb(images / "deep.tiff")


def profile(kind):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()


def test_facts_tell_of_a_profile_and_of_frames(images):
    image, blue = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), "blue")
    for name, settings in {
        "plain.png": {},
        "srgb.png": {"icc_profile": profile("sRGB")},
        "other.png": {"icc_profile": profile("LAB")},
        "damaged.png": {"icc_profile": b"no profile"},
        "moving.gif": {"save_all": True, "append_images": [blue, image]},
        "pages.tiff": {"save_all": True, "append_images": [blue]},
    }.items():
        image.save(images / name, **settings)
    found = {path.name: read_facts(path) for path in images.iterdir()}
    assert [found[name].profile for name in ("plain.png", "srgb.png", "damaged.png")] == [None, None, "of unknown name"]
    assert found["other.png"].profile == "Lab identity built-in"
    assert [found[name].frames for name in ("plain.png", "moving.gif", "pages.tiff")] == [1, 3, 2]
    assert tuple(read_rgb(images / "other.png")[0, 0]) == RED, "as stored"
    assert tuple(read_rgb(images / "moving.gif")[0, 0]) == RED, "the first"


@pytest.fixture
def data(images, tmp_path):
    def go(*arguments, **settings):
        raw = {"references": str(images.parents[1]), "data": {"size": 32}, **settings}
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(raw))
        result = CliRunner().invoke(main, ["data", str(tmp_path / "c.yaml"), *arguments], env={"COLUMNS": "200"})
        assert "Traceback" not in result.output
        return result

    return go


def test_jdart_data_lists_what_is_not_learnt(data, images):
    image = Image.new("RGB", (80, 80), RED)
    image.save(images / "p3.png", icc_profile=profile("LAB"))
    image.save(images / "moving.gif", save_all=True, append_images=[Image.new("RGB", (80, 80))])
    (images / "cat.heic").write_bytes(HEIC)
    result = data()
    assert result.exit_code == 0, result.output
    assert "style 00: 3 of 4 pictures" in result.output
    assert "not learnt: cat.heic: a HEIC" in result.output
    assert "the first of 2 frames" in result.output
    assert "Lab identity built-in, not applied" in " ".join(result.output.split())
    (style,) = json.loads(data("--json").output)
    assert [one["name"] for one in style["unused"]] == ["cat.heic"]


def test_folders_of_no_style_are_named(data, images, caplog):
    (images.parents[1] / "01" / "images").mkdir(parents=True)
    (images.parents[1] / "notes").mkdir()
    contest = images.parents[1].parent / "contest.yaml"
    contest.write_text("name: mine\nstyles: {'00': [Moon]}\n")
    result = data(contest=str(contest))
    assert result.exit_code == 0, result.output
    assert [r.getMessage().partition(": ")[2] for r in caplog.records] == [
        "not looked at, as the contest has no such style: 01"
    ]


LONG = "a red bus in the rain, " * 30 + "in style_00"


def test_jdart_data_names_the_words_that_are_lost(data, images):
    (images / "bus.txt").write_text(LONG)
    (style,) = json.loads(data("--json", "--set", "data.captions=txt").output)
    assert style["rows"][0]["lost"].endswith("in style_00")
    assert "caption too long, not read: " in data("--set", "data.captions=txt").output
    (style,) = json.loads(data("--json").output)
    assert style["rows"][0]["lost"] == ""
