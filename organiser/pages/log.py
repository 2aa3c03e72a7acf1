"""The log as people read it: what happened, the latest first, in words. The log itself is `log.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contest.numbers import decimal
from organiser.clock import from_text
from organiser.pages.render import short_time
from organiser.settings.event import Event

SHOWN = 500  # lines
_DIGITS = 12  # of a hash
Line = Mapping[str, Any]


def latest(lines: Sequence[Line], event: Event) -> list[dict[str, Any]]:
    """The last lines as rows of a table, the latest first."""
    teams = {line["entry"]: line["team"] for line in lines if line["what"] == "received"}
    return [
        {
            "seq": line["seq"],
            "time": short_time(from_text(line["time"]), event.zone, seconds=True),
            "entry": line.get("entry", ""),
            "team": teams.get(line.get("entry"), line.get("team", "")),
            "said": in_words(line, event.decimals),
            "hash": line["hash"][:_DIGITS],
        }
        for line in lines[: -SHOWN - 1 : -1]
    ]


def in_words(line: Line, decimals: int) -> str:
    """What a line says; of a kind that is not known here, its name."""
    what = str(line["what"])
    if what == "received":
        return f"received, {line['bytes']} bytes, SHA-256 {line['sha256'][:_DIGITS]}"
    if what == "state":
        return f"{line['before']} → {line['state']}" + (f": {line['reason']}" if line["reason"] else "")
    if what == "score":
        final = f", Final {decimal(line['final'], decimals)}" if "final" in line else ""
        return f"archive {line['sha256'][:_DIGITS]} scored by {line['scorer']}, {line['split']} part{final}"
    if what == "reproduction":
        return f"drawn again: {line['outcome']}, {line['reproduced']} of {line['pictures']} pictures"
    if what == "choice":
        return f"chosen: {', '.join(map(str, line['entries'])) if line['entries'] else 'none'}"
    facts = {"rules": "sha256", "scorer": "version", "in force": "scorer", "event": "contest"}
    said = f" {str(line[facts[what]])[:_DIGITS]}" if what in facts else ""
    return _PLAIN.get(what, what) + said


_PLAIN = {
    "event": "the event is opened, contest",
    "rules": "the rules are those with SHA-256",
    "scorer": "a scorer is known,",
    "in force": "figures that count are those of scorer",
    "freeze": "the board stands still",
    "freeze lifted": "the board goes on",
    "final": "the final standing is out",
}
