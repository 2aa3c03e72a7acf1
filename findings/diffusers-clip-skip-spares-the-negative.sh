#!/usr/bin/env bash
# Package: diffusers 0.36.0 (transformers 4.57.6, torch 2.14.1).
# Behaviour: encode_prompt(clip_skip=1) takes the prompt's features from the text encoder's layer before the last, the negative
#   prompt's, and those of the empty one, from the last. The same words as prompt and as negative prompt have other features,
#   so that guidance with one prompt on both sides is no longer the prompt alone.
# One would guess otherwise: the documentation says that clip_skip is the number of layers to be skipped while computing the
#   prompt embeddings, a base that was trained with skipped layers has seen the empty text without its last layer too, and
#   the WebUI, which the option is from, skips for both.
# Docs: https://huggingface.co/docs/diffusers/api/pipelines/stable_diffusion/text2img
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq diffusers==0.36.0 transformers==4.57.6 torch==2.14.1 numpy==1.26.4
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


def features(skip):
    """Of the same words as prompt and as negative prompt."""
    with torch.no_grad():
        return pipe.encode_prompt("a cat", "cpu", 1, True, negative_prompt="a cat", clip_skip=skip)


differ = {}
(last, _) = features(None)
for skip in (None, 1):
    prompt, negative = features(skip)
    differ[skip] = (prompt - negative).abs().max().item()
    of_last = (negative - last).abs().max().item()
    print(f"clip_skip {skip}: the same words differ by {differ[skip]:.3f}; the negative's from the last layer's by {of_last:.3f}")
seen = differ[None] == 0 and differ[1] > 0.1 and of_last == 0
print("the negative prompt skips no layer" if seen else "it behaves otherwise now")
sys.exit(0 if seen else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
