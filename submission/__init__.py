"""Check, pack and verify an entry to the contest. Standard library, PyYAML and Pillow only."""

from submission.checks import Finding
from submission.contest import Contest
from submission.contest_file import contest_from_references, load_contest, shipped_contests
from submission.entry import BuildResult, build, check, verify
from submission.errors import UserError

__all__ = [
    "BuildResult",
    "Contest",
    "Finding",
    "UserError",
    "build",
    "check",
    "contest_from_references",
    "load_contest",
    "shipped_contests",
    "verify",
]
