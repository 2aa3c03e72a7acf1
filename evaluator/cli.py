"""`jdart-eval`: one module a command in commands/."""

from __future__ import annotations

import click

from contest.console import Group, version_option
from evaluator.commands import aesthetic, batch, cache, compare, explain, references, score, weights


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@version_option("jdart-eval")
def main() -> None:
    """Score an entry exactly as the contest's organisers do, each picture seen once by each network."""


for module in (score, aesthetic, batch, explain, compare, references, weights, cache):
    main.add_command(module.command)
