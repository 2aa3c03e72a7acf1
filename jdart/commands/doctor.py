"""`jdart doctor`: what this machine has and lacks."""

from __future__ import annotations

from pathlib import Path

import click

from contest.console import FINDINGS


@click.command("doctor")
@click.option("--base", type=click.Path(path_type=Path), metavar="DIR", help="Look at this base model folder too.")
@click.option("--weights", type=click.Path(path_type=Path), metavar="DIR", help="Look at these evaluator weights too.")
@click.option("--engine-python", metavar="PATH", help="Look at JDiffusion's environment, by its interpreter, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor_command(base: Path | None, weights: Path | None, engine_python: str | None, as_json: bool) -> None:
    """Say what this machine has and lacks for a run, with a cure for each. Exit code 1 when something will not work."""
    from jdart.doctor import diagnose

    named = {"base model": base, "evaluator weights": weights}
    findings = diagnose({name: folder for name, folder in named.items() if folder is not None}, engine_python)
    if as_json:
        import json
        from dataclasses import asdict

        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        from jdart.running.screen import findings_table, print_table

        print_table(findings_table(findings))
    if any(finding.status == "fail" for finding in findings):
        raise SystemExit(FINDINGS)
