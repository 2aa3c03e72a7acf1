"""What a file name was meant to be: exact names first, then near misses, told apart by what is wrong with them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif")
_SYSTEM = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin", "system volume information"}
)
_LOOKS = str.maketrans(  # the commonest letters that look like Latin ones: Cyrillic, Greek, others, punctuation
    "аеорсухіјѕһԁԛԝӏАВЕКМНОРСТУХІЈЅ" + "αικνορυΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" + "ıɑɡ" + "‐‑‒–—−‘’ʼ",
    "aeopcyxijshdqwlABEKMHOPCTYXIJS" + "aikvopuABEZHIKMNOPTYX" + "iag" + "------'''",
)


def match(names: Iterable[str], wanted: Iterable[str], loose: Callable[[str], str]) -> dict[str, str]:
    """Which wanted name each name stands for: exact ones first, then at most one near miss for each left."""
    names, wanted = list(names), list(wanted)
    meant = {name: name for name in names if name in set(wanted)}
    left = {loose(want): want for want in wanted if want not in meant}
    for name in names:
        if name not in meant and loose(name) in left:
            meant[name] = left.pop(loose(name))
    return meant


def loose_name(name: str) -> str:
    """Without case, look-alikes, invisible characters, underscore or hyphen for space, doubled spaces."""
    name = unicodedata.normalize("NFKC", name).translate(_LOOKS).casefold().replace("_", " ").replace("-", " ")
    return " ".join("".join(c for c in name if not _is_invisible(c)).split())


def loose_style(name: str) -> str:
    """A folder's name without what people get wrong, leading zeros too."""
    name = loose_name(name)
    return name.lstrip("0") if name.isdecimal() else name


def loose_picture(name: str) -> str:
    """A picture's name without what people get wrong, its ending too."""
    stem, _, ending = name.rpartition(".")
    return loose_name(stem) if f".{ending}".lower() in PICTURE_ENDINGS else name


def misspelling(name: str, wanted: str) -> tuple[str, str]:
    """The code for a name that should have been `wanted`, and what to add where both look the same."""
    if name.casefold() == wanted.casefold():
        return "S104", ""
    if unicodedata.normalize("NFKC", name) == unicodedata.normalize("NFKC", wanted):
        return "S112", f" in Unicode normal form {'C' if unicodedata.is_normalized('NFC', wanted) else 'D'}"
    odd = sorted(c for c in set(name) ^ set(wanted) if ord(c) in _LOOKS or _is_invisible(c))
    if odd:
        verb = "without" if odd[0] in name else "with"
        return "S111", f", {verb} U+{ord(odd[0]):04X} {unicodedata.name(odd[0], 'unnamed')}"
    return "S105", ""


def is_system(path: str) -> bool:
    """Is any part of the path hidden, or one that an operating system leaves behind?"""
    return any(part.startswith(".") or part.casefold() in _SYSTEM for part in path.split("/"))


def system_part(path: str, folder: bool) -> str:
    """The path up to its first hidden or system part, so that a hidden folder is one finding."""
    parts = path.split("/")
    end = next(i for i, part in enumerate(parts) if is_system(part)) + 1
    return "/".join(parts[:end]) + ("/" if end < len(parts) or folder else "")


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) == "Cf"
