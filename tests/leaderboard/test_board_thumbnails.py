"""Pictures beside a report: their sizes, and what is never published."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageStat
from some_reports import draw, make, make_run

from leaderboard.building.thumbnails import Thumbnails, make_all
from leaderboard.building.webp import resized
from leaderboard.reading.reports import read_report


def published(report, folder):
    """Place -> bytes of every thumbnail of a report."""
    thumbnails = Thumbnails()
    thumbnails.take_all(report)
    (folder / "thumbnails").mkdir(parents=True)
    make_all(thumbnails.sources, folder)
    return thumbnails, {place: (folder / place).read_bytes() for place in thumbnails.sources}


def size_of(data):
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "WEBP"
        return image.size


def test_thumbnails_have_two_sizes_and_are_never_enlarged(tmp_path):
    folder = make(tmp_path / "r", pictures=True)
    outputs = folder / "thumbnails" / "outputs"
    draw(outputs / "00" / "Dolphin.webp", 160, "blue")
    draw(outputs / "00" / "Ice cream.webp", 700, "green")
    report = read_report(folder)
    thumbnails, made = published(report, tmp_path / "out")

    def both(style, file):
        return [made[thumbnails.output(report, style, file, size)] for size in ("small", "large")]

    small, large = both("00", "Dolphin.png")
    assert (size_of(small), size_of(large)) == ((96, 96), (160, 160))
    assert large == (outputs / "00" / "Dolphin.webp").read_bytes()
    assert [size_of(data) for data in both("00", "Ice cream.png")] == [(96, 96), (320, 320)]
    assert [size_of(data) for data in both("01", "Sun.png")] == [(16, 16), (16, 16)]
    assert len(made) == 5  # what is small enough is there once; the reference is as red as the sun
    assert list(thumbnails.references(report, "00", "large")) == ["olive tree"]
    assert thumbnails.output(report, "00", "Moon.png", "small") is None


def test_contact_sheets_become_webp(tmp_path):
    report = read_report(make_run(tmp_path / "run"))
    thumbnails, made = published(report, tmp_path / "out")
    (sheet,) = report.run.sheets
    assert size_of(made[thumbnails.sheet(report, sheet)]) == (1200, 1200)
    assert thumbnails.sheet(report, tmp_path / "elsewhere.png") is None


def with_note(path, note):
    """Put a metadata chunk into a WebP file, as cameras do, and whoever wants to hide something."""
    image = Image.open(path)
    image.save(path, "WEBP", exif=b"Exif\0\0" + note)
    assert note in path.read_bytes()


def test_only_the_picture_of_a_file_is_published(tmp_path):
    folder = make(tmp_path / "r", pictures=True)
    outputs = folder / "thumbnails" / "outputs"
    with_note(outputs / "00" / "Dolphin.webp", b"<script>alert(1)</script>")
    with open(outputs / "00" / "Ice cream.webp", "ab") as stream:
        stream.write(b"<script>alert(1)</script>")
    report = read_report(folder)
    thumbnails, made = published(report, tmp_path / "out")
    assert not any(b"script" in data for data in made.values())
    assert size_of(made[thumbnails.output(report, "00", "Dolphin.png", "large")]) == (16, 16)
    assert thumbnails.output(report, "00", "Ice cream.png", "large") is None  # a file that says it ends earlier


def test_pictures_that_lead_elsewhere_or_are_none_are_left_out(tmp_path):
    folder = make(tmp_path / "r", pictures=True)
    outputs = folder / "thumbnails" / "outputs"
    secret = tmp_path / "secret.webp"
    draw(secret, 16, "white")
    (outputs / "00" / "Dolphin.webp").unlink()
    (outputs / "00" / "Dolphin.webp").symlink_to(secret)
    (outputs / "00" / "Ice cream.webp").write_bytes(b"<svg onload=alert(1)>")
    (outputs / "01" / "Sun.webp").write_bytes(b"RIFF" + struct.pack("<I", 2 << 20) + b"WEBPVP8 " + bytes(2 << 20))
    report = read_report(folder)
    assert (dict(report.found.outputs), list(report.found.references)) == ({}, ["00"])
    (folder / "thumbnails").rename(tmp_path / "theirs")
    (folder / "thumbnails").symlink_to(tmp_path / "theirs")
    assert not read_report(folder).found.references


def test_picture_of_a_giant_size_or_none_at_all(tmp_path):
    folder = make_run(tmp_path / "run", pictures=True)
    sheet = folder / "sheets" / "00.png"
    data = bytearray(sheet.read_bytes())
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    sheet.write_bytes(data)
    assert not read_report(folder).found.sheets
    output = folder / "report" / "thumbnails" / "outputs" / "01" / "Sun.webp"
    draw(output, 160, "red")
    data = bytearray(output.read_bytes())
    data[30:] = bytes(len(data) - 30)  # says what a picture says, and cannot be decoded
    output.write_bytes(data)
    report = read_report(folder)
    _, made = published(report, tmp_path / "out")
    assert made
    for data in made.values():
        size_of(data)


def test_file_that_changes_while_the_site_is_built_is_not_published(tmp_path):
    folder = make(tmp_path / "r", pictures=True)
    report = read_report(folder)
    for path in (folder / "thumbnails").rglob("*.webp"):
        path.write_bytes(b"a secret")
    _, made = published(report, tmp_path / "out")
    assert {size_of(data) for data in made.values()} == {(1, 1)}


def mean_of(data):
    with Image.open(io.BytesIO(data)) as image:
        return [round(value) for value in ImageStat.Stat(image.convert("RGB")).mean]


@pytest.mark.parametrize("value", [0, 257 * 40, 257 * 128 + 100, 65535])
def test_a_sheet_of_16_bits_a_pixel_keeps_its_greys(value):
    data = io.BytesIO()
    Image.fromarray(np.full((64, 64), value, np.uint16)).save(data, "PNG")
    assert mean_of(resized(data.getvalue(), 32)) == pytest.approx([value / 257] * 3, abs=1.5)


def test_what_is_transparent_is_white_as_on_a_page():
    palette = Image.new("RGB", (64, 64), (255, 0, 0)).quantize(4)
    for picture, options in (
        (Image.new("RGBA", (64, 64), (255, 0, 0, 0)), {}),
        (Image.new("LA", (64, 64), (0, 0)), {}),
        (Image.new("RGB", (64, 64), (255, 0, 0)), {"transparency": (255, 0, 0)}),
        (palette, {"transparency": palette.getpixel((0, 0))}),
    ):
        data = io.BytesIO()
        picture.save(data, "PNG", **options)
        assert mean_of(resized(data.getvalue(), 32)) == pytest.approx([255] * 3, abs=1.5), picture.mode
