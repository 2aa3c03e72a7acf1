"""Readers of what models bring: a base's settings, IP-Adapters and their image encoders, style tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_targets import JSON, Target, text
from fuzz_weights import HEADER, PICKLE, torch_file, unchecked

from jdart.image_prompts.adapter import PARTS, cross_attentions, read_adapter
from jdart.image_prompts.encoder import ImageEncoder
from jdart.lora.token import load_token
from jdart.models.build import Base
from jdart.models.networks.unet_config import UNetConfig
from jdart.models.presets import PRESETS
from jdart.models.tensors import to_safetensors

TINY = PRESETS["tiny"]
UNET = UNetConfig.from_dict(TINY["unet"])
WORDS = UNET.cross_attention_dim
VISION = {"hidden_size": 24, "projection_dim": 20, "image_size": 16, "patch_size": 8}
ENCODER = {"model_type": "clip_vision_model", **VISION}
WHOLE_CLIP = {"model_type": "clip", "projection_dim": 20, "vision_config": VISION}
DINO = {"model_type": "dinov2", "hidden_size": 24}
PROCESSOR = {"size": {"shortest_edge": 18}, "crop_size": {"height": 16, "width": 16}, "resample": 3}
PROCESSOR = {**PROCESSOR, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.2, 0.2, 0.2], "do_resize": True}


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(list(shape)).standard_normal(shape).astype(np.float32)


def norm(name: str, width: int) -> dict[str, np.ndarray]:
    return {f"{name}.weight": numbers(width), f"{name}.bias": numbers(width)}


def projections() -> dict[str, dict[str, np.ndarray]]:
    """The three public kinds, under their names."""
    base = {"proj.weight": numbers(2 * WORDS, 5), "proj.bias": numbers(2 * WORDS), **norm("norm", WORDS)}
    full = {"proj.0.weight": numbers(6, 5), "proj.0.bias": numbers(6), "proj.2.weight": numbers(WORDS, 6)}
    full = {**full, "proj.2.bias": numbers(WORDS), **norm("proj.3", WORDS)}
    plus = {"latents": numbers(1, 2, 4), "proj_in.weight": numbers(4, 5), "proj_in.bias": numbers(4)}
    plus |= {"proj_out.weight": numbers(WORDS, 4), "proj_out.bias": numbers(WORDS), **norm("norm_out", WORDS)}
    plus |= {**norm("layers.0.0.norm1", 4), **norm("layers.0.0.norm2", 4), **norm("layers.0.1.0", 4)}
    plus |= {"layers.0.0.to_q.weight": numbers(64, 4), "layers.0.0.to_kv.weight": numbers(128, 4)}
    plus |= {"layers.0.0.to_out.weight": numbers(4, 64)}
    plus |= {"layers.0.1.1.weight": numbers(16, 4), "layers.0.1.3.weight": numbers(4, 16)}
    return {"base": base, "full": full, "plus": plus}


def looked_at() -> dict[str, np.ndarray]:
    """Keys and values of every cross-attention."""
    return {
        f"{2 * number + 1}.{name}.weight": numbers(width, WORDS)
        for number, width in enumerate(cross_attentions(UNET).values())
        for name in ("to_k_ip", "to_v_ip")
    }


def adapters() -> list[dict[str, Mapping[str, np.ndarray]]]:
    return [{"image_proj": own, "ip_adapter": looked_at()} for own in projections().values()]


def flat(state: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {f"{part}.{name}": array for part, own in state.items() for name, array in own.items()}


def as_tensors(state: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    import torch

    return {part: {name: torch.from_numpy(array) for name, array in own.items()} for part, own in state.items()}


def encoder(folder: Path, kind: str) -> None:
    """What is read of an encoder before its network."""
    found = ImageEncoder(folder, kind)
    for hidden in (False, True):
        found.width(hidden)
    found._pixels(None)


def base(path: Path) -> None:
    """A base's settings, and whether its parts belong together."""
    found = Base(path.parents[1])
    found.require_match()
    _ = found.configs["unet"].heads
    cross_attentions(found.configs["unet"])
    _ = found.schedule


def model_targets() -> dict[str, Target]:
    stored = tuple(to_safetensors(flat(state), {"format": "pt"}) for state in adapters())
    pickled = tuple(torch_file(as_tensors(state)) for state in adapters()[:1])
    parts = tuple(part.encode() for part in PARTS)
    weights = ("model.safetensors", to_safetensors({"a": numbers(2)}, {}))
    settings = {f"{part}/config.json": text(TINY[part]) for part in ("unet", "vae", "text_encoder")}
    settings["scheduler/scheduler_config.json"] = text(TINY["scheduler"])
    settings["tokenizer/vocab.json"] = b"{}"

    def of_base(name: str) -> Target:
        beside = tuple((other, data) for other, data in settings.items() if other != name)
        return Target(name, base, (settings[name],), JSON, beside)

    token = to_safetensors({"<style>": numbers(2, 5)}, {"format": "pt"})
    processor = ("preprocessor_config.json", text(PROCESSOR))
    return {
        "ip-adapter": Target("x.safetensors", lambda path: read_adapter(path, UNET), stored, (*HEADER, *parts)),
        "ip-adapter-bin": Target("x.bin", lambda path: read_adapter(path, UNET), pickled, PICKLE, wrap=unchecked),
        "image-encoder": Target(
            "config.json",
            lambda path: encoder(path.parent, "clip"),
            (text(ENCODER), text(WHOLE_CLIP)),
            JSON,
            (weights,),
        ),
        "image-encoder-dino": Target(
            "config.json", lambda path: encoder(path.parent, "dino"), (text(DINO),), JSON, (weights, processor)
        ),
        "image-processor": Target(
            processor[0],
            lambda path: encoder(path.parent, "dino"),
            (processor[1],),
            JSON,
            (weights, ("config.json", text(DINO))),
        ),
        "token": Target("learned_embeds.safetensors", load_token, (token,), HEADER),
        "token-bin": Target(
            "x.bin", load_token, (torch_file(as_tensors({"": {"<style>": numbers(2, 5)}})[""]),), PICKLE, wrap=unchecked
        ),
        **{f"base-{name.split('/')[0]}": of_base(name) for name in settings if name.endswith("config.json")},
    }
