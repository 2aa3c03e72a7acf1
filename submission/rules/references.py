"""The references that no output may be a copy of: which folder is meant, and what of it could be looked at."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from submission.alike import difference_hash
from submission.checks import Finding, finding
from submission.errors import UserError
from submission.names import PICTURE_ENDINGS, is_system
from submission.png import SIGNATURE
from submission.shipped import references_folder
from submission.signatures import LFS_CURE, identify

_LAYOUT = "<style>/images/*.png and <style>/prompt.json"
_PACK = ".npz"  # what jdart-eval references pack writes
_CURE = "put the picture there again as it was handed out, so that copies of it are found"
_INSIDE = "put its pictures beside it; they are not looked at in there"
_HEAD = 4096  # bytes of a file by which it is told what it is
_DEEP = 2  # folders down from one that was named too high


def require_references(name: str | os.PathLike[str], styles: Sequence[str]) -> Path:
    """The folder that `--references` names. UserError: it is none, a pack, or holds none of the styles."""
    folder = references_folder(name)
    if folder.is_file():
        what = "a pack of references, which holds no pictures" if folder.suffix == _PACK else "a file, not a folder"
        raise UserError(f"{folder}: {what}; give the folder with {_LAYOUT}")
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the one with {_LAYOUT}")
    if not styles:
        raise UserError(f"{folder}: this contest has no styles, and so no references; leave --references out")
    if not _has_styles(folder, styles):
        shown = ", ".join(styles[:3]) + (", ..." if len(styles) > 3 else "")
        raise UserError(f"{folder}: has no references of the styles {shown}; {where_references_lie(folder, styles)}")
    return folder


def where_references_lie(folder: Path, styles: Iterable[str] | None = None) -> str:
    """What to give in place of a folder that lies too high or too low; of any styles when none are named."""
    for above in folder.absolute().parents[:2]:
        if _has_styles(above, styles) and (styles is None or folder.absolute().relative_to(above).parts[0] in styles):
            return f"it lies too low, give {above}"
    found = list(_below(folder, styles, _DEEP))
    if len(found) == 1:
        return f"it lies too high, give {found[0]}"
    return f"give the folder with {_LAYOUT}" + (f", such as {found[0]}" if found else "")


def look_at(folder: Path, styles: Iterable[str]) -> tuple[dict[str, dict[str, int]], list[Finding]]:
    """Style -> name -> difference hash of every picture `<folder>/<style>/images/*`, and what was not looked at."""
    hashes: dict[str, dict[str, int]] = {}
    findings: list[Finding] = []
    if not folder.is_dir():
        message = f"is not compared with its references: {folder} is not there"
        return {}, [finding("S215", ".", message, "give the folder that they are in: --references DIR")]
    for style in styles:
        hashes[style] = {}
        images = folder / style / "images"
        before = len(findings)
        for path in sorted(images.iterdir()) if images.is_dir() else ():
            if is_system(path.name):
                continue
            value = _hash(path)
            if value is not None:
                hashes[style][path.name] = value
            elif path.suffix.lower() in (*PICTURE_ENDINGS, "", ".heic", ".heif", ".jxl"):  # captions may lie beside
                findings.append(_not_compared(style, path))
        if not hashes[style] and len(findings) == before:
            message = f"is not compared with any reference: there is no picture in {images}"
            findings.append(finding("S215", f"{style}/", message))
    return hashes, findings


def _hash(path: Path) -> int | None:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return difference_hash(image)
    except Exception:  # Pillow's decoders raise whatever damaged bytes provoke
        return None


def _not_compared(style: str, path: Path) -> Finding:
    what, cure = "not readable", _CURE
    if path.is_file():
        try:
            with open(path, "rb") as stream:
                head = stream.read(_HEAD)
        except OSError as error:
            what = f"not readable ({error.strerror})"
        else:
            is_png = head.startswith(SIGNATURE)
            what, cure = ("cut short or damaged", _CURE) if is_png else identify(head)
    elif path.is_dir():
        what, cure = "a folder", _INSIDE
    message = f"is not compared with the reference {path.name}, which is {what}"
    return finding("S215", f"{style}/", message, cure if cure in (LFS_CURE, _INSIDE) else _CURE)


def _has_styles(folder: Path, styles: Iterable[str] | None) -> bool:
    names = _folders(folder) if styles is None else styles
    return any((folder / name / "images").is_dir() or (folder / name / "prompt.json").is_file() for name in names)


def _below(folder: Path, styles: Iterable[str] | None, deep: int) -> Iterator[Path]:
    for name in _folders(folder):
        if _has_styles(folder / name, styles):
            yield folder / name
        elif deep > 1:
            yield from _below(folder / name, styles, deep - 1)


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not is_system(path.name) and path.is_dir())
    except OSError:
        return []
