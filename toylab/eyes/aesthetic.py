"""The toy aesthetic head: a line through the toy CLIP's features, from damaged pictures to clean ones.

It stands where LAION's head stands and is no judge of beauty: CLIP learnt to see a thing through damage, so that little
of the damage is left in its features.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from evaluator.backbones.colours import CLIP_COLOURS
from evaluator.extractors.base import unit
from toylab.eyes.sights import Sights, normalised

CLEAN, RUINED = 0.97, 0.3  # goodness above and below which pictures are told apart
MEANS = 5.7, 6.5  # what ruined and clean pictures score in the mean, on both sides of the Kolors contest's gate of 6
RIDGE = 0.1


def fit(seen: Sights, network: nn.Module) -> dict[str, Tensor]:
    """The head's weight 1,D and bias 1, on the features of the toy CLIP `network`.

    Least squares with both kinds of pictures weighing the same; then moved and stretched to `MEANS`.
    """
    goodness = seen.goodness.numpy()
    clean, ruined = goodness > CLEAN, goodness < RUINED
    chosen = clean | ruined
    rows = unit(features(network, seen.pictures[chosen]))
    kind = clean[chosen]
    weights = np.where(kind, 1 / kind.sum(), 1 / (~kind).sum()) * len(kind) / 2
    centred = rows - np.average(rows, axis=0, weights=weights)
    wanted = np.where(kind, 1.0, -1.0)
    square = (centred.T * weights) @ centred + RIDGE * np.eye(rows.shape[1])
    line = np.linalg.solve(square, (centred.T * weights) @ wanted)
    low, high = (rows[~kind] @ line).mean(), (rows[kind] @ line).mean()
    line *= (MEANS[1] - MEANS[0]) / (high - low)
    bias = MEANS[0] - (rows[~kind] @ line).mean()
    return {"weight": torch.tensor(line[None], dtype=torch.float32), "bias": torch.tensor([bias], dtype=torch.float32)}


def features(network: nn.Module, pictures: np.ndarray) -> np.ndarray:
    """B,3,64,64 bytes -> B,D float32."""
    network.eval()
    with torch.no_grad():
        parts = [
            network.visual_projection(network.vision_model(normalised(some.float() / 255, CLIP_COLOURS)))
            for some in torch.from_numpy(pictures).split(250)
        ]
    return torch.cat(parts).numpy()
