"""CLIP ViT-L/14: pictures and texts -> one space.

Parameter names are those of openai/clip-vit-large-patch14 on the hub.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from contest.errors import UserError
from evaluator.backbones.attention import attend, quick_gelu_
from evaluator.backbones.loading import build, read_config, read_folder, require, table
from evaluator.backbones.tokenizer import CONTEXT, Tokenizer

TEXTS_AT_ONCE = 64


@dataclass(frozen=True)
class TowerConfig:
    """One of CLIP's two transformers."""

    width: int
    layers: int
    heads: int
    hidden: int
    eps: float = 1e-5


@dataclass(frozen=True)
class ClipConfig:
    """Both towers; `patch` and `image` are pixels, `shared` is the width of the common space."""

    text: TowerConfig
    vision: TowerConfig
    shared: int
    vocabulary: int
    patch: int
    image: int


class ClipImages:
    """A Hugging Face folder -> features of pictures of height x width."""

    def __init__(self, folder: Path, size: tuple[int, int], device: str) -> None:
        config = read_clip_config(folder / "config.json")
        if size != (config.image, config.image):
            raise UserError(f"{folder}: the processor crops to {size}, the network takes {config.image}")
        self._device = device
        self._network = build(lambda: ImageTower(config), read_folder(folder, _not_of_images), folder, device)

    def features(self, batch: np.ndarray) -> np.ndarray:
        """N,3,height,width float32 -> N,shared float32, not normalised."""
        with torch.inference_mode():
            return self._network(torch.from_numpy(batch).to(self._device)).float().cpu().numpy()


class ClipTexts:
    """A Hugging Face folder -> features of texts."""

    def __init__(self, folder: Path, device: str) -> None:
        config = read_clip_config(folder / "config.json")
        self._tokenizer = Tokenizer(folder)
        if self._tokenizer.end >= config.vocabulary:
            raise UserError(f"{folder}: vocab.json has more tokens than the network's {config.vocabulary}")
        self._device = device
        self._network = build(lambda: TextTower(config), read_folder(folder, _not_of_texts), folder, device)

    def features(self, texts: Sequence[str]) -> np.ndarray:
        """N texts -> N,shared float32, not normalised. Raises UserError for a text of more than 77 tokens."""
        ids = torch.tensor(self._tokenizer.ids(list(texts), padding=self._tokenizer.end), device=self._device)
        # attention looks back only: columns after the last end token change nothing, and nouns are short
        ids = ids[:, : int((ids == self._tokenizer.end).int().argmax(1).max()) + 1]
        with torch.inference_mode():
            rows = [self._network(part, self._tokenizer.end) for part in ids.split(TEXTS_AT_ONCE)]
            return torch.cat(rows).float().cpu().numpy()


class ImageTower(nn.Module):
    """B,3,H,W -> B,shared: a pre-norm vision transformer (Radford et al., 2021)."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.vision_model = _VisionTower(config)
        self.visual_projection = nn.Linear(config.vision.width, config.shared, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.visual_projection(self.vision_model(pixels))


class TextTower(nn.Module):
    """B,L -> B,shared, read at each row's first end token: a causal transformer."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.text_model = _TextTower(config)
        self.text_projection = nn.Linear(config.text.width, config.shared, bias=False)

    def forward(self, ids: Tensor, end: int) -> Tensor:
        return self.text_projection(self.text_model(ids, (ids == end).int().argmax(1)))


def _not_of_images(name: str) -> bool:
    return name == "logit_scale" or name.startswith(("text_model.", "text_projection.")) or _is_constant(name)


def _not_of_texts(name: str) -> bool:
    return name == "logit_scale" or name.startswith(("vision_model.", "visual_projection.")) or _is_constant(name)


def _is_constant(name: str) -> bool:
    return name.endswith(".position_ids")  # older files carry them


