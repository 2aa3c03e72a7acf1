"""`jdart sweep`: which settings score best, by Optuna."""

from __future__ import annotations

import click

from contest.console import FINDINGS
from jdart.commands.run import settings_options


@click.command("sweep")
@click.argument("config")
@settings_options
@click.option("--trials", type=int, metavar="N", help="How many in all, instead of the file's; those of before count.")
def sweep_command(
    config: str, overrides: tuple[str, ...], styles: str | None, output: str | None, device: str, trials: int | None
) -> None:
    """Search the settings that CONFIG varies for the highest Final: trials suggested by TPE, losing ones stopped early.

    CONFIG is a YAML file, or `toy`, which comes along. Every trial is an ordinary run folder, trained, drawn and scored
    style by style; what is done is not done again, so stop it as you like. Ends with trials.csv, pictures of what
    matters, and best.yaml for `jdart run`. With 1 when a style failed: the same command tries it again.
    """
    from jdart.sweeping.sweep import load_sweep

    settings = {} if styles is None else {"styles": [s.strip() for s in styles.split(",") if s.strip()]}
    plan = load_sweep(config, overrides, output, trials, **settings)
    from contest.disk.writable import require_folder
    from jdart.config.honoured import require_own
    from jdart.models.hub.locate import require_base
    from jdart.running.screen import speak
    from jdart.sweeping.study import require_optuna

    require_own(plan.plain, "jdart sweep")
    require_folder(plan.folder)
    require_optuna()
    require_base(plan.plain.base)
    speak()
    from jdart.runtime import start

    used = "cuda" if start(device).flags.use_cuda else "cpu"
    from jdart.sweeping.bench import RealBench
    from jdart.sweeping.rows import FAILED
    from jdart.sweeping.runner import go
    from jdart.sweeping.show import print_trials, show_sweep
    from jdart.sweeping.study import open_study
    from jdart.sweeping.winner import keeping, tell_results

    bench = RealBench(plan, used)
    with open_study(plan, bench.styles, bench.files) as study:
        show_sweep(study, keeping(study, go(study, bench)), plan.folder)
        print_trials(study)
        for line in tell_results(study):
            click.echo(line)
        failed = [row for row in study.rows if row.state == FAILED]
    for row in failed:
        for style, why in row.failed.items():
            click.echo(f"trial {row.number}, {style} failed: {why}", err=True)
    if failed:
        click.echo("run the same command again to try again what failed, and nothing else", err=True)
        raise SystemExit(FINDINGS)
