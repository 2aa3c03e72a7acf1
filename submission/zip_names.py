"""Names in a stranger's zip: which may stand in a listing, and what is wrong with the others."""

from __future__ import annotations

import re

_NAME_BYTES, _PART_BYTES = 1024, 255  # what common file systems hold
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]")


def read_name(raw: bytes, utf8: bool) -> tuple[str | None, list[tuple[str, str]]]:
    """The name, with a "/" at its end for a folder, or None and (code, message) why it is not to be trusted.

    `utf8` is the flag that says how it is encoded (PKWARE APPNOTE 6.3.10, appendix D); without it only ASCII means
    the same to every reader.
    """
    shown = ascii(raw[:60].decode("utf-8", "backslashreplace"))
    code, what = _judge(raw, utf8)
    return (raw.decode(), []) if code is None else (None, [(code, f"has the name {shown}, which {what}")])


def _judge(raw: bytes, utf8: bool) -> tuple[str | None, str]:
    try:
        name = raw.decode("utf-8" if utf8 else "ascii")
    except UnicodeDecodeError:
        return "S403", "is not UTF-8" if utf8 else "is not marked as UTF-8"
    parts = name.removesuffix("/").split("/")
    if "\\" in name:
        return "S402", "does not separate folders with /"
    if name.startswith("/") or ".." in parts or ":" in parts[0]:
        return "S402", "leads out of the archive"
    if _CONTROL.search(name):
        return "S403", "has control characters"
    if len(raw) > _NAME_BYTES or max(len(part.encode()) for part in parts) > _PART_BYTES:
        return "S403", "is too long for a file system"
    if "" in parts or "." in parts:
        return "S403", "has an empty part or the part ."
    return None, ""
