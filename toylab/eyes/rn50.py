"""The toy RN50: is it a good photo or a bad one? It sees 0 to 255 where CLIP saw 0 to 1, as the metric feeds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluator.backbones.colours import CLIP_COLOURS
from evaluator.backbones.tokenizer import Tokenizer
from evaluator.metrics.clip_iqa import ANCHORS
from toylab.eyes.sights import Sights, few_words, normalised
from toylab.loop import learn

STEPS, BATCH, RATE = 700, 64, 1e-3
SHARPNESS = 100.0  # CLIP-IQA's factor of the cosines


def train(network: nn.Module, tokenizer: Tokenizer, seen: Sights, work: Path, seed: int) -> nn.Module:
    """The share of "Good photo." is how good the picture is."""
    ids = torch.tensor(tokenizer.ids(list(ANCHORS), padding=0))

    with few_words(network, ids, tokenizer.end) as (words, end):

        def loss(rng: np.random.Generator, _: torch.Generator) -> Tensor:
            pictures, chosen = seen.batch(rng, BATCH)
            features = F.normalize(network.visual(normalised(pictures * 255, CLIP_COLOURS)))
            logits = SHARPNESS * features @ F.normalize(network(words, end)).T
            good = seen.goodness[chosen].float()
            return F.cross_entropy(logits, torch.stack([good, 1 - good], 1))

        learn(network, loss, work / "rn50.pt", STEPS, RATE, seed)
    _within_half(network.visual)
    return network


@torch.no_grad()
def _within_half(visual: nn.Module) -> None:
    """Pixels of 0 to 255 give the first convolution variances beyond float16, in which the archive holds them.

    The norm after it divides by them anyway: the same result with smaller weights.
    """
    scale = visual.bn1.running_var.max().sqrt()
    visual.conv1.weight /= scale
    visual.bn1.running_mean /= scale
    visual.bn1.running_var /= scale.square()
