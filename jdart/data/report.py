"""What a configuration will learn from: every picture with its facts, caption, and why it is left out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jdart.config.data import DataConfig
from jdart.data.captions import Picture, load_pictures
from jdart.data.facts import Facts, read_facts, refusal, require_some
from jdart.data.pictures import read_rgb
from submission.errors import UserError


@dataclass(frozen=True)
class PictureRow:
    """A picture of the report. `facts` is None for one that cannot be read, which `problem` then explains."""

    picture: Picture
    facts: Facts | None
    left_out: str | None = None
    same_as: str | None = None  # an earlier picture, style/name, of the very same pixels
    problem: str | None = None


@dataclass(frozen=True)
class StyleRows:
    """The pictures of a style; `problem` is what keeps it from being learnt."""

    style: str
    rows: tuple[PictureRow, ...]
    problem: str | None = None


def report_on_data(folders: Iterable[tuple[str, Path]], config: DataConfig) -> tuple[StyleRows, ...]:
    """Look at the pictures of every (style, folder). What a training would refuse is a problem of the report here."""
    seen: dict[str, str] = {}
    found = []
    for style, folder in folders:
        try:
            pictures = load_pictures(folder, config.caption, style, config.captions)
        except UserError as error:
            found.append(StyleRows(style, (), str(error)))
            continue
        rows = tuple(_row(picture, style, config, seen) for picture in pictures)
        problem = None
        try:
            require_some(folder, [row.picture for row in rows if row.left_out is None])
        except UserError as error:
            problem = str(error)
        found.append(StyleRows(style, rows, problem))
    return tuple(found)


def _row(picture: Picture, style: str, config: DataConfig, seen: dict[str, str]) -> PictureRow:
    try:
        facts, pixels = read_facts(picture.path), read_rgb(picture.path)
    except UserError as error:
        return PictureRow(picture, None, problem=str(error))
    digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    name = f"{style}/{picture.path.name}"
    first = seen.setdefault(digest, name)
    return PictureRow(picture, facts, refusal(facts, config), None if first == name else first)
