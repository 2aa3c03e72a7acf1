"""Every kind of PNG by its true values, against what was written into it."""

import io
import struct
import zlib

import numpy as np
import pytest
import raw_png
from PIL import Image
from tiny_entry import chunk, png

from contest.definition import Limits
from contest.entry.listing import Item
from contest.entry.pixels import grey_of, read_exact, to_eight_bits
from contest.entry.png import SIGNATURE
from submission.diff.compare import CHANGED, REPACKED, Pair, compare_entries
from submission.rules.alike import difference_hash, distance
from submission.rules.pictures import inspect


@pytest.mark.parametrize("kind", raw_png.KINDS, ids=str)
def test_every_kind_is_read_as_it_was_written(kind):
    data, shown = raw_png.picture(*kind)
    pixels = read_exact(data)
    assert pixels.dtype == (np.uint16 if kind[1] == 16 else np.uint8)
    np.testing.assert_array_equal(pixels, shown)
    eight = to_eight_bits(pixels)
    np.testing.assert_array_equal(eight, np.rint(shown / (257 if kind[1] == 16 else 1)))


def codes(data):
    return [one.code for one in inspect("a.png", data, Limits()).findings]


def test_a_header_that_says_an_enormous_size():
    header = struct.pack(">2I5B", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    assert codes(data) == ["S207"]
    with pytest.raises(Image.DecompressionBombError):
        read_exact(data)


@pytest.mark.parametrize("kind", raw_png.KINDS, ids=str)
def test_no_kind_is_called_blank_that_is_not(kind):
    assert "S210" not in codes(raw_png.picture(*kind)[0])


@pytest.mark.parametrize(("colour", "depth"), [(c, d) for c, depths in raw_png.DEPTHS.items() for d in depths])
def test_blank_ones_are_found_in_every_kind(colour, depth):
    before = chunk(b"PLTE", bytes(3 << depth)) if colour == raw_png.PALETTE else b""
    samples = np.full((4, 6, raw_png.CHANNELS[colour]), (1 << depth) - 1)
    assert "S210" in codes(raw_png.encode(samples, colour, depth, before=before))


def test_drawing_in_the_alpha_channel_is_seen():
    alpha = np.random.default_rng(0).integers(0, 256, (8, 8, 1))
    samples = np.concatenate([np.zeros((8, 8, 3), int), alpha], axis=2)
    seen = inspect("a.png", raw_png.encode(samples, raw_png.RGBA, 8))
    assert [one.code for one in seen.findings] == ["S202"]
    over_white = Image.fromarray(255 - alpha[..., 0].astype(np.uint8))
    assert distance(seen.looks, difference_hash(over_white)) == 0


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_greys_keep_their_looks(mode):
    values = np.random.default_rng(0).integers(0, 65536, (16, 16))
    kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
    deep = Image.fromarray(values.astype(kinds[mode]))
    np.testing.assert_allclose(np.asarray(grey_of(deep)), values / 257, atol=2)  # floats over their own range


def state(one, other):
    items = [Item("00/a.png", "file", len(data), lambda data=data: data) for data in (one, other)]
    (change,) = compare_entries([Pair("00/a.png", *items)])
    return change.state


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return png(exif=tags)


def animated(last):
    frames = [Image.open(io.BytesIO(png(seed=seed))) for seed in (0, last)]
    stream = io.BytesIO()
    frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def noted(kind, content, data=None):
    data = png() if data is None else data
    return data[:33] + chunk(kind, content) + data[33:]


@pytest.mark.parametrize("kind", raw_png.KINDS, ids=str)
def test_diff_tells_one_changed_sample_of_every_kind(kind):
    """The least step that the kind has, in one sample."""
    colour, depth, *_ = kind
    samples = np.random.default_rng(1).integers(0, 1 << depth, (9, 11, raw_png.CHANNELS[colour]))
    palette = np.arange(3 << depth).astype(np.uint8).tobytes()
    before = chunk(b"PLTE", palette) if colour == raw_png.PALETTE else b""
    other = samples.copy()
    other[4, 5, 0] ^= 1
    one, changed = (raw_png.encode(some, colour, depth, kind[3], before) for some in (samples, other))
    assert state(one, changed) == CHANGED
    assert state(one, raw_png.encode(samples, colour, depth, not kind[3], before)) == REPACKED


OTHERS = {
    "rows of 16-bit grey turned over": tuple(
        raw_png.encode(rows[..., None], raw_png.GREY, 16)
        for rows in (np.arange(256).reshape(16, 16) * 15 + 1000, (np.arange(256).reshape(16, 16) * 15 + 1000)[::-1])
    ),
    "transparent colour": (
        raw_png.encode(np.zeros((4, 6, 3), int), 2, 8),
        raw_png.encode(np.zeros((4, 6, 3), int), 2, 8, before=chunk(b"tRNS", bytes(6))),
    ),
    "orientation": (png(), exif(6)),
    "gamma": (png(), noted(b"gAMA", (100000).to_bytes(4, "big"))),
    "two gammas": tuple(noted(b"gAMA", value.to_bytes(4, "big")) for value in (100000, 50000)),
    "two profiles of one name": tuple(png(icc_profile=bytes(128) + bytes([value]) * 9) for value in (1, 2)),
    "another last frame": (animated(1), animated(2)),
    "a frame more": (png(), animated(1)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_diff_never_calls_other_pictures_the_same(name):
    assert state(*OTHERS[name]) == CHANGED


def test_diff_sees_one_picture_in_kinds_of_file():
    grey = np.random.default_rng(3).integers(0, 256, (8, 8, 1))
    rgb = np.repeat(grey, 3, 2)
    files = [
        raw_png.encode(grey, raw_png.GREY, 8),
        raw_png.encode(grey * 257, raw_png.GREY, 16),
        raw_png.encode(rgb, raw_png.RGB, 8),
        raw_png.encode(np.concatenate([grey, grey * 0 + 255], 2), raw_png.GREY_ALPHA, 8),
        raw_png.encode(np.concatenate([rgb, grey * 0 + 255], 2) * 257, raw_png.RGBA, 16),
        raw_png.encode(
            grey, raw_png.PALETTE, 8, before=chunk(b"PLTE", np.repeat(np.arange(256), 3).astype(np.uint8).tobytes())
        ),
    ]
    assert {state(files[0], other) for other in files[1:]} == {REPACKED}
