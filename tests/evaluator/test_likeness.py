"""How alike two pictures are by CLIP's patch tokens, against transformers' own CLIP on the same weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluator.extractors.likeness import likeness
from evaluator.weights.folder import CLIP, find_weights


def picture(seed):
    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3)).astype(np.uint8)
    return np.array(Image.fromarray(small).resize((64, 64)))


def test_it_is_the_cosine_of_transformers_last_hidden_state():
    from transformers import CLIPImageProcessorFast, CLIPVisionModel

    folder = find_weights(Path("toy")) / CLIP
    network, processor = CLIPVisionModel.from_pretrained(folder), CLIPImageProcessorFast.from_pretrained(folder)
    pictures = [picture(seed) for seed in range(3)]
    with torch.no_grad():
        tokens = network(processor(pictures, return_tensors="pt")["pixel_values"], output_hidden_states=True)
    first, *rest = tokens.hidden_states[-1][:, 1:].flatten(1)
    expected = [float(torch.cosine_similarity(first, other, 0)) for other in rest]
    np.testing.assert_allclose(likeness(Path("toy"), pictures[0], pictures[1:]), expected, atol=5e-4)
    assert likeness(Path("toy"), pictures[0], pictures[:1])[0] == pytest.approx(1, abs=1e-6)
