"""What a checkpoint is by its tensors' names and shapes, and in one line why it is no Stable Diffusion 1 or 2."""

from __future__ import annotations

import re
from dataclasses import dataclass

from contest.errors import UserError
from jdart.models.hub.architecture import other_unet
from jdart.models.single_file.checkpoint import Checkpoint

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP, OPEN_CLIP = "cond_stage_model.transformer.", "cond_stage_model.model."
CONV_IN, CONV_OUT = f"{UNET}input_blocks.0.0.weight", f"{UNET}out.2.weight"
LATENT, DECODER = "decoder.conv_in.weight", "decoder.mid.block_1.conv1.weight"  # which is called otherwise in diffusers
BASE_2_STEPS = 875000  # global_step of stable-diffusion-2-base, which predicts the noise; by it diffusers tells it too

_TAKE = "take a checkpoint of Stable Diffusion 1 or 2"
_AROUND = "name the folder around it"
_OTHERS = (  # a pattern of a tensor's name, what it says, what to do; the first that is found counts
    (r"lora_(down|up|A|B)\b|\.lora\.(down|up)\.|hada_w1|lokr_w", "a LoRA file", "name it in generate.loras"),
    (r"string_to_param|emb_params", "a textual inversion embedding", _TAKE),
    (r"control_model\.|controlnet_", "a ControlNet", _TAKE),
    (r"encoder_hid_proj\.", "Kolors", _TAKE),
    (r"joint_blocks\.\d+\.", "Stable Diffusion 3", _TAKE),
    (r"(double_blocks|single_transformer_blocks)\.\d+\.", "Flux or one of its kind", _TAKE),
    (r"conditioner\.embedders\.[01]\.model\.|transformer_blocks\.1\.|add_embedding\.", "SDXL", _TAKE),
    (r"label_emb\.", "a model that is told more than a text", _TAKE),
    (r"temporal|time_stack|motion_modules", "a model of videos", _TAKE),
    (r"(down_blocks|encoder\.down_blocks)\.0\.", "one part of a base in diffusers' names", _AROUND),
    (r"^(text_model\.)?encoder\.layers\.0\.", "a text encoder alone", _AROUND),
)


@dataclass(frozen=True)
class Kind:
    """What a checkpoint was recognised as."""

    version: int  # of Stable Diffusion: 1 or 2
    prediction_type: str
    assumed: bool  # its prediction type: the file does not say it, and both are usual
    zero_snr: bool
    has_vae: bool


def recognise(checkpoint: Checkpoint) -> Kind:
    """UserError, in one line, for a checkpoint that is no Stable Diffusion 1 or 2, or holds a part of one alone."""
    path, names = checkpoint.path, checkpoint.shapes
    _refuse_others(checkpoint)
    if CONV_IN not in names and is_vae(checkpoint):
        raise UserError(f"{path}: a VAE alone; name it as base.vae, and a base model as base.model")
    if CONV_IN not in names:
        some = ", ".join(sorted(names)[:2])
        raise UserError(f"{path}: no Stable Diffusion 1 or 2 under its original names ({some}, ...); {_TAKE}")
    takes, gives = (_channels(checkpoint, name, axis) for name, axis in ((CONV_IN, 1), (CONV_OUT, 0)))
    other = other_unet(takes, gives)
    if other is not None:
        raise UserError(f"{path}: {other}; {_TAKE}")
    if not any(name.startswith((CLIP, OPEN_CLIP)) for name in names):
        raise UserError(f"{path}: holds no text encoder; take the whole checkpoint, not the UNet alone")
    version = 2 if any(name.startswith(OPEN_CLIP) for name in names) else 1
    said = _prediction(checkpoint, version)
    usual = "epsilon" if version == 1 else "v_prediction"
    prediction = usual if said is None else said
    zero_snr = prediction == "v_prediction" and "ztsnr" in names
    return Kind(version, prediction, said is None and version == 2, zero_snr, f"{VAE}{DECODER}" in names)


def require_vae(checkpoint: Checkpoint) -> None:
    """UserError for a file in which no autoencoder is, alone or in a base."""
    _refuse_others(checkpoint)
    if not is_vae(checkpoint):
        raise UserError(f"{checkpoint.path}: holds no VAE under its original names; name another file as base.vae")
    width = _channels(checkpoint, f"{VAE}{LATENT}" if f"{VAE}{LATENT}" in checkpoint.shapes else LATENT, 1)
    if width != 4:
        raise UserError(
            f"{checkpoint.path}: a VAE whose latents have {width} channels where Stable Diffusion 1 and 2 have 4; "
            "name one of theirs as base.vae"
        )


def is_vae(checkpoint: Checkpoint) -> bool:
    """Whether an autoencoder under its original names is in it."""
    return DECODER in checkpoint.shapes or f"{VAE}{DECODER}" in checkpoint.shapes


def _refuse_others(checkpoint: Checkpoint) -> None:
    """UserError that names what a file is, where it is known."""
    for pattern, what, cure in _OTHERS:
        if any(re.search(pattern, name) for name in checkpoint.shapes):
            raise UserError(f"{checkpoint.path}: {what}, not Stable Diffusion 1 or 2; {cure}")


def _channels(checkpoint: Checkpoint, name: str, axis: int) -> int:
    shape = checkpoint.shapes.get(name, ())
    return shape[axis] if len(shape) == 4 else 4


def _prediction(checkpoint: Checkpoint, version: int) -> str | None:
    """The prediction type where the file says it; no shape of a tensor does."""
    said = {"v": "v_prediction", "v_prediction": "v_prediction", "epsilon": "epsilon"}
    noted = said.get(str(checkpoint.metadata.get("modelspec.prediction_type")).lower())
    if noted is not None:
        return noted
    if "v_pred" in checkpoint.shapes:  # a tensor of no use but that it is there, as ztsnr
        return "v_prediction"
    return "epsilon" if version == 2 and checkpoint.global_step == BASE_2_STEPS else None
