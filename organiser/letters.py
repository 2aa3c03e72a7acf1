"""What a team gets: a receipt, its findings, and where its entry stands, as files in `outbox/<team>`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contest.disk.files import write_bytes, write_json
from organiser.books.ledger import Entry
from organiser.books.states import GRAPH, QUEUED, RECEIVED, SCORING, WITH_SCORE
from organiser.desk import Desk
from organiser.settings.event import PUBLIC

if TYPE_CHECKING:
    from contest.findings import Finding

_WIDTH = 100  # columns of the findings as text


def write_receipt(desk: Desk, entry: Entry) -> Path:
    """What was received and when, what happens next, and a line of the log that proves it; written once.

    Its figures are those of this moment; `.state.json` goes on.
    """
    assert entry.receipt is not None
    path = _letter(desk, entry, "receipt.json")
    if not path.exists():
        line = {"seq": entry.receipt, "hash": desk.ledger.line_hash(entry.receipt)}
        place = {"place_in_queue": place_in_queue(desk, entry)} if entry.state in (RECEIVED, QUEUED) else {}
        known = {key: getattr(entry, key) for key in ("team", "file", "sha256", "bytes", "received")}
        write_json(path, {"entry": entry.id, **known, **_state(entry), **place, "log": line})
    return path


def write_state(desk: Desk, entry: Entry) -> Path:
    """Where the entry stands now, with its public figures once it has them."""
    path = _letter(desk, entry, "state.json")
    value: dict[str, Any] = {"entry": entry.id, "sha256": entry.sha256, **_state(entry), "since": entry.since}
    if entry.state == QUEUED:
        value["place_in_queue"] = place_in_queue(desk, entry)
    version = desk.ledger.get("scorer")
    if entry.state in WITH_SCORE and version is not None:
        score = desk.ledger.scores(version, PUBLIC).get((entry.sha256, PUBLIC))
        if score is not None:
            value |= {"scorer": version, "part": PUBLIC, "figures": score.figures}
    write_json(path, value)
    return path


def write_findings(desk: Desk, entry: Entry, findings: Sequence[Finding]) -> Path:
    """What the check found, as text for people and as JSON for programs; good entries have both, too."""
    from submission.telling.formats import as_json, as_lines, verdict

    lines = [f"{entry.file}: {verdict(findings)}", *(line for _, line in as_lines(findings, _WIDTH))]
    path = _letter(desk, entry, "findings.txt")
    write_bytes(path, ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))
    write_bytes(path.with_suffix(".json"), (as_json(entry.file, desk.contest, findings) + "\n").encode())
    return path


def place_in_queue(desk: Desk, entry: Entry) -> int:
    """1 for the one that is next, or being scored; entries before it that are not checked yet count, too."""
    return 1 + sum(one.id < entry.id for one in desk.ledger.entries(RECEIVED, QUEUED, SCORING))


def _state(entry: Entry) -> dict[str, str]:
    state = GRAPH[entry.state]
    return {"state": entry.state, "reason": entry.reason, "meaning": state.meaning, "next": state.next}


def _letter(desk: Desk, entry: Entry, kind: str) -> Path:
    return desk.outbox / entry.team / f"{entry.folder}.{kind}"
