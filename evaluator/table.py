"""A report as a table for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evaluator.report import Report

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
        values = [f"{getattr(row, field):.4f}" for _, field, _ in _COLUMNS]
        table.add_row(escape(style), str(row.images), *values)
    table.add_section()
    total = sum(row.images for row in report.styles.values())
    values = [f"{getattr(report.scores, field):.4f}" for _, field, _ in _COLUMNS]
    table.add_row("all", str(total), *values, style="bold")
    console.print(table)

    scores = report.scores
    console.print(
        f"FID {down} {scores.fid:.4f} over all styles    "
        f"Style {scores.style:.4f} x (Text {scores.text:.4f} + Quality {scores.quality:.4f})",
        highlight=False,
    )
    console.print(f"\n[bold]Final {up} {scores.final:.6f}[/bold]\n", highlight=False)
    if not report.provenance.comparable:
        console.print("[yellow]Not comparable[/yellow] with the contest's scores:", highlight=False)
        for reason in report.provenance.not_comparable_because:
            console.print(f"- {escape(reason)}", highlight=False)
