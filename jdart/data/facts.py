"""What a picture file says of itself, and which pictures are left out for their size or shape."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from contest.disk.files import sha256
from contest.errors import UserError
from jdart.config.sections.data import DataConfig
from jdart.data.captions import FILE_NAMES, MOST, Picture, load_pictures, not_learnt
from jdart.data.layout import object_of
from jdart.data.pictures import readable

log = logging.getLogger(__name__)
ORIENTATION = 0x0112  # EXIF
QUARTER_TURNS = (5, 6, 7, 8)
KEPT_BACK = "kept back by data.share"  # no fault of the picture


@dataclass(frozen=True)
class Facts:
    """Size in pixels as the picture is seen, Pillow's mode as it is stored, and the EXIF orientation (1: upright).

    `profile` is the name of a colour profile other than sRGB: it is not applied. Of several `frames` the first is read.
    """

    width: int
    height: int
    mode: str
    orientation: int
    profile: Optional[str] = None
    frames: int = 1

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
        upright = int(orientation) if orientation in range(1, 9) else 1
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # a phone's JPEG: previews follow
        return Facts(width, height, image.mode, upright, _profile(image), frames)


def _profile(image: Any) -> str | None:
    """The name of a picture's colour profile, None for none and for sRGB, in which unmarked pictures are read."""
    data = image.info.get("icc_profile")
    if not data:
        return None
    try:
        from PIL import ImageCms

        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(data))).strip()
    except Exception:  # no LittleCMS in this Pillow, or a damaged profile
        return "of unknown name"
    return None if "srgb" in name.lower() else name


def refusals(pictures: Sequence[Picture], facts: Sequence[Optional[Facts]], config: DataConfig) -> list[str | None]:
    """Why each picture is left out, or None for one that is learnt.

    Pictures of one row of metadata.jsonl are one sample: size, and then shape, keep it when any of them, or all, pass,
    as `data.any_or_all` says and Data-Juicer's image_shape_filter and image_aspect_ratio_filter do it. Pictures
    without facts cannot be read, and are no part of that. Of those that pass, `data.share` takes the first.
    """
    samples: dict[str, list[int]] = {}
    for place, (picture, own) in enumerate(zip(pictures, facts)):
        if own is not None:
            alone = picture.source == FILE_NAMES
            samples.setdefault(str(picture.path) if alone else picture.source, []).append(place)
    reasons: list[str | None] = [None] * len(pictures)
    enough = any if config.any_or_all == "any" else all
    for places in samples.values():
        for why_not in (_too_small, _wrong_shape):
            found = {place: why_not(one, config) for place in places if (one := facts[place]) is not None}
            if enough(why is None for why in found.values()):
                continue
            first = next(place for place in places if found[place] is not None)
            others = f"with {pictures[first].path.name}, of the same row"
            for place in places:
                reasons[place] = others if found[place] is None else found[place]
            break
    passed = [place for place, reason in enumerate(reasons) if reason is None]
    for place in passed[max(1, round(config.share * len(passed))) :]:
        reasons[place] = f"{KEPT_BACK} {config.share:g}"
    return reasons


def _too_small(facts: Facts, config: DataConfig) -> str | None:
    if min(facts.width, facts.height) < config.min_size:
        return f"{facts.width} x {facts.height}, shorter side below data.min_size {config.min_size}"
    return None


def _wrong_shape(facts: Facts, config: DataConfig) -> str | None:
    if facts.aspect < config.min_aspect:
        return f"aspect {facts.aspect:.3g} below data.min_aspect {config.min_aspect:g}"
    if config.max_aspect is not None and facts.aspect > config.max_aspect:
        return f"aspect {facts.aspect:.3g} above data.max_aspect {config.max_aspect:g}"
    return None


def style_pictures(folder: Path, style: str, config: DataConfig) -> tuple[Picture, ...]:
    """The pictures of `folder` that are learnt, with their captions; each that is left out is logged as a warning.

    UserError as `load_pictures` has it, and when all are left out.
    """
    pictures = load_pictures(folder, config.caption, style, config.captions, object_of(config.layout, style))
    _tell_of_the_rest(folder, pictures, config)
    if config.min_size == 0 and config.min_aspect == 0 and config.max_aspect is None and config.share == 1:
        return pictures
    reasons = refusals(pictures, [read_facts(picture.path) for picture in pictures], config)
    for picture, reason in zip(pictures, reasons):
        if reason is not None:
            level = logging.INFO if reason.startswith(KEPT_BACK) else logging.WARNING
            log.log(level, "%s: left out: %s", picture.path, reason)
    return require_some(folder, [picture for picture, reason in zip(pictures, reasons) if reason is None])


def _tell_of_the_rest(folder: Path, pictures: Sequence[Picture], config: DataConfig) -> None:
    """Log what lies in the folder and is not learnt, and what is learnt twice."""
    unused = not_learnt(folder, config.captions)
    if unused:
        more = f"; and {len(unused) - MOST} more" if len(unused) > MOST else ""
        log.warning("%s: not learnt: %s%s", folder, "; ".join(f"{u.name}: {u.why}" for u in unused[:MOST]), more)
    seen: dict[str, Path] = {}
    for picture in pictures:
        if picture.path.is_file():
            first = seen.setdefault(sha256(picture.path), picture.path)
            if first != picture.path:
                log.warning("%s: the same file as %s, learnt twice", picture.path, first.name)


def require_some(folder: Path, pictures: Sequence[Picture]) -> tuple[Picture, ...]:
    """`pictures`, or a UserError when none is left."""
    if not pictures:
        raise UserError(
            f"{folder}: every picture is left out by data.min_size, min_aspect or max_aspect; "
            "loosen them, or put other pictures there"
        )
    return tuple(pictures)
