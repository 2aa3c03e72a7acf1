"""What text is that is not UTF-8, told by its bytes."""

from __future__ import annotations

import codecs

# GB 2312: two bytes a character, the first up to 0xA9 for punctuation, then the 3755 commonest characters up to 0xD7
_COMMON = range(0xA1, 0xD8)
_MOSTLY = 0.8  # of the characters: names have rarer ones, and other scripts seldom get there


def instead_of_utf8(error: UnicodeDecodeError) -> str:
    """What the bytes are that were no UTF-8, and what helps; to be read behind "is"."""
    if error.object.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "not UTF-8 text but UTF-16; save it as UTF-8"
    if _looks_chinese(error.object):
        return "not UTF-8 text but probably GBK, as a Chinese Windows saves; save it as UTF-8"
    return f"not UTF-8 text (byte {error.start}); save it as UTF-8"


def _looks_chinese(data: bytes) -> bool:
    try:
        letters = [letter for letter in data.decode("gb18030") if not letter.isascii()]
    except UnicodeDecodeError:
        return False
    common = 0
    for letter in letters:
        first, *rest = letter.encode("gb18030")
        common += first in _COMMON and len(rest) == 1 and rest[0] >= _COMMON.start
    return common > 0 and common >= _MOSTLY * len(letters)
