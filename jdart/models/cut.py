"""Texts that are longer than what the text encoder reads: which words are lost, said before they are missed."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any

from jdart.models.build import Base

log = logging.getLogger(__name__)
SHOWN = 160  # characters of what is lost
LENGTH = 77  # tokens with the two marks, in every Stable Diffusion 1 and 2


def lost_words(tokenizer: Any, text: str, length: int = LENGTH) -> str:
    """The end of `text` that is beyond `length` tokens, from the start of a word on; empty when all of it is read."""
    parts = re.findall(r"[!-~]+\s*|\S\s*|\s+", text)  # words; letters, where a script has no spaces

    def fits(count: int) -> bool:
        ids = tokenizer(["".join(parts[:count])], truncation=False, verbose=False)["input_ids"][0]
        return len(ids) <= length

    low, high = 0, len(parts)
    if fits(high):
        return ""
    while high - low > 1:  # the first `low` parts fit, the first `high` do not
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return "".join(parts[low:]).strip()


def shortened(lost: str) -> str:
    """`lost` as it is shown: its beginning and its end, where the style's word often stands."""
    return lost if len(lost) <= SHOWN else f"{lost[: SHOWN // 2]} ... {lost[-SHOWN // 2 :]}"


def warn_of_cut(base: Base, texts: Iterable[tuple[str, str]]) -> None:
    """Log each of the (what it is, text) that is too long, once for a base, with the words that are not read."""
    length = base.configs["text_encoder"].max_position_embeddings
    for what, text in dict.fromkeys(texts):
        if (what, text) in base.told:
            continue
        base.told.add((what, text))
        lost = lost_words(base.tokenizer, text, length)
        if lost:
            log.warning("%s: longer than the %d tokens that are read; lost: %s", what, length, shortened(lost))
