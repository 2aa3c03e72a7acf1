"""What a style and a base must have for the attention that settings share; known before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence

from jdart.config import GenerateConfig
from jdart.data.pictures import place_of
from jdart.generation.attention.layers import numbered
from jdart.models.networks.unet import UNetConfig


def require_shareable(settings: GenerateConfig, unet: UNetConfig, style: str, names: Sequence[str]) -> None:
    """UserError for a reference that is none of the style's pictures `names`, or a layer that the UNet has not."""
    where = f"style {style}"
    if settings.styleid is not None:
        place_of(settings.styleid.reference, names, "generate.styleid.reference", where)
    shared, name = settings.shared_attention
    if shared is not None:
        numbered(unet, shared.layers, f"generate.{name}.layers")
        place_of(shared.reference, names, f"generate.{name}.reference", where)
