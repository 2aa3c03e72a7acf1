"""What a configuration will learn from: every picture with its facts, caption, and why it is left out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from contest.errors import UserError
from jdart.config.sections.data import DataConfig
from jdart.data.captions import Picture, load_pictures, not_learnt
from jdart.data.facts import Facts, read_facts, refusals, require_some
from jdart.data.folder import Unused
from jdart.data.layout import object_of
from jdart.data.pictures import read_rgb


@dataclass(frozen=True)
class PictureRow:
    """A picture of the report. `facts` is None for one that cannot be read, which `problem` then explains."""

    picture: Picture
    facts: Facts | None
    left_out: str | None = None
    same_as: str | None = None  # an earlier picture, style/name, of the very same pixels
    problem: str | None = None
    lost: str = ""  # the end of the caption that is beyond what the text encoder reads

    @property
    def learnt(self) -> bool:
        """Whether training takes it."""
        return self.left_out is None and self.problem is None


@dataclass(frozen=True)
class StyleRows:
    """The pictures of a style; `problem` keeps it from being learnt, `unused` lies there and is not looked at."""

    style: str
    rows: tuple[PictureRow, ...]
    problem: str | None = None
    unused: tuple[Unused, ...] = ()


def report_on_data(
    folders: Iterable[tuple[str, Path]], config: DataConfig, lost_words: Callable[[str], str] = lambda text: ""
) -> tuple[StyleRows, ...]:
    """Look at the pictures of every (style, folder). What a training would refuse is a problem of the report here.

    `lost_words` gives the end of a caption that the text encoder does not read.
    """
    seen: dict[str, str] = {}
    found = []
    for style, folder in folders:
        unused = not_learnt(folder, config.captions)
        try:
            thing = object_of(config.layout, style)
            pictures = load_pictures(folder, config.caption, style, config.captions, thing)
        except UserError as error:
            found.append(StyleRows(style, (), str(error), unused))
            continue
        rows = _left_out(tuple(_row(picture, style, config, seen, lost_words) for picture in pictures), config)
        problem = None
        try:
            require_some(folder, [row.picture for row in rows if row.left_out is None])
        except UserError as error:
            problem = str(error)
        found.append(StyleRows(style, rows, problem, unused))
    return tuple(found)


def _row(
    picture: Picture, style: str, config: DataConfig, seen: dict[str, str], lost_words: Callable[[str], str]
) -> PictureRow:
    lost = lost_words(picture.caption + config.flip_caption)
    try:
        facts, pixels = read_facts(picture.path), read_rgb(picture.path)
    except UserError as error:
        return PictureRow(picture, None, problem=str(error), lost=lost)
    digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    name = f"{style}/{picture.path.name}"
    first = seen.setdefault(digest, name)
    return PictureRow(picture, facts, None, None if first == name else first, lost=lost)


def _left_out(rows: tuple[PictureRow, ...], config: DataConfig) -> tuple[PictureRow, ...]:
    reasons = refusals([row.picture for row in rows], [row.facts for row in rows], config)
    return tuple(replace(row, left_out=reason) for row, reason in zip(rows, reasons))
