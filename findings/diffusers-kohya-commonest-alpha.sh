#!/usr/bin/env bash
# Package: diffusers 0.42.1 (PEFT 0.21.2, transformers 5.24.0, torch 2.14.1).
# Behaviour: of a kohya LoRA whose attention layers have unequal alphas, load_lora_weights gives all of them the commonest alpha. Of
#   alphas 4, 4, 1 at rank 4 the third layer is added at 1.0 of its matrices in place of 0.25. The picture comes, another one.
# One would guess otherwise: alpha stands in the file layer by layer, sd-scripts and ComfyUI take it so, and diffusers
#   does too for convolutions and feed-forward layers. Merged LoRAs and those with a rank pattern have unequal alphas.
# Docs: https://huggingface.co/docs/diffusers/using-diffusers/other-formats
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


ALPHAS = {"attn1.to_q": 4.0, "attn1.to_k": 4.0, "attn2.to_v": 1.0, "ff.net.2": 1.0}
RANK = 4
pipe = pipeline()
generator = torch.Generator().manual_seed(1)
tensors, before, product = {}, {}, {}
for name, alpha in ALPHAS.items():
    layer = pipe.unet.get_submodule(f"mid_block.attentions.0.transformer_blocks.0.{name}")
    down = torch.randn(RANK, layer.in_features, generator=generator)
    up = torch.randn(layer.out_features, RANK, generator=generator)
    kohya = f"lora_unet_mid_block_attentions_0_transformer_blocks_0_{name.replace('.', '_')}"
    tensors[f"{kohya}.lora_down.weight"], tensors[f"{kohya}.lora_up.weight"] = down, up
    tensors[f"{kohya}.alpha"] = torch.tensor(alpha)
    before[name], product[name] = layer.weight.detach().clone(), up @ down
pipe.load_lora_weights(tensors)
pipe.fuse_lora()
pipe.unload_lora_weights()
scale = {}
for name, alpha in ALPHAS.items():
    added = pipe.unet.get_submodule(f"mid_block.attentions.0.transformer_blocks.0.{name}").weight.detach() - before[name]
    scale[name] = float((added * product[name]).sum() / product[name].square().sum())
    print(f"{name}: alpha {alpha} at rank {RANK} means {alpha / RANK}, added at {scale[name]:.3f}")
if abs(scale["attn1.to_q"] - 1) > 1e-3 or abs(scale["ff.net.2"] - 0.25) > 1e-3:
    sys.exit("changed: even the layers that were right are scaled otherwise")
if abs(scale["attn2.to_v"] - 1) > 1e-3:
    sys.exit("changed: an attention layer no longer takes the commonest alpha")
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/look.py"
