"""Names in a stranger's zip: which may stand in a listing, and what is wrong with the others."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from contest.names import printable

ZIP_ANEW = "zip it anew with: jdart-submit build FOLDER -o entry.zip"
_MARKING = f"{ZIP_ANEW} (7-Zip and Python's zipfile mark names as UTF-8, too; zip and the Finder do not)"
_BY_NAME = f"{ZIP_ANEW} (or name the folders to your program, 00 01, instead of .)"
_SLASHES = f"{ZIP_ANEW} (the program that wrote it is at fault, not the folder)"
_RENAME = "rename it, and zip the folder again"
_UNMARKED = "is a name that is not marked as UTF-8, so that readers take it for other letters"
_NAME_BYTES, _PART_BYTES = 1024, 255  # what common file systems hold
_SHOWN = 60  # bytes of a name in a message
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]")


class Problem(NamedTuple):
    """What is wrong with one entry of an archive, a finding without its path; `hint` None is the code's usual one."""

    code: str
    message: str
    hint: Optional[str] = None


def read_name(raw: bytes, utf8: bool) -> tuple[str | None, list[Problem]]:
    """The name, with a "/" at its end for a folder, and what is wrong with it; None where it is not to be trusted.

    `utf8` is the flag that says how it is encoded (PKWARE APPNOTE 6.3.10, appendix D); without it only ASCII means
    the same to every reader. UTF-8 without the flag is what is meant, though not what every reader sees.
    """
    problem = _judge(raw, utf8)
    if problem is None:
        return raw.decode(), [] if utf8 or raw.isascii() else [Problem("S403", _UNMARKED, _MARKING)]
    code, what, hint = problem
    shown = printable(raw[:_SHOWN].decode("utf-8", "backslashreplace"))
    return None, [Problem(code, f"has the name {shown}, which {what}", hint)]


def _judge(raw: bytes, utf8: bool) -> tuple[str, str, str | None] | None:
    """The code, message and hint of why a name is not to be trusted."""
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        return "S403", "is not UTF-8" if utf8 else "is in a code page that only its own country reads", _MARKING
    slashed = name.replace("\\", "/")
    parts = slashed.removesuffix("/").split("/")
    if slashed.startswith("/") or ".." in parts or ":" in parts[0]:
        return "S402", "leads out of the archive", None
    if _CONTROL.search(name):
        return "S403", "has control characters", _RENAME
    if len(raw) > _NAME_BYTES or max(len(part.encode()) for part in parts) > _PART_BYTES:
        return "S403", "is too long for a file system", _RENAME
    if slashed != name:
        return "S403", "has \\ between folders, where the format asks for /", _SLASHES
    if parts[0] == "." and "" not in parts:
        return "S403", "begins with the part ., which readers keep or leave out", _BY_NAME
    if "" in parts or "." in parts:
        return "S403", "has an empty part or the part ., which readers keep or leave out", _BY_NAME
    return None
