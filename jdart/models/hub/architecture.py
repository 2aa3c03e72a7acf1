"""Which kind of pipeline a base model is: Stable Diffusion 1 and 2 are loaded, others are refused by name."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from contest.disk.files import read_json
from contest.errors import UserError

LOADS = (
    "jdart loads Stable Diffusion 1.x and 2.x in diffusers' layout or as one file, such as "
    "stable-diffusion-v1-5/stable-diffusion-v1-5 (data.size 512) or Charles-Elena/stable-diffusion-2-1 (768), and toy"
)
KOLORS = "Kolors, which has SDXL's UNet and ChatGLM as its text encoder"
SDXL = "SDXL, which has a second text encoder and conditions on sizes"
OTHER_UNETS = {  # by the channels that they take; that of Stable Diffusion takes as many as it gives
    5: "a model that looks at depth",
    7: "an upscaler",
    8: "a model that edits pictures (InstructPix2Pix)",
    9: "an inpainting model",
}
KNOWN = {  # repositories that are refused before anything of them is downloaded
    "kwai-kolors/kolors": KOLORS,
    "kwai-kolors/kolors-diffusers": KOLORS,
    "stabilityai/stable-diffusion-xl-base-1.0": SDXL,
}


def require_repository(model: str, names: Collection[str] = ()) -> None:
    """UserError for a hub's repository of another kind, by its name and, where they are known, its files' names."""
    kind = KNOWN.get(model.lower())
    if kind is None and any(name.startswith("text_encoder_2/") for name in names):
        kind = SDXL
    if kind is None and any(name.startswith("transformer/") for name in names):
        kind = "a diffusion transformer, which has no UNet"
    if kind is not None:
        raise UserError(f"{model}: {kind}; {LOADS}")


def require_architecture(folder: Path) -> None:
    """UserError for a folder of another pipeline than Stable Diffusion's. No weights are read."""
    named = _said(folder / "model_index.json").get("_class_name")
    unet, text = (_said(folder / part / "config.json") for part in ("unet", "text_encoder"))
    kind = None
    writer = " ".join(map(str, [text.get("model_type"), text.get("architectures"), text.get("_name_or_path")])).lower()
    if named == "KolorsPipeline" or "chatglm" in writer:
        kind = KOLORS
    elif (folder / "text_encoder_2").is_dir() or unet.get("addition_embed_type") == "text_time":
        kind = SDXL
    elif (folder / "transformer").is_dir():
        kind = "a diffusion transformer, which has no UNet"
    else:
        kind = other_unet(unet.get("in_channels"), unet.get("out_channels", 4))
    if kind is not None:
        raise UserError(f"{folder}: {kind}; {LOADS}")


def other_unet(takes: Any, gives: Any) -> str | None:
    """What a UNet is that takes other channels than it gives, as far as it is known; None for the others."""
    if not isinstance(takes, int) or takes not in OTHER_UNETS or takes == gives:
        return None
    return f"{OTHER_UNETS[takes]}, whose UNet takes {takes} channels"


def _said(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where it is damaged or missing, which is told where it is needed."""
    try:
        data = read_json(path)
    except UserError:
        return {}
    return data if isinstance(data, dict) else {}
