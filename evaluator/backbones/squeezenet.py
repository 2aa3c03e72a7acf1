"""SqueezeNet 1.1 with LPIPS' linear heads: pictures -> seven unit-length feature maps, and their distances.

Names are torchvision's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluator.backbones.loading import build, read_checkpoint

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
        self.heads = read_heads(heads, device)
        self._device = device
        self._shift = torch.tensor(_SHIFT, device=device)[:, None, None]
        self._scale = torch.tensor(_SCALE, device=device)[:, None, None]

    def features(self, batch: np.ndarray) -> list[Tensor]:
        """N,3,256,256 float32 in -1..1 -> seven maps N,C,H,W float32 of unit length along C."""
        with torch.inference_mode():
            maps = self._network((torch.from_numpy(batch).to(self._device) - self._shift) / self._scale)
            return to_unit_length(maps)

    def sums(self, batch: np.ndarray) -> Sums:
        """What `distances` needs of a style's references; add up over batches, see `Sums`."""
        maps = self.features(batch)  # a few at a time: single precision is enough for their sum
        energy = maps_to_product(maps, maps, self.heads).sum()
        return Sums(len(batch), [x.sum(0).double().cpu().numpy() for x in maps], float(energy))

    def distances(self, batch: np.ndarray, mean_maps: Sequence[np.ndarray], mean_energy: float) -> np.ndarray:
        """N pictures -> N float64: the mean LPIPS distance to the references that the means are of.

        Separable, so that no pair is formed: mean_j w|a - b_j|^2 = w a^2 + mean_j w b_j^2 - 2 w <a, mean_j b_j>.
        """
        maps = self.features(batch)
        means = [torch.from_numpy(mean)[None].to(self._device) for mean in mean_maps]
        with torch.inference_mode():
            own, crossed = (maps_to_product(maps, others, self.heads) for others in (maps, means))
            return (own + mean_energy - 2 * crossed).cpu().numpy()


@dataclass
class Sums:
    """Over pictures: how many, the sum of each of their seven maps C,H,W in float64, and of their energies."""

    count: int
    maps: list[np.ndarray]
    energy: float

    def __add__(self, other: Sums) -> Sums:
        maps = [a + b for a, b in zip(self.maps, other.maps)]
        return Sums(self.count + other.count, maps, self.energy + other.energy)


def read_heads(path: Path, device: str) -> list[Tensor]:
    """LPIPS' seven linear heads: one weight for each channel of each map."""
    weights = build(LinearHeads, read_checkpoint(path), path, device)
    return [weights.get_parameter(name).flatten() for name in _head_names()]


def to_unit_length(maps: Sequence[Tensor]) -> list[Tensor]:
    """Maps N,C,H,W scaled to length 1 along C. Epsilon is inside the root, as torchmetrics has it since 1.2.1."""
    return [x / (1e-8 + (x * x).sum(1, keepdim=True)).sqrt() for x in maps]


def maps_to_product(maps: Sequence[Tensor], others: Sequence[Tensor], heads: Sequence[Tensor]) -> Tensor:
    """Seven maps N,C,H,W, seven more (N or 1),C,H,W and heads C -> N float64.

    Sum over layers of the mean over places of <w, a b>.
    """
    total = torch.zeros(len(maps[0]), dtype=torch.float64, device=maps[0].device)
    for a, b, head in zip(maps, others, heads):
        places = a.shape[2] * a.shape[3]
        total += (a * b).sum((2, 3)).double() @ head.double() / places
    return total


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
