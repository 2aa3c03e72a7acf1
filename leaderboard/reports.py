"""Read report.json as written by the evaluator, and trust nothing in it: entries come from strangers."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leaderboard.metrics import SCORES, STYLE_SCORES
from submission.errors import UserError
from submission.files import read_json, sha256
from submission.formats import printable

SCHEMA_VERSION = 1
REPORT = "report.json"
_LARGEST = 1e12  # no score comes near; keeps overflow and infinity out


@dataclass(frozen=True)
class Picture:
    """One scored output. `hit` says whether CLIP-R found the prompt, `rank` where, `top5` what it saw."""

    file: str
    hit: bool | None
    rank: int | None
    top5: tuple[str, ...]

    @property
    def prompt(self) -> str:
        return Path(self.file).stem


@dataclass(frozen=True)
class Report:
    """One validated report. Scores are finite numbers, or None where the evaluator could not give one."""

    path: Path
    digest: str
    name: str
    sha256: str | None
    contest: str
    profile: str
    scores: Mapping[str, float | None]
    styles: Mapping[str, Mapping[str, float | None]]
    images: Mapping[str, tuple[Picture, ...]]
    references: str
    weights: Mapping[str, str]
    versions: Mapping[str, str]
    device: str
    complete: bool
    comparable: bool
    reasons: tuple[str, ...]

    @property
    def references_id(self) -> str:
        """Short name of the references scored against: two contests may call themselves the same."""
        return self.references[:8]

    @property
    def weights_id(self) -> str:
        """Short name of the set of weights; entries scored with different sets are never ranked together."""
        return hashlib.sha256(json.dumps(sorted(self.weights.items())).encode()).hexdigest()[:8]


def read_report(path: str | os.PathLike[str]) -> Report:
    """Read a report.json, a report folder, or a run folder with `report/`.

    UserError: there is none, or it is not what the evaluator writes; every problem is named, with the file.
    """
    found = _find(Path(path))
    data = read_json(found)
    if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
        raise UserError(f"{found}: not a report of schema_version {SCHEMA_VERSION}; score it again with jdart-eval")
    take = _Taker()
    submission = take.mapping(data, "submission")
    provenance = take.mapping(data, "provenance")
    scores, styles, images = (take.mapping(data, key) for key in ("scores", "styles", "images"))
    complete, comparable = take.flag(provenance, "complete"), take.flag(provenance, "comparable")
    report = Report(
        path=found,
        digest=sha256(found),
        name=take.text(submission, "name"),
        sha256=take.text(submission, "sha256") if submission.get("sha256") is not None else None,
        contest=take.text(data, "contest"),
        profile=take.text(data, "profile"),
        scores={m.key: take.number(scores, m.key, needed=complete and comparable) for m in SCORES},
        styles={
            take.file_name(style): {m.key: take.number(take.mapping(styles, style), m.key) for m in STYLE_SCORES}
            for style in sorted(styles)
        },
        images={take.file_name(style): take.pictures(images, style) for style in sorted(images)},
        references=take.text(take.mapping(provenance, "references"), "sha256"),
        weights=take.texts(provenance, "weights"),
        versions=take.texts(provenance, "versions"),
        device=take.text(provenance, "device"),
        complete=complete,
        comparable=comparable,
        reasons=take.lines(provenance, "not_comparable_because"),
    )
    if take.problems:
        more = f"; and {len(take.problems) - 8} more" if len(take.problems) > 8 else ""
        raise UserError(f"{found}: {printable('; '.join(take.problems[:8]))}{more}")
    return report


def _find(path: Path) -> Path:
    if not path.is_dir():
        return path
    for found in (path / REPORT, path / "report" / REPORT):
        if found.is_file():
            return found
    raise UserError(f"{path}: no {REPORT} in it or in report/; make one with: jdart-eval")


@dataclass
class _Taker:
    """Takes typed values out of parsed JSON and notes what is not as it should be."""

    problems: list[str] = field(default_factory=list)

    def mapping(self, data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        return self._typed(data, key, dict, "an object", {})

    def flag(self, data: Mapping[str, Any], key: str) -> bool:
        return self._typed(data, key, bool, "true or false", False)

    def text(self, data: Mapping[str, Any], key: str) -> str:
        value = self._typed(data, key, str, "text", "")
        return self._clean(value, key)

    def lines(self, data: Mapping[str, Any], key: str) -> tuple[str, ...]:
        values = self._typed(data, key, list, "a list", [])
        if not all(isinstance(value, str) for value in values):
            self.problems.append(f"{key} must be a list of text")
            return ()
        return tuple(self._clean(value, key) for value in values)

    def texts(self, data: Mapping[str, Any], key: str) -> dict[str, str]:
        values = self.mapping(data, key)
        return {self._clean(name, key): self.text(values, name) for name in sorted(values)}

    def number(self, data: Mapping[str, Any], key: str, needed: bool = False) -> float | None:
        value = data.get(key)
        if value is None and not needed:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST:
            return float(value)
        shown = repr(value)[:30] if isinstance(value, (int, float, str)) else type(value).__name__
        self.problems.append(f"{key} must be a finite number, not {shown}")
        return None

    def file_name(self, name: str) -> str:
        """Style and picture names lead to thumbnails: one that is no plain file name is refused."""
        if not name or name in (".", "..") or not {"/", "\\", "\0"}.isdisjoint(name):
            self.problems.append(f"{name!r} cannot name a style or picture")
        return self._clean(name, "name")

    def pictures(self, images: Mapping[str, Any], style: str) -> tuple[Picture, ...]:
        group = self.mapping(images, style)
        out = []
        for file in sorted(group):
            one = self.mapping(group, file)
            rank = self.number(one, "clip_r_rank")
            hit = self.flag(one, "clip_r_correct") if one.get("clip_r_correct") is not None else None
            top5 = self.lines(one, "clip_r_top5") if one.get("clip_r_top5") is not None else ()
            out.append(Picture(self.file_name(file), hit, None if rank is None else int(rank), top5))
        return tuple(out)

    def _typed(self, data: Mapping[str, Any], key: str, kind: type, what: str, default: Any) -> Any:
        value = data.get(key)
        if isinstance(value, kind):
            return value
        self.problems.append(f"{key} {'is missing' if key not in data else f'must be {what}'}")
        return default

    def _clean(self, value: str, key: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:  # JSON can spell half a character
            self.problems.append(f"{key} is not valid Unicode")
        return value
