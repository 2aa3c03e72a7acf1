"""An IP-Adapter that is learnt on a style's pictures: its projection, and keys and values of every cross-attention.

Each picture is learnt with another one of the style, or itself, as its image prompt, so that what the prompt tells is
what they share; now and then with none, as guidance will draw. Keys start as the text's and values at zero, where the
published training starts both as the text's: the beginning is the base as it is (Ye et al., IP-Adapter, 2308.06721).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jittor as jt
import numpy as np

from contest.disk.files import write_bytes
from jdart.config import IPAdapterTrainConfig
from jdart.image_prompts.adapter import KEYS, VALUES, cross_attentions
from jdart.image_prompts.attention import Looking, decoupled
from jdart.image_prompts.projections import BaseProjection
from jdart.image_prompts.prompt import ImagePrompt
from jdart.models.build import Base
from jdart.models.paths import at
from jdart.models.tensors import to_safetensors


class LearntAdapter:
    """The adapter put into the UNet of `base`, in place, behind its LoRA; `close` takes it out."""

    def __init__(self, base: Base, features: np.ndarray, settings: IPAdapterTrainConfig, rng: np.random.Generator):
        """`features` (N, C) float32 are what the image encoder sees in the style's pictures."""
        self.features, self.settings = features, settings
        config, width = base.configs["unet"], features.shape[1]
        self.projection = BaseProjection(width, config.cross_attention_dim, settings.tokens)
        shape = tuple(self.projection.proj.weight.shape)
        self.projection.proj.weight = jt.array((rng.standard_normal(shape) / np.sqrt(width)).astype(np.float32))
        self.projection.proj.bias = jt.zeros((shape[0],))
        self.pairs = {name: _first(at(base.unet, name).to_k) for name in cross_attentions(config)}
        self._looking = Looking(base.configs["text_encoder"].max_position_embeddings, (1.0,))
        self._within = ExitStack()
        self._within.enter_context(decoupled(base.unet, self.pairs, dict.fromkeys(self.pairs, 1.0), self._looking))

    def close(self) -> None:
        self._within.close()

    @property
    def values(self) -> dict[str, jt.Var]:
        """What is trained, by its name in the file."""
        proj, norm = self.projection.proj, self.projection.norm
        found = {"proj.weight": proj.weight, "proj.bias": proj.bias, "norm.weight": norm.weight, "norm.bias": norm.bias}
        found = {f"image_proj.{name}": value for name, value in found.items()}
        for number, (key, value) in enumerate(self.pairs.values()):
            found[f"ip_adapter.{2 * number + 1}.{KEYS}"] = key
            found[f"ip_adapter.{2 * number + 1}.{VALUES}"] = value
        return found

    def prompt(self) -> ImagePrompt:
        """All pictures of the style as the adapter tells of them now, for a base that it is in."""
        count = len(self.features)
        with jt.no_grad():
            tokens = self.projection(jt.array(self.features)).numpy()
            without = self.projection(jt.zeros((1, self.features.shape[1]))).numpy()
        width = tokens.shape[2]
        return ImagePrompt(tokens.reshape(-1, width), np.tile(without[0], (count, 1)), {}, {}, self._looking, {})

    def beside(self, context: jt.Var, instances: int, rng: np.random.Generator) -> jt.Var:
        """Texts (B, 77, D) with tokens after them; only in the first `instances` rows they are of pictures."""
        shown = np.zeros((context.shape[0], self.features.shape[1]), np.float32)
        dropped = rng.random(instances) < self.settings.drop
        chosen = rng.integers(len(self.features), size=instances)
        shown[:instances][~dropped] = self.features[chosen[~dropped]]
        return jt.concat([context, self.projection(jt.array(shown))], dim=1)


def save_adapter(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write an adapter's file in the public .safetensors layout, atomically."""
    write_bytes(path, to_safetensors(tensors, {"format": "pt"}))


def _first(layer: Any) -> tuple[jt.Var, jt.Var]:
    """Where keys and values begin, from the layer of the text's keys, with a LoRA around it or without."""
    weight = getattr(layer, "layer", layer).weight.float32().numpy()
    return jt.array(weight), jt.array(np.zeros_like(weight))
