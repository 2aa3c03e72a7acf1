"""`jdart data`: what a configuration will learn from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from submission.console import FINDINGS

if TYPE_CHECKING:
    from jdart.data.report import StyleRows


@click.command("data")
@click.argument("config")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting: data.min_size=512.")
@click.option("--styles", metavar="00,04", help="These styles only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--sheet", type=click.Path(path_type=Path), metavar="PNG", help="Draw what training will see.")
def data_command(
    config: str, overrides: tuple[str, ...], styles: str | None, as_json: bool, sheet: Path | None
) -> None:
    """Show the pictures that CONFIG will learn from: size, kind, caption, duplicates, and which are left out and why.

    Exit code 1 when a style cannot be learnt as it is.
    """
    from jdart.config import load_config

    chosen = {} if styles is None else {"styles": [s.strip() for s in styles.split(",") if s.strip()]}
    settings = load_config(config, overrides, **chosen)
    from jdart.data.report import report_on_data
    from jdart.running.folder import contest_of
    from submission.shipped import references_folder

    root = references_folder(settings.references)
    folders = [(style, root / style / "images") for style in contest_of(settings).styles]
    found = report_on_data(folders, settings.data)
    _show(found, as_json)
    if sheet is not None:
        from jdart.runtime import start

        start("cpu")
        from jdart.running.crops import write_crops

        write_crops(sheet, found, settings.data, settings.seed)
    if any(own.problem is not None or any(row.problem is not None for row in own.rows) for own in found):
        raise SystemExit(FINDINGS)


def _show(found: tuple[StyleRows, ...], as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if as_json:
        text = json.dumps([asdict(own) for own in found], indent=1, ensure_ascii=False, default=str)
        Console(soft_wrap=True, highlight=False).out(text)
        return
    console = Console()
    for own in found:
        used = sum(row.left_out is None and row.problem is None for row in own.rows)
        table = Table(title=f"style {escape(own.style)}: {used} of {len(own.rows)} pictures", title_justify="left")
        for name in ("picture", "size", "aspect", "mode", "EXIF", "caption", "from", "remarks"):
            table.add_column(name)
        for row in own.rows:
            facts = row.facts
            shown = ("", "", "", "")
            if facts is not None:
                turned = "" if facts.orientation == 1 else str(facts.orientation)
                shown = (f"{facts.width}x{facts.height}", f"{facts.aspect:.2f}", facts.mode, turned)
            remarks = [
                row.problem,
                row.left_out and f"left out: {row.left_out}",
                row.same_as and f"same as {row.same_as}",
            ]
            words = (row.picture.path.name, *shown, row.picture.caption, row.picture.source)
            table.add_row(*map(escape, words), escape("; ".join(text for text in remarks if text)))
        if own.rows:
            console.print(table)
        if own.problem is not None:
            console.print(f"style {escape(own.style)}: {escape(own.problem)}", style="red", soft_wrap=True)
