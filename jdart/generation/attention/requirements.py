"""What a style and a base must have for the attention that settings share; known before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from contest.errors import UserError
from jdart.config import GenerateConfig, StyleBlendConfig
from jdart.data.pictures import place_of
from jdart.generation.attention.layers import numbered, self_attentions
from jdart.lora.formats.reading import load_lora
from jdart.lora.pairs import LoraPair
from jdart.lora.rank_by_noise import rule_of
from jdart.models.networks.unet_config import UNetConfig


def require_shareable(settings: GenerateConfig, unet: UNetConfig, style: str, names: Sequence[str]) -> None:
    """UserError for a reference that is none of the style's pictures `names`, a layer that the UNet has not, branches
    of StyleBlend that it cannot have, and a LoRA that those cannot weigh."""
    where = f"style {style}"
    if settings.style_blend is not None:
        outer(self_attentions(unet), settings.style_blend)
        for lora in settings.loras:
            weighable(Path(lora.path))
    if settings.styleid is not None:
        place_of(settings.styleid.reference, names, "generate.styleid.reference", where)
    shared, name = settings.shared_attention
    if shared is not None:
        numbered(unet, shared.layers, f"generate.{name}.layers")
        place_of(shared.reference, names, f"generate.{name}.reference", where)


def middle(names: Sequence[str], settings: StyleBlendConfig) -> list[str]:
    """Those of all self-attentions that are in StyleBlend's middle."""
    shares = ((number + 0.5) / len(names) for number in range(len(names)))
    return [name for name, share in zip(names, shares) if settings.middle_first <= share < settings.middle_last]


def outer(names: Sequence[str], settings: StyleBlendConfig) -> list[str]:
    """Those outside the middle. UserError where either side is empty."""
    inner = middle(names, settings)
    rest = [name for name in names if name not in inner]
    if not inner or not rest:
        raise UserError(
            f"generate.style_blend: middle_first, middle_last leave one side of the base's {len(names)} "
            "self-attentions empty; take a range that some lie in and some outside"
        )
    return rest


def weighable(path: Path) -> Mapping[str, LoraPair]:
    """A LoRA's pairs by the UNet's layers. UserError for one that StyleBlend cannot weigh in one branch alone."""
    lora = load_lora(path)
    if rule_of(lora.settings, path) is not None:
        raise UserError(
            f"{path}: generate.style_blend cannot weigh a LoRA whose rank falls with the noise in one branch; "
            "train one without lora.rank_by_noise"
        )
    if any(pair.magnitude is not None for pair in lora.pairs["unet"].values()):
        raise UserError(f"{path}: generate.style_blend cannot weigh a DoRA in one branch; train a plain LoRA")
    return lora.pairs["unet"]
