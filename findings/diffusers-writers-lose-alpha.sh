#!/usr/bin/env bash
# Package: diffusers 0.42.1 (PEFT 0.21.2, transformers 5.24.0, torch 2.14.1).
# Behaviour: of a LoRA that was trained with lora_alpha 1 at rank 4, convert_state_dict_to_kohya writes alpha = 4 into the file, and
#   save_lora_weights, given the same weights without its optional metadata, writes no alpha, which the reload takes as 4: either file
#   adds four times what was trained. Nothing is raised or logged.
# One would guess otherwise: a kohya file has the field alpha for exactly this, and a save followed by a load gives back the model.
#   (Both see only tensors, and alpha is in PEFT's config: it must be handed over by unet_lora_adapter_metadata.)
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
from diffusers.utils import convert_state_dict_to_kohya, logging
from peft import LoraConfig, get_peft_model_state_dict
from transformers import CLIPTextConfig, CLIPTextModel

logging.set_verbosity_error()
LAYER = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"


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


def output(unet):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        return unet(torch.randn(1, 4, 8, 8, generator=generator), 500, torch.randn(1, 5, 32, generator=generator)).sample


def scale(pipe):
    """What the layer's B A is multiplied by."""
    return pipe.unet.get_submodule(LAYER).scaling[pipe.get_active_adapters()[0]]


trained = pipeline()
trained.unet.add_adapter(LoraConfig(r=4, lora_alpha=1, target_modules=["to_q", "to_k"], init_lora_weights=False))
weights = get_peft_model_state_dict(trained.unet)
metadata = {"unet_lora_adapter_metadata": trained.unet.peft_config["default"].to_dict()}
kohya = convert_state_dict_to_kohya({f"unet.{name}": tensor for name, tensor in weights.items()})
StableDiffusionPipeline.save_lora_weights(f"{sys.argv[1]}/bare", unet_lora_layers=weights)
StableDiffusionPipeline.save_lora_weights(f"{sys.argv[1]}/noted", unet_lora_layers=weights, **metadata)

right, seen = output(trained.unet), {}
name = "pytorch_lora_weights.safetensors"
for way, source in (("kohya", dict(kohya)), ("saved", f"{sys.argv[1]}/bare"), ("saved with metadata", f"{sys.argv[1]}/noted")):
    pipe = pipeline()
    pipe.load_lora_weights(source, **({} if way == "kohya" else {"weight_name": name}))
    seen[way] = scale(pipe)
    off = float((output(pipe.unet) - right).norm() / right.norm())
    print(f"{way}: trained at 0.25, comes back at {seen[way]}, output off by {off:.1e}")
alphas = {int(tensor) for key, tensor in kohya.items() if key.endswith(".alpha")}
print("alphas in the kohya file:", alphas)
if alphas != {4} or seen["kohya"] != 1 or seen["saved"] != 1:
    sys.exit("changed: a writer keeps alpha now")
if seen["saved with metadata"] != 0.25:
    sys.exit("changed: the metadata no longer brings alpha back")
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/look.py" "$folder"
