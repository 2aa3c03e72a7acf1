"""Reports and the CSV files of `jdart-eval` as tidy pandas frames.

    from evaluator.frames import read_reports
    frames = read_reports(["runs/a", "runs/b"])
    frames.images.groupby(["entry", "style"]).dino.mean()

Style ids, names and nouns are text, always: "00" stays "00", and "NA", "None", "nan", "007" stay what they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union

from evaluator.analysis.export import COMPARISON, EXPLANATION
from evaluator.reporting.frame import TEXT, columns_of, read_frame, to_frame, values_of
from evaluator.reporting.report import IMAGES, STYLES, Report, read_report
from evaluator.scoring.batch import SUMMARY_COLUMNS
from evaluator.scoring.formula import Scores

if TYPE_CHECKING:
    from pandas import DataFrame

PathLike = Union[str, "os.PathLike[str]"]
_OF = {"entry": TEXT, "report": TEXT}  # an entry's name, and the path that was given: two entries may share a name
ENTRIES = {
    **_OF,
    "contest": TEXT,
    "profile": TEXT,
    **columns_of(Scores),
    "final_low": "float64",
    "final_high": "float64",
    "comparable": "bool",
    "sha256": TEXT,
}


@dataclass(frozen=True)
class Frames:
    """Some reports: a row an entry, a row a style, a row a picture; `entry` and `report` tell whose it is."""

    entries: DataFrame
    styles: DataFrame
    images: DataFrame


def read_reports(paths: Iterable[PathLike]) -> Frames:
    """Reports, each a report.json, a report folder or a run folder. Raises UserError for one that cannot be read."""
    reports = {str(path): read_report(Path(path)) for path in paths}
    tables = {
        kind: to_frame(
            {**_OF, **columns},
            [(report.submission.name, path, *row) for path, report in reports.items() for row in report.rows(kind)],
        )
        for kind, columns in (("styles", STYLES), ("images", IMAGES))
    }
    return Frames(to_frame(ENTRIES, [_entry(path, report) for path, report in reports.items()]), **tables)


def read_csv(path: PathLike) -> DataFrame:
    """A table of `score`, `batch`, `explain --csv` or `compare --csv`, with its types. Raises UserError."""
    return read_frame(Path(path), (STYLES, IMAGES, SUMMARY_COLUMNS, EXPLANATION, COMPARISON))


def _entry(path: str, report: Report) -> tuple[object, ...]:
    return (
        report.submission.name,
        path,
        report.contest,
        report.profile,
        *values_of(report.scores),
        *report.intervals["final"],
        report.provenance.comparable,
        report.submission.sha256,
    )
