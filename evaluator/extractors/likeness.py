"""How alike two pictures are in what they show and where: CLIP's patch tokens, not its one vector for the whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from evaluator.backbones.clip import ClipImages
from evaluator.extractors.processor import read_processor
from evaluator.inputs.images import to_tensor_processed
from evaluator.weights.folder import CLIP, open_weights


def likeness(weights: Path, picture: np.ndarray, others: Sequence[np.ndarray], device: str = "cpu") -> np.ndarray:
    """Cosine of the patch tokens of `picture` (H, W, 3) uint8 and of each of the `others` -> (N,) float32.

    The tokens after CLIP ViT-L/14's last layer, all of a picture as one vector, as StyleBlend chooses its pictures by
    (2502.09064). `weights` is the evaluator's folder, or `toy`. Raises UserError when a file is missing there.
    """
    folder = open_weights(weights).root / CLIP
    processor = read_processor(folder / "preprocessor_config.json")
    network = _ClipPatches(folder, processor.crop, device)
    first, *rest = (network.features(to_tensor_processed(each, processor)[None])[0] for each in (picture, *others))
    return np.array([_cosine(first, other) for other in rest], np.float32)


class _ClipPatches(ClipImages):
    def features(self, batch: np.ndarray) -> np.ndarray:
        """N,3,height,width float32 -> N,patches*width float32."""
        tower = self._network.vision_model
        with torch.inference_mode():
            x = tower.pre_layrnorm(tower.embeddings(torch.from_numpy(batch).to(self._device)))
            for layer in tower.encoder["layers"]:
                x = layer(x)
            return x[:, 1:].flatten(1).float().cpu().numpy()


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
