#!/usr/bin/env bash
# Package: diffusers 0.42.1 (PEFT 0.21.2, transformers 5.24.0, torch 2.14.1).
# Behaviour: which layers of the text encoder a LoRA holds decides whether load_lora_weights takes it, and how much of it.
#   kohya, q_proj and v_proj: ValueError "Could not automatically infer state dict type".
#   kohya, q_proj, v_proj and fc1: returns, and fc1 alone is added; the 4 attention layers are dropped under a table of "UNEXPECTED".
#   kohya with out_proj beside them: all are added.
#   PEFT's names (lora_A) of fc1 and fc2, as save_lora_weights itself writes them: ValueError; with q_proj beside them all are added.
# One would guess otherwise: a LoRA of some layers is an ordinary one, what the library saves it reads, and what it does not
#   know it refuses. (It tells old spellings by to_out_lora, and its own by q_proj, alone.)
# Docs: https://huggingface.co/docs/diffusers/api/loaders/lora
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq diffusers==0.42.1 peft==0.21.2 transformers==5.24.0 torch==2.14.1 numpy==1.26.4
cat > "$folder/look.py" <<'PYTHON'
import sys

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import logging
from transformers import CLIPTextConfig, CLIPTextModel

logging.set_verbosity_error()


def pipeline():
    """A Stable Diffusion of two blocks and two text layers, the same numbers each time."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=8, cross_attention_dim=32,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4, use_linear_projection=True,
    )  # fmt: skip
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            bos_token_id=98, eos_token_id=99,
        )
    )  # fmt: skip
    vae = AutoencoderKL(block_out_channels=(32,), norm_num_groups=8)
    return StableDiffusionPipeline(vae, text, None, unet, DDIMScheduler(), None, None, requires_safety_checker=False)


def added(form, kinds):
    """Layers of the LoRA whose weight changed, of how many; or the error's text."""
    pipe = pipeline()
    text, generator, tensors = pipe.text_encoder, torch.Generator().manual_seed(1), {}
    before = {name: layer.weight.detach().clone() for name, layer in text.named_modules() if name.endswith(kinds)}
    for name, weight in before.items():
        down = torch.randn(4, weight.shape[1], generator=generator)
        up = torch.randn(weight.shape[0], 4, generator=generator)
        if form == "kohya":
            layer = f"lora_te_text_model_{name.replace('.', '_')}"
            tensors[f"{layer}.alpha"] = torch.tensor(4.0)
            tensors[f"{layer}.lora_down.weight"], tensors[f"{layer}.lora_up.weight"] = down, up
        else:
            tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = down, up
    try:
        if form == "kohya":
            pipe.load_lora_weights(tensors)
        else:
            StableDiffusionPipeline.save_lora_weights(sys.argv[1], text_encoder_lora_layers=tensors)
            pipe.load_lora_weights(sys.argv[1], weight_name="pytorch_lora_weights.safetensors")
    except ValueError as error:
        return str(error).split(".")[0]
    pipe.fuse_lora(components=["text_encoder"])
    pipe.unload_lora_weights()
    changed = [name for name in before if not torch.equal(text.get_submodule(name).weight, before[name])]
    return f"{len(changed)} of {len(before)}"


REFUSED = "Could not automatically infer state dict type"
EXPECTED = {
    ("kohya", ("q_proj", "v_proj")): REFUSED,
    ("kohya", ("q_proj", "v_proj", "fc1")): "2 of 6",
    ("kohya", ("q_proj", "v_proj", "out_proj")): "6 of 6",
    ("kohya", ("fc1", "fc2")): "4 of 4",
    ("PEFT", ("fc1", "fc2")): REFUSED,
    ("PEFT", ("q_proj", "fc1", "fc2")): "6 of 6",
}
seen = {}
for (form, kinds), expected in EXPECTED.items():
    seen[form, kinds] = added(form, kinds)
for (form, kinds), result in seen.items():
    print(f"{form} {', '.join(kinds)}: {result}")
if seen != EXPECTED:
    sys.exit(f"changed: expected {list(EXPECTED.values())}")
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/look.py" "$folder" 2> "$folder/log" || { tail -n 5 "$folder/log" >&2; exit 1; }
