"""Guidance by colour: the predicted picture's colours are moved towards the references', and its latents with them.

Published is sliced Wasserstein guidance (2503.19034), which goes through the network to the noisy latent. Here the
predicted latents themselves are moved, and the network sees them in its next step. What a latent's colours are is said
by a linear map or by the whole decoder, and where they are to go by sliced or by loose entropic transport.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import jittor as jt
import numpy as np

from jdart.config.sections.colour import ColourGuidanceConfig, FinishConfig
from jdart.data.pictures import to_model_range, to_pixels
from jdart.generation.colour.finish import finished, gathered
from jdart.generation.colour.linear import fitted_map
from jdart.generation.colour.sliced import Palette
from jdart.generation.references import References


class Guidance(ABC):
    """An edit of predicted latents (B, C, h, w), each picture by itself."""

    def __init__(self, references: References, settings: ColourGuidanceConfig):
        self.settings, self.vae = settings, references.base.vae
        self.moves = _matching(references, settings)

    def __call__(self, x0: jt.Var, share: float) -> jt.Var:
        if not self.settings.first <= share < self.settings.last:
            return x0
        return jt.array(np.concatenate([self._guided(picture[None]) for picture in x0.numpy()]))

    def _guided(self, latents: np.ndarray) -> np.ndarray:
        for _ in range(self.settings.iterations):
            latents = (latents + self.change(latents)).astype(np.float32)
        return latents

    @abstractmethod
    def change(self, latents: np.ndarray) -> np.ndarray:
        """What one iteration adds to the latents (1, C, h, w) of one picture."""


class ThroughLinear(Guidance):
    """Colours of latent pixels by a linear map, and back by its pseudo-inverse: the least change of a latent."""

    def __init__(self, references: References, settings: ColourGuidanceConfig):
        super().__init__(references, settings)
        self.map, self.offset = fitted_map(references)
        self.back = np.linalg.pinv(self.map)

    def change(self, latents: np.ndarray) -> np.ndarray:
        colours = np.tensordot(self.map, latents[0], 1) + self.offset[:, None, None]
        return self.settings.rate * np.tensordot(self.back, self.moves(colours[None])[0], 1)[None]


class ThroughDecoder(Guidance):
    """Along the gradient of the decoded pixels' distance, brought to a deviation of `rate` as published."""

    def change(self, latents: np.ndarray) -> np.ndarray:
        along = self.gradient(latents)
        deviation = along.std()
        return np.zeros_like(along) if deviation == 0 else self.settings.rate / deviation * along

    def gradient(self, latents: np.ndarray) -> np.ndarray:
        """Where the pixels' moves lead in latent space: the negative gradient of the distance, in some scale."""
        with jt.enable_grad():
            code = jt.array(latents)
            code.start_grad()
            picture = self.vae.decode(code)
            return jt.grad((picture * jt.array(self.moves(picture.numpy()))).sum(), code).numpy()


class ThroughEncoder(Guidance):
    """Decoded pixels are moved, and what that changes in their code is added: no gradient, and what the autoencoder
    loses of a picture is lost on both sides of the difference."""

    def change(self, latents: np.ndarray) -> np.ndarray:
        picture = self.vae.decode(jt.array(latents)).numpy()
        moved = picture + self.settings.rate * self.moves(picture)
        return self._code(moved) - self._code(picture)

    def _code(self, picture: np.ndarray) -> np.ndarray:
        return self.vae.encode(jt.array(picture))[0].numpy()


WAYS: dict[str, type[Guidance]] = {"linear": ThroughLinear, "vae": ThroughDecoder, "encoder": ThroughEncoder}


def _matching(references: References, settings: ColourGuidanceConfig) -> Callable[[np.ndarray], np.ndarray]:
    """From a picture (1, 3, H, W) in -1..1 to what its pixels are to be moved by, in the same shape, float32."""
    if settings.matching == "sliced":
        palette = Palette(references.pixels / 127.5 - 1, settings.rotations)

        def sliced(picture: np.ndarray) -> np.ndarray:
            colours = picture.reshape(3, -1).T.astype(np.float64)
            return palette.moves(colours).T.reshape(picture.shape).astype(np.float32)

        return sliced
    target, finish = gathered(references.pixels), FinishConfig(strength=1.0, balance=settings.balance)

    def entropic(picture: np.ndarray) -> np.ndarray:
        moved = to_model_range(finished(to_pixels(picture[0]), target, finish))[None]
        return moved - picture.astype(np.float32)

    return entropic
