"""The event's YAML file, read once; every problem of it is reported together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

from contest.disk.yaml_file import read_yaml
from contest.errors import UserError
from organiser.settings.event import (
    BEST,
    CHOSEN,
    DROP,
    LAST,
    SCORE,
    TIES,
    Event,
    Hidden,
    Reproduction,
    Suspicion,
    Team,
)

_ZONE = re.compile(r"([+-])(\d\d):(\d\d)")
_TEAM = 80  # letters
_HUGE = 1e300  # what is larger need not be a float


def team_problem(name: Any) -> str | None:
    """Why something cannot be a team's name, or None. It names a folder of the outbox, among other things."""
    if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable():
        return "must be text in quotes, of letters that can be seen"
    if len(name) > _TEAM or name.startswith(".") or not frozenset('/\\:*?"<>|').isdisjoint(name):
        return f'must have at most {_TEAM} letters, no /\\:*?"<>| and no dot at its beginning'
    return None


def read_event(path: Path) -> Event:
    """The event that a file describes. UserError: it is missing, or names every problem."""
    try:
        data = read_yaml(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; docs/organiser.md shows one") from error
    if not isinstance(data, dict):
        raise UserError(f"{path}: expected contest, references and weights; docs/organiser.md shows a file")
    take = _Taker()
    event = take.event(data)
    if take.problems:
        raise UserError(f"{path}: " + "; ".join(take.problems))
    return event


class _Taker:
    """Takes values out of the parsed file, and notes what is wrong."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.zone = timezone.utc

    def event(self, data: Mapping[Any, Any]) -> Event:
        self.unknown("", data, Event, extra=("time_zone",), less=("zone",))
        self.zone = self.time_zone(data)
        values: dict[str, Any] = {"zone": self.zone}
        for key in ("contest", "references", "weights"):
            values[key] = self.text(data, key) if key in data else self.wrong(f"{key} is missing", "")
        for key in ("title", "profile"):
            if key in data:
                values[key] = self.text(data, key)
        for key, kinds in (("pending", (SCORE, DROP)), ("counts", (BEST, LAST, CHOSEN))):
            if key in data:
                values[key] = self.one_of(data, key, kinds)
        for key in ("per_day", "chosen"):
            if data.get(key) is not None:
                values[key] = self.whole(data[key], key, 1)
        if "decimals" in data:
            values["decimals"] = self.whole(data["decimals"], "decimals", 1)
        for key in ("deadline", "freeze"):
            if data.get(key) is not None:
                values[key] = self.moment(data[key], key)
        if data.get("teams") is not None:
            values["teams"] = self.team_names(data["teams"], "teams")
        if "baselines" in data:
            values["baselines"] = self.team_names(data["baselines"], "baselines")
        if "ties" in data:
            values["ties"] = self.ties(data["ties"])
        if "exceptions" in data:
            values["exceptions"] = self.exceptions(data["exceptions"])
        if data.get("private") is not None:
            values["private"] = self.hidden(data["private"])
        for key, kind in (("suspicion", Suspicion), ("reproduction", Reproduction)):
            if data.get(key) is not None:
                values[key] = self.section(data[key], key, kind)
        self.agree(data, values)
        return Event(**values)

    def agree(self, data: Mapping[Any, Any], values: Mapping[str, Any]) -> None:
        """What is said must have a meaning together."""
        if "chosen" in data and values.get("counts") != CHOSEN:
            self.problems.append("chosen says how many entries a team may choose; it needs counts: chosen")
        if "pending" in data and values.get("deadline") is None:
            self.problems.append("pending says what the deadline means; it needs a deadline")
        teams = values.get("teams")
        named = {*values.get("exceptions", {}), *values.get("baselines", ())}
        strangers = [] if teams is None else sorted(str(name) for name in named if name not in teams)
        if strangers:
            self.problems.append(f"{', '.join(strangers)} is not among the teams")

    def wrong(self, problem: str, value: Any = None) -> Any:
        self.problems.append(problem)
        return value

    def unknown(self, where: str, data: Mapping[Any, Any], kind: type, extra: Any = (), less: Any = ()) -> None:
        known = [item.name for item in fields(kind) if item.name not in less] + list(extra)
        self.problems += [
            f"unknown setting {where}{key}; known are {', '.join(known)}" for key in data if key not in known
        ]

    def text(self, data: Mapping[Any, Any], key: str, where: str | None = None) -> str:
        value = data[key]
        if isinstance(value, str) and value.strip() and value.isprintable():
            return value
        return self.wrong(f"{key if where is None else where} must be one line of text in quotes", "")

    def one_of(self, data: Mapping[Any, Any], key: str, kinds: tuple[str, ...]) -> str:
        return data[key] if data[key] in kinds else self.wrong(f"{key} must be one of {', '.join(kinds)}", kinds[0])

    def whole(self, value: Any, where: str, least: int) -> int:
        good = type(value) is int and value >= least
        return value if good else self.wrong(f"{where} must be a whole number from {least}", least)

    def time_zone(self, data: Mapping[Any, Any]) -> timezone:
        value = data.get("time_zone", "+00:00")
        found = _ZONE.fullmatch(value) if isinstance(value, str) else None
        if found is None or int(found[2]) > 14 or int(found[3]) > 59:
            return self.wrong('time_zone must be a distance from UTC in quotes, such as "+08:00"', timezone.utc)
        sign = -1 if found[1] == "-" else 1
        return timezone(sign * timedelta(hours=int(found[2]), minutes=int(found[3])))

    def moment(self, value: Any, where: str) -> datetime | None:
        """A time; in the event's zone where it names none."""
        try:
            if isinstance(value, str):
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            if not isinstance(value, datetime) or not 1970 <= value.year < 9999:  # further off no zone can be told
                raise ValueError
        except ValueError:
            return self.wrong(f"{where} must be a day and a time, such as 2026-08-10 18:00")
        return value.replace(tzinfo=self.zone) if value.tzinfo is None else value

    def team_names(self, value: Any, where: str) -> tuple[str, ...]:
        if not isinstance(value, list):
            return self.wrong(f"{where} must be a list of names", ())
        for name in value:
            if (problem := team_problem(name)) is not None:
                self.problems.append(f"{where}: {name!r} {problem}")
        if len({str(name).casefold() for name in value}) < len(value):
            self.problems.append(f"{where}: a name is given twice")
        return tuple(map(str, value))

    def ties(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(key in TIES for key in value) or len(set(value)) < len(value):
            return self.wrong(f"ties must be a list of some of {', '.join(TIES)}, each once", ())
        return tuple(value)

    def exceptions(self, value: Any) -> Mapping[str, Team]:
        if not isinstance(value, dict):
            return self.wrong("exceptions must map a team to {per_day: ..., deadline: ...}", {})
        found = {}
        for name, own in value.items():
            where = f"exceptions.{name}"
            if (problem := team_problem(name)) is not None:
                self.problems.append(f"exceptions: {name!r} {problem}")
            if not isinstance(own, dict) or not own:
                self.problems.append(f"{where} must say per_day, deadline or both")
                continue
            self.unknown(f"{where}.", own, Team)
            per_day = None if "per_day" not in own else self.whole(own["per_day"], f"{where}.per_day", 1)
            deadline = None if "deadline" not in own else self.moment(own["deadline"], f"{where}.deadline")
            found[str(name)] = Team(per_day, deadline)
        return MappingProxyType(found)

    def hidden(self, value: Any) -> Hidden:
        if not isinstance(value, dict) or not value:
            return self.wrong("private must say styles, prompts or both", Hidden())
        self.unknown("private.", value, Hidden)
        styles, prompts = value.get("styles", []), value.get("prompts", {})
        if not isinstance(styles, list) or not all(isinstance(style, str) for style in styles):
            styles = self.wrong('private.styles must be a list of styles in quotes, such as ["02"]', [])
        good = isinstance(prompts, dict) and all(
            isinstance(style, str) and isinstance(names, list) and all(isinstance(name, str) for name in names)
            for style, names in prompts.items()
        )
        if not good:
            prompts = self.wrong('private.prompts must map a style to prompts, such as "00": [Cat, Owl]', {})
        return Hidden(tuple(styles), MappingProxyType({style: tuple(names) for style, names in prompts.items()}))

    def section(self, value: Any, where: str, kind: Any) -> Any:
        """A section of whole numbers from 1, numbers from 0 (a share: above 0, up to 1) and lines of text."""
        known = {item.name: item for item in fields(kind)}
        if not isinstance(value, dict):
            return self.wrong(f"{where} must be a mapping of {', '.join(known)}")
        self.unknown(f"{where}.", value, kind)
        missing = [name for name, item in known.items() if item.default is MISSING and name not in value]
        self.problems += [f"{where}.{name} is missing" for name in missing]
        kept: dict[str, Any] = dict.fromkeys(missing, "")
        for key in (key for key in value if key in known):
            path = f"{where}.{key}"
            if known[key].type == "int":
                kept[key] = self.whole(value[key], path, 1)
            elif known[key].type == "float":
                kept[key] = self.share(value[key], path) if key == "share" else self.number(value[key], path)
            else:
                kept[key] = self.text(value, key, path)
        return kind(**kept)

    def number(self, value: Any, where: str) -> float:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _HUGE
        return float(value) if good else self.wrong(f"{where} must be a number, not below 0", 0.0)

    def share(self, value: Any, where: str) -> float:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 1
        return float(value) if good else self.wrong(f"{where} must be a share, above 0 and at most 1", 1.0)
