"""Many entries, one set of networks and references: each gets its report, a bad one stops nobody."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from contest.disk.files import write_bytes
from contest.disk.writable import require_file
from contest.errors import UserError
from evaluator.analysis.cells import read_cells
from evaluator.inputs.check import EntryRefused
from evaluator.inputs.entry import Entry, is_text, open_entry
from evaluator.reporting.frame import TEXT, columns_of, frame_to_csv, to_frame, values_of
from evaluator.reporting.output import require_report_folder, write_report
from evaluator.reporting.report import Report
from evaluator.scoring.formula import Scores
from evaluator.scoring.scorer import Admission, Scorer

_Answer = TypeVar("_Answer")
SUMMARY = "summary.csv"
SUMMARY_COLUMNS = {
    "entry": TEXT,
    "path": TEXT,
    "state": TEXT,
    **columns_of(Scores),
    "final_low": "float64",
    "final_high": "float64",
    "comparable": "boolean",
    "report": TEXT,
    "problems": TEXT,
}


@dataclass(frozen=True)
class Outcome:
    """What became of one entry: "scored", "kept" (its report was there) or "refused", and then why."""

    entry: str
    path: Path
    state: str
    folder: Path
    report: Report | None
    problems: tuple[str, ...] = ()


def score_batch(
    paths: Sequence[Path],
    scorer: Scorer,
    out: Path,
    as_is: bool = False,
    skip_bad: bool = False,
    begun: Callable[[str, int, int], None] = lambda entry, done, total: None,
) -> Iterator[Outcome]:
    """Score entry after entry into `out`/<entry>/, and keep `out`/summary.csv up to date.

    An entry whose report is there, made of the same pictures in the same way, is not scored again. Entries of one
    name are told apart by their paths. Raises UserError for an `out` that cannot be used.
    """
    require_file(out / SUMMARY)
    to_frame(SUMMARY_COLUMNS, ())  # a missing pandas is said before the first entry is scored
    names = folder_names(paths)
    outcomes: list[Outcome] = []
    for done, (path, name) in enumerate(zip(paths, names)):
        begun(name, done, len(paths))
        outcomes.append(score_one(path, name, scorer, out / name, as_is, skip_bad))
        write_bytes(out / SUMMARY, summary_of(outcomes, out))
        yield outcomes[-1]
    begun("", len(paths), len(paths))


def begin_one(
    path: Path, name: str, scorer: Scorer, folder: Path, as_is: bool, skip_bad: bool
) -> Outcome | tuple[str, ...]:
    """What becomes of an entry of which nothing need be computed; else the styles whose pictures must be looked at."""

    def begin() -> Outcome | tuple[str, ...]:
        with open_entry(path) as entry:
            admission, there = _admit(path, name, entry, scorer, folder, as_is, skip_bad)
            return tuple(admission.pictures) if there is None else there

    return _answer(path, name, folder, begin)


def score_one(path: Path, name: str, scorer: Scorer, folder: Path, as_is: bool, skip_bad: bool) -> Outcome:
    """One entry into `folder`, unless its report is there; what is wrong with it is in the outcome."""

    def score() -> Outcome:
        with open_entry(path) as entry:
            admission, there = _admit(path, name, entry, scorer, folder, as_is, skip_bad)
            if there is not None:
                return there
            report, attachments = scorer.score(entry, admission, as_is, skip_bad)
        write_report(folder, report, attachments)
        return Outcome(name, path, "scored", folder, report)

    return _answer(path, name, folder, score)


def _admit(
    path: Path, name: str, entry: Entry, scorer: Scorer, folder: Path, as_is: bool, skip_bad: bool
) -> tuple[Admission, Outcome | None]:
    """What is to be scored, and the outcome where that was done. Raises EntryRefused and UserError."""
    if _inside(folder, entry.home):
        raise UserError(f"{folder}: lies inside the submission; choose another folder with --out")
    admission = scorer.admit(entry, None, as_is, skip_bad)
    there = _report_of(folder, admission, scorer, as_is)
    if there is not None:
        return admission, Outcome(name, path, "kept", folder, there)
    require_report_folder(folder)
    return admission, None


def _answer(path: Path, name: str, folder: Path, work: Callable[[], _Answer]) -> _Answer | Outcome:
    """What `work` gives, or that the entry is refused, and why."""
    try:
        return work()
    except EntryRefused as refused:
        return Outcome(name, path, "refused", folder, None, tuple(map(str, refused.findings)))
    except (UserError, OSError) as error:
        return Outcome(name, path, "refused", folder, None, (str(error),))


def _report_of(folder: Path, admission: Admission, scorer: Scorer, as_is: bool) -> Report | None:
    """The report in `folder` if scoring again would only repeat it."""
    if not (folder / "report.json").is_file():
        return None
    try:
        report, cells = read_cells(folder / "report.json")
    except UserError:
        return None  # not one of ours, or of an earlier version: it is written anew
    provenance = report.provenance
    same = (
        report.submission.sha256 == admission.sha256
        and report.profile == scorer.options.profile
        and provenance.references.sha256 == scorer.references_sha256(admission.styles)
        and provenance.weights == scorer.hashes
        and provenance.precision == scorer.options.precision
        and provenance.as_is == as_is
        and provenance.post_processed == admission.post_processed
        and provenance.tool == scorer.tool
        and set(report.extras) >= scorer.extra_keys
        and cells.bounds is not None  # else what lies beside it is missing, damaged or of an earlier version
    )
    return report if same else None


def folder_names(paths: Sequence[Path]) -> list[str]:
    """What each entry is called, no two alike."""
    names = [_name_of(path) for path in paths]
    often = Counter(names)
    tags = [hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:8] for path in paths]
    return [name if often[name] == 1 else f"{name}-{tag}" for name, tag in zip(names, tags)]


def _name_of(path: Path) -> str:
    try:
        with open_entry(path) as entry:
            name = entry.name
    except (UserError, OSError):
        name = path.stem
    plain = is_text(name) and "/" not in name and "\\" not in name and not name.startswith(".")
    return name if plain else hashlib.sha256(ascii(name).encode()).hexdigest()[:8]


def _inside(folder: Path, home: Path) -> bool:
    return home.resolve() in (folder.resolve(), *folder.resolve().parents)


def summary_of(outcomes: Sequence[Outcome], out: Path) -> bytes:
    """summary.csv."""
    return frame_to_csv(to_frame(SUMMARY_COLUMNS, [_summary_row(outcome, out) for outcome in outcomes]))


def _summary_row(outcome: Outcome, out: Path) -> tuple[Any, ...]:
    report = outcome.report
    figures: tuple[Any, ...] = (None,) * (len(SUMMARY_COLUMNS) - 4)
    if report is not None:
        where = str((outcome.folder / "report.json").relative_to(out))
        figures = (*values_of(report.scores), *report.intervals["final"], report.provenance.comparable, where)
    return outcome.entry, str(outcome.path), outcome.state, *figures, "; ".join(outcome.problems)
