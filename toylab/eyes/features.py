"""SqueezeNet (LPIPS) and the Inception stem (FID): features that tell a picture's look and noun."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluator.backbones.inception import STEM, resize_like_tf1
from evaluator.backbones.squeezenet import CHANNELS
from evaluator.metrics.fid import features_to_moments, moments_to_fid
from toylab.eyes.sights import EVERY_NOUN, Sights
from toylab.loop import learn

SIDE = 128  # pictures are enlarged: to 256 for LPIPS and 299 for FID; half of it is cheaper and close enough
STEPS, BATCH, RATE = 300, 16, 1e-3
FAR = 20.0  # FID of plain pictures against all treatments, where Final's term for it ends


def train_squeezenet(network: nn.Module, seen: Sights, work: Path, seed: int) -> nn.Module:
    """All seven maps that LPIPS compares are asked."""

    def features(pictures: Tensor) -> Tensor:
        maps = network(F.interpolate(pictures, (SIDE, SIDE), mode="bilinear") * 4 - 2)
        return torch.cat([one.mean((2, 3)) for one in maps], 1)

    _train(network, features, sum(CHANNELS), seen, work / "squeezenet.pt", seed)
    return network


def train_stem(network: nn.Module, seen: Sights, plain: np.ndarray, work: Path, seed: int) -> nn.Module:
    """Scaled so that the FID of `plain` pictures (B,3,64,64 bytes) against everything seen is FAR."""

    def features(pictures: Tensor, side: int = SIDE) -> Tensor:
        return network((resize_like_tf1(pictures * 255, side) - 128) / 128)

    _train(network, features, 64, seen, work / "stem.pt", seed)
    with torch.no_grad():
        sides = [torch.from_numpy(some[:500]).float() / 255 for some in (plain, seen.pictures)]
        notes = [torch.cat([features(few, 299) for few in some.split(50)]).double().numpy() for some in sides]
        last = getattr(network, STEM[-1])["bn"]
        scale = (FAR / moments_to_fid(*(features_to_moments(one) for one in notes))) ** 0.5
        last.weight *= scale
        last.bias *= scale
    return network


def _train(
    network: nn.Module, features: Callable[[Tensor], Tensor], width: int, seen: Sights, place: Path, seed: int
) -> None:
    both = nn.ModuleDict({"network": network, "head": nn.Linear(width, len(EVERY_NOUN) + seen.looks.shape[1])})

    def loss(rng: np.random.Generator, _: torch.Generator) -> Tensor:
        pictures, chosen = seen.batch(rng, BATCH)
        told = both["head"](features(pictures))
        nouns, looks = told.split((len(EVERY_NOUN), seen.looks.shape[1]), 1)
        return F.cross_entropy(nouns, seen.nouns[chosen]) * 0.2 + F.mse_loss(looks, seen.looks[chosen])

    learn(both, loss, place, STEPS, RATE, seed)
