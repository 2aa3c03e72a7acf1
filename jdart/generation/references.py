"""A style's pictures as the methods that look at them while drawing need them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import jittor as jt
import numpy as np

from jdart.data.pictures import average, place_of, to_model_range
from jdart.models.build import Base


class References:
    """The pictures of one style (S, S, 3) uint8 by their file names, and what the autoencoder makes of each.

    It is computed when asked for.
    """

    def __init__(self, base: Base, pictures: Mapping[str, np.ndarray]):
        self.base, self.names, self.pictures = base, tuple(pictures), tuple(pictures.values())

    @cached_property
    def latents(self) -> np.ndarray:
        """(N, C, h, w) float32: the mean of the autoencoder's code for each picture, encoded one at a time."""
        return np.concatenate([self.encode(picture) for picture in self.pictures])

    def encode(self, picture: np.ndarray) -> np.ndarray:
        """(1, C, h, w) float32: the mean of the autoencoder's code for a picture (S, S, 3) uint8."""
        with jt.no_grad():
            return self.base.vae.encode(jt.array(to_model_range(picture)[None]))[0].numpy()

    def named(self, reference: str | None, key: str) -> np.ndarray:
        """One picture (S, S, 3) uint8: by its file's name, the first for None, or the "average" of all.

        UserError, which names the setting `key`, for one that is not there.
        """
        place = place_of(reference, self.names, key)
        return average(self.pictures) if place is None else self.pictures[place]

    @cached_property
    def pixels(self) -> np.ndarray:
        """(N, 3) uint8: every pixel of every picture."""
        return np.concatenate([picture.reshape(-1, 3) for picture in self.pictures])
