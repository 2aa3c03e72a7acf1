"""Every finding a check can make: its stable code, its title and what to do about it.

A code is never used again for something else. Adding one: a line here, the rule in checker.py (names) or
pictures.py (bytes), and a row in the table of tests/submission/test_checker.py.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One kind of finding."""

    code: str
    title: str
    hint: str


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: data, not an exception.

    `path` is relative to the entry; the one of a folder ends in "/". `message` says what is wrong with it.
    """

    code: str
    path: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.code} {self.path} {self.message}"

    @property
    def style(self) -> str | None:
        """The first folder of `path`, or None for a file that lies in none."""
        return self.path.split("/")[0] if "/" in self.path else None

    @property
    def title(self) -> str:
        """The title of the finding's code."""
        return CHECKS[self.code].title


CHECKS = {
    check.code: check
    for check in (
        Check("S101", "missing style folder", "generate this style, or check fewer with --styles"),
        Check("S102", "missing picture", "generate it; the checker does not say that it is missing"),
        Check("S103", "extra picture", "remove it; the checker would score it as one more picture"),
        Check("S104", "wrong case", "rename it; names are compared letter by letter"),
        Check("S105", "wrong spelling", "rename it to the prompt as it is written in prompt.json"),
        Check("S106", "unknown folder", "remove it; the checker takes every folder for a style"),
        Check("S107", "stray file", "remove it; the checker takes every file for a picture"),
        Check("S108", "hidden or system file", "remove it; build never packs such files"),
        Check("S109", "duplicate name", "keep one of them"),
        Check("S110", "one folder too deep", "zip the style folders themselves, not the folder around them"),
        Check("S201", "not a PNG", "save it as PNG; renaming a JPEG does not make it one"),
        Check("S202", "not 8-bit RGB", "convert it: Image.open(path).convert('RGB').save(path)"),
        Check("S203", "broken picture", "it was cut short or damaged; generate or copy it again"),
        Check("S204", "different size", "make all pictures of the entry one size"),
        Check(
            "S205",
            "EXIF orientation",
            "turn the pixels and save without EXIF: ImageOps.exif_transpose(image)",
        ),
        Check("S206", "data after the picture", "save the picture again; nothing may follow its last byte"),
        Check("S207", "picture too large", "at most 4096 pixels a side and 64 MiB"),
        Check("S301", "no manifest", "build the archive with: jdart-submit build"),
        Check("S302", "manifest not readable", "build the archive again with: jdart-submit build"),
        Check("S303", "not what the manifest says", "the file was changed after the build; build again"),
        Check("S304", "not in the manifest", "the file was added after the build; build again"),
        Check("S305", "only in the manifest", "the file was removed after the build; build again"),
        Check("S306", "built for another contest", "verify with the contest it was built for, or build again"),
        Check("S307", "archive changed", "its files are whole but it was repacked or damaged; build again"),
    )
}


def finding(code: str, path: str, message: str, hint: str | None = None) -> Finding:
    """A finding with its code's usual hint, unless a better one is known."""
    return Finding(code, path, message, CHECKS[code].hint if hint is None else hint)
