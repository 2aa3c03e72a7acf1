"""`jdart-eval score`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from contest.console import FINDINGS
from contest.screen import screen
from evaluator.commands.options import entry_options, extra_option, network_options, references_option, weights_option


@click.command("score")
@click.argument("path", type=click.Path(path_type=Path))
@references_option(required=False)
@weights_option(required=False)
@click.option("--contest", metavar="NAME|FILE", help="Where the references have no prompt.json: who has the prompts.")
@click.option("--styles", metavar="00,01", help="Score only these styles.")
@entry_options
@extra_option
@network_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The report folder [default: report/ in a run folder, else <name>-report beside PATH].",
)
def command(
    path: Path,
    references: Path | None,
    weights: Path | None,
    contest: str | None,
    styles: str | None,
    as_is: bool,
    strict: bool,
    out: Path | None,
    **network: Any,
) -> None:
    """Score PATH: a folder of style folders, a run folder (with run.json) or a built zip.

    A run folder brings its own references and weights; otherwise both options are needed. Exit code 0:
    scored; 1: the entry has problems, all of them listed; 2: misuse.
    """
    from dataclasses import asdict

    from evaluator.commands.options import progress_bars, read_options
    from evaluator.inputs.check import EntryRefused
    from evaluator.inputs.entry import open_entry
    from evaluator.reporting.output import report_folder
    from evaluator.reporting.table import show_report
    from evaluator.scoring.scorer import score_submission

    options = read_options(**network)
    with open_entry(path) as entry:
        place = report_folder(entry, out)
    try:
        with progress_bars() as progress:
            report = score_submission(
                path,
                references=references,
                weights=weights,
                contest=contest,
                styles=None if styles is None else [style.strip() for style in styles.split(",") if style.strip()],
                as_is=as_is,
                skip_bad=not strict,
                out=place,
                progress=progress,
                **asdict(options),
            )
    except EntryRefused as refused:
        for finding in refused.findings:
            click.echo(f"{finding.where}: {finding.message} [{finding.code}]", err=True)
        count = len(refused.findings)
        click.echo(f"no score: {count} problem{'s' if count > 1 else ''} found", err=True)
        raise SystemExit(FINDINGS) from None
    show_report(report, screen())
    click.echo(f"report: {place / 'report.json'}")
