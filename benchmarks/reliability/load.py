"""How long a receipt takes while entries are scored, at several rates.

    python -m benchmarks.reliability.load                        # 1, 10 and 50 archives a minute; a quarter of an hour
    python -m benchmarks.reliability.load --evening 50 100       # archives a minute, archives; may be given again

A drill as `jdart-organise drill --rate` holds it, that ends when the last archive has its receipt: what is scored after
that delays nobody. One thread scores. The table of docs/organiser.md is written anew. Exit code 1: the 99th percentile
is not below the target.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.reliability.command import ROOT
from benchmarks.reliability.page import machine, put_table
from organiser.books.log import read_lines
from organiser.drilling.evening import Drill
from organiser.drilling.measures import longest_queue, scoring_times
from organiser.drilling.receipts import Receipts, receipts_of

PAGE = ROOT / "docs" / "organiser.md"
EVENINGS = ((1.0, 10), (10.0, 30), (50.0, 100))  # archives a minute, archives


@dataclass(frozen=True)
class Load:
    """Times in seconds; how many entries were scored by the last receipt, in how much of the time; longest queue."""

    rate: float
    archives: int
    receipts: Receipts
    seconds: float
    scored: int
    scoring: float
    waiting: int


def hold(folder: Path, rate: float, archives: int) -> Load:
    """A drill in a new folder, until the last receipt."""
    drill = Drill(folder, archives, rate)
    begun = time.monotonic()
    with closing(drill.hold()) as happenings:
        for _ in happenings:
            if len(drill.receipts()) == archives:
                break
    seconds = time.monotonic() - begun
    times = drill.receipts()
    assert len(times) == archives, f"{archives - len(times)} archives got no receipt"
    lines = read_lines(drill.desk.ledger.lines())
    scored = scoring_times(lines)
    return Load(rate, archives, receipts_of(times), seconds, len(scored), sum(scored), longest_queue(lines))


def cells(load: Load) -> tuple[str, ...]:
    """A row of the table."""
    whole, others = load.receipts.whole, load.receipts.others
    assert whole is not None  # the first archive of a drill is an honest one
    return (
        f"{load.rate:g}",
        f"{load.archives}",
        f"{whole.median:.2f} s",
        f"{whole.p99:.2f} s",
        "none was sent" if others is None else f"{others.p99:.2f} s",
        f"{load.scored}, in {load.scoring:.0f} of {load.seconds:.0f} s; at most {load.waiting} waited",
    )


@click.command()
@click.option("--evening", "evenings", type=(float, int), multiple=True, default=EVENINGS, metavar="RATE ARCHIVES")
@click.option("--page/--no-page", default=True, help="Write docs/organiser.md.")
def main(evenings: tuple[tuple[float, int], ...], page: bool) -> None:
    """Hold the evenings, and print the table."""
    from organiser.commands.options import set_threads

    set_threads(1)
    heads = (
        "archives a minute",
        "archives",
        "receipt, median",
        "99 %",
        "of no whole archive, 99 %",
        "scored meanwhile",
    )
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    good = True
    for rate, archives in evenings:
        with tempfile.TemporaryDirectory(prefix="load-") as folder:
            load = hold(Path(folder) / "drill", rate, archives)
        good = good and not load.receipts.problems()
        lines.append(f"| {' | '.join(cells(load))} |")
        click.echo(lines[-1])
    table = "\n".join([*lines, "", f"{machine()}; one thread scores."])
    if page:
        put_table(PAGE, "How long a receipt takes", table)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
