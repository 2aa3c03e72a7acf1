"""The toy DINOv2: the cosine of two pictures follows how alike they look, and a little whether they show the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluator.backbones.colours import DINO_COLOURS
from toylab.eyes.sights import Sights, normalised
from toylab.loop import learn

STEPS, BATCH, RATE = 900, 64, 1e-3
WIDTH = 8.0  # squared distance of looks at which the likeness is 1/e
THING = 0.25  # the part of the likeness that is the noun's


def train(network: nn.Module, seen: Sights, edges: tuple[int, int], work: Path, seed: int) -> nn.Module:
    """Pictures are cropped to the middle, as the metric does."""
    side, crop = edges
    first = (side - crop) // 2

    def loss(rng: np.random.Generator, _: torch.Generator) -> Tensor:
        pictures, chosen = seen.batch(rng, BATCH)
        cropped = pictures[:, :, first : first + crop, first : first + crop]
        features = F.normalize(network(normalised(cropped, DINO_COLOURS)))
        looks, nouns = seen.looks[chosen], seen.nouns[chosen]
        alike = (-torch.cdist(looks, looks).square() / WIDTH).exp()
        wanted = (1 - THING) * alike + THING * (nouns[:, None] == nouns).float()
        return F.mse_loss(features @ features.T, wanted) * 10

    learn(network, loss, work / "dino.pt", STEPS, RATE, seed)
    return network
