"""Fake archives: good ones, and good ones that are wrong in one thing. Harmless all of them; the largest has 2 MiB."""

from __future__ import annotations

import io
import random
import stat
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from organiser.books.states import DUPLICATE, LATE, OVER_LIMIT, REFUSED, SCORED

if TYPE_CHECKING:
    from PIL import Image

Files = dict[str, bytes]  # path in the archive -> bytes
_DATE = (2026, 1, 1, 0, 0, 0)
_ZEROS = bytes(2 << 20)  # packed a thousand times smaller, and still small
SIDE = 64  # pixels
CROWD = 1000  # more files than the drill's contest takes

HONEST, COPIED, DOUBLE, LATER, GREEDY, STRANGER = (
    "honest",
    "another team's archive",
    "the same archive again",
    "after the deadline",
    "more than a day's limit",
    "of no known team",
)


@dataclass(frozen=True)
class Kind:
    """How an archive is made from a good entry's files, where the entry must end, and by which finding, if by one."""

    make: Callable[[Files], bytes]
    state: str
    code: str = ""


def good_files(styles: Mapping[str, tuple[str, ...]], seed: int) -> Files:
    """A picture for every prompt, other ones for every seed: a few patches on a shade."""
    draw = random.Random(seed)
    return {f"{style}/{name}.png": _png(_painted(draw)) for style, names in styles.items() for name in names}


def zipped(files: Files, *more: tuple[str, bytes, int]) -> bytes:
    """An archive of files, and of more with a mode, whose names may come twice."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that come twice
        for name, data, mode in (*((name, data, stat.S_IFREG | 0o644) for name, data in files.items()), *more):
            info = zipfile.ZipInfo(name, _DATE)
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return stream.getvalue()


def _painted(draw: random.Random) -> Image.Image:
    from PIL import Image, ImageDraw

    def colour() -> tuple[int, int, int]:
        return draw.randrange(256), draw.randrange(256), draw.randrange(256)

    ramp = Image.linear_gradient("L").rotate(90 * draw.randrange(4)).resize((SIDE, SIDE))
    image = Image.composite(Image.new("RGB", (SIDE, SIDE), colour()), Image.new("RGB", (SIDE, SIDE), colour()), ramp)
    pen = ImageDraw.Draw(image)
    for _ in range(8):
        x, y, wide, high = (draw.randrange(4, SIDE) for _ in range(4))
        pen.ellipse((x - 4, y - 4, x + wide // 2, y + high // 2), fill=colour())
    return image


def _png(image: Image.Image, kind: str = "png") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def _with(change: Callable[[bytes], bytes]) -> Callable[[Files], bytes]:
    """The first picture changed."""

    def make(files: Files) -> bytes:
        first = next(iter(files))
        return zipped({**files, first: change(files[first])})

    return make


def _image(change: str) -> Callable[[bytes], bytes]:
    """The picture in another mode, size or kind of file, or of one colour."""

    def made(data: bytes) -> bytes:
        from PIL import Image

        with Image.open(io.BytesIO(data)) as image:
            image.load()
        if change == "size":
            return _png(image.resize((SIDE // 2, SIDE)))
        if change == "blank":
            return _png(Image.new("RGB", image.size, "white"))
        return _png(image, "jpeg") if change == "jpeg" else _png(image.convert(change))

    return made


def _added(name: str, data: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Callable[[Files], bytes]:
    return lambda files: zipped(files, (name, data, mode))


def _without_one(files: Files) -> bytes:
    return zipped(dict(list(files.items())[1:]))


def _the_same_twice(files: Files) -> bytes:
    first, second, *_ = files
    return zipped({**files, second: files[first]})


def _wrong_case(files: Files) -> bytes:
    first, *rest = files
    style, name = first.split("/")
    return zipped({f"{style}/{name.lower()}": files[first], **{path: files[path] for path in rest}})


def _crowd(files: Files) -> bytes:
    return zipped({**files, **{f"00/{number}.png": b"" for number in range(CROWD)}})


def _tight(files: Files) -> bytes:
    stream = io.BytesIO(zipped(files))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(zipfile.ZipInfo("00/zeros.png", _DATE), _ZEROS, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        HONEST: Kind(zipped, SCORED),
        COPIED: Kind(zipped, SCORED),
        DOUBLE: Kind(zipped, DUPLICATE),
        LATER: Kind(zipped, LATE),
        GREEDY: Kind(zipped, OVER_LIMIT),
        STRANGER: Kind(zipped, REFUSED),
        # hostile
        "a name that leads out": Kind(_added("../../out.png"), REFUSED, "S402"),
        "an absolute name": Kind(_added("/out.png"), REFUSED, "S402"),
        "a link": Kind(_added("00/link.png", b"/etc/hostname", stat.S_IFLNK | 0o777), REFUSED, "S404"),
        "too many files": Kind(_crowd, REFUSED, "S409"),
        "packed too tightly": Kind(_tight, REFUSED, "S410"),
        "an archive inside": Kind(_added("00/more.zip"), REFUSED, "S411"),
        "bytes before it": Kind(lambda files: b"#!/bin/sh\n" + zipped(files), REFUSED, "S413"),
        "a hidden file": Kind(_added("__MACOSX/._Cat.png"), REFUSED, "S108"),
        # broken
        "no archive": Kind(lambda files: b"here are our pictures", REFUSED, "S401"),
        "nothing": Kind(lambda files: b"", REFUSED, "S401"),
        "cut short": Kind(lambda files: zipped(files)[: -len(zipped(files)) // 2], REFUSED, "S401"),
        "an empty archive": Kind(lambda files: zipped({}), REFUSED, "S101"),
        "a missing picture": Kind(_without_one, REFUSED, "S102"),
        "wrong case": Kind(_wrong_case, REFUSED, "S104"),
        "a name twice": Kind(lambda files: zipped(files, (next(iter(files)), b"x", 0o100644)), REFUSED, "S109"),
        "one folder too deep": Kind(
            lambda files: zipped({f"entry/{path}": data for path, data in files.items()}), REFUSED, "S110"
        ),
        "a JPEG": Kind(_with(_image("jpeg")), REFUSED, "S201"),
        "a grey picture": Kind(_with(_image("L")), REFUSED, "S202"),
        "a broken picture": Kind(_with(lambda data: data[: len(data) // 2]), REFUSED, "S203"),
        "wrong sizes": Kind(_with(_image("size")), REFUSED, "S204"),
        "a blank picture": Kind(_with(_image("blank")), REFUSED, "S210"),
        "a picture twice": Kind(_the_same_twice, REFUSED, "S211"),
    }
)
