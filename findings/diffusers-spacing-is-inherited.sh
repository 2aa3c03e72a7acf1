#!/usr/bin/env bash
# Package: diffusers 0.42.1 (torch 2.14.1, NumPy 1.26.4).
# Behaviour: Stable Diffusion's scheduler_config.json names no timestep_spacing, and PNDM draws it with "leading": 951, 901, ... 1 in 20 steps.
#   Opened as DPM-Solver++, Euler, Euler ancestral or UniPC and saved (as pipe.scheduler = X.from_config(...) and
#   pipe.save_pretrained do), the file says "linspace", that class's default; PNDM and DDIM that open it, by their own from_config or
#   from_pretrained, then run 999, ... 0, and pace them by a fixed stride of 1000 // steps, which is not the distance of these timesteps.
#   By DDIM with a perfect prediction 20 steps of "leading" end 0.025 from the latents, of the inherited "linspace" 0.055.
# One would guess otherwise: going from a sampler to another and back gives back the first; a setting that the model's
#   makers did not write stays unwritten.
# Docs: https://huggingface.co/docs/diffusers/api/schedulers/overview, https://github.com/huggingface/diffusers/issues/12633
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq diffusers==0.42.1 torch==2.14.1 numpy==1.26.4
cat > "$folder/look.py" <<'PYTHON'
import json
import sys

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)
from diffusers.utils import logging

logging.set_verbosity_error()
STABLE_DIFFUSION = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "clip_sample": False,
}
COUNT = 20


def timesteps(cls, config):
    scheduler = cls.from_config(config)
    scheduler.set_timesteps(COUNT)
    return scheduler.timesteps.tolist()


def distance(config):
    """How far DDIM ends from the latents that every prediction names."""
    scheduler = DDIMScheduler.from_config(config)
    scheduler.set_timesteps(COUNT)
    generator = torch.Generator().manual_seed(0)
    right = torch.randn(1, 4, 8, 8, generator=generator)
    signal = scheduler.alphas_cumprod[scheduler.timesteps[0]]
    x = signal.sqrt() * right + (1 - signal).sqrt() * torch.randn(1, 4, 8, 8, generator=generator)
    for step in scheduler.timesteps:
        signal = scheduler.alphas_cumprod[step]
        x = scheduler.step((x - signal.sqrt() * right) / (1 - signal).sqrt(), step, x).prev_sample
    return float((x - right).abs().mean())


first = timesteps(PNDMScheduler, STABLE_DIFFUSION)
print("as published: spacing not named, PNDM runs", first[:3], "...", first[-2:], f"DDIM ends {distance(STABLE_DIFFUSION):.4f} away")
for cls in (DPMSolverMultistepScheduler, EulerDiscreteScheduler, EulerAncestralDiscreteScheduler, UniPCMultistepScheduler):
    folder = f"{sys.argv[1]}/{cls.__name__}"
    cls.from_config(STABLE_DIFFUSION).save_pretrained(folder)
    with open(f"{folder}/scheduler_config.json") as stream:
        saved = json.load(stream)
    back = timesteps(PNDMScheduler, saved)
    print(f"saved as {cls.__name__}: {saved['timestep_spacing']!r}, PNDM runs", back[:3], "...", back[-2:],
          f"DDIM ends {distance(saved):.4f} away")
    if saved["timestep_spacing"] != "linspace" or back[0] != 999 or back[-1] != 0:
        sys.exit(f"changed: {cls.__name__} no longer hands its own spacing on to PNDM")
if first[0] != 951 or first[-1] != 1:
    sys.exit("changed: PNDM's own spacing is another one")
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/look.py" "$folder"
