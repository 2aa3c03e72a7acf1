"""`jdart ablate`: what methods do, each alone."""

from __future__ import annotations

from pathlib import Path

import click

from jdart.commands.run import settings_options

SEEDS = 3


@click.command("ablate")
@click.argument("config")
@settings_options
@click.option(
    "--over",
    multiple=True,
    metavar="KEY=V1,V2",
    help="Values of a setting; may be repeated. Every combination is tried, beside CONFIG, a configuration here.",
)
@click.option("--only", multiple=True, metavar="METHOD", help="This method, beside the plain run; may be repeated.")
@click.option(
    "--seeds", type=int, default=SEEDS, show_default=True, help="Runs of each variant, each with its own seed."
)
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The page that is written, instead of methods.md in the output folder.",
)
def ablate_command(
    config: str,
    overrides: tuple[str, ...],
    styles: str | None,
    output: str | None,
    device: str,
    over: tuple[str, ...],
    only: tuple[str, ...],
    seeds: int,
    page: Path | None,
) -> None:
    """Draw and score the methods that CONFIG lists, each alone and at some strengths, or recipes, beside a plain run.

    CONFIG is a YAML file, or one that comes along: `methods` takes what jdart can on the toy contest, `recipes` all
    recipes with the same budget of training. Settings that need the same training share it. Every run is an ordinary
    run folder; what is done is not done again, so stop it as you like. Ends with a page: means over the seeds with
    intervals, and a contact sheet for each method; and with a board of all runs.
    """
    from jdart.config.honoured import require_own
    from jdart.trying.ablation import load_ablation, trials_of
    from jdart.trying.grid import grid
    from jdart.trying.trials import all_trials, chosen

    settings = {} if styles is None else {"styles": [s.strip() for s in styles.split(",") if s.strip()]}
    if over:
        trials = trials_of(grid(config, over, overrides), "--over", overrides, output, **settings)
    else:
        trials = load_ablation(config, overrides, output, **settings)
    require_own(trials.plain, "jdart ablate")
    every = all_trials(trials, seeds)
    wanted = chosen(every, only)
    from contest.disk.alone import alone_in
    from contest.disk.writable import require_file
    from jdart.models.hub.locate import require_base
    from jdart.running.screen import speak

    place = trials.folder / ("grid.md" if over else "methods.md") if page is None else page
    require_file(place)
    require_base(trials.plain.base)
    speak()
    from jdart.runtime import start

    used = "cuda" if start(device).flags.use_cuda else "cpu"
    from jdart.running.pipeline import publish_board
    from jdart.trying.page import write_page
    from jdart.trying.runner import go, open_runs
    from jdart.trying.show import print_table, show_runs

    runs = open_runs(wanted)
    click.get_current_context().with_resource(alone_in(trials.folder, "jdart ablate"))
    show_runs(runs, go(runs, used), trials.folder)
    print_table(every)
    options = {"--styles": styles, "--seeds": None if seeds == SEEDS else seeds, "--page": page}
    told = [*(f"--set {each}" for each in overrides), *(f"--over {each}" for each in over)]
    told += [f"{name} {value}" for name, value in options.items() if value is not None]
    command = " ".join(["jdart ablate", config, *told])
    write_page(place, command, trials, every, runs[0].job.references)
    click.echo(f"Written: {place}")
    reports = [folder for trial in every if (folder := trial.folder / "report").joinpath("report.json").exists()]
    for event in publish_board(reports, trials.folder / "site", trials.ablation.title):
        click.echo(f"Board: {event.text}")
