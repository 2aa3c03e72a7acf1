"""Reports as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from contest.numbers import decimal, span
from evaluator.analysis.wording import style_formula
from evaluator.reporting.report import Report

if TYPE_CHECKING:
    from contest.entry.gate import GateReport
    from evaluator.scoring.batch import Outcome

_PARTS = ("style", "text", "quality")
_SHOWN = 10  # problems of one entry
# title, field of StyleScores and Scores, whether more is better
_COLUMNS = (
    ("DINO", "dino", True),
    ("Hist", "hist", True),
    ("LPIPS", "lpips", False),
    ("CLIP-IQA", "clip_iqa", True),
    ("CLIP-R", "clip_r", True),
)


def show_report(report: Report, console: Console) -> None:
    """One row per style and one for all; below it what the formula makes of them."""
    up, down = ("↑", "↓") if console.encoding.lower().startswith("utf") else ("^", "v")
    table = Table(title=f"{escape(report.submission.name)} on {escape(report.contest)}, profile {report.profile}")
    table.add_column("style", no_wrap=True)
    table.add_column("images", justify="right")
    for title, _, more_is_better in _COLUMNS:
        table.add_column(f"{title} {up if more_is_better else down}", justify="right", no_wrap=True)
    for style, row in report.styles.items():
        values = [decimal(getattr(row, field), 4) for _, field, _ in _COLUMNS]
        table.add_row(escape(style), str(row.images), *values)
    table.add_section()
    total = sum(row.images for row in report.styles.values())
    values = [decimal(getattr(report.scores, field), 4) for _, field, _ in _COLUMNS]
    table.add_row("all", str(total), *values, style="bold")
    console.print(table)

    scores, low, high = report.scores, *report.intervals["final"]
    console.print(
        f"FID {down} {decimal(scores.fid, 4)} over all styles    {style_formula(scores)}",
        highlight=False,
    )
    console.print(
        f"\n[bold]Final {up} {decimal(scores.final, 6)}[/bold]  (95 % with other prompts: {span(low, high, 4)})\n",
        highlight=False,
    )
    _show_extras(report, console)
    if report.post_processing is not None:
        console.print(f"[yellow]{report.post_processing}[/yellow]", highlight=False)
    if report.provenance.skipped:
        console.print(f"[yellow]Left out[/yellow]: {len(report.provenance.skipped)}", highlight=False)
        for problem in report.provenance.skipped:
            console.print(f"- {escape(problem)}", highlight=False)
    if not report.provenance.comparable:
        console.print("[yellow]Not comparable[/yellow] with the contest's scores:", highlight=False)
        for reason in report.provenance.not_comparable_because:
            console.print(f"- {escape(reason)}", highlight=False)


def show_gate(report: GateReport, console: Console) -> None:
    """A row for each picture of a story: its score, and how far it is from the gate."""
    table = Table(title="aesthetic score, 1 to 10")
    table.add_column("picture", no_wrap=True)
    table.add_column("score", justify="right")
    table.add_column("" if report.gate is None else f"from the gate of {report.gate:g}", justify="right")
    rows = [*((name, one.score) for name, one in report.pictures.items()), ("mean", report.mean)]
    for name, score in rows:
        away = "" if report.gate is None else f"{score - report.gate:+.2f}"
        table.add_row(escape(name), decimal(score, 2), away, style="bold" if name == "mean" else None)
    console.print(table)
    for reason in report.reasons:
        console.print(f"[yellow]Not comparable[/yellow]: {escape(reason)}", highlight=False)


def _show_extras(report: Report, console: Console) -> None:
    totals = {extra.label: extra.total for extra in report.extras.values() if extra.total is not None}
    for label, total in totals.items():
        console.print(f"[dim]beside Final:[/dim] {escape(label)} {decimal(total, 4)}", highlight=False)
    if report.corrected is not None:
        away = report.corrected.final - report.scores.final
        console.print(
            f"[dim]beside Final:[/dim] Final with the corrected metrics {decimal(report.corrected.final, 6)} "
            f"({decimal(away, 6, plus=True)})",
            highlight=False,
        )


def show_outcomes(outcomes: Sequence[Outcome], console: Console) -> None:
    """A batch, best first; entries without a score last, with what is wrong."""
    ranked = sorted(outcomes, key=lambda o: (o.report is None, -o.report.scores.final if o.report else 0.0, o.entry))
    table = Table(title=f"{len(outcomes)} entries")
    table.add_column("entry", overflow="fold")
    table.add_column("Final", justify="right", no_wrap=True)
    table.add_column("95 %", justify="right", no_wrap=True)
    for part in _PARTS:
        table.add_column(part.capitalize(), justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for outcome in ranked:
        report = outcome.report
        cells = [""] * (len(_PARTS) + 2)
        if report is not None:
            low, high = report.intervals["final"]
            cells = [decimal(report.scores.final, 6), f"{decimal(low, 3)}-{decimal(high, 3)}"]
            cells += [decimal(getattr(report.scores, part), 4) for part in _PARTS]
        table.add_row(escape(outcome.entry), *cells, outcome.state)
    console.print(table)
    for outcome in ranked:
        for problem in outcome.problems[:_SHOWN]:
            console.print(f"{escape(outcome.entry)}: {escape(problem)}", highlight=False)
        if len(outcome.problems) > _SHOWN:
            console.print(f"{escape(outcome.entry)}: and {len(outcome.problems) - _SHOWN} more", highlight=False)
