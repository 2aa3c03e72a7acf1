"""`jdart config`: a configuration with every setting filled in."""

from __future__ import annotations

import click


@click.command("config")
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
