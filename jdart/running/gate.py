"""The aesthetic gate of a story: every picture's score, and the end of the run where their mean is too low."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from contest.definition import Contest
from contest.disk.files import sha256
from contest.entry.gate import GateReport, read_gate, write_gate
from contest.errors import UserError
from contest.findings import Finding
from jdart.runs.job import Event, Job


def rules_of(job: Job) -> Contest | None:
    """What a story is checked and packed by; None: run.json says it."""
    return None if job.config.story is None else replace(job.contest, styles={})


def without_gate(job: Job, findings: Sequence[Finding]) -> list[Finding]:
    """Findings without those of a gate that this run is yet to measure."""
    measured = job.config.story is not None and job.config.score.weights is not None
    return [one for one in findings if not (measured and one.code in ("S510", "S511"))]


def pass_gate(job: Job, device: str) -> Iterator[Event]:
    """Score the pictures of a story, unless the scores of these very pictures are there. UserError below the gate."""
    from evaluator.scoring.gate import score_story
    from evaluator.scoring.scorer import Options

    rules, weights = rules_of(job), job.config.score.weights
    assert rules is not None and rules.story is not None and weights is not None
    report = _known(job, rules)
    fresh = report is None
    if report is None:
        yield Event("score", None, 0, 1, "scoring")
        options = Options(profile=job.config.score.profile, device=device)
        report = score_story(job.folder.images, rules, Path(weights), options)
        write_gate(job.folder.report, report)
    if not report.passes:
        raise UserError(
            f"the story does not count: aesthetic score, {report.line()}; give these another seed or other words in "
            f"{job.config.story} and run again, which draws nothing else anew; "
            f"to pack it as it is: jdart-submit build {job.folder.root}"
        )
    yield Event("score", None, 1, 1, f"aesthetic score, {report.line()}", skipped=not fresh)


def _known(job: Job, rules: Contest) -> GateReport | None:
    """The scores that are there, where they are of the pictures that are there now and made with these weights."""
    from evaluator.metrics.aesthetic import Aesthetic
    from evaluator.weights.folder import open_weights

    assert rules.story is not None
    try:
        report = read_gate(job.folder.report)
    except (UserError, ValueError):
        return None  # made anew
    pictures = [path for path in job.folder.images.glob("*.png") if path.name != rules.story.sheet]
    if report is None or not report.is_of({path.name: sha256(path) for path in pictures}):
        return None
    pack = open_weights(Path(str(job.config.score.weights)))
    Aesthetic(pack)
    same = all(pack.files.get(name) is not None for name in report.weights)
    hashes = pack.hashes()
    same = same and all(hashes[name] == digest for name, digest in report.weights.items())
    return replace(report, gate=rules.story.aesthetic) if same else None
