"""Score an entry as the contest's organisers do, each network seeing a picture once; imports `contest` alone.

    from evaluator import score_submission
    report = score_submission("runs/demo", weights="weights")
    report.scores.final

The names below are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contest.lazy import lazy

if TYPE_CHECKING:
    from evaluator.inputs.check import EntryRefused, Finding
    from evaluator.reporting.report import Report, read_report
    from evaluator.scoring.scorer import Options, Scorer, score_submission

__all__ = ["EntryRefused", "Finding", "Options", "Report", "Scorer", "read_report", "score_submission"]

__getattr__ = lazy(
    __name__,
    {
        "EntryRefused": "evaluator.inputs.check",
        "Finding": "evaluator.inputs.check",
        "Options": "evaluator.scoring.scorer",
        "Report": "evaluator.reporting.report",
        "Scorer": "evaluator.scoring.scorer",
        "read_report": "evaluator.reporting.report",
        "score_submission": "evaluator.scoring.scorer",
    },
)
