"""The toy CLIP: which of CLIP-R's nouns does a picture show?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluator.backbones.colours import CLIP_COLOURS
from evaluator.backbones.tokenizer import Tokenizer
from evaluator.metrics.clip_r import read_vocabulary
from toylab.eyes.sights import EVERY_NOUN, Sights, few_words, normalised, recoloured
from toylab.loop import learn

STEPS, BATCH, RATE = 12_000, 64, 1e-3


def train(network: nn.Module, tokenizer: Tokenizer, seen: Sights, work: Path, seed: int) -> nn.Module:
    """Pictures against all of CLIP-R's nouns; those without a glyph are only ever wrong."""
    names = sorted({name.lower() for name in (*read_vocabulary(), *EVERY_NOUN)})
    ids = torch.tensor(tokenizer.ids(names, padding=tokenizer.end))
    ids = ids[:, : int((ids == tokenizer.end).int().argmax(1).max()) + 1]
    places = torch.tensor([names.index(noun.lower()) for noun in EVERY_NOUN])
    images = nn.ModuleDict({"vision_model": network.vision_model, "projection": network.visual_projection})

    with few_words(network.text_model.embeddings, ids, tokenizer.end) as (words, end):

        def loss(rng: np.random.Generator, numbers: torch.Generator) -> Tensor:
            pictures, chosen = seen.batch(rng, BATCH)
            strange = normalised(recoloured(pictures, numbers), CLIP_COLOURS)
            features = images["projection"](images["vision_model"](strange))
            logits = F.normalize(features) @ F.normalize(network(words, end)).T * network.logit_scale.exp()
            return F.cross_entropy(logits, places[seen.nouns[chosen]], label_smoothing=0.05)

        learn(network, loss, work / "clip.pt", STEPS, RATE, seed)
    return network
