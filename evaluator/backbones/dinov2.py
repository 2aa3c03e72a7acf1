"""DINOv2 base: pictures -> the final-norm CLS token.

Parameter names are those of facebook/dinov2-base on the hub.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluator.backbones.attention import attend
from evaluator.backbones.loading import build, read_config, read_folder, require
from evaluator.backbones.processor import read_processor
from evaluator.images import to_processed
from submission.errors import UserError


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
    """A Hugging Face folder -> features. Raises UserError for a folder that is not one."""

    def __init__(self, folder: Path, device: str) -> None:
        config = read_dino_config(folder / "config.json")
        self._processor = read_processor(folder / "preprocessor_config.json")
        self._device = device
        self._network = build(lambda: DinoNetwork(config), read_folder(folder), folder, device)
        height, width = (side // config.patch for side in self._processor.crop)
        self._network.resize_positions(height, width)

    def features(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """N pictures, H,W,3 uint8 each -> N,width float32."""
        batch = np.stack([to_processed(pixels, self._processor) for pixels in pictures])
        with torch.inference_mode():
            return self._network(torch.from_numpy(batch).to(self._device)).cpu().numpy()


class DinoNetwork(nn.Module):
    """Pre-norm vision transformer with LayerScale (Oquab et al., 2023)."""

    def __init__(self, config: DinoConfig) -> None:
        super().__init__()
        width = config.width
        self.embeddings = _Embeddings(config)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Layer(config) for _ in range(config.layers))})
        self.layernorm = nn.LayerNorm(width, config.eps)

    def resize_positions(self, height: int, width: int) -> None:
        """Interpolate the position embeddings to height x width patches, once and for all.

        transformers 4.44 asked for a scale factor (16 + 0.1)/37 where later versions ask for a size; the
        samples lie elsewhere, and the figures of 2024 come from the former.
        """
        positions = self.embeddings.position_embeddings.data
        side = math.isqrt(positions.shape[1] - 1)
        if (height, width) == (side, side):
            return
        grid = positions[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        scale = ((height + 0.1) / side, (width + 0.1) / side)
        resized = functional.interpolate(grid, scale_factor=scale, mode="bicubic", align_corners=False)
        resized = torch.cat((positions[:, :1], resized.flatten(2).transpose(1, 2)), 1)
        self.embeddings.position_embeddings = nn.Parameter(resized, requires_grad=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """B,3,H,W -> B,width."""
        x = self.embeddings(pixels)
        for layer in self.encoder["layer"]:
            x = layer(x)
        return self.layernorm(x[:, 0])


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

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        query, key, value = (self.attention["attention"][name](normed) for name in ("query", "key", "value"))
        x = x + self.layer_scale1["lambda1"] * self.attention["output"]["dense"](attend(query, key, value, self.heads))
        hidden = functional.gelu(self.mlp["fc1"](self.norm2(x)))
        return x + self.layer_scale2["lambda1"] * self.mlp["fc2"](hidden)


def read_dino_config(path: Path) -> DinoConfig:
    """The sizes in a DINOv2 config.json. Raises UserError."""
    data = read_config(path)
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
