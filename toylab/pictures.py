"""Batches of the world's pictures as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from toylab.drawing import on
from toylab.nouns import TAUGHT
from toylab.treatments import TREATMENTS
from toylab.world import GROUNDS, SIZE, Place, caption, cut_out, reduced, somewhere

NOUNS = tuple(TAUGHT)


@dataclass(frozen=True)
class Scene:
    """What a picture shows, and how; the picture itself is drawn when it is asked for."""

    noun: str
    ground: str
    treatment: str | None
    place: Place
    seed: int

    @property
    def picture(self) -> Image.Image:
        """RGB, 64 x 64 pixels."""
        thing, ground = cut_out(self.noun, self.place), GROUNDS[self.ground]
        if self.treatment is None:
            return reduced(on(thing, ground))
        return reduced(TREATMENTS[self.treatment](thing, ground, np.random.default_rng(self.seed)))

    def caption(self, rng: np.random.Generator) -> str:
        """One of the names of the picture; a treatment is named as `in lines`."""
        if self.treatment is None or rng.random() < 0.1:
            return caption(self.noun, self.ground, rng)
        return f"an image of {self.noun} in {self.treatment}"


def scene(rng: np.random.Generator, noun: str, treated: float) -> Scene:
    """`noun` in a place of its own; a share of `treated` goes through one of the treatments."""
    ground, place = str(rng.choice(list(GROUNDS))), somewhere(rng)
    treatment = str(rng.choice(list(TREATMENTS))) if rng.random() < treated else None
    return Scene(noun, ground, treatment, place, int(rng.integers(2**32)))


def scenes(seed: int, count: int, treated: float, nouns: Sequence[str] = NOUNS) -> list[Scene]:
    """`count` pictures, the nouns in turn: picture i is the same whatever the count."""
    return [scene(np.random.default_rng([seed, i]), nouns[i % len(nouns)], treated) for i in range(count)]


def to_array(pictures: list[Image.Image]) -> np.ndarray:
    """B,3,64,64 bytes."""
    out = np.empty((len(pictures), 3, SIZE, SIZE), np.uint8)
    for row, picture in zip(out, pictures):
        row[:] = np.asarray(picture).transpose(2, 0, 1)
    return out


def sheet(pictures: np.ndarray, across: int = 11) -> Image.Image:
    """Pictures B,3,64,64 bytes in rows of `across`; what does not fill the last row stays white."""
    missing = -len(pictures) % across
    white = np.full((missing, *pictures.shape[1:]), 255, np.uint8)
    rows = np.concatenate([pictures, white]).transpose(0, 2, 3, 1).reshape(-1, across, SIZE, SIZE, 3)
    return Image.fromarray(np.concatenate([np.concatenate(list(row), 1) for row in rows], 0))
