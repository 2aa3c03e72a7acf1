"""SqueezeNet 1.1 with LPIPS' linear heads: pictures -> seven unit-length feature maps.

Names are torchvision's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluator.backbones.loading import build, read_checkpoint
from evaluator.images import to_square

SIDE = 256
TAPS = (1, 4, 7, 9, 10, 11, 12)  # the layers of `features` whose outputs LPIPS compares
CHANNELS = (64, 128, 256, 384, 384, 512, 512)
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


class SqueezeNet:
    """A torchvision checkpoint and LPIPS' heads -> feature maps.

    `heads` are seven tensors, one weight per channel.
    """

    def __init__(self, path: Path, heads: Path, device: str) -> None:
        self._network = build(
            SqueezeNetwork,
            read_checkpoint(path),
            path,
            device,
            ignore=lambda name: name.startswith("classifier."),
        )
        weights = build(LinearHeads, read_checkpoint(heads), heads, device)
        self.heads: list[Tensor] = [weights.get_parameter(name).flatten() for name in _head_names()]
        self._device = device
        self._shift = torch.tensor(_SHIFT, device=device)[:, None, None]
        self._scale = torch.tensor(_SCALE, device=device)[:, None, None]

    def features(self, pictures: Sequence[np.ndarray]) -> list[Tensor]:
        """N pictures, H,W,3 uint8 each -> seven maps N,C,H,W float32 of unit length along C."""
        batch = torch.from_numpy(np.stack([to_square(pixels, SIDE) for pixels in pictures])).to(self._device)
        with torch.inference_mode():
            maps = self._network((batch - self._shift) / self._scale)
            # epsilon inside the root, as torchmetrics has it since 1.2.1
            return [x / (1e-8 + (x * x).sum(1, keepdim=True)).sqrt() for x in maps]


class SqueezeNetwork(nn.Module):
    """The convolutions of SqueezeNet 1.1 (Iandola et al., 2016), giving the maps at TAPS."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, 2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(64, 16, 64),
            Fire(128, 16, 64),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(128, 32, 128),
            Fire(256, 32, 128),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(256, 48, 192),
            Fire(384, 48, 192),
            Fire(384, 64, 256),
            Fire(512, 64, 256),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in TAPS:
                maps.append(x)
        return maps


class Fire(nn.Module):
    """A 1x1 squeeze, then 1x1 and 3x3 expansions side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.squeeze(x))
        return functional.relu(torch.cat((self.expand1x1(x), self.expand3x3(x)), 1))


class LinearHeads(nn.Module):
    """The published LPIPS 0.1 weights (Zhang et al., 2018), under the names of the lpips package."""

    def __init__(self) -> None:
        super().__init__()
        for place, channels in enumerate(CHANNELS):
            convolution = nn.Conv2d(channels, 1, 1, bias=False)
            setattr(self, f"lin{place}", nn.ModuleDict({"model": nn.ModuleDict({"1": convolution})}))


def _head_names() -> list[str]:
    return [f"lin{place}.model.1.weight" for place in range(len(CHANNELS))]
