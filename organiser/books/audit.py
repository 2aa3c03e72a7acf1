"""Does everything agree: the log's chain, the ledger, archives, reports, what was published, the receipts?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from contest.disk.files import read_json, read_text, sha256
from contest.errors import UserError
from organiser.books.log import chain_problems, read_lines
from organiser.desk import Desk

Line = Mapping[str, Any]


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a published log. UserError: it is none."""
    try:
        return read_lines(read_text(path).splitlines())
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; name a log.jsonl") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}; name a log.jsonl as it was published") from error


def audit_log(lines: Sequence[Line], receipts: Iterable[Path] = (), earlier: Sequence[Line] | None = None) -> list[str]:
    """What anybody can check: the chain, that receipts are in it, and that nothing of an earlier copy was changed."""
    problems = chain_problems(lines)
    if earlier is not None and list(lines[: len(earlier)]) != list(earlier):
        problems.append("the earlier log is not the beginning of this one")
    for path in receipts:
        receipt = read_json(path)
        try:
            seq, digest = receipt["log"]["seq"], receipt["log"]["hash"]
            said = {key: receipt[key] for key in ("entry", "team", "sha256", "bytes", "received")}
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}: no receipt; name a .receipt.json from your outbox") from error
        line = lines[seq - 1] if type(seq) is int and 0 < seq <= len(lines) else {}
        if line.get("hash") != digest or any(line.get(key) != value for key, value in said.items()):
            problems.append(f"{path}: the log does not have what this receipt says")
    return problems


def audit_event(desk: Desk) -> list[str]:
    """What the organiser can check: all of it, to the last byte of every archive and report."""
    ledger = desk.ledger
    texts = ledger.lines()
    lines = read_lines(texts)
    problems = chain_problems(lines)
    problems += _published(desk.site / "log.jsonl", texts)
    received = {line["entry"]: line for line in lines if line["what"] == "received"}
    states = {line["entry"]: line["state"] for line in lines if line["what"] == "state"}
    for entry in ledger.entries():
        line, where = received.get(entry.id, {}), f"entry {entry.id}"
        known = {"team": entry.team, "sha256": entry.sha256, "bytes": entry.bytes, "received": entry.received}
        problems += [f"{where}: the log has another {key}" for key, value in known.items() if line.get(key) != value]
        if states.get(entry.id, "received") != entry.state:
            problems.append(f"{where}: is {entry.state}, and {states.get(entry.id, 'received')} by the log")
        archive = desk.archive(entry)
        if archive.is_file() and sha256(archive) != entry.sha256:
            problems.append(f"{where}: its archive was changed")
        elif not archive.is_file() and entry.bytes <= desk.contest.limits.archive_bytes:
            problems.append(f"{where}: its archive is gone")
    missing = set(received) - {entry.id for entry in ledger.entries()}
    problems += [f"entry {number}: is in the log and not in the ledger" for number in sorted(missing)]
    return problems + _scores(desk, lines)


def _published(path: Path, texts: Sequence[str]) -> list[str]:
    if not path.is_file():
        return []
    published = path.read_text("utf-8", "surrogatepass").splitlines()
    return [] if list(texts[: len(published)]) == published else [f"{path}: is not a beginning of the log"]


def _scores(desk: Desk, lines: Sequence[Line]) -> list[str]:
    problems = []
    kinds = ("sha256", "scorer", "split")
    logged = {tuple(line[kind] for kind in kinds): line["report"] for line in lines if line["what"] == "score"}
    versions = sorted({version for _, version, _ in logged})
    known = {(s.sha256, s.scorer, s.split): s for version in versions for s in desk.ledger.scores(version).values()}
    for key in sorted({*logged, *known}):
        where = f"score of archive {key[0][:8]} by scorer {key[1]}, {key[2]} part"
        score = known.get(key)
        if score is None or logged.get(key) != score.report:
            problems.append(f"{where}: log and ledger disagree")
            continue
        for entry in (one for one in desk.ledger.entries() if one.sha256 == key[0]):
            report = desk.report(entry, key[1], key[2]) / "report.json"
            if not report.is_file():
                continue  # one that was withdrawn before it was scored has none
            if sha256(report) != score.report:
                problems.append(f"{where}: the report of entry {entry.id} was changed")
            elif json.loads(report.read_bytes())["scores"]["final"] != score.figures["final"]:
                problems.append(f"{where}: the ledger has another Final than the report")
    return problems
