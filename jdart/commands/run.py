"""`jdart run`, and its stages one by one: prior, train, generate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contest.console import FINDINGS
from contest.errors import UserError
from jdart.config.sections.engine import ENGINES
from jdart.jobs.devices import EXECUTORS, parse_devices

if TYPE_CHECKING:
    from jdart.config import Config
    from jdart.jobs.tasks import Stream
    from jdart.runs.job import Job


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which a run is chosen, CONFIG among them."""
    return click.argument("config")(settings_options(command))


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that change a configuration, and say where it runs."""
    options = (
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Change a setting: train.steps=200.",
        ),
        click.option("--styles", metavar="00,04", help="These styles only."),
        click.option("--output", metavar="DIR", help="The run folder, instead of the configuration's."),
        click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
    )
    return _with(options, command)


def spread_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option(
            "--devices",
            metavar="0,1",
            help="A process for each style: a worker on each of these GPUs, or cpu,cpu for two on the CPU.",
        ),
        click.option(
            "--executor",
            type=click.Choice(EXECUTORS),
            default="processes",
            show_default=True,
            help="Where the processes of --devices run: on this machine, or on a Ray cluster (--devices cuda or cpu).",
        ),
        click.option("--ray-address", metavar="ADDRESS", help="A running Ray cluster; auto finds this machine's."),
    )
    return _with(options, command)


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose who trains and draws."""
    options = (
        click.option(
            "--engine",
            type=click.Choice(["jdart", *ENGINES]),
            help="Who trains and draws: jdart itself, or another in a process of its own (docs/engines.md).",
        ),
        click.option("--engine-python", metavar="PATH", help="The interpreter that the other engine is installed for."),
    )
    return _with(options, command)


def loras_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--loras",
        type=click.Path(path_type=Path),
        metavar="RUN",
        help="Take the LoRAs of this run folder, where this one has none.",
    )(command)


