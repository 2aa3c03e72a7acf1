"""The stem of the FID Inception: pictures -> 64 features.

Names are those of torch-fidelity's port of the TF1 graph.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluator.backbones.loading import build, read_checkpoint

SIDE = 299
STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3")


class InceptionStem:
    """A checkpoint of the whole Inception or of its stem -> features.

    `resize` "tf1": as in TensorFlow 1; "antialias": as in torchmetrics since 1.8.
    """

    def __init__(self, path: Path, resize: str, device: str) -> None:
        state = read_checkpoint(path)
        self._network = build(InceptionNetwork, state, path, device, ignore=lambda name: name.split(".")[0] not in STEM)
        self._resize = {"tf1": resize_like_tf1, "antialias": resize_antialiased}[resize]
        self._device = device

    def features(self, batch: np.ndarray) -> np.ndarray:
        """N,H,W,3 uint8 -> N,64 float32."""
        with torch.inference_mode():
            pixels = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2).float()
            return self._network((self._resize(pixels, SIDE) - 128) / 128).float().cpu().numpy()


class InceptionNetwork(nn.Module):
    """Three convolutions, a pool and the mean over places (Szegedy et al., 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _block(3, 32, stride=2)
        self.Conv2d_2a_3x3 = _block(32, 32)
        self.Conv2d_2b_3x3 = _block(32, 64, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """B,3,299,299 in -1..1 -> B,64."""
        for name in STEM:
            block = getattr(self, name)
            x = functional.relu_(block["bn"](block["conv"](x)))
        return functional.max_pool2d(x, 3, 2).mean((2, 3))


def resize_like_tf1(images: Tensor, side: int) -> Tensor:
    """B,C,H,W float -> B,C,side,side, bilinear as in TensorFlow 1: no half-pixel offset, no antialiasing."""
    top, bottom, down = _taps(images.shape[2], side, images.device)
    left, right, across = _taps(images.shape[3], side, images.device)
    rows = images[:, :, :, left] + (images[:, :, :, right] - images[:, :, :, left]) * across
    return rows[:, :, top] + (rows[:, :, bottom] - rows[:, :, top]) * down[:, None]


def resize_antialiased(images: Tensor, side: int) -> Tensor:
    """B,C,H,W float -> B,C,side,side by PyTorch's bilinear filter that widens where it shrinks."""
    return functional.interpolate(images, (side, side), mode="bilinear", align_corners=False, antialias=True)


def _taps(size: int, side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    places = torch.arange(side, dtype=torch.float32, device=device) * torch.tensor(size / side, dtype=torch.float32)
    low = places.long()
    return low, (low + 1).clamp_max(size - 1), places - low


def _block(channels: int, filters: int, stride: int = 1, padding: int = 0) -> nn.ModuleDict:
    convolution = nn.Conv2d(channels, filters, 3, stride, padding, bias=False)
    return nn.ModuleDict({"conv": convolution, "bn": nn.BatchNorm2d(filters, eps=0.001)})
