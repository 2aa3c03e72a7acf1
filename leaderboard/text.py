"""Text that strangers wrote, made fit to stand beside others': one line, not endless, no power over the rest."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache

import markupsafe

# shown as nothing though Unicode counts them as letters, marks or symbols: joiners, fillers, variation selectors
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_MARKS = 3  # accents on one letter; more climb over the lines above


def clean(text: str, longest: int) -> str:
    """The text in one line of at most `longest` letters, without what is invisible or turns the writing direction.

    Invisible letters let one name pass for another, and a right-to-left override turns the words that follow it.
    """
    if len(text) <= longest and text.isascii() and text.isprintable():  # nearly all: nothing of that is in it
        return " ".join(text.split())
    text = _INVISIBLE.sub("", unicodedata.normalize("NFC", text[: 4 * longest]))
    kept, marks = [], 0
    for letter in text:
        kind = unicodedata.category(letter)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if kind in ("Cc", "Zl", "Zp"):
            kept.append(" ")
        elif kind not in ("Cf", "Cs") and marks <= _MARKS:
            kept.append(letter)
    line = " ".join("".join(kept).split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def clean_name(name: str, longest: int) -> str:
    """As `clean`, for names that tell things apart: what is cut off leaves some of its hash."""
    cleaned = clean(name, longest)
    if not cleaned.endswith("…") or name.endswith("…"):
        return cleaned
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"{cleaned[: longest - 10].rstrip()}… {digest}"


@lru_cache(1 << 14)
def escape(text: str) -> str:
    """The text as HTML, even if it says that it is already. Names of prompts come a hundred thousand times."""
    return str(markupsafe.escape(str(text)))
