"""Pictures and captions as the networks see them: what does not change is computed once, here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jittor as jt
import numpy as np

from jdart.config import DataConfig
from jdart.data import Picture, crop, read_rgb, resize_short_side, rng_for, to_model_range
from jdart.models.build import Base

ENCODER_PIXELS = 512 * 512  # encoded at a time; keeps memory the same at every picture size


@dataclass(frozen=True)
class Examples:
    """What training draws from; row i of each array belongs together."""

    means: np.ndarray  # N,4,h,w float32: of the latents, scaled
    deviations: np.ndarray  # N,4,h,w float32
    tokens: np.ndarray  # N,77 int32
    contexts: np.ndarray | None  # N,77,D float32, or None while the text encoder is trained

    def __len__(self) -> int:
        return len(self.means)


def cut(picture: Picture, config: DataConfig, seed: int) -> Iterator[np.ndarray]:
    """The squares of a picture to learn from, (size, size, 3) uint8 each: the centre or random crops, and mirrors."""
    image = resize_short_side(read_rgb(picture.path), config.size)
    room = min(image.shape[:2]) < max(image.shape[:2])
    for number in range(config.crops if room else 1):
        rng = rng_for("crop", seed, picture.path.name, number) if config.crops > 1 else None
        square = crop(image, config.size, rng)
        yield square
        if config.flip:
            yield np.ascontiguousarray(square[:, ::-1])


def encode(base: Base, pictures: Sequence[Picture], config: DataConfig, seed: int, frozen_text: bool) -> Examples:
    """Encode pictures and captions once. Pure in its arguments."""
    squares, captions = [], []
    for picture in pictures:
        for square in cut(picture, config, seed):
            squares.append(to_model_range(square))
            captions.append(picture.caption)
    tokens = base.tokens(captions)
    chunk = max(1, ENCODER_PIXELS // config.size**2)
    means, deviations = [], []
    with jt.no_grad():
        for start in range(0, len(squares), chunk):
            mean, deviation = base.vae.encode(jt.array(np.stack(squares[start : start + chunk])))
            means.append(mean.numpy())
            deviations.append(deviation.numpy())
    contexts = encode_text(base, tokens) if frozen_text else None
    return Examples(np.concatenate(means), np.concatenate(deviations), tokens, contexts)


def encode_text(base: Base, tokens: np.ndarray) -> np.ndarray:
    """(N, 77) ids -> (N, 77, D) float32; equal rows are encoded once."""
    unique, where = np.unique(tokens, axis=0, return_inverse=True)
    with jt.no_grad():
        rows = [base.text_encoder(jt.array(unique[i : i + 16])).numpy() for i in range(0, len(unique), 16)]
    return np.concatenate(rows)[where.reshape(-1)]
