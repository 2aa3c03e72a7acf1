"""Readers of an entry's and a contest's files: pictures, archives, captions, tables of prompts."""

from __future__ import annotations

import io
import zipfile
import zlib
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

from fuzz_targets import BINARY, JSON, Target, noted_picture, picture, text
from PIL import Image, ImageCms

from contest.definition import Contest, Story
from contest.disk.shipped import unpack
from contest.entry.contents import open_contents
from contest.entry.pixels import read_exact, unreadable
from contest.entry.png import SIGNATURE, BrokenPng
from contest.errors import UserError
from evaluator.inputs.entry import open_entry
from evaluator.inputs.images import BadPicture, decode, inspect_png
from jdart.data.captions import load_pictures, not_learnt
from jdart.data.facts import read_facts
from jdart.data.pictures import read_rgb
from jdart.generation.notes import noted_files, read_notes
from leaderboard.building.webp import fits, resized, webp_size
from leaderboard.reading.run import Losses
from submission import check, verify

TINY = Contest("tiny", {"00": ("Dolphin",)})
TALE = Contest("tale", {}, story=Story(2, rows=1, columns=2))
NOTES = text({"prompt": "Dolphin", "colour": {"finish": {"strength": 1}}, "loras": [{"sha256": "ab"}], "token": None})
LETTERS = (b"{object}", b"{id}", b"{", b"}", b"{object.x}", b"{object[0]}", b"{object!r:>9}", b"{0}", b'"', b",", b"\n")
LETTERS += (b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\0", "中".encode(), "中".encode("gbk"), b"sep=", b";", b"\t")
CHUNKS = (*BINARY, b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"iCCP", b"gAMA", b"cHRM", b"eXIf", b"acTL", b"fcTL")


def png(path: Path) -> None:
    """A picture of an entry, by the submission's checks, the evaluator, and readers of the pixels and notes."""
    check(path.parents[1], TINY)
    data = path.read_bytes()
    try:
        inspect_png(data)
        decode(data)
    except BadPicture as problem:
        assert "\n" not in str(problem)
    noted_files(path)
    with suppress(UserError):  # it need not be one that jdart drew
        read_notes(path)
    _reference(path)


def exact(path: Path) -> None:
    """The true pixels of what the checks let through."""
    refused = any(one.severity == "error" for one in check(path.parents[1], TINY))
    with suppress(BrokenPng, *unreadable()) if refused else nullcontext():  # as its docstring says
        read_exact(path.read_bytes())


def _reference(path: Path) -> None:
    try:
        read_facts(path)
    finally:
        read_rgb(path)


def archive(path: Path) -> None:
    with open_contents(path) as listing:
        for item in listing.items:
            assert ".." not in item.path.split("/")
    check(path, TINY)
    verify(path, TINY)
    with open_entry(path) as entry:
        for files in entry.files.values():
            for read in files.values():
                try:
                    if read is not None:
                        read()
                except BadPicture as problem:
                    assert "\n" not in str(problem)


def thumbnail(path: Path) -> None:
    data = path.read_bytes()
    if fits(webp_size(data)):
        resized(data, 16)


def shipped(path: Path) -> None:
    """What comes along lands in the cache, and nowhere else."""
    unpack(path, lambda folder: None)


def captions(kind: str, path: Path) -> None:
    not_learnt(path.parent, kind)
    load_pictures(path.parent, "an image of {object} in style_{id}", "00", kind)


def losses(path: Path) -> None:
    dict(Losses({"00": path}))


def whole(data: bytes) -> bytes:
    """A PNG with the checksum of every chunk as it should be; the rest of what is none stays as it is."""
    at, made = len(SIGNATURE), [data[: len(SIGNATURE)]]
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        made += [data[at:end], zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")]
        at = end + 4
    return b"".join([*made, data[at:]])


def noted(keyword: bytes, notes: bytes) -> bytes:
    """A picture with a text."""
    content = b"tEXt" + keyword + b"\0" + notes
    chunk = len(content[4:]).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")
    return picture()[:33] + chunk + picture()[33:]


def zipped(method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        manifest = text({"schema_version": 1, "contest": {"name": "tiny", "styles": {"00": 1}}})
        for name, data in (("00/Dolphin.png", picture()), ("manifest.json", manifest)):
            file.writestr(zipfile.ZipInfo(name), data, method)  # at the same time every time
    return stream.getvalue()


def data_targets() -> dict[str, Target]:
    turned = Image.Exif()
    turned[0x0112] = 6
    turned[0x8769] = {0x9003: "2024:01:01 00:00:00"}
    odd = (
        picture(exif=turned),
        picture(icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
    )
    odd += (picture("RGBA"), picture(gamma=0.5), picture(save_all=True, append_images=[Image.new("RGB", (33, 40))]))
    pictures = (*odd, picture(), noted_picture(), picture("P"), picture("LA"), picture("1"))
    others = (picture(format="JPEG", quality=70), picture(format="WEBP"), picture("P", format="GIF"))
    others += (picture(format="JPEG", exif=turned), *odd, picture(format="BMP"), picture(format="TIFF"))
    lone = (("Dolphin.png", picture()),)
    rows = (text({"file_name": "Dolphin.png", "text": "a {object} in style_{id}"}) + b"\n",)
    table = (b'file_name,text\nDolphin.png,"a {object}, in style_{id}"\n',)
    prompts = (b'file,prompt\n1.png,A dog\n2.png,"A cat, too"\n', b"\xef\xbb\xbfsep=;\nfile;prompt\n1.png;A\n")
    return {
        "png": Target("00/Dolphin.png", png, pictures, CHUNKS),
        "png-chunks": Target("00/Dolphin.png", png, pictures, CHUNKS, wrap=whole),
        "png-notes": Target("00/Dolphin.png", png, (NOTES,), JSON, wrap=partial(noted, b"jdart")),
        "png-text": Target("00/Dolphin.png", png, (b"Dolphin\nSteps: 3",), LETTERS, wrap=partial(noted, b"parameters")),
        "pixels": Target("00/Dolphin.png", exact, pictures, CHUNKS, wrap=whole),
        "reference": Target("00/x.png", _reference, others, BINARY),
        "thumbnail": Target("x.webp", thumbnail, (picture(format="WEBP"), picture("RGBA", format="WEBP")), BINARY),
        "archive": Target(
            "entry.zip", archive, (zipped(), zipped(zipfile.ZIP_STORED)), (*BINARY, b"PK\1\2", b"PK\5\6")
        ),
        "shipped": Target("toy.zip", shipped, (zipped(),), BINARY),
        "caption": Target("Dolphin.txt", partial(captions, "txt"), (b"a {object} in style_{id}\n",), LETTERS, lone),
        "captions-jsonl": Target("metadata.jsonl", partial(captions, "jsonl"), rows, (*LETTERS, *JSON), lone),
        "captions-csv": Target("metadata.csv", partial(captions, "csv"), table, LETTERS, lone),
        "story": Target("prompts.csv", lambda path: check(path.parent, TALE), prompts, LETTERS),
        "losses": Target(
            "loss.csv", losses, (b"step,loss\n1,0.5\n2,0.25\n",), (*LETTERS, b"1e999", b"nan", b"9" * 400)
        ),
    }
