"""An image prompt: what pictures say to a base through an IP-Adapter, ready to draw with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import jittor as jt
import numpy as np

from contest.errors import UserError
from jdart.config import IPAdapterConfig
from jdart.image_prompts.adapter import IPAdapter
from jdart.image_prompts.attention import Looking, decoupled, layer_scales
from jdart.image_prompts.encoder import ImageEncoder
from jdart.models.build import Base


@dataclass(frozen=True, eq=False)
class ImagePrompt:
    """Tokens (M, D) float32 of all pictures, those of no picture, and how cross-attentions look at them."""

    tokens: np.ndarray
    without: np.ndarray
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]  # cross-attention -> keys and values (width, D)
    scales: Mapping[str, float]
    looking: Looking
    noted: Mapping[str, object]  # what a picture says of it: hashes of the adapter, the encoder and the pictures


def read_prompt(
    base: Base,
    adapter: IPAdapter,
    encoder: ImageEncoder,
    pictures: Sequence[np.ndarray],
    settings: IPAdapterConfig,
    noted: Mapping[str, object],
) -> ImagePrompt:
    """Encode pictures (H, W, 3) uint8. UserError for another adapter's encoder, and a layer that the base has not."""
    hidden = adapter.projection.hidden
    require_width(adapter, encoder)
    weights = (1.0,) * len(pictures) if settings.images is None else tuple(image.weight for image in settings.images)
    words = base.configs["text_encoder"].max_position_embeddings

    def tokens(features: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([adapter.projection(jt.array(each[None])).numpy()[0] for each in features])

    with jt.no_grad():
        found = tokens([encoder.features(picture, hidden) for picture in pictures])
        without = np.concatenate([tokens([encoder.features(None, hidden)])] * len(pictures))
    return ImagePrompt(
        found,
        without,
        adapter.attentions,
        layer_scales(tuple(adapter.attentions), settings.layers, settings.scale),
        Looking(words, weights, settings.combine == "add"),
        noted,
    )


def require_width(adapter: IPAdapter, encoder: ImageEncoder) -> None:
    """UserError unless the adapter takes what the encoder gives."""
    width = encoder.width(adapter.projection.hidden)
    if adapter.projection.width != width:
        raise UserError(
            f"{encoder.folder}: gives {width} numbers, the IP-Adapter takes {adapter.projection.width}; "
            "name the image encoder that it was trained with"
        )


def prompted(base: Base, prompt: ImagePrompt | None) -> AbstractContextManager[None]:
    """The base looking at a prompt's pictures for the length of a block; as it is for None."""
    if prompt is None:
        return nullcontext()
    pairs = {name: (jt.array(key), jt.array(value)) for name, (key, value) in prompt.pairs.items()}
    return decoupled(base.unet, pairs, prompt.scales, prompt.looking)


def beside(context: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Embeddings of texts (B, 77, D) with the same `tokens` (M, D) after each."""
    return np.concatenate([context, np.broadcast_to(tokens, (len(context), *tokens.shape))], axis=1)
