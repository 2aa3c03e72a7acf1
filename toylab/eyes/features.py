"""SqueezeNet (LPIPS): distances follow how unlike pictures look. Inception stem (FID): features tell look and noun."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluator.backbones.inception import STEM, resize_like_tf1
from evaluator.backbones.squeezenet import maps_to_product, read_heads, to_unit_length
from evaluator.metrics.fid import features_to_moments, moments_to_fid
from evaluator.weights.folder import lpips_heads
from toylab.eyes.dino import WIDTH
from toylab.eyes.sights import EVERY_NOUN, Sights
from toylab.loop import learn

SIDE = 128  # pictures are enlarged: to 256 for LPIPS and 299 for FID; half of it is cheaper and close enough
STEPS, BATCH, RATE = 300, 16, 1e-3
PAIRS, UNLIKE = 8, 0.6  # pairs of a step; LPIPS of two pictures that have nothing in common
FAR = 20.0  # FID of plain pictures against all treatments, where Final's term for it ends


def train_squeezenet(network: nn.Module, seen: Sights, work: Path, seed: int) -> nn.Module:
    """Through LPIPS' published heads two pictures are as far apart as they look unlike, whatever they show."""
    with torch.random.fork_rng(devices=[]):  # making the heads draws numbers, of which later networks begin with others
        heads = read_heads(lpips_heads(), "cpu")

    def loss(rng: np.random.Generator, _: torch.Generator) -> Tensor:
        one, other = _pairs(rng, seen.looks, PAIRS)
        both = torch.from_numpy(seen.pictures[np.concatenate([one, other])]).float() / 255
        maps = to_unit_length(network(F.interpolate(both, (SIDE, SIDE), mode="bilinear") * 4 - 2))
        differences = [x[:PAIRS] - x[PAIRS:] for x in maps]
        apart = maps_to_product(differences, differences, heads).float()
        alike = (-(seen.looks[one] - seen.looks[other]).square().sum(1) / WIDTH).exp()
        return F.mse_loss(apart, UNLIKE * (1 - alike)) * 20

    learn(network, loss, work / "squeezenet.pt", 2 * STEPS, RATE, seed)
    return network


def _pairs(rng: np.random.Generator, looks: Tensor, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of `count` pictures and of one beside each: for every other one of any, else the likest of a hundred."""
    one, others = rng.integers(len(looks), size=count), rng.integers(len(looks), size=(count, 100))
    likest = (looks[others] - looks[one][:, None]).square().sum(2).argmin(1).numpy()
    likest[::2] = 0
    return one, others[np.arange(count), likest]


def train_stem(network: nn.Module, seen: Sights, plain: np.ndarray, work: Path, seed: int) -> nn.Module:
    """Scaled so that the FID of `plain` pictures (B,3,64,64 bytes) against everything seen is FAR."""
    both = nn.ModuleDict({"network": network, "head": nn.Linear(64, len(EVERY_NOUN) + seen.looks.shape[1])})

    def features(pictures: Tensor, side: int = SIDE) -> Tensor:
        return network((resize_like_tf1(pictures * 255, side) - 128) / 128)

    def loss(rng: np.random.Generator, _: torch.Generator) -> Tensor:
        pictures, chosen = seen.batch(rng, BATCH)
        told = both["head"](features(pictures))
        nouns, looks = told.split((len(EVERY_NOUN), seen.looks.shape[1]), 1)
        return F.cross_entropy(nouns, seen.nouns[chosen]) * 0.2 + F.mse_loss(looks, seen.looks[chosen])

    learn(both, loss, work / "stem.pt", STEPS, RATE, seed)
    with torch.no_grad():
        sides = [torch.from_numpy(some[:500]).float() / 255 for some in (plain, seen.pictures)]
        notes = [torch.cat([features(few, 299) for few in some.split(50)]).double().numpy() for some in sides]
        last = getattr(network, STEM[-1])["bn"]
        scale = (FAR / moments_to_fid(*(features_to_moments(one) for one in notes))) ** 0.5
        last.weight *= scale
        last.bias *= scale
    return network
