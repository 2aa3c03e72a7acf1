"""`jdart doctor`: what this machine has and lacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contest.console import FINDINGS
from contest.errors import UserError

if TYPE_CHECKING:
    from jdart.doctor import Finding


@click.command("doctor")
@click.option("--base", type=click.Path(path_type=Path), metavar="DIR|FILE|HUB-ID", help="Look at this base model too.")
@click.option("--weights", type=click.Path(path_type=Path), metavar="DIR", help="Look at these evaluator weights too.")
@click.option("--engine-python", metavar="PATH", help="Look at JDiffusion's environment, by its interpreter, too.")
@click.option("--for", "config", metavar="CONFIG", help="Look at all that a run of this configuration needs, too.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="With --for: change a setting.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="With --for: as of jdart run.")
@click.option("--devices", metavar="0,1", help="With --for: as of jdart run.")
@click.option("--quick", is_flag=True, help="With --for: measure no steps, so that memory and disk are left out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor_command(
    base: Path | None, weights: Path | None, engine_python: str | None, as_json: bool, **run: Any
) -> None:
    """Say what this machine has and lacks for a run, with a cure for each. Exit code 1 when something will not work.

    With --for CONFIG also what that run needs before it starts: versions that belong together, every path it names, the
    layout of its pictures, the precision of the base and of every layer that is added, and memory and disk, for which
    some real steps are measured as jdart plan does it.
    """
    from jdart.doctor import diagnose

    named = {"base model": base, "evaluator weights": weights}
    findings = diagnose({name: folder for name, folder in named.items() if folder is not None}, engine_python)
    findings += _of_run(**run)
    if as_json:
        import json
        from dataclasses import asdict

        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        from jdart.running.screen import findings_table, print_table

        print_table(findings_table(findings))
    if any(finding.status == "fail" for finding in findings):
        raise SystemExit(FINDINGS)


def _of_run(
    config: str | None, overrides: tuple[str, ...], device: str | None, devices: str | None, quick: bool
) -> Iterator[Finding]:
    """What the run of a configuration needs; nothing without one. UserError for options that say nothing alone."""
    if config is None:
        if overrides or device is not None or devices is not None or quick:
            raise UserError("--set, --device, --devices and --quick are for a run; name its configuration with --for")
        return
    from jdart.config import load_config
    from jdart.planning.ready import look_at_run

    yield from look_at_run(load_config(config, overrides), "auto" if device is None else device, devices, not quick)
