"""What lies in a style's folder of references: the pictures that are learnt, and what is not, with why."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from contest.entry.png import SIGNATURE
from contest.entry.signatures import identify
from contest.names import is_system

log = logging.getLogger(__name__)
# Of what Pillow reads, the kinds that hold pictures to learn from.
ENDINGS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".avif"),
    *(".jp2", ".tga", ".ppm", ".pgm", ".pbm", ".pnm"),
)
FOREIGN = (".heic", ".heif", ".jxl", ".psd", ".xcf", ".dng", ".cr2", ".nef", ".arw", ".exr", ".svg")  # Pillow does not
TABLES = {"jsonl": "metadata.jsonl", "csv": "metadata.csv"}
HEAD = 4096  # bytes of a file by which it is told what it is


@dataclass(frozen=True)
class Unused:
    """What lies in a folder and is not learnt. `picture` says whether it was meant to be: a picture of another kind."""

    name: str
    why: str
    picture: bool = False


def pictures_in(folder: Path) -> list[Path]:
    """The pictures directly in `folder` by their endings, sorted by name. Whether they can be read is not tried."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in ENDINGS and not path.name.startswith(".") and not path.is_dir()
    )


def unused_in(folder: Path, read: Collection[str], captions: str) -> tuple[Unused, ...]:
    """What lies in `folder` beside its pictures and the caption files `read`; `captions` is data.captions."""
    if not folder.is_dir():
        return ()
    pictures = pictures_in(folder)
    known, stems = {*read, *(path.name for path in pictures)}, {path.stem for path in pictures}
    beside = [path for path in sorted(folder.iterdir()) if path.name not in known and not _hidden(path)]
    above = [path for path in pictures_in(folder.parent) if not _hidden(path)] if folder.name == "images" else []
    return (
        *(_unused(path, stems, captions) for path in beside),
        *(Unused(f"../{path.name}", f"lies above {folder.name}; put it in there", True) for path in above),
    )


def tell_of_strangers(root: Path, styles: Collection[str]) -> None:
    """Log the folders of pictures below `root` that are no style of the contest, whose styles are `styles`."""
    folders = [path for path in sorted(root.iterdir()) if path.name not in styles and not _hidden(path)]
    names = [path.name for path in folders if (path / "images").is_dir()]
    if names:
        log.warning("%s: not looked at, as the contest has no such style: %s", root, ", ".join(names))


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or is_system(path.name)


def _unused(path: Path, stems: Collection[str], captions: str) -> Unused:
    if path.is_dir():
        return Unused(path.name, "a folder, which is not looked into; put its pictures beside it")
    if path.name in TABLES.values() or (path.suffix == ".txt" and path.stem in stems):
        return Unused(path.name, f"not read, as data.captions is {captions}")
    if path.suffix.lower() == ".txt":
        return Unused(path.name, "a text without a picture of its name")
    try:
        with open(path, "rb") as stream:
            head = stream.read(HEAD)
    except OSError as error:
        return Unused(path.name, f"cannot be read ({error.strerror})")
    what = "a PNG" if head.startswith(SIGNATURE) else identify(head)[0]
    kind = _kind(path)
    ending = _ending(kind)
    if ending is not None:
        return Unused(path.name, f"{what} by its contents, not by its name; let its name end in {ending}", True)
    if kind is not None:
        return Unused(path.name, f"a picture of the kind {kind}, which is not learnt; save it as PNG", True)
    if path.suffix.lower() in FOREIGN:
        return Unused(path.name, f"{what}, which is not read; save it as PNG", True)
    return Unused(path.name, f"no picture: {what}")


def _kind(path: Path) -> str | None:
    """Pillow's name of a picture's format; None for what is no picture to it."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            found = image.format
    except Exception:  # Pillow's decoders raise whatever damaged bytes provoke
        return None
    raw = found == "TIFF" and path.suffix.lower() in FOREIGN  # a camera's raw file: Pillow sees its preview alone
    return None if raw or found in ("PDF", "EPS", "MPEG") else found


def _ending(kind: str | None) -> str | None:
    """The ending under which pictures of a format of Pillow's are learnt."""
    from PIL import Image

    known = Image.registered_extensions()
    return next((ending for ending in ENDINGS if kind is not None and known.get(ending) == kind), None)
