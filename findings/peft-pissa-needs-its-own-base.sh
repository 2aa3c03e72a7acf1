#!/usr/bin/env bash
# Package: PEFT 0.21.2 (torch 2.14.1, safetensors 0.8.0).
# Behaviour: save_pretrained of an adapter that was initialised as PiSSA or OLoRA writes a pair A, B in the names and shapes of
#   every plain LoRA, but W + B A is not the layer that was trained: the start was taken out of the base's weights, and PEFT's own
#   reload takes it out again. Added to the plain base it is off by 36 % (olora) and 63 % (pissa) where training moved the output by
#   4 %. Only adapter_config.json says so (init_lora_weights). Gaussian, EVA and orthogonal ones are plain.
# One would guess otherwise: "init" is how training begins, and what is saved is where it ended.
# Docs: https://huggingface.co/docs/peft/developer_guides/lora (PiSSA: converting to plain LoRA is asked for by
#   path_initial_model_for_weight_conversion)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq peft==0.21.2 transformers==5.24.0 torch==2.14.1 safetensors==0.8.0 numpy==1.26.4
cat > "$folder/look.py" <<'PYTHON'
import json
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file


def base():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.Linear(32, 32))


def relative(given, right):
    return float((given - right).norm() / right.norm())


x = torch.randn(5, 32, generator=torch.Generator().manual_seed(2))
off = {}
with torch.no_grad():
    plain = base()(x)
for start in ("gaussian", "orthogonal", "pissa", "olora"):
    folder = f"{sys.argv[1]}/{start}"
    model = get_peft_model(base(), LoraConfig(r=4, lora_alpha=4, target_modules=["0"], init_lora_weights=start))
    optimiser = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(3):
        optimiser.zero_grad()
        (model(x) - 1).square().mean().backward()
        optimiser.step()
    model.save_pretrained(folder)
    pair = load_file(f"{folder}/adapter_model.safetensors")
    with torch.no_grad():
        trained = model(x)
        again = PeftModel.from_pretrained(base(), folder)(x)
        merged = base()
        merged[0].weight += pair["base_model.model.0.lora_B.weight"] @ pair["base_model.model.0.lora_A.weight"]
        off[start] = relative(merged(x), trained)
    with open(f"{folder}/adapter_config.json") as stream:
        noted = json.load(stream)["init_lora_weights"]
    print(f"{noted}: training moved the output by {relative(plain, trained):.3f}; PEFT's reload is off by "
          f"{relative(again, trained):.1e}, the base plus B A by {off[start]:.1e}")
    if relative(again, trained) > 1e-5:
        sys.exit(f"changed: PEFT's own reload of {start} is not what was trained")
if max(off["gaussian"], off["orthogonal"]) > 1e-5:
    sys.exit("changed: an adapter of a plain start is no longer plain")
if min(off["pissa"], off["olora"]) < 0.1:
    sys.exit("changed: PiSSA and OLoRA are now saved as plain LoRA")
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/look.py" "$folder"
