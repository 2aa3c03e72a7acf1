"""An independent small classifier of nouns: how well can what a model draws be told? It never sees a drawn picture."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toylab.loop import learn
from toylab.pictures import NOUNS, scenes, to_array
from toylab.vae import as_input

POOL, TREATED = 20_000, 0.3
STEPS, BATCH, RATE = 800, 64, 2e-3


def classifier() -> nn.Sequential:
    """B,3,64,64 from -1 to 1 -> B,nouns logits; half a million parameters."""
    widths = (3, 32, 64, 128, 192)
    blocks: list[nn.Module] = []
    for before, after in zip(widths, widths[1:]):
        blocks += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*blocks, nn.Dropout2d(0.1), nn.Flatten(), nn.Linear(192 * 16, len(NOUNS)))


def train(work: Path, seed: int) -> nn.Module:
    """The trained classifier."""
    torch.manual_seed(seed)
    network = classifier()
    shown = scenes(seed + 2, POOL, TREATED)
    nouns = torch.tensor([NOUNS.index(one.noun) for one in shown])

    @cache
    def pictures() -> np.ndarray:
        return to_array([one.picture for one in shown])

    def loss(rng: np.random.Generator, _: torch.Generator) -> Tensor:
        chosen = rng.integers(len(shown), size=BATCH)
        batch = as_input(pictures()[chosen])
        batch = torch.roll(batch, tuple(int(move) for move in rng.integers(-4, 5, 2)), (2, 3))
        batch = batch + float(rng.uniform(0, 0.3)) * torch.from_numpy(rng.standard_normal(batch.shape, np.float32))
        return F.cross_entropy(network(batch).float(), nouns[chosen], label_smoothing=0.05)

    learn(network, loss, work / "meter.pt", STEPS, RATE, seed)
    return network


@torch.no_grad()
def recognised(network: nn.Module, pictures: np.ndarray, nouns: list[str]) -> tuple[float, float]:
    """Shares of the pictures (B,3,64,64 bytes) whose noun is the likeliest, and among the five likeliest."""
    order = network(as_input(pictures)).argsort(1, descending=True)
    hit = order == torch.tensor([NOUNS.index(noun) for noun in nouns])[:, None]
    return float(hit[:, 0].float().mean()), float(hit[:, :5].any(1).float().mean())
