#!/usr/bin/env bash
# Package: diffusers 0.42.1 with transformers 5.24.0 (PEFT 0.21.2, torch 2.14.1).
# Behaviour: a DoRA of the text encoder that save_lora_weights wrote comes back from load_lora_weights with A and B and without
#   its magnitudes: transformers looks for `lora_magnitude_vector.weight` where the file, as PEFT names it, has
#   `lora_magnitude_vector`, lists the keys as unexpected, and keeps the norms of the plain weights. The texts are encoded otherwise
#   than by the network that was saved. The UNet's DoRA in such a file comes back exactly.
# One would guess otherwise: it is one writer, one reader and one file, and what PEFT saves PEFT's own loader reads back.
# Docs: https://huggingface.co/docs/peft/package_reference/lora
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
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from transformers import CLIPTextConfig, CLIPTextModel

logging.set_verbosity_error()
TARGETS = {
    "unet": ["to_q", "to_k", "to_v", "to_out.0"],
    "text_encoder": ["q_proj", "k_proj", "v_proj", "out_proj"],
}


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


@torch.no_grad()
def output(pipe, network):
    if network == "unet":
        return pipe.unet(torch.ones(1, 4, 8, 8), 5, torch.ones(1, 7, 32)).sample
    return pipe.text_encoder(torch.tensor([[98, 5, 6, 7, 99]])).last_hidden_state


error = {}
for network, targets in TARGETS.items():
    pipe = pipeline()
    model = getattr(pipe, network)
    inject_adapter_in_model(LoraConfig(r=4, lora_alpha=4, target_modules=targets, use_dora=True), model)
    torch.manual_seed(1)
    with torch.no_grad():  # as if trained
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn_like(parameter))
            if "magnitude" in name:
                parameter.mul_(3)
    StableDiffusionPipeline.save_lora_weights(sys.argv[1], **{f"{network}_lora_layers": get_peft_model_state_dict(model)})
    fresh = pipeline()
    fresh.load_lora_weights(sys.argv[1])
    error[network] = float((output(fresh, network) - output(pipe, network)).abs().max())
    print(f"{network}: loaded again, its output is off by {error[network]:.2g}")
if error["unet"] > 1e-4:
    sys.exit("changed: the UNet's DoRA does not come back either")
if error["text_encoder"] < 0.1:
    sys.exit("changed: the text encoder's magnitudes come back")
PYTHON
if ! "$folder/venv/bin/python" -W ignore "$folder/look.py" "$folder" 2> "$folder/log"; then
    tail -n 5 "$folder/log" >&2
    exit 1
fi
