"""jdart: arguments in, exit code out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from submission.console import FINDINGS, Group, version_option

if TYPE_CHECKING:
    from jdart.config import Config


@click.group(cls=Group)
@version_option("jdart")
def main() -> None:
    """Train a style as LoRA on Stable Diffusion and draw a contest's pictures, natively on Jittor.

    CONFIG is a YAML file, or the name of a recipe that comes with jdart. Exit codes: 0 good, 1 findings, 2 misuse.
    """


def _run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.argument("config"),
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
    for option in reversed(options):
        command = option(command)
    return command


@main.command("run")
@_run_options
def run_command(**arguments: Any) -> None:
    """Go the whole way: prior, train, generate, check, build, score, board. What is done is not done again."""
    from jdart.pipeline import STAGES

    _go(STAGES, **arguments)


@main.command("prior")
@_run_options
def prior_command(**arguments: Any) -> None:
    """Draw the plain base model's pictures for prior preservation, if the configuration asks for it."""
    _go(("prior",), **arguments)


@main.command("train")
@_run_options
def train_command(**arguments: Any) -> None:
    """Train one LoRA a style."""
    _go(("prior", "train"), **arguments)


@main.command("generate")
@_run_options
def generate_command(**arguments: Any) -> None:
    """Draw the pictures of trained styles, and a contact sheet for each."""
    _go(("generate",), **arguments)


@main.command("config")
@click.argument("config", required=False)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting: train.steps=200.")
def config_command(config: str | None, overrides: tuple[str, ...]) -> None:
    """Print CONFIG as YAML with every setting filled in; without CONFIG, the names of the recipes."""
    import yaml

    from jdart.config import load_config, recipes, to_mapping

    if config is None:
        click.echo("\n".join(recipes()))
    else:
        click.echo(yaml.safe_dump(to_mapping(load_config(config, overrides)), sort_keys=False), nl=False)


@main.group("base")
def base_group() -> None:
    """Base models."""


@base_group.command("new")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--preset", default="tiny", show_default=True, help="tiny, sd15, sd21 or sd21-base.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
def base_new_command(folder: Path, preset: str, seed: int) -> None:
    """Write a randomly initialised pipeline in diffusers' layout to DIR, with CLIP's real tokenizer."""
    from jdart.runtime import start

    start("cpu")
    from jdart.models.presets import write_base

    write_base(folder, preset, seed)
    click.echo(f"{folder}: a {preset} base with random weights (seed {seed}); it knows no pictures")


@main.group("lora")
def lora_group() -> None:
    """LoRA files."""


@lora_group.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--base", type=click.Path(path_type=Path), metavar="DIR", help="Compare with this base model.")
@click.option("--arch", metavar="NAME", help="Compare with a published shape: sd15, sd21, sd21-base.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def lora_inspect_command(file: Path, base: Path | None, arch: str | None, as_json: bool) -> None:
    """Show rank, alpha and layers of FILE, and what of it matches a base, is missing or left over (exit code 1)."""
    from jdart.inspect import inspect_lora, show_lora

    report = inspect_lora(file, base, arch)
    show_lora(report, as_json)
    if report.left_over:
        raise SystemExit(FINDINGS)


@main.command("doctor")
@click.option("--base", type=click.Path(path_type=Path), metavar="DIR", help="Look at this base model folder too.")
@click.option("--weights", type=click.Path(path_type=Path), metavar="DIR", help="Look at these evaluator weights too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor_command(base: Path | None, weights: Path | None, as_json: bool) -> None:
    """Say what this machine has and lacks for a run, with a cure for each. Exit code 1 when something will not work."""
    from jdart.doctor import diagnose

    named = {"base model": base, "evaluator weights": weights}
    findings = diagnose(folders={name: folder for name, folder in named.items() if folder is not None})
    if as_json:
        import json
        from dataclasses import asdict

        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        from jdart.screen import findings_table, print_table

        print_table(findings_table(findings))
    if any(finding.status == "fail" for finding in findings):
        raise SystemExit(FINDINGS)


def _go(
    names: tuple[str, ...],
    config: str,
    overrides: tuple[str, ...],
    styles: str | None,
    output: str | None,
    device: str,
) -> None:
    """Open the job and run the named stages, with progress on the screen."""
    settings = _settings(config, overrides, styles, output)
    from jdart.screen import show_stages, speak

    speak()
    from jdart.runtime import start

    used = "cuda" if start(device).flags.use_cuda else "cpu"
    from jdart.job import open_job
    from jdart.pipeline import require_scorable, stages

    job = open_job(settings)
    if "score" in names:
        require_scorable(job)
    job.note()
    every = stages(job, used)
    show_stages({name: every[name] for name in names}, job.folder.root)


def _settings(config: str, overrides: tuple[str, ...], styles: str | None, output: str | None) -> Config:
    from jdart.config import load_config

    chosen = {} if styles is None else {"styles": [s.strip() for s in styles.split(",") if s.strip()]}
    return load_config(config, overrides, **chosen, **({} if output is None else {"output": output}))
