"""The board that everybody sees: the leaderboard's site of the entries that count, the standing, and the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from contest.disk.files import read_json, write_bytes, write_json
from contest.disk.spreadsheet import to_csv
from contest.errors import UserError
from contest.numbers import decimal
from organiser.books.log import read_lines
from organiser.books.states import PENDING
from organiser.clock import to_text
from organiser.desk import Desk
from organiser.pages.log import latest
from organiser.pages.render import render
from organiser.pages.standing import standing_page
from organiser.rules import Standing, in_words, standing
from organiser.settings.event import PRIVATE, PUBLIC

FIGURES = ("final", "style", "text", "quality", "dino", "hist", "fid", "lpips", "clip_iqa", "clip_r")


@dataclass(frozen=True)
class Board:
    """What is published: a split's standing by one scorer, and as it was at which time where it is frozen."""

    split: str
    scorer: Optional[str]
    frozen: Optional[str]
    final: bool
    rows: tuple[Standing, ...]


def frozen_since(desk: Desk) -> str | None:
    """Since when the board stands still; None where it does not."""
    if desk.ledger.get("final") is not None:
        return None
    now, lifted = to_text(desk.clock.now()), desk.ledger.get("lifted")
    times = [] if desk.event.freeze is None else [to_text(desk.event.freeze)]
    if (said := desk.ledger.get("freeze")) is not None:
        times.append(said)
    begun = [time for time in times if time <= now and (lifted is None or time >= lifted)]
    return min(begun) if begun else None


def freeze(desk: Desk, lift: bool = False) -> str | None:
    """Stop the board now, or let it go on. Returns since when it stands."""
    with desk.ledger.transaction():
        now = to_text(desk.clock.now())
        if lift:
            desk.ledger.set("lifted", now)
            desk.ledger.set("freeze", None)
            desk.ledger.note("freeze lifted")
        elif frozen_since(desk) is None:
            desk.ledger.set("freeze", now)
            desk.ledger.note("freeze")
    return frozen_since(desk)


def current_board(desk: Desk) -> Board:
    """What is to be seen now."""
    final = desk.ledger.get("final") is not None
    split = PRIVATE if final and desk.event.private is not None else PUBLIC
    version, frozen = desk.ledger.get("scorer"), frozen_since(desk)
    scores = {} if version is None else desk.ledger.scores(version)
    rows = standing(desk.event, desk.ledger.entries(), scores, desk.ledger.choices(), split, frozen)
    return Board(split, version, frozen, final, tuple(rows))


def make_final(desk: Desk) -> None:
    """From now on the final standing is what is published. UserError: it is too early."""
    if desk.ledger.get("final") is not None:
        return
    now = desk.clock.now()
    teams = {entry.team for entry in desk.ledger.entries()} | set(desk.event.exceptions)
    last = max((one for one in map(desk.event.deadline_of, teams) if one is not None), default=desk.event.deadline)
    if last is not None and now <= last:
        raise UserError(f"entries may come until {desk.event.told(last)}; publish --final after it")
    waiting = desk.ledger.entries(*PENDING)
    if waiting:
        names = ", ".join(f"{entry.id} ({entry.state})" for entry in waiting[:5]) + (" ..." if len(waiting) > 5 else "")
        raise UserError(
            f"{len(waiting)} entries are pending: {names}; see to them first: jdart-organise retry, or withdraw"
        )
    with desk.ledger.transaction():
        desk.ledger.set("final", to_text(now))
        rows = current_board(desk).rows
        told = [
            {"rank": row.rank, "team": row.team, "entry": row.entry.id, "final": row.figures["final"]} for row in rows
        ]
        desk.ledger.note("final", standing=told)


