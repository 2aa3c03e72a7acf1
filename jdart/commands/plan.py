"""`jdart plan`: time, memory and disk of a run, before it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any

import click

from jdart.commands.run import run_options, settings_of


@click.command("plan")
@run_options
@click.option("--devices", metavar="0,1", help="As of jdart run: how many styles are worked on at once, and where.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan_command(
    config: str,
    overrides: tuple[str, ...],
    styles: str | None,
    output: str | None,
    device: str,
    devices: str | None,
    as_json: bool,
) -> None:
    """Say how much time, memory and disk CONFIG will take, from a few real steps measured on this machine.

    What is in the run folder already is not counted, nor are check, score, archive and board. Where CONFIG has a
    section search, what jdart search draws is told beside what jdart run does.
    """
    from jdart.config.honoured import require_own
    from jdart.planning.plan import plan_run, to_json

    settings = settings_of(config, overrides, styles, output)
    require_own(settings, "jdart plan")
    plan = plan_run(settings, device, devices)
    if as_json:
        click.echo(to_json(plan))
    else:
        from jdart.running.screen import plan_table, print_table

        print_table(plan_table(plan, settings.output))


@click.command("measure", hidden=True)
@click.argument("begun", type=float)
def measure_command(begun: float) -> None:
    """Measure the task on standard input; how jdart plan starts a process whose memory is that of the work alone."""
    answer = os.dup(1)
    os.dup2(2, 1)  # a library that prints does not get into the answer
    from jdart.jobs.tasks import task_from_json
    from jdart.runtime import start

    config, _, device = task_from_json(sys.stdin.readline())
    start(device)
    from jdart.planning.measure import measure
    from jdart.planning.work import search_of, work_of
    from jdart.runs.job import open_job

    job = open_job(config, notes=False)
    works, searches = ([asdict(work) for work in left(job)] for left in (work_of, search_of))
    found: dict[str, Any] = {"costs": asdict(measure(job, begun)), "works": works, "searches": searches}
    with os.fdopen(answer, "w") as out:
        out.write(json.dumps(found))
