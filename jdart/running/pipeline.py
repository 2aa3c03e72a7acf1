"""The whole way: prior, training, generation, check, score, archive, board.

The only module of jdart that calls the other three packages. Each stage is a generator of events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from contest.disk.files import fingerprint, read_json, sha256
from contest.errors import UserError, needs
from jdart.running.gate import pass_gate, rules_of, without_gate
from jdart.runs.job import Event, Job
from jdart.searching.judging import scorer_of
from jdart.searching.search import draw_candidates, search
from jdart.stages.composition import learn_styles
from jdart.stages.drawing import generate_styles
from jdart.stages.prior import make_prior

if TYPE_CHECKING:
    from evaluator.reporting.report import Report

STAGES = ("prior", "train", "generate", "check", "score", "build", "board")


def check_entry(job: Job) -> Iterator[Event]:
    """The rules of the contest. Raises UserError that names the command to see the findings with."""
    from contest.findings import errors
    from submission import check

    findings = without_gate(job, check(job.folder.root, rules_of(job)))
    wrong = errors(findings)
    if wrong:
        raise UserError(
            f"the entry has {len(wrong)} findings, the first: {wrong[0]}; "
            f"see all with: jdart-submit check {job.folder.root}"
        )
    said = f"{len(findings)} warnings: jdart-submit check {job.folder.root}" if findings else "no findings"
    yield Event("check", None, job.contest.pictures, job.contest.pictures, said, skipped=not findings)


def score_entry(job: Job, device: str, score: Callable[[Path], Report] | None = None) -> Iterator[Event]:
    """Score the pictures with the evaluator, unless the report of these very pictures is there.

    `score` is one of `open_scorer`, where many runs are scored.
    """
    from evaluator import score_submission

    if job.config.story is not None and job.config.score.weights is not None:
        yield from pass_gate(job, device)
        return
    if job.config.score.weights is None:
        yield Event("score", None, 1, 1, "left out: score.weights is not set", skipped=True)
        return
    report_file = job.folder.report / "report.json"
    if report_file.exists():
        report = read_json(report_file)
        pictures = {(path.parent.name, path.name): sha256(path) for path in job.folder.images.glob("*/*.png")}
        if report["submission"]["sha256"] == fingerprint(pictures) and report["profile"] == job.config.score.profile:
            yield Event("score", None, 1, 1, f"Final {report['scores']['final']:.6f}", skipped=True)
            return
    yield Event("score", None, 0, 1, "scoring")
    if score is None:
        scored = score_submission(job.folder.root, profile=job.config.score.profile, device=device)
    else:
        scored = score(job.folder.root)
    yield Event("score", None, 1, 1, f"Final {scored.scores.final:.6f}")


def open_scorer(job: Job, device: str) -> Callable[[Path], Report]:
    """What scores run folder after run folder with the job's weights and references, each network loaded once."""
    from evaluator.inputs.entry import open_entry
    from evaluator.reporting.output import report_folder, write_report

    scorer = scorer_of(job, device)

    def score(run: Path) -> Report:
        with open_entry(run) as entry:
            place = report_folder(entry, None)
            report, attachments = scorer.score(entry, scorer.admit(entry))
        write_report(place, report, attachments)
        return report

    return score


def build_entry(job: Job) -> Iterator[Event]:
    """Pack `entry.zip`."""
    from submission import build
    from submission.packing.build import REFUSED

    result = build(job.folder.root, rules_of(job), job.folder.entry, force=True)
    if result.state == REFUSED:
        raise UserError(f"the entry has findings; see them with: jdart-submit check {job.folder.root}")
    yield Event("build", None, 1, 1, f"{job.folder.entry} is {result.state}", skipped=result.state == "up to date")


def build_board(job: Job) -> Iterator[Event]:
    """The page of this run."""
    yield from publish_board([job.folder.report], job.folder.site)


def publish_board(reports: Sequence[Path], site: Path, title: str = "Leaderboard") -> Iterator[Event]:
    """A page of report folders; what has not changed since the last one is not made again."""
    from leaderboard import build_site
    from leaderboard.building.marker import MARKER

    files = [folder / "report.json" for folder in reports]
    if not all(file.exists() for file in files):
        yield Event("board", None, 1, 1, "left out: there is no score", skipped=True)
        return
    before = _written(site / MARKER)
    build_site(files, site, title)
    yield Event("board", None, 1, 1, str(site / "index.html"), skipped=_written(site / MARKER) == before)


def _written(file: Path) -> int | None:
    return file.stat().st_mtime_ns if file.exists() else None


def require_scorable(job: Job) -> None:
    """Raise UserError now for what would stop the score at the end of the run: profile, weights, packages."""
    from evaluator.metrics.aesthetic import Aesthetic
    from evaluator.profiles import find_profile
    from evaluator.weights.folder import open_weights

    if job.config.score.weights is not None:
        with needs("eval"):
            find_profile(job.config.score.profile)
            pack = open_weights(Path(job.config.score.weights))
            if job.config.story is not None:
                Aesthetic(pack)  # whose head not every folder has


def stages(job: Job, device: str) -> Mapping[str, Callable[[], Iterator[Event]]]:
    """Every stage by name, in order."""
    return {
        "prior": lambda: make_prior(job),
        "train": lambda: learn_styles(job),
        "candidates": lambda: draw_candidates(job, device),  # of a search, in a worker
        "generate": lambda: generate_styles(job),
        "search": lambda: search(job, device),  # instead of generate
        "check": lambda: check_entry(job),
        "score": lambda: score_entry(job, device),
        "build": lambda: build_entry(job),  # after the score, which the archive's manifest names
        "board": lambda: build_board(job),
    }