def publish(desk: Desk) -> Board:
    """Write the site; what has not changed is not made again."""
    from leaderboard import build_site
    from leaderboard.pages.scripts import static_files

    board = current_board(desk)
    if board.rows:
        assert board.scorer is not None
        folders = [_described(desk, row, board.scorer, board.split) for row in board.rows]
        build_site(folders, desk.site, desk.event.title, force=True, home="standing.html")
    else:  # what the pages look like; the board brings it along otherwise
        for name in ("board.css", "icon.svg"):
            write_bytes(desk.site / "static" / name, static_files()[name])
    if board.frozen is None:
        _publish_rescores(desk)
    lines = desk.ledger.lines(board.frozen)
    write_bytes(desk.site / "log.jsonl", "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass"))
    _publish_log(desk, lines)
    value = _as_json(desk, board, lines)
    write_json(desk.site / "standing.json", value)
    columns = ["rank", "tied", "team", "baseline", "entry", "received", "entries", *FIGURES]
    cells = [tuple({**row, **row["figures"]}[name] for name in columns) for row in value["rows"]]
    write_bytes(desk.site / "standing.csv", to_csv(columns, cells))
    write_bytes(
        desk.site / "standing.html", standing_page(desk.event, value, _is_toy(desk, board), _around(desk)).encode()
    )
    return board


def rescores(desk: Desk) -> list[dict[str, Any]]:
    """All changes of the scorer, the earliest first, as they were written down when they took place."""
    folder = desk.folder / "rescores"
    return [read_json(path) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []


def _publish_rescores(desk: Desk) -> None:
    told = rescores(desk)
    if not told:
        return
    for one in told:
        for row in one["entries"]:
            row["cells"] = [decimal(row[side]["final"], desk.event.decimals) for side in ("old", "new")]
            row["by"] = decimal(row["new"]["final"] - row["old"]["final"], desk.event.decimals, plus=True)
    page = render("rescores.html", rescores=told[::-1], **{**_around(desk), "rescored": True})
    write_bytes(desk.site / "rescores.html", page.encode())
    write_json(desk.site / "rescores.json", rescores(desk))


def _publish_log(desk: Desk, texts: Sequence[str]) -> None:
    rows = latest(read_lines(texts), desk.event)
    page = render("log.html", rows=rows, lines=len(texts), zone=str(desk.event.zone), **_around(desk))
    write_bytes(desk.site / "log.html", page.encode("utf-8", "backslashreplace"))


def _around(desk: Desk) -> dict[str, Any]:
    """What every page has: the title, and where it leads."""
    there = {
        name: (desk.site / f"{file}.html").is_file() for name, file in (("board", "index"), ("rescored", "rescores"))
    }
    return {"title": desk.event.title, **there}


def _described(desk: Desk, row: Standing, scorer: str, split: str) -> Path:
    """The report folder of an entry, with who made it beside the report."""
    folder = desk.report(row.entry, scorer, split)
    tags = ["baseline"] if row.team in desk.event.baselines else []
    said = {
        "name": row.team,
        "team": row.team,
        "date": row.entry.received,
        "tags": tags,
        "note": f"Entry {row.entry.id}",
    }
    path = folder / "entry.json"
    if not path.is_file() or read_json(path) != said:
        write_json(path, said)
    return folder


def _as_json(desk: Desk, board: Board, lines: Sequence[str]) -> dict[str, Any]:
    rows = [
        {
            "rank": row.rank,
            "tied": row.tied,
            "team": row.team,
            "baseline": row.team in desk.event.baselines,
            "entry": row.entry.id,
            "received": row.entry.received,
            "entries": row.entries,
            "figures": {name: row.figures[name] for name in FIGURES},
        }
        for row in board.rows
    ]
    last = read_lines(lines[-1:])
    return {
        "schema_version": 1,
        "title": desk.event.title,
        "part": board.split,
        "hidden_part": desk.event.private is not None,
        "final": board.final,
        "frozen": board.frozen,
        "scorer": board.scorer,
        "scorer_parts": {} if board.scorer is None else desk.ledger.scorer_parts(board.scorer),
        "rules": in_words(desk.event),
        "rows": rows,
        "log": {"lines": len(lines), "hash": last[0]["hash"] if last else None},
    }


def _is_toy(desk: Desk, board: Board) -> bool:
    """Whether the evaluator says of these figures that they are from toy weights."""
    if not board.rows or board.scorer is None:
        return False
    report = read_json(desk.report(board.rows[0].entry, board.scorer, board.split) / "report.json")
    return any(reason.startswith("toy weights") for reason in report["provenance"]["not_comparable_because"])
