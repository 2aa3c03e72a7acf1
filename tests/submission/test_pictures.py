"""Damaged chunks with good CRCs, against Pillow's own reading of what is whole."""

import io
import random
import struct
import zlib

import pytest
from PIL import Image, ImageCms, PngImagePlugin
from tiny_entry import chunk, png

from contest.entry.png import SIGNATURE, colour_space, read_chunks, read_header, read_texts
from submission.rules.pictures import inspect


def image(**options):
    return png(size=(8, 8), **options)


def test_chunks_and_header_are_what_pillow_reads():
    notes = PngImagePlugin.PngInfo()
    notes.add_text("plain", "caf\u00e9")
    notes.add_text("packed", "x" * 500, zip=True)
    notes.add_itxt("wide", "\u5c0f\u72d7", "zh", "wide")
    notes.add_itxt("wide and packed", "\u5c0f\u72d7", zip=True)
    data = image(pnginfo=notes)
    chunks, end = read_chunks(data)
    assert end == len(data)
    header = read_header(chunks)
    assert (header.width, header.height, header.depth, header.colour) == (8, 8, 8, 2)
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        assert dict(read_texts(chunks)) == {key: str(value) for key, value in opened.text.items()}


@pytest.mark.parametrize("version", [2, 4])
def test_profile_is_known_by_its_description(version):
    name = "Display P3 of mine"
    if version == 2:
        tag = b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name.encode() + b"\0"
    else:
        tag = b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2 * len(name), 28)
        tag += name.encode("utf-16-be")
    profile = bytes(128) + struct.pack(">I4sII", 1, b"desc", 144, len(tag)) + tag
    content = b"icc\0\0" + zlib.compress(profile)
    chunks, _ = read_chunks(SIGNATURE + chunk(b"iCCP", content) + chunk(b"IEND", b""))
    space = colour_space(chunks)
    assert space is not None and name in space


def test_srgb_profile_of_littlecms_is_srgb():
    data = image(icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert colour_space(read_chunks(data)[0]) is None
    assert colour_space(read_chunks(image())[0]) is None


def test_pixels_are_what_the_digest_is_of():
    one, same, other = (inspect("a.png", data) for data in (image(), image(compress_level=0), image(seed=1)))
    assert one.pixels == same.pixels != other.pixels
    assert inspect("a.png", png(size=(16, 4))).pixels != inspect("a.png", png(size=(4, 16))).pixels


def test_tall_picture_is_hashed_to_its_last_row():
    tall = Image.new("RGB", (3, 700), "white")
    tall.putpixel((0, 0), (0, 0, 0))
    changed = tall.copy()
    changed.putpixel((2, 699), (254, 255, 255))
    streams = [io.BytesIO(), io.BytesIO()]
    for stream, picture in zip(streams, (tall, changed)):
        picture.save(stream, "PNG")
    first, second = (inspect("a.png", stream.getvalue()).pixels for stream in streams)
    assert first is not None and first != second


def test_no_damage_behind_a_good_crc_escapes():
    """Every chunk type that is read, with content that means nothing."""
    draw = random.Random(0)
    whole = image()
    kinds = [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"gAMA", b"cHRM", b"cICP", b"eXIf", b"acTL", b"fcTL", b"tRNS", b"sRGB"]
    for kind in kinds:
        for size in (0, 1, 2, 3, 8, 40):
            content = draw.randbytes(size)
            for start in (b"", b"prompt\0", b"prompt\0\0", b"prompt\0\1\0\0\0"):
                inspect("a.png", whole[:33] + chunk(kind, start + content) + whole[33:])
    for _ in range(300):
        at, length = draw.randrange(8, len(whole)), draw.randrange(1, 9)
        inspect("a.png", whole[:at] + draw.randbytes(length) + whole[at + length :])


def test_bomb_in_a_note_is_not_inflated():
    bomb = b"prompt\0\0" + zlib.compress(bytes(50 << 20))
    chunks, _ = read_chunks(SIGNATURE + chunk(b"zTXt", bomb) + chunk(b"IEND", b""))
    ((keyword, text),) = read_texts(chunks)
    assert (keyword, len(text)) == ("prompt", 1 << 20)
