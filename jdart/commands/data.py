"""`jdart data`: what a configuration will learn from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contest.console import FINDINGS
from contest.errors import UserError
from contest.screen import screen

if TYPE_CHECKING:
    from jdart.config import Config
    from jdart.data.report import PictureRow, StyleRows


log = logging.getLogger(__name__)


@click.command("data")
@click.argument("config")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting: data.min_size=512.")
@click.option("--styles", metavar="00,04", help="These styles only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Copy what is learnt to DIR, with metadata.csv; DIR-report.csv says what is left out, and why.",
)
@click.option("--sheet", type=click.Path(path_type=Path), metavar="PNG", help="Draw what training will see.")
def data_command(
    config: str, overrides: tuple[str, ...], styles: str | None, as_json: bool, keep: Path | None, sheet: Path | None
) -> None:
    """Show the pictures that CONFIG will learn from: size, kind, caption, duplicates, and which are left out and why.

    What lies there and is not looked at is listed too, and which words of a caption the text encoder does not read.

    Exit code 1 when a style cannot be learnt as it is.
    """
    from jdart.config import load_config

    chosen = {} if styles is None else {"styles": [s.strip() for s in styles.split(",") if s.strip()]}
    settings = load_config(config, overrides, **chosen)
    from contest.disk.shipped import references_folder
    from jdart.data.folder import tell_of_strangers
    from jdart.data.layout import picture_folder
    from jdart.data.report import report_on_data
    from jdart.runs.folder import contest_of, whole_contest_of

    root, layout = references_folder(settings.references), settings.data.layout
    folders = [(style, picture_folder(root, layout, style)) for style in contest_of(settings).styles]
    if root.is_dir() and layout == "contest" and settings.story is None:
        tell_of_strangers(root, whole_contest_of(settings).styles)
    found = report_on_data(folders, settings.data, _lost_words(settings))
    _show(found, as_json)
    if keep is not None:
        from jdart.data.keeping import keep_learnt

        click.echo(keep_learnt(keep, root, layout, found), err=True)
    if sheet is not None:
        from jdart.runtime import start

        start("cpu")
        from jdart.stages.crops import write_crops

        write_crops(sheet, found, settings.data, settings.seed)
    if any(own.problem is not None or any(row.problem is not None for row in own.rows) for own in found):
        raise SystemExit(FINDINGS)


def _lost_words(settings: Config) -> Callable[[str], str]:
    """The end of a caption that is beyond what is read. The tokenizer is loaded for a caption that may be too long.

    It is that of a base in a folder; a file's and a hub's is CLIP's as well: nothing is made or downloaded for a look
    at pictures.
    """
    from functools import cache

    from jdart.models.cut import LENGTH, lost_words

    name = settings.base.model if Path(settings.base.model).expanduser().is_dir() else "toy"
    token = settings.token

    @cache
    def tokenizer() -> Any:
        from jdart.models.build import Base
        from jdart.models.hub.locate import locate

        try:
            return Base(locate(name, None)[0]).tokenizer
        except UserError as error:
            log.warning("captions were not looked at for words beyond what is read: %s", error)
            return None

    def read(prompts: Sequence[str], **how: Any) -> Any:
        if token is None:
            return tokenizer()(list(prompts), **how)
        return tokenizer()([prompt.replace(token.placeholder, "x " * token.vectors) for prompt in prompts], **how)

    def lost(text: str) -> str:
        vectors = 1 if token is None else token.vectors
        short = len(text.encode()) * vectors <= LENGTH - 2  # no token is shorter than a byte
        return "" if short or tokenizer() is None else lost_words(read, text)

    return lost


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
    console = screen()
    for own in found:
        used, there = sum(row.learnt for row in own.rows), len(own.rows) + sum(one.picture for one in own.unused)
        table = Table(title=f"style {escape(own.style)}: {used} of {there} pictures", title_justify="left")
        for name in ("picture", "size", "aspect", "mode", "EXIF", "caption", "from", "remarks"):
            table.add_column(name)
        for row in own.rows:
            facts = row.facts
            shown = ("", "", "", "")
            if facts is not None:
                turned = "" if facts.orientation == 1 else str(facts.orientation)
                shown = (f"{facts.width}x{facts.height}", f"{facts.aspect:.2f}", facts.mode, turned)
            remarks = _remarks(row)
            words = (row.picture.path.name, *shown, row.picture.caption, row.picture.source)
            table.add_row(*map(escape, words), escape("; ".join(remarks)))
        if own.rows:
            console.print(table)
        for one in own.unused:
            text = f"style {own.style}: not learnt: {one.name}: {one.why}"
            console.print(escape(text), style="yellow" if one.picture else None, soft_wrap=True)
        if own.problem is not None:
            console.print(f"style {escape(own.style)}: {escape(own.problem)}", style="red", soft_wrap=True)


def _remarks(row: PictureRow) -> list[str]:
    """What is to be known of a picture, in words."""
    from jdart.models.cut import shortened

    facts = row.facts
    said = [] if row.problem is None else [row.problem]
    if row.left_out is not None:
        said.append(f"left out: {row.left_out}")
    if row.same_as is not None:
        said.append(f"same as {row.same_as}")
    if facts is not None and facts.profile is not None:
        said.append(f"colour profile {facts.profile}, not applied: the numbers in the file are learnt as sRGB")
    if facts is not None and facts.frames > 1:
        said.append(f"the first of {facts.frames} frames")
    if row.lost:
        said.append(f"caption too long, not read: {shortened(row.lost)}")
    return said
