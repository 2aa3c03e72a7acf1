"""The report of one scoring: typed here, `report.json` (schema_version 1) on disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from contest.disk.files import read_json
from contest.errors import UserError
from contest.typed import from_json, to_schema
from evaluator.scoring.formula import Scores

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class StyleScores:
    """One style as the checker aggregates it, from so many images. FID has no official figure per style."""

    dino: float
    hist: float
    hist_rgb: float
    hist_hsv: float
    lpips: float
    clip_iqa: float
    clip_r: float
    images: int


@dataclass(frozen=True)
class ImageScores:
    """One picture. `dino` and `lpips` are means over the style's references, `clip_r_rank` counts from 1."""

    dino: float
    hist_rgb: float
    hist_hsv: float
    lpips: float
    clip_iqa: float
    clip_r_correct: bool
    clip_r_rank: int
    clip_r_top5: list[str]


@dataclass(frozen=True)
class Extra:
    """A figure that the checker does not have and that never enters Final; `total` only where one makes sense."""

    label: str
    total: Optional[float]
    styles: dict[str, float]
    images: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Pictures:
    """A set of pictures: a name for people, and a SHA-256 over names and contents."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """What the figures came from. `comparable` says whether they may stand beside the contest's own.

    `skipped` names the pictures that were left out, and why; `weights` maps a file to its SHA-256.
    """

    tool: str
    references: Pictures
    styles: list[str]
    as_is: bool
    complete: bool
    skipped: list[str]
    comparable: bool
    not_comparable_because: list[str]
    weights: dict[str, str]
    versions: dict[str, str]
    device: str
    precision: str
    seconds: dict[str, float]


@dataclass(frozen=True)
class Report:
    """Everything `jdart-eval score` found out about one entry.

    `intervals` holds the ends of the 95 % intervals of the fields of `scores`. `corrected` is what the formula
    gives with the true RGB histogram, the true hue and CLIP-IQA on 0..1, where that was asked for.
    """

    profile: str
    contest: str
    submission: Pictures
    scores: Scores
    intervals: dict[str, list[float]]
    styles: dict[str, StyleScores]
    images: dict[str, dict[str, ImageScores]]
    extras: dict[str, Extra]
    corrected: Optional[Scores]
    provenance: Provenance

    def to_json(self) -> dict[str, Any]:
        """The document as JSON values."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def read_report(path: Path) -> Report:
    """Read a report.json, or the one in a report folder or run folder.

    Raises UserError that names what is wrong; fields of later versions are passed over.
    """
    path = find_report(path)
    data = read_json(path)
    try:
        return report_from_json(data)
    except ValueError as error:
        raise UserError(f"{path}: not a report of jdart-eval: {error}") from error


def find_report(path: Path) -> Path:
    """The report.json that `path` is, or that a report folder or run folder holds. Raises UserError."""
    if not path.is_dir():
        return path
    for found in (path / "report.json", path / "report" / "report.json"):
        if found.is_file():
            return found
    raise UserError(f"{path}: no report.json in it; make one with: jdart-eval score")


def report_from_json(data: Any) -> Report:
    """The inverse of `Report.to_json`. Raises ValueError that names the field."""
    if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema_version must be {SCHEMA_VERSION}")
    return from_json(Report, data, "report")


def report_schema() -> dict[str, Any]:
    """The JSON Schema of report.json, published as `evaluator/reporting/report.schema.json`."""
    return to_schema(Report, "Report of jdart-eval", schema_version=SCHEMA_VERSION)
