"""`jdart-eval batch`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from contest.console import FINDINGS
from contest.screen import screen
from evaluator.commands.options import entry_options, extra_option, network_options, references_option, weights_option


@click.command("batch")
@click.argument("entries", type=click.Path(path_type=Path), nargs=-1, required=True)
@references_option(required=True)
@weights_option(required=True)
@entry_options
@extra_option
@network_options
@click.option(
    "--executor", type=click.Choice(["local", "ray"]), default="local", help="This process, or a Ray cluster."
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Of a Ray cluster: processes [default: all its cores or GPUs].",
)
@click.option("--ray-address", metavar="HOST:PORT", help="A cluster that is there, or auto; else one is started here.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", required=True, help="Where the reports go.")
def command(
    entries: tuple[Path, ...],
    references: Path,
    weights: Path,
    as_is: bool,
    strict: bool,
    out: Path,
    executor: str,
    workers: int | None,
    ray_address: str | None,
    **network: Any,
) -> None:
    """Score many ENTRIES with one set of networks and references.

    Each gets DIR/<entry>/report.json; DIR/summary.csv has a row for each. A bad entry stops nobody, and what is
    there already is not scored again. Exit code 0: all are scored; 1: some could not be; 2: misuse.
    """

    from contest.disk.writable import require_file
    from contest.errors import UserError, needs
    from evaluator.commands.options import progress_bars, read_options
    from evaluator.inputs.refpack import open_references
    from evaluator.reporting.table import show_outcomes
    from evaluator.scoring.batch import SUMMARY, score_batch
    from evaluator.scoring.scorer import Scorer
    from evaluator.scoring.spread import Judge, score_on_ray

    require_file(out / SUMMARY)
    if executor != "ray" and (workers is not None or ray_address is not None):
        raise UserError("--workers and --ray-address are for a Ray cluster; add --executor ray, or leave them out")
    options = read_options(**network)
    with needs("eval"), progress_bars("entries") as progress:

        def begun(entry: str, done: int, total: int) -> None:
            progress("entries", done, total)

        if executor == "ray":
            judge = Judge(references, weights, options, as_is, not strict, network["threads"])
            outcomes = list(score_on_ray(entries, judge, out, workers, ray_address, begun))
        else:
            scorer = Scorer(open_references(references), weights, options, progress)
            outcomes = list(score_batch(entries, scorer, out, as_is, not strict, begun))
    show_outcomes(outcomes, screen())
    click.echo(f"summary: {out / SUMMARY}")
    if any(outcome.report is None for outcome in outcomes):
        raise SystemExit(FINDINGS)
