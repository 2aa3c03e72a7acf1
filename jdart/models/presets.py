"""Base models by name: the published shapes, one of their kind for 256 px and two CPU cores, and a miniature.

The published shapes are those of the checkpoints' own configuration files (stabilityai/stable-diffusion-2-1, SD 1.5).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from contest.disk.files import write_bytes, write_json
from contest.errors import UserError, needs

CROSS = "CrossAttnDownBlock2D"
SD_UNET: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False,
    "cross_attention_dim": 768,
    "down_block_types": [CROSS, CROSS, CROSS, "DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "use_linear_projection": False,
}
SD_VAE: dict[str, Any] = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 512,
    "scaling_factor": 0.18215,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
SD_TEXT: dict[str, Any] = {
    "architectures": ["CLIPTextModel"],
    "model_type": "clip_text_model",
    "hidden_act": "quick_gelu",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "projection_dim": 768,
    "vocab_size": 49408,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 1,
}
SD_SCHEDULER: dict[str, Any] = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
SD21_UNET = {
    **SD_UNET,
    "attention_head_dim": [5, 10, 20, 20],
    "cross_attention_dim": 1024,
    "sample_size": 96,
    "upcast_attention": True,
    "use_linear_projection": True,
}
SD21_TEXT = {
    **SD_TEXT,
    "hidden_act": "gelu",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 23,
    "projection_dim": 512,
}
V_PREDICTION = {**SD_SCHEDULER, "prediction_type": "v_prediction"}

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "sd15": {"unet": SD_UNET, "vae": SD_VAE, "text_encoder": SD_TEXT, "scheduler": SD_SCHEDULER},
    "sd21": {"unet": SD21_UNET, "vae": SD_VAE, "text_encoder": SD21_TEXT, "scheduler": V_PREDICTION},
    "sd21-base": {
        "unet": {**SD21_UNET, "sample_size": 64},
        "vae": SD_VAE,
        "text_encoder": SD21_TEXT,
        "scheduler": SD_SCHEDULER,
    },
    "small": {
        "unet": {
            **SD21_UNET,
            "attention_head_dim": [2, 4, 8, 10],
            "block_out_channels": [64, 128, 256, 320],
            "cross_attention_dim": 256,
            "sample_size": 32,
        },
        "vae": {**SD_VAE, "block_out_channels": [64, 128, 256, 256], "sample_size": 256},
        "text_encoder": {
            **SD21_TEXT,
            "hidden_size": 256,
            "intermediate_size": 1024,
            "num_attention_heads": 4,
            "num_hidden_layers": 12,
            "projection_dim": 256,
        },
        "scheduler": V_PREDICTION,
    },
    "tiny": {
        "unet": {
            **SD21_UNET,
            "attention_head_dim": [2, 4],
            "block_out_channels": [32, 64],
            "cross_attention_dim": 32,
            "down_block_types": ["DownBlock2D", CROSS],
            "layers_per_block": 1,
            "norm_num_groups": 8,
            "sample_size": 16,
            "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        },
        "vae": {
            **SD_VAE,
            "block_out_channels": [16, 32, 32],
            "down_block_types": ["DownEncoderBlock2D"] * 3,
            "layers_per_block": 1,
            "norm_num_groups": 8,
            "sample_size": 64,
            "scaling_factor": 1.0,
            "up_block_types": ["UpDecoderBlock2D"] * 3,
        },
        "text_encoder": {
            **SD21_TEXT,
            "hidden_size": 32,
            "intermediate_size": 128,
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "projection_dim": 32,
        },
        "scheduler": V_PREDICTION,
    },
}
INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "feature_extractor": [None, None],
    "safety_checker": [None, None],
}
PARTS = ("unet", "vae", "text_encoder")
WEIGHTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}


def build_network(part: str, config: Mapping[str, Any]) -> Any:
    """An untrained jittor network for `part` ("unet", "vae" or "text_encoder"). Nothing is allocated until use."""
    from jdart.models.networks.text_encoder import TextConfig, TextEncoder
    from jdart.models.networks.unet import UNet
    from jdart.models.networks.unet_config import UNetConfig
    from jdart.models.networks.vae import VAE, VAEConfig

    if part == "unet":
        return UNet(UNetConfig.from_dict(config))
    return VAE(VAEConfig.from_dict(config)) if part == "vae" else TextEncoder(TextConfig.from_dict(config))


def write_base(folder: Path, preset: str, seed: int) -> None:
    """Write a randomly initialised pipeline in diffusers' layout, with CLIP's real tokenizer.

    Every number comes from a generator seeded by (seed, tensor name): the same folder on any machine. Raises
    UserError when the folder holds anything, or for an unknown preset.
    """
    if preset not in PRESETS:
        raise UserError(f"unknown preset {preset!r}; there are: {', '.join(PRESETS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and not empty; choose another folder")
    with needs("train"):
        from safetensors.numpy import save

    from jdart.models.weights import slots_of

    parts = PRESETS[preset]
    for part in PARTS:
        write_json(folder / part / "config.json", parts[part])
        shapes = {name: shape for name, (_, _, shape) in slots_of(build_network(part, parts[part]))}
        tensors = {name: _numbers(seed, f"{part}.{name}", shape) for name, shape in shapes.items()}
        write_bytes(folder / part / f"{WEIGHTS[part]}.safetensors", save(tensors, metadata={"format": "pt"}))
    write_json(folder / "scheduler" / "scheduler_config.json", parts["scheduler"])
    write_tokenizer(folder / "tokenizer")
    write_json(folder / "model_index.json", INDEX)


def _numbers(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Variance-preserving weights, unit gains and zero biases."""
    leaf = name.rsplit(".", 1)[-1]
    if len(shape) == 1:
        return np.full(shape, 1.0 if leaf == "weight" else 0.0, np.float32)
    fan_in = int(np.prod(shape[1:]))
    scale = 1.0 if "embedding.weight" in name else fan_in**-0.5
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def write_tokenizer(folder: Path) -> None:
    """CLIP's byte-pair tokenizer as SD 2.1 has it, which fills up with "!". UserError: open-clip-torch is missing."""
    from evaluator.weights import tokenizer

    with needs("train"):
        tokenizer.write_tokenizer(folder, pad="!")
