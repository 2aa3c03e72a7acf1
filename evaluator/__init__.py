"""Score an entry exactly as the contest's organisers do, with one forward pass per picture and network.

    from evaluator import score_submission
    report = score_submission("runs/demo", weights="weights")
    report.scores.final

The names below are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluator.check import EntryRefused, Finding
    from evaluator.evaluate import Options, Scorer, score_submission
    from evaluator.report import Report, read_report

__all__ = ["EntryRefused", "Finding", "Options", "Report", "Scorer", "read_report", "score_submission"]

_HOME = {
    "EntryRefused": "evaluator.check",
    "Finding": "evaluator.check",
    "Options": "evaluator.evaluate",
    "Report": "evaluator.report",
    "Scorer": "evaluator.evaluate",
    "read_report": "evaluator.report",
    "score_submission": "evaluator.evaluate",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