class _TextTower(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        text = config.text
        self.embeddings = nn.ModuleDict(
            {
                "token_embedding": table(config.vocabulary, text.width),
                "position_embedding": table(CONTEXT, text.width),
            }
        )
        self.encoder = _encoder(text)
        self.final_layer_norm = nn.LayerNorm(text.width, text.eps)

    def forward(self, ids: Tensor, ends: Tensor) -> Tensor:
        x = self.embeddings["token_embedding"](ids) + self.embeddings["position_embedding"].weight[: ids.shape[1]]
        for layer in self.encoder["layers"]:
            x = layer(x, causal=True)
        return self.final_layer_norm(x[torch.arange(len(x), device=x.device), ends])


class _VisionTower(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        vision = config.vision
        self.embeddings = _Patches(config)
        self.pre_layrnorm = nn.LayerNorm(vision.width, vision.eps)  # the checkpoint spells it so
        self.encoder = _encoder(vision)
        self.post_layernorm = nn.LayerNorm(vision.width, vision.eps)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.pre_layrnorm(self.embeddings(pixels))
        *layers, last = self.encoder["layers"]
        for layer in layers:
            x = layer(x)
        return self.post_layernorm(last(x, asking=1)[:, 0])


class _Patches(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        width = config.vision.width
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.patch_embedding = nn.Conv2d(3, width, config.patch, config.patch, bias=False)
        self.position_embedding = table((config.image // config.patch) ** 2 + 1, width)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        cls = self.class_embedding.expand(len(pixels), 1, -1)
        return torch.cat((cls, patches), 1) + self.position_embedding.weight


class _Layer(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.layer_norm1 = nn.LayerNorm(width, config.eps)
        self.layer_norm2 = nn.LayerNorm(width, config.eps)
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        self.self_attn = nn.ModuleDict({name: nn.Linear(width, width) for name in names})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, config.hidden), "fc2": nn.Linear(config.hidden, width)})

    def forward(self, x: Tensor, causal: bool = False, asking: int | None = None) -> Tensor:
        """B,L,C -> B,L,C, or only its first `asking` places."""
        x = x[:, :asking] + self._mixed(self.layer_norm1(x), causal, asking)
        return x + self.mlp["fc2"](quick_gelu_(self.mlp["fc1"](self.layer_norm2(x))))

    def _mixed(self, x: Tensor, causal: bool, asking: int | None) -> Tensor:
        """Attention over x; its projections are gone before the hidden layer, which is the widest, is made."""
        project = self.self_attn
        query, key, value = project["q_proj"](x[:, :asking]), project["k_proj"](x), project["v_proj"](x)
        return project["out_proj"](attend(query, key, value, self.heads, causal))


def _encoder(config: TowerConfig) -> nn.ModuleDict:
    return nn.ModuleDict({"layers": nn.ModuleList(_Layer(config) for _ in range(config.layers))})


def read_clip_config(path: Path) -> ClipConfig:
    """The sizes in a CLIP config.json. Raises UserError."""
    return parse_clip_config(read_config(path), path)


def parse_clip_config(data: Mapping[str, Any], path: Path) -> ClipConfig:
    """The sizes in the settings that `path` holds. Raises UserError."""
    towers: dict[str, Mapping[str, Any]] = {}
    for key in ("text_config", "vision_config"):
        towers[key] = data[key] if isinstance(data.get(key), dict) else {}
        if towers[key].get("hidden_act", "quick_gelu") != "quick_gelu":
            raise UserError(f"{path}: only CLIP with quick_gelu is known")
    text, vision = towers["text_config"], towers["vision_config"]
    return ClipConfig(
        text=_tower(text, path),
        vision=_tower(vision, path),
        shared=require(data, "projection_dim", path),
        vocabulary=require({"vocab_size": text.get("vocab_size", 49408)}, "vocab_size", path),
        patch=require(vision, "patch_size", path),
        image=require(vision, "image_size", path),
    )


def _tower(data: Mapping[str, Any], path: Path) -> TowerConfig:
    width, heads = require(data, "hidden_size", path), require(data, "num_attention_heads", path)
    if width % heads:
        raise UserError(f"{path}: hidden_size {width} does not divide into {heads} heads")
    return TowerConfig(
        width=width,
        layers=require(data, "num_hidden_layers", path),
        heads=heads,
        hidden=require(data, "intermediate_size", path),
        eps=float(data.get("layer_norm_eps", 1e-5)),
    )
