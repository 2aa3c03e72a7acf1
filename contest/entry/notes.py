"""Does a picture's own account of how it was made speak of another prompt than its file name?

Generators leave the prompt in PNG text: jdart as JSON under `jdart`, others under `parameters`, `prompt` and
`Description`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

_KEYWORDS = ("jdart", "parameters", "prompt", "Description")
_NEGATIVE = "\nNegative prompt:"  # how `parameters` goes on behind the prompt
_MOST = 100_000  # characters looked at


def other_prompt(texts: Mapping[str, str], prompt: str, prompts: Iterable[str]) -> str | None:
    """The one of `prompts` that the file speaks of though it is named for `prompt`, which it does not mention."""
    for keyword in _KEYWORDS:
        if keyword in texts:
            text = _words(_positive(texts[keyword][:_MOST]))
            if _words(prompt) in text:
                continue
            others = [other for other in prompts if _mentions(text, _words(other))]
            if others:
                return max(others, key=len)  # "Ice cream" rather than "Cream"
    return None


def _positive(text: str) -> str:
    """The part of the text that says what was to be drawn."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text.split(_NEGATIVE)[0]
    return value["prompt"] if isinstance(value, dict) and isinstance(value.get("prompt"), str) else text


def _words(text: str) -> str:
    return " ".join(text.casefold().replace("_", " ").replace("-", " ").split())


def _mentions(text: str, words: str) -> bool:
    return words in text and re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None
