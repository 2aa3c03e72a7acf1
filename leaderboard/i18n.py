"""What the pages say, in each of their languages: catalogues in `locale/`, one flat JSON object a language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from markupsafe import Markup, escape

from contest.errors import UserError

LANGUAGES = {"en": "English", "zh": "中文"}  # code -> what its speakers call it
TAGS = {"en": "en", "zh": "zh-Hans"}  # code -> the lang attribute
_HERE = Path(__file__).parent / "locale"
# reasons that the evaluator and the board give in these very words -> key; others are shown as they were written
_REASONS = {
    "not every picture of the contest was scored": "reason.incomplete",
    "the evaluator says so": "reason.unsaid",
    "toy weights: not comparable with the contest": "reason.toy",
    "miniature weights: the figures check the arithmetic, not the pictures": "reason.miniature",
}


@lru_cache
def catalogue(language: str) -> Mapping[str, str]:
    """Key -> text of one language. UserError: there is no such language."""
    if language not in LANGUAGES:
        raise UserError(f"no language {language!r}; there are {', '.join(LANGUAGES)}")
    words: dict[str, str] = json.loads((_HERE / f"{language}.json").read_text("utf-8"))
    return words


@dataclass(frozen=True)
class Label:
    """A text, and the attributes that say which key it has; none for a name or a number."""

    text: str
    mark: str = ""


class Words:
    """Texts in one language, as HTML that a script can put into another one.

    An element with `data-i18n` has its text from that key; `data-i18n-title` and the like say the same of an attribute,
    and `data-i18n-args` holds what goes into the braces of the text.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = catalogue(language)
        self._spans: dict[str, Markup] = {}

    def plain(self, key: str, **args: object) -> str:
        """The text alone."""
        return self._texts[key].format(**args)

    def label(self, key: str, **args: object) -> Label:
        """The text and its mark, for an element that somebody else makes."""
        return Label(self.plain(key, **args), self.mark(key, **args))

    def span(self, key: str, **args: object) -> Markup:
        """The text in an element of its own."""
        if args:
            return Markup(f"<span{self.mark(key, **args)}>{escape(self.plain(key, **args))}</span>")
        if key not in self._spans:
            self._spans[key] = Markup(f"<span{self.mark(key)}>{escape(self.plain(key))}</span>")
        return self._spans[key]

    def mark(self, key: str, **args: object) -> Markup:
        """The attributes that say which text an element holds."""
        return Markup(f' data-i18n="{key}"{_arguments(args)}')

    def attribute(self, name: str, key: str, **args: object) -> Markup:
        """An attribute such as aria-label, with its text and its key."""
        text = escape(self.plain(key, **args))
        return Markup(f' {name}="{text}" data-i18n-{name}="{key}"{_arguments(args)}')

    def reason(self, reason: str) -> Markup:
        """Why an entry stands apart, where it is one of the known reasons in the reader's language."""
        known = _REASONS.get(reason)
        return escape(reason) if known is None else self.span(known)


def _arguments(args: Mapping[str, object]) -> str:
    if not args:
        return ""
    return f' data-i18n-args="{escape(json.dumps(args, ensure_ascii=False, sort_keys=True, separators=(",", ":")))}"'
