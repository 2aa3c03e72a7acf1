"""The report of one scoring: typed here, `report.json` (schema_version 1) on disk."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from evaluator.score import Scores
from submission.errors import UserError
from submission.files import read_json

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class StyleScores:
    """One style as the checker aggregates it, from so many images. FID has no figure per style."""

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
class Pictures:
    """A set of pictures: a name for people, and a SHA-256 over names and contents."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """What the figures came from. `comparable` says whether they may stand beside the contest's own."""

    tool: str
    references: Pictures
    styles: list[str]
    as_is: bool
    complete: bool
    comparable: bool
    not_comparable_because: list[str]
    weights: dict[str, str]  # file -> sha256
    versions: dict[str, str]
    device: str
    seconds: dict[str, float]


@dataclass(frozen=True)
class Report:
    """Everything `jdart-eval score` found out about one entry."""

    profile: str
    contest: str
    submission: Pictures
    scores: Scores
    styles: dict[str, StyleScores]
    images: dict[str, dict[str, ImageScores]]
    provenance: Provenance

    def to_json(self) -> dict[str, Any]:
        """The document as JSON values."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def read_report(path: Path) -> Report:
    """Read a report.json.

    Raises UserError that names what is wrong; fields of later versions are passed over.
    """
    data = read_json(path)
    try:
        return report_from_json(data)
    except ValueError as error:
        raise UserError(f"{path}: not a report of jdart-eval: {error}") from error


def report_from_json(data: Any) -> Report:
    """The inverse of `Report.to_json`. Raises ValueError that names the field."""
    if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema_version must be {SCHEMA_VERSION}")
    styles = _table(data, "styles", "report")
    images = {style: _table(data["images"], style, "images") for style in _table(data, "images", "report")}
    provenance = dict(_table(data, "provenance", "report"))
    provenance["references"] = _build(Pictures, _table(provenance, "references", "provenance"), "references")
    return _build(
        Report,
        {
            **data,
            "submission": _build(Pictures, _table(data, "submission", "report"), "submission"),
            "scores": _build(Scores, _table(data, "scores", "report"), "scores"),
            "styles": {name: _build(StyleScores, value, f"styles.{name}") for name, value in styles.items()},
            "images": {
                style: {name: _build(ImageScores, value, f"images.{style}.{name}") for name, value in table.items()}
                for style, table in images.items()
            },
            "provenance": _build(Provenance, provenance, "provenance"),
        },
        "report",
    )


_T = TypeVar("_T")
_KINDS: dict[str, Any] = {"str": str, "int": int, "float": (int, float), "bool": bool}


def _build(kind: type[_T], data: Any, where: str) -> _T:
    if not isinstance(data, dict):
        raise ValueError(f"{where} must be an object")
    values = {}
    for item in fields(kind):  # type: ignore[arg-type]
        if item.name not in data:
            raise ValueError(f"{where}.{item.name} is missing")
        value, name = data[item.name], str(item.type)
        wanted = _KINDS.get(name, list if name.startswith("list[") else dict if name.startswith("dict[") else object)
        if not isinstance(value, wanted) or (isinstance(value, bool) and name in ("int", "float")):
            raise ValueError(f"{where}.{item.name} must be of type {name}, not {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{where}.{item.name} is not a finite number")
        values[item.name] = value
    return kind(**values)


def _table(data: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = data.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"{where}.{key} must be an object")
    return value
