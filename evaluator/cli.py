"""`jdart-eval`: arguments in, exit code out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from submission.console import FINDINGS, Group, version_option

if TYPE_CHECKING:
    from evaluator.viewing import Progress


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@version_option("jdart-eval")
def main() -> None:
    """Score an entry exactly as the contest's organisers do, each picture seen once by each network."""


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--references",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="<style>/images and <style>/prompt.json.",
)
@click.option("--weights", type=click.Path(path_type=Path), metavar="DIR", help="The five networks; see `weights new`.")
@click.option("--profile", default="official-2024", show_default=True, help="The library behaviour to reproduce.")
@click.option("--styles", metavar="00,01", help="Score only these styles.")
@click.option("--as-is", is_flag=True, help="Score whatever pictures are there, complete or not, as the checker does.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The report folder [default: report/ in a run folder, else <name>-report beside PATH].",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
def score(
    path: Path,
    references: Path | None,
    weights: Path | None,
    profile: str,
    styles: str | None,
    as_is: bool,
    out: Path | None,
    device: str,
) -> None:
    """Score PATH: a folder of style folders, a run folder (with run.json) or a built zip.

    A run folder brings its own references and weights; otherwise both options are needed. Exit code 0:
    scored; 1: the entry has problems, all of them listed; 2: misuse.
    """
    from rich.console import Console

    from evaluator.check import EntryRefused
    from evaluator.entry import open_entry
    from evaluator.evaluate import score_submission
    from evaluator.output import report_folder
    from evaluator.table import show_report

    _use_all_cores()
    with open_entry(path) as entry:
        place = report_folder(entry, out)
    try:
        with _progress() as progress:
            report = score_submission(
                path,
                references=references,
                weights=weights,
                profile=profile,
                styles=None if styles is None else [style.strip() for style in styles.split(",") if style.strip()],
                as_is=as_is,
                out=place,
                device=device,
                progress=progress,
            )
    except EntryRefused as refused:
        for finding in refused.findings:
            click.echo(f"{finding.where}: {finding.message} [{finding.code}]", err=True)
        count = len(refused.findings)
        click.echo(f"no score: {count} problem{'s' if count > 1 else ''} found", err=True)
        raise SystemExit(FINDINGS) from None
    show_report(report, Console())
    click.echo(f"report: {place / 'report.json'}")


@main.group()
def weights() -> None:
    """The networks that the metrics need."""


@weights.command("new")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--preset", type=click.Choice(["tiny"]), default="tiny", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=11, show_default=True)
def new_weights(folder: Path, preset: str, seed: int) -> None:
    """Write random miniature weights in the real file formats to DIR, for tests and trials.

    The same seed gives the same numbers everywhere. Scores made with them say nothing about pictures.
    """
    from evaluator.miniature import write_miniature

    write_miniature(folder, seed)
    click.echo(f"{folder}: miniature weights (seed {seed}); scores made with them are not comparable with any others")


def _use_all_cores() -> None:
    """As many threads as cores this process may use, unless OMP_NUM_THREADS has decided already."""
    from submission.errors import needs

    # two programs whose waiting threads spin take turns at nothing; has to be said before torch is loaded
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with needs("eval"):
        import torch

    if "OMP_NUM_THREADS" not in os.environ and hasattr(os, "sched_getaffinity"):
        torch.set_num_threads(len(os.sched_getaffinity(0)))


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar per stage on standard error where that is a terminal, nothing otherwise."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks = {stage: bars.add_task(stage, total=None, visible=False) for stage in ("weights", "pictures")}

        def update(stage: str, done: int, total: int) -> None:
            bars.update(tasks[stage], completed=done, total=total, visible=True)

        yield update
