"""Typed values out of parsed JSON that a stranger wrote; what is not as it should be is noted, all of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from itertools import repeat
from typing import Any
from urllib.parse import urlsplit

from contest.errors import UserError
from contest.names import printable
from leaderboard.text import clean, clean_name

NAME, LINE, NOTE = 200, 500, 2000  # letters of a name, of a line, of a paragraph
_LARGEST = 1e12  # no score comes near; keeps overflow and infinity out
_SHOWN = 8  # problems in one message
_LINK = re.compile(r"https?://[^\s\"'<>\\^`{|}]{1,500}", re.IGNORECASE)


@dataclass
class Taker:
    """Takes typed values out of parsed JSON and notes what is not as it should be.

    `quoted`: a person wrote it, perhaps in YAML, to which No is false and 007 a number.
    """

    problems: list[str] = field(default_factory=list)
    quoted: bool = False

    def require_good(self, where: object) -> None:
        """Raise UserError that names the file and every problem, or the first of very many."""
        if self.problems:
            more = f"; and {len(self.problems) - _SHOWN} more" if len(self.problems) > _SHOWN else ""
            raise UserError(f"{where}: {printable('; '.join(self.problems[:_SHOWN]))}{more}")

    def mapping(self, data: Mapping[str, Any], key: str, most: int = 10_000) -> Mapping[str, Any]:
        return self._few(self._typed(data, key, dict, "an object", {}), key, most)

    def flag(self, data: Mapping[str, Any], key: str) -> bool:
        return self._typed(data, key, bool, "true or false", False)

    def text(self, data: Mapping[str, Any], key: str, longest: int = LINE) -> str:
        return clean(self._unicode(self._typed(data, key, str, self._text, ""), key), longest)

    def lines(self, data: Mapping[str, Any], key: str, longest: int = LINE, most: int = 100) -> tuple[str, ...]:
        values = self._few(
            self._typed(data, key, list, "a list such as [one, two]" if self.quoted else "a list", []), key, most
        )
        if not {str}.issuperset(map(type, values)):
            self.problems.append(f"{_shown(key)} must be a list of {self._text}")
            return ()
        together = "".join(values)
        if len(together) <= _SHORT and together.isascii():
            return tuple(map(_short, values, repeat(longest)))
        return tuple([clean(self._unicode(value, key), longest) for value in values])

    def texts(self, data: Mapping[str, Any], key: str) -> dict[str, str]:
        values = self.mapping(data, key, 500)
        return {clean_name(self._unicode(name, key), NAME): self.text(values, name) for name in sorted(values)}

    def number(self, data: Mapping[str, Any], key: str, needed: bool = False) -> float | None:
        value = data.get(key)
        if type(value) is float and -_LARGEST < value < _LARGEST:  # nearly all, and there are very many
            return value
        if value is None and not needed:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST:
            return float(value)
        self.problems.append(f"{_shown(key)} must be a finite number, not {_what(value)}")
        return None

    def numbers(self, data: Mapping[str, Any], keys: Iterable[str]) -> dict[str, float | None]:
        """Those of the keys that are there."""
        values = {key: data[key] for key in keys if key in data}
        if {float}.issuperset(map(type, values.values())) and sum(map(abs, values.values())) < _LARGEST:
            return values
        return {key: self.number(values, key) for key in values}

    def interval(self, data: Mapping[str, Any], key: str) -> tuple[float, float] | None:
        """The ends of an interval; None where there is none."""
        ends = data.get(key)
        if ends is None:
            return None
        if isinstance(ends, list) and len(ends) == 2:
            low, high = (self.number({key: end}, key, needed=True) for end in ends)
            if low is None or high is None or low <= high:
                return None if low is None or high is None else (low, high)
        self.problems.append(f"{_shown(key)} must be two numbers, the lower end first")
        return None

    def file_name(self, name: str) -> str:
        """Style and picture names lead to thumbnails: one that is no plain file name is refused."""
        if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
            self.problems.append(f"{_what(name)} cannot name a style or picture")
        if len(name) <= _SHORT and name.isascii():
            return _short_name(name)
        return clean_name(self._unicode(name, "name"), NAME)

    def link(self, data: Mapping[str, Any], key: str) -> str:
        """An http or https address: nothing else may stand in a link that readers follow."""
        value = self._typed(data, key, str, self._text, "")
        try:
            good = bool(_LINK.fullmatch(value)) and bool(urlsplit(value).hostname) and "@" not in urlsplit(value).netloc
        except ValueError:
            good = False
        if good and value == clean(value, len(value)):
            return value
        if isinstance(data.get(key), str):
            self.problems.append(f"{key} must be an address that starts with https:// or http://")
        return ""

    def date(self, data: Mapping[str, Any], key: str) -> str:
        """A day, or a day and time, as ISO 8601 writes them."""
        value = data.get(key)
        if isinstance(value, date):  # YAML knows dates; datetime is one too
            return value.isoformat()
        try:
            text = str(value) if isinstance(value, str) and value.isascii() and len(value) <= 40 else ""
            if len(text) == 10:
                date.fromisoformat(text)
            else:
                datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
        except ValueError:
            self.problems.append(f"{key} must be a date such as 2024-06-30")
            return ""
        return text

    @property
    def _text(self) -> str:
        return "text in quotes" if self.quoted else "text"

    def _typed(self, data: Mapping[str, Any], key: str, kind: type, what: str, default: Any) -> Any:
        value = data.get(key)
        if isinstance(value, kind):
            return value
        self.problems.append(f"{_shown(key)} {'is missing' if key not in data else f'must be {what}'}")
        return default

    def _few(self, values: Any, key: str, most: int) -> Any:
        if len(values) <= most:
            return values
        self.problems.append(f"{_shown(key)} has {len(values)} parts; at most {most} are read")
        return type(values)()

    def _unicode(self, value: str, key: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:  # JSON can spell half a character
            self.problems.append(f"{_shown(key)} is not valid Unicode")
        return value


# Reports name the same nouns a hundred thousand times, five together.
_SHORT = 200
_short = lru_cache(1 << 14)(clean)


@lru_cache(1 << 14)
def _short_name(name: str) -> str:
    return clean_name(name, NAME)


def _shown(key: str) -> str:
    return key if len(key) <= 60 else f"{key[:60]}…"


def _what(value: object) -> str:
    if isinstance(value, str):
        return repr(_shown(value))
    return repr(value)[:30] if isinstance(value, float) or value is None else type(value).__name__
