"""`jdart`: one module a group of commands in commands/."""

from __future__ import annotations

import click

from contest.console import Group, version_option
from jdart.commands import (
    ablate,
    base,
    config,
    data,
    demo,
    doctor,
    engine,
    export,
    lora,
    plan,
    redraw,
    run,
    search,
    sweep,
    warm,
)


@click.group(cls=Group)
@version_option("jdart")
def main() -> None:
    """Train a style as LoRA on Stable Diffusion and draw a contest's pictures, natively on Jittor.

    CONFIG is a YAML file, or the name of a recipe that comes with jdart. Exit codes: 0 good, 1 findings, 2 misuse.
    """


for command in (
    run.run_command,
    run.prior_command,
    run.train_command,
    run.generate_command,
    demo.demo_command,
    ablate.ablate_command,
    sweep.sweep_command,
    search.search_command,
    redraw.redraw_command,
    run.worker_command,
    plan.plan_command,
    plan.measure_command,
    config.config_command,
    data.data_command,
    base.base_group,
    lora.lora_group,
    export.export_group,
    doctor.doctor_command,
    engine.engine_group,
    warm.warm_command,
):
    main.add_command(command)
