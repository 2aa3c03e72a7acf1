"""What image prompts need, known before anything is computed: a fitting adapter and encoder, pictures that are some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jdart.config import IPAdapterConfig
from jdart.data.pictures import read_rgb
from jdart.image_prompts.adapter import cross_attentions, read_adapter
from jdart.image_prompts.attention import layer_scales
from jdart.image_prompts.encoder import encoder_folder, open_encoder
from jdart.image_prompts.prompt import require_width
from jdart.models.networks.unet_config import UNetConfig


def require_promptable(settings: IPAdapterConfig, unet: UNetConfig, score_weights: str | None) -> None:
    """UserError for an adapter, an encoder, a layer or a picture with which nothing could be drawn."""
    encoder = open_encoder(encoder_folder(settings, score_weights), settings.encoder)
    if settings.weights is not None:
        require_width(read_adapter(Path(settings.weights), unet), encoder)
    layer_scales(tuple(cross_attentions(unet)), settings.layers, settings.scale)
    for path in paths_of(settings, ()):
        read_rgb(path)


def paths_of(settings: IPAdapterConfig, references: Sequence[Path]) -> Sequence[Path]:
    """The pictures that prompt: those named, or the style's own."""
    return references if settings.images is None else [Path(image.path) for image in settings.images]
