"""The queue: one entry after the other, each archive scored once by each scorer; our own faults are not charged."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from contest.disk.files import link_file, sha256
from contest.errors import first_line
from organiser import rules
from organiser.books.ledger import Entry, Score
from organiser.books.states import FAILED, LATE, OUTDATED, QUEUED, REFUSED, SCORED, SCORING
from organiser.clock import from_text, to_text
from organiser.desk import Desk
from organiser.letters import write_state
from organiser.scorer import EntryScorer, Refused, Scored, public_figures, version_of

_log = logging.getLogger(__name__)
REPORT = "report.json"


def meet_scorer(desk: Desk, parts: Mapping[str, str]) -> list[str]:
    """Take a scorer into service. Returns what of it has changed, and marks old scores; empty where it is in force.

    As long as it has changed, nothing is scored: figures of two scorers must not stand side by side.
    """
    version, before = version_of(parts), desk.ledger.get("scorer")
    desk.ledger.know_scorer(version, parts)
    if before == version:
        for entry in desk.ledger.entries(OUTDATED):  # the change was taken back
            desk.ledger.move(entry, SCORED)
        return []
    if before is None or not desk.ledger.scores(before):
        desk.ledger.put_in_force(version, ())
        return []
    old = desk.ledger.scorer_parts(before)
    for entry in desk.ledger.entries(SCORED):
        desk.ledger.move(entry, OUTDATED, f"scorer {before}; now it is {version}")
    return sorted(name for name in {*old, *parts} if old.get(name) != parts.get(name))


def score_next(desk: Desk, scorer: EntryScorer) -> Entry | None:
    """Score the entry that is next; None when nobody waits."""
    waiting = desk.ledger.entries(QUEUED)
    if not waiting:
        return None
    entry = waiting[0]
    late = rules.dropped(desk.event, entry, to_text(desk.clock.now()))
    if late is not None:
        desk.ledger.move(entry, LATE, late)
    elif desk.ledger.move(entry, SCORING, attempts=entry.attempts + 1):
        _score(desk, scorer, desk.ledger.entry(entry.id))
    entry = desk.ledger.entry(entry.id)
    write_state(desk, entry)
    return entry


def _score(desk: Desk, scorer: EntryScorer, entry: Entry) -> None:
    version = version_of(scorer.parts)
    now = to_text(desk.clock.now())
    try:
        scores = score_archive(desk, scorer, entry)
    except Refused as refused:
        desk.ledger.move(entry, REFUSED, str(refused))
        return
    except (Exception, MemoryError) as error:  # a library may raise anything; it must not be the team's loss
        _log.debug("entry %d", entry.id, exc_info=True)
        said = f"could not be scored: {type(error).__name__}: {first_line(error)}"
        desk.ledger.move(entry, FAILED, said, "by no fault of the team")
        return
    with desk.ledger.transaction():
        add_new(desk, version, scores)
        first = now if entry.scored is None else entry.scored
        charged = None if entry.team in desk.event.baselines else desk.event.day_of(from_text(entry.received))
        desk.ledger.move(entry, SCORED, scored=first, charged=charged)


def add_new(desk: Desk, version: str, scores: Sequence[Score]) -> None:
    """Write down the scores that this scorer has not given before: one for an archive and split."""
    known = desk.ledger.scores(version)
    for score in scores:
        if (score.sha256, score.split) not in known:
            desk.ledger.add_score(score, public_figures(score.split, score.figures))


def score_archive(desk: Desk, scorer: EntryScorer, entry: Entry) -> list[Score]:
    """The entry's scores by this scorer: those that its archive has already, or new ones, with their report folders."""
    version = version_of(scorer.parts)
    known = [score for (digest, _), score in desk.ledger.scores(version).items() if digest == entry.sha256]
    if known:
        _share_reports(desk, entry, version)
        return known
    scored: Scored = scorer.score(desk.archive(entry))
    made = to_text(desk.clock.now())
    found = []
    for split, (report, attachments) in scored.items():
        from evaluator.reporting.output import write_report

        folder = desk.report(entry, version, split)
        write_report(folder, report, attachments)
        found.append(Score(entry.sha256, version, split, asdict(report.scores), sha256(folder / REPORT), made))
    return found


def _share_reports(desk: Desk, entry: Entry, version: str) -> None:
    """Give an entry the reports that the same archive of another entry has."""
    for other in desk.ledger.entries():
        source = desk.place(other) / "reports" / version
        if other.sha256 == entry.sha256 and other.id != entry.id and source.is_dir():
            for path in (one for one in sorted(source.rglob("*")) if one.is_file()):
                target = desk.place(entry) / "reports" / version / path.relative_to(source)
                if not _is_ours(path) and not target.exists():
                    link_file(target, path)
            return


def _is_ours(path: Path) -> bool:
    """Whether a file beside a report says whose entry it is."""
    return path.name == "entry.json"