def _with(options: tuple[Callable[..., Any], ...], command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


@click.command("run")
@run_options
@engine_options
@loras_option
@spread_options
def run_command(**arguments: Any) -> None:
    """Go the whole way: prior, train, generate, check, build, score, board. What is done is not done again."""
    from jdart.running.pipeline import STAGES

    _go(STAGES, **arguments)


@click.command("prior")
@run_options
def prior_command(**arguments: Any) -> None:
    """Draw the plain base model's pictures for prior preservation, if the configuration asks for it."""
    _go(("prior",), **arguments)


@click.command("train")
@run_options
@engine_options
@spread_options
def train_command(**arguments: Any) -> None:
    """Train one LoRA a style."""
    _go(("prior", "train"), **arguments)


@click.command("generate")
@click.argument("config", required=False)
@click.option(
    "--from",
    "picture",
    type=click.Path(path_type=Path),
    metavar="PNG",
    help="Instead of CONFIG: draw this picture again, as jdart redraw does; --output names a file.",
)
@settings_options
@engine_options
@loras_option
@spread_options
@click.pass_context
def generate_command(context: click.Context, config: str | None, picture: Path | None, **arguments: Any) -> None:
    """Draw the pictures of trained styles, and a contact sheet for each."""
    if picture is None:
        if config is None:
            raise click.UsageError("Missing argument 'CONFIG', or --from PNG.")
        _go(("generate",), config, **arguments)
        return
    from jdart.commands.redraw import redraw_command

    device, output = arguments.pop("device"), arguments.pop("output")
    engine_python = arguments.pop("engine_python")
    executor = arguments.pop("executor")
    if config is not None or any(arguments.values()) or executor != EXECUTORS[0]:
        raise UserError(
            "--from takes all settings from the picture; leave out all but --device, --engine-python and --output"
        )
    place = None if output is None else Path(output)
    context.invoke(redraw_command, picture=picture, output=place, device=device, engine_python=engine_python)


def _go(names: tuple[str, ...], config: str, **arguments: Any) -> None:
    """Open the job and run the named stages, with progress on the screen."""
    opened = open_run(names, config, **arguments)
    names = opened.spread(names)
    from jdart.running.pipeline import stages
    from jdart.running.stages import show_stages

    every = stages(opened.job, opened.device)
    if names:
        show_stages({name: every[name] for name in names}, opened.job.folder.root)


@dataclass(frozen=True, eq=False)
class Opened:
    """A run with everything looked up, the device that this process uses, and who else works: None for nobody."""

    job: Job
    device: str
    workers: Sequence[str]
    execute: Callable[..., Stream] | None

    def spread(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Let others do what of the stages they can; returns the stages left."""
        return names if self.execute is None else _spread(self.job, names, self.execute)


def open_run(
    names: tuple[str, ...],
    config: str,
    overrides: tuple[str, ...],
    styles: str | None,
    output: str | None,
    device: str,
    loras: Path | None = None,
    devices: str | None = None,
    executor: str = "processes",
    ray_address: str | None = None,
    engine: str | None = None,
    engine_python: str | None = None,
    settings: Config | None = None,
) -> Opened:
    """Look up everything that the named stages need, and note the run, before anything is computed. UserError."""
    if settings is None:
        settings = settings_of(config, (*overrides, *_of_engine(engine, engine_python)), styles, output)
    workers = None if devices is None else parse_devices(devices, executor)
    if ray_address is not None and executor != "ray":
        raise UserError("--ray-address is for a Ray cluster; add --executor ray, or leave it out")
    if workers is not None:
        kind = "cpu" if workers[0] == "cpu" else "cuda"
        if device not in ("auto", kind):
            raise UserError(f"--device {device} and --devices {devices} are not the same; leave --device out")
        device = kind
    elif executor == "ray":
        raise UserError("--executor ray needs to know what a style runs on; add --devices cuda or --devices cpu")
    from jdart.running.screen import speak

    speak()
    from jdart.runtime import start

    used = "cuda" if start(device).flags.use_cuda else "cpu"
    from contest.disk.alone import alone_in
    from jdart.running.pipeline import require_scorable
    from jdart.runs.job import open_job
    from jdart.stages.borrowing import take_loras
    from jdart.stages.remarks import warn_of_idle_settings, warn_of_other_bases
    from jdart.stages.training import require_startable

    job = open_job(settings)
    if "score" in names or ("train" in names and settings.train.composition is not None):  # which CLIP chooses for
        require_scorable(job)
    click.get_current_context().with_resource(alone_in(job.folder.root, "jdart"))
    if loras is not None:
        take_loras(job, loras)
    if "train" in names:
        require_startable(job)
    warn_of_idle_settings(job)
    warn_of_other_bases(job)
    job.note()
    if workers is None:
        return Opened(job, used, (), None)
    from jdart.jobs.processes import run_processes
    from jdart.jobs.ray_cluster import run_on_ray

    execute = partial(run_on_ray, address=ray_address) if executor == "ray" else run_processes
    return Opened(job, used, workers, partial(execute, devices=workers))


def _of_engine(engine: str | None, python: str | None) -> Iterator[str]:
    """The options of the engine as --set has them. UserError for an interpreter of none."""
    if engine == "jdart":
        if python is not None:
            raise UserError("--engine-python: jdart itself runs in this interpreter; leave it out")
        yield "engine=null"
    elif engine is not None:
        yield f"engine.name={engine}"
    if python is not None:
        yield f"engine.python={json.dumps(python, ensure_ascii=False)}"  # a text to YAML, whatever is in it


def _spread(job: Job, names: tuple[str, ...], execute: Callable[..., Stream]) -> tuple[str, ...]:
    """Let an executor do what the styles do for themselves, and before it what they share; returns the stages left.

    Ends the program with 1 when a style failed.
    """
    from jdart.jobs.live import show_tasks
    from jdart.jobs.tasks import STYLE_STAGES, is_there, shared_stages, shared_task, style_tasks

    for tasks in (*((shared_task(job, stage),) for stage in shared_stages(job, names)), style_tasks(job, names)):
        there = [task.name for task in tasks if is_there(task, job.folder, job.contest.styles)]
        wanted = [task for task in tasks if task.name not in there]
        failed = show_tasks(tasks, there, _noting(job, execute(wanted))) if wanted else {}
        if failed:
            for name, why in failed.items():
                click.echo(f"{name} failed: {why} ({job.folder.log(name)})", err=True)
            click.echo(f"{len(failed)} of {len(tasks)} failed; run the same command again to try again", err=True)
            raise SystemExit(FINDINGS)
    return tuple(name for name in names if name not in ("prior", *STYLE_STAGES))


def _noting(job: Job, progresses: Stream) -> Stream:
    """Bring run.json up to date whenever a task is done; the tasks themselves leave it alone."""
    from jdart.jobs.tasks import DONE

    with closing(progresses):
        for progress in progresses:
            if progress.state == DONE:
                job.note()
            yield progress


def settings_of(config: str, overrides: tuple[str, ...], styles: str | None, output: str | None) -> Config:
    """The configuration that the options of a run choose. UserError before Jittor compiles where its base is none."""
    from jdart.config import load_config
    from jdart.models.hub.locate import require_base

    chosen = {} if styles is None else {"styles": [s.strip() for s in styles.split(",") if s.strip()]}
    settings = load_config(config, overrides, **chosen, **({} if output is None else {"output": output}))
    require_base(settings.base)
    return settings


@click.command("worker", hidden=True)
def worker_command() -> None:
    """Do the task that is written to standard input; how --devices starts a style's process."""
    from jdart.running.worker import work

    work()
