"""`jdart-eval aesthetic`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from contest.console import FINDINGS
from contest.screen import screen
from evaluator.commands.options import network_options, weights_option


@click.command("aesthetic")
@click.argument("path", type=click.Path(path_type=Path))
@weights_option(required=False)
@click.option(
    "--contest",
    metavar="NAME|FILE",
    help="Whose gate it is [default: what PATH names, else kolors-story].",
)
@network_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The report folder [default: report/ in a run folder, else <name>-report beside PATH].",
)
def command(path: Path, weights: Path | None, contest: str | None, out: Path | None, **network: Any) -> None:
    """Say the aesthetic score of each picture of a story, and whether their mean passes the contest's gate.

    PATH is a run folder, a folder of pictures or a zip. Exit code 0: it passes; 1: it does not, or pictures cannot be
    scored; 2: misuse.
    """
    from contest.entry.gate import GATE_FILE, write_gate
    from contest.errors import UserError
    from contest.reading import load_contest, shipped_contests
    from evaluator.commands.options import progress_bars, read_options
    from evaluator.inputs.check import EntryRefused
    from evaluator.inputs.entry import open_entry
    from evaluator.reporting.output import report_folder
    from evaluator.reporting.table import show_gate
    from evaluator.scoring.gate import score_story

    options = read_options(**network)
    with open_entry(path) as entry:
        place, home = report_folder(entry, out), entry.home
        named = entry.contest if entry.contest in shipped_contests() else "kolors-story"
    rules = load_contest(str(named) if contest is None else contest)
    if rules.story is None:
        raise UserError(f"contest {rules.name} is none of stories; score its entry with: jdart-eval score {path}")
    weights = entry.weights if weights is None else weights
    if weights is None:
        raise UserError(f"{path} does not say with which weights; add --weights DIR, or --weights toy")
    try:
        with progress_bars() as progress:
            report = score_story(home, rules, weights, options, progress)
    except EntryRefused as refused:
        for finding in refused.findings:
            click.echo(f"{finding} [{finding.code}]", err=True)
        click.echo(f"no score: {len(refused.findings)} problems found", err=True)
        raise SystemExit(FINDINGS) from None
    write_gate(place, report)
    show_gate(report, screen())
    click.echo(f"report: {place / GATE_FILE}")
    if not report.passes:
        click.echo(report.line(), err=True)
        raise SystemExit(FINDINGS)
