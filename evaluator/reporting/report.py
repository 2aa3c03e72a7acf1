"""The report of one scoring: typed here, `report.json` (schema_version 1) on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from contest.disk.files import read_json
from contest.errors import UserError
from contest.notebook import html_table
from contest.numbers import decimal
from contest.typed import from_json, to_schema
from evaluator.reporting.frame import TEXT, columns_of, to_frame, values_of
from evaluator.scoring.formula import Scores

if TYPE_CHECKING:
    from pandas import DataFrame

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


STYLES = {"style": TEXT, **columns_of(StyleScores)}  # columns of the tables
IMAGES = {"style": TEXT, "image": TEXT, **columns_of(ImageScores)}


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

    `skipped` names the pictures that were left out, and why; `weights` maps a file to its SHA-256. `post_processed` is
    how many of the pictures say of themselves that they were changed when they were finished; not said for none.
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
    post_processed: Optional[int] = None


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
        data = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        if self.provenance.post_processed is None:
            del data["provenance"]["post_processed"]  # as in the reports of earlier versions, to the byte
        return data

    @property
    def post_processing(self) -> str | None:
        """One line where pictures were post-processed, by their own account; else None."""
        changed = self.provenance.post_processed
        if changed is None:
            return None
        total = sum(row.images for row in self.styles.values())
        return f"Post-processed: {changed} of {total} pictures, by their own account; an edition's rules may forbid it"

    def rows(self, kind: str) -> Iterator[tuple[Any, ...]]:
        """The rows of the table "styles" or "images"; raises UserError for another one."""
        if kind == "styles":
            return ((style, *values_of(row)) for style, row in self.styles.items())
        if kind == "images":
            return ((s, name, *values_of(row)) for s, images in self.images.items() for name, row in images.items())
        raise UserError(f"{kind!r} is no table of a report; take styles or images")

    def to_frame(self, kind: str) -> DataFrame:
        """The table "styles" or "images", as in styles.csv and images.csv; raises UserError without pandas."""
        rows = self.rows(kind)
        return to_frame(STYLES if kind == "styles" else IMAGES, rows)

    def _repr_html_(self) -> str:
        """A row per style and one for all, as a notebook shows it."""
        kept = [name for name in columns_of(StyleScores) if name not in ("hist_rgb", "hist_hsv", "images")]
        rows = [(style, *(decimal(getattr(row, name), 4) for name in kept)) for style, row in self.styles.items()]
        rows.append(("all", *(decimal(getattr(self.scores, name), 4) for name in kept)))
        said = f"{self.submission.name} on {self.contest}: Final {decimal(self.scores.final, 6)}"
        if not self.provenance.comparable:
            said += f" (not comparable with the contest: {'; '.join(self.provenance.not_comparable_because)})"
        if self.post_processing is not None:
            said += f". {self.post_processing}"
        return html_table(("style", *kept), rows, said)


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
