"""What a run folder tells beyond run.json: the git commit it lies in, and the score its pictures got."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from contest.disk.files import read_json
from contest.errors import UserError
from contest.typed import from_json
from submission.packing.manifest import Score

REPORT = Path("report", "report.json")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def find_commit(folder: Path) -> str | None:
    """The commit checked out where `folder` lies, or None: no git, or nothing committed yet.

    Read from git's own files, so that it needs no git and runs nothing that a stranger's repository configures.
    Layout: https://git-scm.com/docs/gitrepository-layout
    """
    folder = folder.resolve()
    dot_git = next((place / ".git" for place in (folder, *folder.parents) if (place / ".git").exists()), None)
    if dot_git is None:
        return None
    repository = dot_git
    if dot_git.is_file():  # a worktree or a submodule says where its repository is
        repository = dot_git.parent / _text(dot_git).partition("gitdir: ")[2]
    shared = _text(repository / "commondir")
    common = repository / shared if shared else repository
    head = _text(repository / "HEAD")
    if head.startswith("ref: "):
        name = head[len("ref: ") :]
        loose = _text(common / name)
        head = loose if loose else _packed(common / "packed-refs", name)
    return head if _COMMIT.fullmatch(head) else None


def find_score(folder: Path) -> Score | None:
    """The score in a run folder's report, None when it has none. UserError: not a report of jdart-eval."""
    path = folder / REPORT
    if not path.is_file():
        return None
    try:
        report = from_json(_Report, read_json(path), "report")
    except ValueError as error:
        raise UserError(f"{path}: not a report of jdart-eval ({error}); score again or remove it") from error
    return Score(
        final=report.scores.final,
        profile=report.profile,
        comparable=report.provenance.comparable,
        pictures=report.submission.sha256,
        weights=dict(sorted(report.provenance.weights.items())),
    )


@dataclass(frozen=True)
class _Scores:
    final: float


@dataclass(frozen=True)
class _Pictures:
    sha256: str


@dataclass(frozen=True)
class _Provenance:
    comparable: bool
    weights: dict[str, str]


@dataclass(frozen=True)
class _Report:
    """The part of report.json (docs/adr/0001) that a manifest repeats."""

    profile: str
    submission: _Pictures
    scores: _Scores
    provenance: _Provenance


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""


def _packed(path: Path, name: str) -> str:
    lines = (line.split(" ") for line in _text(path).splitlines())
    return next((line[0] for line in lines if line[1:] == [name]), "")
