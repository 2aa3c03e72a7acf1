"""`jdart-organise drill`."""

from __future__ import annotations

from pathlib import Path

import click

from organiser.commands.options import entry_line, set_threads, threads_option


@click.command("drill")
@click.option("--entries", type=click.IntRange(min=1), default=200, show_default=True, help="How many archives.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Send N a minute  [default: all at once]"
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the pictures.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("drill"),
    show_default=True,
    metavar="DIR",
    help="A new folder.",
)
@threads_option
def drill_command(entries: int, rate: float | None, seed: int, out: Path, threads: int | None) -> None:
    """Rehearse the evening with fake archives: hostile, broken, late, double and honest ones.

    The toy contest, its references and its weights; nothing of your event is touched. DIR/drill.json has the figures,
    DIR/event is the event, to look at. Exit code 1: an entry ended where it must not, the log does not agree, or with
    --rate receipts took 2 seconds and more at the 99th percentile, or 4 for what is no whole archive, which is given
    2 seconds to go on growing.
    """
    from dataclasses import asdict

    from contest.console import FINDINGS
    from contest.cores import processor
    from contest.disk.files import write_json
    from organiser.drilling.evening import Drill

    set_threads(threads)
    drill = Drill(out, entries, rate, seed)
    click.echo(f"{out}: {entries} archives are ready")
    for one in drill.hold():
        if one.entry is not None:
            click.echo(entry_line(one.entry))
        elif one.said:
            click.echo(one.said, err=True)
    found = drill.measures()
    write_json(out / "drill.json", {"schema_version": 2, "processor": processor(), **asdict(found)})
    click.echo(", ".join(f"{count} {state}" for state, count in found.states.items()))
    size = f"at most {found.longest_queue} waiting, {found.memory / 1e9:.2f} GB of memory"
    click.echo(f"{found.seconds:.0f} s, {found.cpu:.0f} s of the CPU, {size}")
    told = {
        "receipts": found.receipts.whole,
        "receipts of no whole archive": found.receipts.others,
        "scoring one, by toy weights": found.scoring,
    }
    for what, times in told.items():
        if times is not None:
            click.echo(f"{what}: {times.median:.2f} s, 99 % within {times.p99:.2f} s, at most {times.most:.2f} s")
    for problem in found.wrong:
        click.echo(f"wrong: {problem}")
    click.echo(
        f"{out / 'drill.json'}: " + (f"{len(found.wrong)} things are wrong" if found.wrong else "all as it must be")
    )
    if found.wrong:
        raise SystemExit(FINDINGS)
