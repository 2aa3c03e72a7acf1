"""The board as data: board.json, board.csv, and the schema of board.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Optional

from contest.disk.spreadsheet import to_csv
from contest.typed import to_schema
from leaderboard.entries import Row, Section
from leaderboard.metrics import SCORES

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Entry:
    """One entry. Only those of the same `ranking` may be compared; scores are null where the evaluator gave none.

    `status` is "ranked", "incomplete" or "not comparable". `rank_range` holds the best and the worst rank that the 95 %
    intervals allow, `interval` that of Final; both are null, or have two parts. `styles` maps a style to its metrics.
    `post_processed` is how many pictures say of themselves that they were; no entry has it where it is 0 for all.
    """

    ranking: str
    status: str
    contest: str
    profile: str
    references: str
    weights: str
    toy: bool
    rank: Optional[int]
    tied: bool
    rank_range: Optional[list[int]]
    name: str
    team: Optional[str]
    tags: list[str]
    date: Optional[str]
    note: Optional[str]
    link: Optional[str]
    final: Optional[float]
    interval: Optional[list[float]]
    style: Optional[float]
    dino: Optional[float]
    hist: Optional[float]
    lpips: Optional[float]
    text: Optional[float]
    clip_r: Optional[float]
    quality: Optional[float]
    fid: Optional[float]
    clip_iqa: Optional[float]
    styles: dict[str, dict[str, Optional[float]]]
    reasons: list[str]
    commit: Optional[str]
    sha256: Optional[str]
    page: str
    post_processed: int = 0


@dataclass(frozen=True)
class Document:
    """All entries of a board, best first within each ranking."""

    title: str
    entries: list[Entry]


def board_schema() -> dict[str, Any]:
    """The JSON Schema of board.json, published beside it and as `leaderboard/board.schema.json`."""
    return to_schema(Document, "Board of jdart-board", schema_version=SCHEMA_VERSION)


def as_records(sections: Iterable[Section]) -> list[dict[str, Any]]:
    """One record for each entry, as in board.json."""
    records = [vars(_entry(section, row)) for section in sections for row in section.rows]
    if not any(record["post_processed"] for record in records):  # as before there was such a thing, to the byte
        for record in records:
            del record["post_processed"]
    return records


def as_json(title: str, records: Iterable[dict[str, Any]]) -> bytes:
    """The bytes of board.json, an entry a line."""
    lines = ",\n".join(map(_json, records))
    head = f'"schema_version": {SCHEMA_VERSION}, "title": {_json(title)}'
    return f'{{{head}, "entries": [\n{lines}\n]}}\n'.encode()


def as_csv(records: Iterable[dict[str, Any]]) -> bytes:
    """The bytes of board.csv, for spreadsheets: the records without their styles."""
    rows = [dict(_cells(record)) for record in records]
    return to_csv(list(rows[0]), [list(row.values()) for row in rows])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _entry(section: Section, row: Row) -> Entry:
    report, meta = row.report, row.report.meta
    return Entry(
        ranking=section.slug,
        status=section.status,
        contest=section.contest,
        profile=section.profile,
        references=section.references_id,
        weights=section.weights_id,
        toy=row.toy,
        rank=row.rank,
        tied=row.tied,
        rank_range=None if row.rank_range is None else list(row.rank_range),
        name=row.title,
        team=meta.team,
        tags=list(meta.tags),
        date=meta.date,
        note=meta.note,
        link=meta.link,
        interval=None if report.interval is None else list(report.interval),
        styles={style: dict(values) for style, values in report.styles.items()},
        reasons=list(row.reasons),
        commit=report.commit,
        sha256=report.sha256,
        page=row.page,
        post_processed=report.post_processed,
        **{metric.key: report.scores[metric.key] for metric in SCORES},
    )


def _cells(record: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        if key == "styles":
            continue
        if key in ("interval", "rank_range"):
            yield f"{key}_low", None if value is None else value[0]
            yield f"{key}_high", None if value is None else value[1]
        else:
            yield key, "; ".join(value) if isinstance(value, list) else value


def schema_bytes() -> bytes:
    """The schema as a file."""
    return (json.dumps(board_schema(), indent=1) + "\n").encode()
