"""Pictures and captions as the networks see them: what does not change is computed once, here."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jittor as jt
import numpy as np

from jdart.config import DataConfig
from jdart.data.captions import Picture
from jdart.data.pictures import crop, read_rgb, resize_short_side, rotate, to_model_range
from jdart.data.seeds import rng_for
from jdart.models.build import Base
from jdart.models.cut import warn_of_cut
from jdart.models.encode import encode_text

ENCODER_PIXELS = 512 * 512  # encoded at a time; keeps memory the same at every picture size
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examples:
    """What training draws from; row i of each array belongs together."""

    means: np.ndarray  # N,4,h,w float32: of the latents, scaled
    deviations: np.ndarray  # N,4,h,w float32
    captions: np.ndarray  # N texts
    contexts: np.ndarray | None  # N,77,D float32, or None while the text encoder is trained

    def __len__(self) -> int:
        return len(self.means)


def cut(picture: Picture, config: DataConfig, seed: int) -> Iterator[np.ndarray]:
    """The squares of a picture to learn from, (size, size, 3) uint8 each: the centre or random crops.

    With `rotation` each is cut out of the picture turned by an angle of its own, small enough that no corner from
    outside the picture shows.
    """
    image = read_rgb(picture.path)
    straight = resize_short_side(image, config.size)
    several = config.rotation > 0 or min(image.shape[:2]) < max(image.shape[:2])
    for number in range(config.crops if several else 1):
        rng = rng_for("crop", seed, picture.path.name, number) if config.crops > 1 else None
        if config.rotation == 0:
            yield crop(straight, config.size, rng)
            continue
        turn = rng_for("rotation", seed, picture.path.name, number).uniform(-config.rotation, config.rotation)
        cosine, sine = abs(math.cos(math.radians(turn))), abs(math.sin(math.radians(turn)))
        around = math.ceil(config.size * (cosine + sine)) + 2  # the square that holds the turned one, and its edge
        yield crop(rotate(crop(resize_short_side(image, around), around, rng), turn), config.size)


def encode(base: Base, pictures: Sequence[Picture], config: DataConfig, seed: int, frozen_text: bool) -> Examples:
    """Encode pictures and captions once; mirrored ones follow their pictures. Pure in its arguments."""
    if config.rotation > 0:
        log.warning("data.rotation: the style learns tilted pictures too; leave it at 0 if that is not wanted")
    warn_of_cut(base, ((f"{p.path}: its caption", p.caption + config.flip_caption) for p in pictures))
    squares, captions = [], []
    for picture in pictures:
        for square in cut(picture, config, seed):
            squares.append(to_model_range(square))
            captions.append(picture.caption)
            if config.flip:
                squares.append(to_model_range(square[:, ::-1]))
                captions.append(picture.caption + config.flip_caption)
    chunk = max(1, ENCODER_PIXELS // config.size**2)
    means, deviations = [], []
    with jt.no_grad():
        for start in range(0, len(squares), chunk):
            mean, deviation = base.vae.encode(jt.array(np.stack(squares[start : start + chunk])))
            means.append(mean.numpy())
            deviations.append(deviation.numpy())
    contexts = encode_text(base, base.tokens(captions)) if frozen_text else None
    return Examples(np.concatenate(means), np.concatenate(deviations), np.array(captions), contexts)
