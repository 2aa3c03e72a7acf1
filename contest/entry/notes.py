"""What a picture's own account of how it was made says: was it drawn for another prompt, was it changed afterwards?

Generators leave the prompt in PNG text: jdart as JSON under `jdart`, others under `parameters`, `prompt` and
`Description`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from contest.disk.files import parse_json

_KEYWORDS = ("jdart", "parameters", "prompt", "Description")
_NEGATIVE = "\nNegative prompt:"  # how `parameters` goes on behind the prompt
_MOST = 100_000  # characters looked at
POST_PROCESSING = "Post-processing"  # the key in the settings of `parameters`, as in "Post-processing: colour finish"
_SAYS_SO = re.compile(rf"(?:^|,) *{POST_PROCESSING}: *[^ ,]")


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


def is_post_processed(texts: Mapping[str, str]) -> bool:
    """Whether the file says, for jdart or in the line of settings for all, that its finished pixels were changed."""
    _, below_prompt, settings = texts.get("parameters", "")[:_MOST].rpartition("\n")
    said = below_prompt != "" and _SAYS_SO.search(settings) is not None  # a prompt may speak of it too
    return said or _has_finish(texts.get("jdart", "")[:_MOST])


def _has_finish(text: str) -> bool:
    try:
        value = parse_json(text)
    except ValueError:
        return False
    colour = value.get("colour") if isinstance(value, dict) else None
    return isinstance(colour, dict) and colour.get("finish") is not None


def _positive(text: str) -> str:
    """The part of the text that says what was to be drawn."""
    try:
        value = parse_json(text)
    except ValueError:
        return text.split(_NEGATIVE)[0]
    return value["prompt"] if isinstance(value, dict) and isinstance(value.get("prompt"), str) else text


def _words(text: str) -> str:
    return " ".join(text.casefold().replace("_", " ").replace("-", " ").split())


def _mentions(text: str, words: str) -> bool:
    return words in text and re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None
