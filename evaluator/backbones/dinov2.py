"""DINOv2 base: pictures -> the final-norm CLS token.

Parameter names are those of facebook/dinov2-base on the hub.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from contest.errors import UserError
from evaluator.backbones.attention import attend
from evaluator.backbones.loading import build, read_config, read_folder, require


@dataclass(frozen=True)
class DinoConfig:
    """The sizes of a DINOv2 with a plain MLP.

    `positions` counts position embeddings without the CLS token's.
    """

    width: int
    layers: int
    heads: int
    hidden: int
    patch: int
    positions: int
    eps: float = 1e-6


class DinoV2:
    """A Hugging Face folder -> features of pictures of height x width. Raises UserError."""

    def __init__(self, folder: Path, size: tuple[int, int], positions: str, device: str) -> None:
        config = read_dino_config(folder / "config.json")
        self._device = device
        self._network = build(lambda: DinoNetwork(config), read_folder(folder), folder, device)
        self._network.resize_positions(size[0] // config.patch, size[1] // config.patch, positions)

    def features(self, batch: np.ndarray) -> np.ndarray:
        """N,3,height,width float32 -> N,width float32."""
        with torch.inference_mode():
            return self._network(torch.from_numpy(batch).to(self._device)).float().cpu().numpy()


class DinoNetwork(nn.Module):
    """Pre-norm vision transformer with LayerScale (Oquab et al., 2023)."""

    def __init__(self, config: DinoConfig) -> None:
        super().__init__()
        width = config.width
        self.embeddings = _Embeddings(config)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Layer(config) for _ in range(config.layers))})
        self.layernorm = nn.LayerNorm(width, config.eps)

    def resize_positions(self, height: int, width: int, by: str) -> None:
        """Interpolate the position embeddings to height x width patches, once and for all.

        `by` "scale": transformers 4.44 asked for a scale factor (16 + 0.1)/37; "size": later versions ask for
        a size. The samples lie elsewhere.
        """
        positions = self.embeddings.position_embeddings.data
        side = math.isqrt(positions.shape[1] - 1)
        if (height, width) == (side, side):
            return
        grid = positions[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        wanted: dict[str, Any] = {"size": (height, width)}
        if by == "scale":
            wanted = {"scale_factor": ((height + 0.1) / side, (width + 0.1) / side)}
        resized = functional.interpolate(grid, mode="bicubic", align_corners=False, **wanted)
        resized = torch.cat((positions[:, :1], resized.flatten(2).transpose(1, 2)), 1)
        self.embeddings.position_embeddings = nn.Parameter(resized, requires_grad=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """B,3,H,W -> B,width."""
        x = self.embeddings(pixels)
        *layers, last = self.encoder["layer"]
        for layer in layers:
            x = layer(x)
        return self.layernorm(last(x, asking=1)[:, 0])


class _Embeddings(nn.Module):
    def __init__(self, config: DinoConfig) -> None:
        super().__init__()
        width = config.width
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.mask_token = nn.Parameter(torch.empty(1, width))  # only used in training; every file holds it
        self.position_embeddings = nn.Parameter(torch.empty(1, config.positions + 1, width))
        self.patch_embeddings = nn.ModuleDict({"projection": nn.Conv2d(3, width, config.patch, config.patch)})

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embeddings["projection"](pixels).flatten(2).transpose(1, 2)
        cls = self.cls_token.expand(len(pixels), -1, -1)
        return torch.cat((cls, patches), 1) + self.position_embeddings


class _Layer(nn.Module):
    def __init__(self, config: DinoConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(width, config.eps)
        self.norm2 = nn.LayerNorm(width, config.eps)
        projections = nn.ModuleDict({name: nn.Linear(width, width) for name in ("query", "key", "value")})
        output = nn.ModuleDict({"dense": nn.Linear(width, width)})
        self.attention = nn.ModuleDict({"attention": projections, "output": output})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, config.hidden), "fc2": nn.Linear(config.hidden, width)})
        self.layer_scale1 = nn.ParameterDict({"lambda1": torch.empty(width)})
        self.layer_scale2 = nn.ParameterDict({"lambda1": torch.empty(width)})

    def forward(self, x: Tensor, asking: int | None = None) -> Tensor:
        """B,L,C -> B,L,C, or only its first `asking` places."""
        normed, project = self.norm1(x), self.attention["attention"]
        query, key, value = project["query"](normed[:, :asking]), project["key"](normed), project["value"](normed)
        mixed = self.attention["output"]["dense"](attend(query, key, value, self.heads))
        x = x[:, :asking] + self.layer_scale1["lambda1"] * mixed
        hidden = functional.gelu(self.mlp["fc1"](self.norm2(x)))
        return x + self.layer_scale2["lambda1"] * self.mlp["fc2"](hidden)


def read_dino_config(path: Path) -> DinoConfig:
    """The sizes in a DINOv2 config.json. Raises UserError."""
    return parse_dino_config(read_config(path), path)


def parse_dino_config(data: Mapping[str, Any], path: Path) -> DinoConfig:
    """The sizes in the settings that `path` holds. Raises UserError."""
    if data.get("use_swiglu_ffn", False) or data.get("hidden_act", "gelu") != "gelu":
        raise UserError(f"{path}: only DINOv2 with a GELU MLP is known")
    width, patch = require(data, "hidden_size", path), require(data, "patch_size", path)
    heads = require(data, "num_attention_heads", path)
    if width % heads:
        raise UserError(f"{path}: hidden_size {width} does not divide into {heads} heads")
    return DinoConfig(
        width=width,
        layers=require(data, "num_hidden_layers", path),
        heads=heads,
        hidden=width * require(data, "mlp_ratio", path),
        patch=patch,
        positions=(require(data, "image_size", path) // patch) ** 2,
        eps=float(data.get("layer_norm_eps", 1e-6)),
    )
