"""The name that a file had before programs added to it: the mark or number of a copy, a second ending."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# "copy" as file managers say it, in the languages of their commonest users
_LATIN = (
    "copy|kopie|copie|copia|cópia|copi|kopia|kopya|kopio|kopi|kópia|kópie|másolat|bản sao|salinan"
    "|копия|копія|копие|αντίγραφο|αντιγραφο"
)
_EAST = "副本|複本|拷贝|拷貝|复件|複製|复制|コピー|복사본|사본|สำเนา"
_WORD = f"(?:{_LATIN}|{_EAST})"
_ADDED = tuple(
    re.compile(pattern)
    for pattern in (
        r"\s*[(\[]\d+[)\]]$",  # "Cat (1)" of browsers, "Cat[1]"
        rf"\s*\([^()]*{_WORD}[^()]*\)$",  # "Cat (another copy)"
        rf"[\s_–—-]+{_WORD}(?:[\s_-]*\d+)?$",  # "Cat - Copy", "Cat copy 2", "Cat_copy"
        rf"[\s_–—-]*(?:的|の|의)?\s*(?:{_EAST})(?:\s*\d+)?$",  # "Cat的副本", "Cat のコピー"
        rf"^{_WORD}(?:\s*\(\d+\))?\s*(?:of|von|van|de|di|da|do|av|af|z|～|~|-|:)?\s+(?=\S)",  # "Copy of Cat"
        rf"^(?:{_EAST})[\s_-]*(?=\S)",
        r"(?<=\S)[\s_~-]+\d{1,6}_?$",  # "Cat_1", "Cat 2", "Cat_00001_"
        r"^[\"'“‘«「]|[\"'”’»」]$",
    )
)
_ENDINGS = r"\.(?:png|jpe?g|jfif|webp|bmp|gif|tiff?|avif|heic|csv)"
_SECOND = re.compile(rf"({_ENDINGS})(?:\.txt|{_ENDINGS})$")
_ENDED = re.compile(rf"{_ENDINGS}$")


def originals(name: str) -> Iterator[str]:
    """What the name may have been, from itself to less and less of it, in lower case. The first ending counts."""
    name = unicodedata.normalize("NFKC", name).casefold()
    yield name
    while True:
        shorter = _SECOND.sub(r"\1", name)
        if shorter == name:
            ending = _ENDED.search(name)
            end = "" if ending is None else ending.group()
            stem = name[: len(name) - len(end)].strip()
            less = next((less for added in _ADDED if (less := added.sub("", stem).strip()) not in ("", stem)), None)
            if less is None:
                return
            shorter = less + ("" if _ENDED.search(less) else end)  # "Cat.png (1).png": the first ending counts
        name = shorter
        yield name
