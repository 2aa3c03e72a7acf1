"""The references that no output may be a copy of, and which of them could not be looked at."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from contest.disk.mvtec import defect_folder, defects_in, has_defects
from contest.entry.png import SIGNATURE, BrokenPng, has_large_notes, read_chunks
from contest.entry.signatures import HEAD, LFS_CURE, LINK_CURE, LOST_LINK, identify
from contest.findings import CHECKS, Finding, finding
from contest.names import PICTURE_ENDINGS, is_system
from submission.rules.alike import difference_hash

_CURE = "put the picture there again as it was handed out, so that copies of it are found"
_INSIDE = "put its pictures beside it; they are not looked at in there"
_CURES = (LFS_CURE, LINK_CURE, _INSIDE, CHECKS["S214"].hint)


def look_at(folder: Path, styles: Iterable[str]) -> tuple[dict[str, dict[str, int]], list[Finding]]:
    """Style -> name -> difference hash of every picture `<folder>/<style>/images/*`, and what was not looked at.

    In a folder that lies as MVTec's a style is a defect, and its pictures are those of its test folder.
    """
    hashes: dict[str, dict[str, int]] = {}
    findings: list[Finding] = []
    if not folder.is_dir():
        message = f"is not compared with its references: {folder} is not there"
        return {}, [finding("S215", ".", message, "give the folder that they are in: --references DIR")]
    defects = defects_in(folder) if has_defects(folder) else {}
    for style in styles:
        hashes[style] = {}
        images = defect_folder(folder, style) if style in defects else folder / style / "images"
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
                head = stream.read(HEAD)
                is_png = head.startswith(SIGNATURE)
                what, cure = _damage(head + stream.read()) if is_png else identify(head)
        except OSError as error:
            what = f"not readable ({error.strerror})"
    elif path.is_dir():
        what, cure = "a folder", _INSIDE
    elif path.is_symlink():
        what, cure = LOST_LINK, LINK_CURE
    message = f"is not compared with the reference {path.name}, which is {what}"
    return finding("S215", f"{style}/", message, cure if cure in _CURES else _CURE)


def _damage(data: bytes) -> tuple[str, str]:
    """Why Pillow does not read a PNG, and what helps."""
    try:
        if has_large_notes(read_chunks(data)[0]):
            return "a PNG with a text or profile of more than 1 MiB", CHECKS["S214"].hint
    except BrokenPng:
        pass
    return "cut short or damaged", _CURE
