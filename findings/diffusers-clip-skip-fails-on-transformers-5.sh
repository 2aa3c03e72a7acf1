#!/usr/bin/env bash
# Package: diffusers 0.42.1 with transformers 5.24.0 (torch 2.14.1).
# Behaviour: StableDiffusionPipeline raises AttributeError ('CLIPTextModel' object has no attribute 'text_model') for every
#   clip_skip, 0 included, while the same pipeline without it draws.
# One would guess otherwise: clip_skip is a documented argument of the call, both are the newest releases that pip installs
#   together, nothing warns at loading, and with diffusers 0.36.0 and transformers 4.57.6 it skips layers.
# Docs: https://huggingface.co/docs/diffusers/api/pipelines/stable_diffusion/text2img
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq diffusers==0.42.1 transformers==5.24.0 torch==2.14.1 numpy==1.26.4
cat > "$folder/look.py" <<'PYTHON'
import sys
from types import SimpleNamespace

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import logging
from transformers import CLIPTextConfig, CLIPTextModel

logging.set_verbosity_error()


class Letters:
    """A tokenizer of 8 letters: a text's ids, between begin and end."""

    model_max_length = 8
    added_tokens_encoder = {}

    def tokenize(self, text):
        return list(text)

    def __call__(self, texts, **_):
        texts = [texts] if isinstance(texts, str) else texts
        ids = [[98, *(ord(letter) % 90 for letter in text)][:7] for text in texts]
        rows = torch.tensor([row + [99] * (8 - len(row)) for row in ids])
        return SimpleNamespace(input_ids=rows, attention_mask=None)


torch.manual_seed(0)
unet = UNet2DConditionModel(
    sample_size=8, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=8, cross_attention_dim=32,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    attention_head_dim=4,
)  # fmt: skip
text = CLIPTextModel(
    CLIPTextConfig(
        vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        max_position_embeddings=8, bos_token_id=98, eos_token_id=99,
    )
)  # fmt: skip
vae = AutoencoderKL(block_out_channels=(32,), norm_num_groups=8)
schedule = DDIMScheduler(steps_offset=1, clip_sample=False)
pipe = StableDiffusionPipeline(vae, text.eval(), None, unet, schedule, None, None, requires_safety_checker=False)
pipe.tokenizer = Letters()


pipe.set_progress_bar_config(disable=True)
seen = {}
for skip in (None, 0, 1):
    try:
        picture = pipe("a cat", num_inference_steps=2, height=8, width=8, clip_skip=skip, output_type="np").images[0]
        seen[skip] = f"a picture of {picture.shape[0]} x {picture.shape[1]} pixels"
    except AttributeError as error:
        seen[skip] = f"AttributeError: {error}"
    print(f"clip_skip {skip}: {seen[skip]}")
failed = [skip for skip, what in seen.items() if "text_model" in what]
print("clip_skip cannot be used" if failed == [0, 1] else "it behaves otherwise now")
sys.exit(0 if failed == [0, 1] else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
