"""What a file name was meant to be: exact names first, then near misses, told apart by what is wrong with them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping

from contest.copies import originals

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif")
_SYSTEM = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin", "system volume information"}
    | {"@eadir", "@recycle", "#recycle", "#snapshot", "lost+found"}  # of network storage
)
_LOOKS = str.maketrans(  # the commonest letters that look like Latin ones: Cyrillic, Greek, others, punctuation
    "аеорсухіјѕһԁԛԝӏАВЕКМНОРСТУХІЈЅ" + "αικνορυΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" + "ıɑɡ" + "‐‑‒–—−‘’ʼ",
    "aeopcyxijshdqwlABEKMHOPCTYXIJS" + "aikvopuABEZHIKMNOPTYX" + "iag" + "------'''",
)


def match(names: Iterable[str], wanted: Iterable[str], loose: Callable[[str], str]) -> dict[str, str]:
    """Which wanted name each name stands for: exact ones first, then for each left at most one near miss, or copy."""
    names, wanted = list(names), list(wanted)
    meant = {name: name for name in names if name in set(wanted)}
    left = {loose(want): want for want in wanted if want not in meant}
    for peel in (_itself, originals):
        for name in names:
            key = None if name in meant else next((key for key in map(loose, peel(name)) if key in left), None)
            if key is not None:
                meant[name] = left.pop(key)
    return meant


def claims_of(meant: Mapping[str, str], loose: Callable[[str], str]) -> Callable[[str], str | None]:
    """A function from a name to the one of `meant` that stands already for what it may stand for, too, or None."""
    claims = {loose(want): name for name, want in meant.items()}

    def first(name: str) -> str | None:
        return next((claims[key] for key in map(loose, originals(name)) if key in claims), None) if claims else None

    return first


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
    if stem and f".{ending}".lower() not in PICTURE_ENDINGS:
        return name
    return loose_name(stem if stem else name)


def misspelling(name: str, wanted: str) -> tuple[str, str]:
    """The code for a name that should have been `wanted`, and what to add where both look the same."""
    if name.casefold() == wanted.casefold():
        return "S104", ""
    if unicodedata.normalize("NFKC", name) == unicodedata.normalize("NFKC", wanted):
        return "S112", f" in Unicode normal form {'C' if unicodedata.is_normalized('NFC', wanted) else 'D'}"
    odd = sorted(c for c in set(name) ^ set(wanted) if ord(c) in _LOOKS or _is_invisible(c))
    if odd and loose_picture(name) == loose_picture(wanted):  # else more is wrong with it, such as the mark of a copy
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


def printable(text: str) -> str:
    """The text with what could steer a terminal shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _itself(name: str) -> tuple[str]:
    return (name,)


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) == "Cf"
