"""A style's pictures as the methods that look at them while drawing need them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import jittor as jt
import numpy as np

from jdart.data.pictures import to_model_range
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
        with jt.no_grad():
            codes = [self.base.vae.encode(jt.array(to_model_range(p)[None]))[0].numpy() for p in self.pictures]
        return np.concatenate(codes)

    @cached_property
    def pixels(self) -> np.ndarray:
        """(N, 3) uint8: every pixel of every picture."""
        return np.concatenate([picture.reshape(-1, 3) for picture in self.pictures])
