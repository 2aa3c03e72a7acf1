"""Names that strangers gave -> ids and file names that are safe, readable and the same in every build."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

_LONGEST = 40


@lru_cache(1 << 14)
def style_slug(style: str) -> str:
    """The style's name where it is plain, as "00" is; else its plain letters and some of its hash."""
    plain = _plain(style)
    return plain if plain and style == plain else _hashed(plain, style)


@lru_cache(1 << 14)
def picture_slug(file: str) -> str:
    """ "Ice cream.png" -> "ice-cream"; a file name of another kind gets some of its hash."""
    plain = _plain(file[:-4] if file.endswith(".png") else file)
    return plain if plain and file == f"{plain.replace('-', ' ').capitalize()}.png" else _hashed(plain, file)


def style_id(style: str) -> str:
    """The id of a style on a page."""
    return f"style-{style_slug(style)}"


def picture_id(style: str, file: str) -> str:
    """The id of a picture on an entry's page."""
    return f"picture-{style_slug(style)}--{picture_slug(file)}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:_LONGEST].strip("-")


def _hashed(plain: str, name: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return "-".join(part for part in (plain, digest) if part)
