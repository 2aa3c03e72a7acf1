"""Check, pack and verify an entry to the contest; imports `contest`, the standard library, PyYAML and Pillow only."""

from contest.definition import Contest
from contest.errors import UserError
from contest.findings import Finding
from contest.reading import contest_from_references, load_contest, shipped_contests
from submission.packing.build import BuildResult, build, check, verify

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
