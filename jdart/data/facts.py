"""What a picture file says of itself, and which pictures are left out for their size or shape."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jdart.config.data import DataConfig
from jdart.data.captions import Picture, load_pictures
from jdart.data.pictures import readable
from submission.errors import UserError

log = logging.getLogger(__name__)
ORIENTATION = 0x0112  # EXIF
QUARTER_TURNS = (5, 6, 7, 8)


@dataclass(frozen=True)
class Facts:
    """Size in pixels as the picture is seen, Pillow's mode as it is stored, and the EXIF orientation (1: upright)."""

    width: int
    height: int
    mode: str
    orientation: int

    @property
    def aspect(self) -> float:
        """Width by height."""
        return self.width / self.height


def read_facts(path: Path) -> Facts:
    """Read a picture's head. UserError naming the file if it is missing or no picture."""
    from PIL import Image

    with readable(path), Image.open(path) as image:
        orientation = image.getexif().get(ORIENTATION, 1)
        width, height = image.size[::-1] if orientation in QUARTER_TURNS else image.size
        return Facts(width, height, image.mode, int(orientation) if orientation in range(1, 9) else 1)


def refusal(facts: Facts, config: DataConfig) -> str | None:
    """Why a picture is left out, or None for one that is learnt."""
    if min(facts.width, facts.height) < config.min_size:
        return f"{facts.width} x {facts.height}, shorter side below data.min_size {config.min_size}"
    if facts.aspect < config.min_aspect:
        return f"aspect {facts.aspect:.3g} below data.min_aspect {config.min_aspect:g}"
    if config.max_aspect is not None and facts.aspect > config.max_aspect:
        return f"aspect {facts.aspect:.3g} above data.max_aspect {config.max_aspect:g}"
    return None


def style_pictures(folder: Path, style: str, config: DataConfig) -> tuple[Picture, ...]:
    """The pictures of `folder` that are learnt, with their captions; each that is left out is logged as a warning.

    UserError as `load_pictures` has it, and when all are left out.
    """
    pictures = load_pictures(folder, config.caption, style, config.captions)
    if config.min_size == 0 and config.min_aspect == 0 and config.max_aspect is None:
        return pictures
    reasons = [refusal(read_facts(picture.path), config) for picture in pictures]
    for picture, reason in zip(pictures, reasons):
        if reason is not None:
            log.warning("%s: left out: %s", picture.path, reason)
    return require_some(folder, [picture for picture, reason in zip(pictures, reasons) if reason is None])


def require_some(folder: Path, pictures: Sequence[Picture]) -> tuple[Picture, ...]:
    """`pictures`, or a UserError when none is left."""
    if not pictures:
        raise UserError(
            f"{folder}: every picture is left out by data.min_size, min_aspect or max_aspect; "
            "loosen them, or put other pictures there"
        )
    return tuple(pictures)
