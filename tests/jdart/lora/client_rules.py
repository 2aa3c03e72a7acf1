"""How sd-scripts and ComfyUI find the layers of a LoRA file, as their own code publishes it; facts, put in our words.

ComfyUI a125cd84 (comfy/lora.py, comfy/utils.py), sd-scripts 48d368fa (networks/lora.py). Each gives layer -> delta.
"""

import numpy as np
import torch
from safetensors.numpy import load_file
from torch_networks import NETWORKS, layers

# The classes within which sd-scripts adapts linear layers and convolutions.
SD_SCRIPTS_PARENTS = {
    "unet": ("Transformer2DModel", "ResnetBlock2D", "Downsample2D", "Upsample2D"),
    "text_encoder": ("CLIPAttention", "CLIPSdpaAttention", "CLIPMLP"),
}
KOHYA_PREFIX = {"unet": "lora_unet_", "text_encoder": "lora_te_"}
# How ComfyUI looks for B beside a layer's name, and for A.
COMFYUI_SPELLINGS = (
    (".lora_up.weight", ".lora_down.weight"),
    ("_lora.up.weight", "_lora.down.weight"),
    (".lora_B.weight", ".lora_A.weight"),
    (".lora.up.weight", ".lora.down.weight"),
    (".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight"),
)


def read_file(path):
    """The tensors of any of our formats; of a PEFT folder those of both networks."""
    if path.is_dir():
        found = [load_file(file) for file in sorted(path.rglob("*.safetensors"))]
        return {name: array for tensors in found for name, array in tensors.items()}
    if path.suffix == ".bin":
        return {name: tensor.numpy() for name, tensor in torch.load(path, weights_only=True).items()}
    return load_file(path)


def comfyui_deltas(tensors, pipe):
    found = {}
    for network in NETWORKS:
        for name in layers(getattr(pipe, network)):
            dotted = f"{network}.{name}"
            if network == "unet":
                dotted = dotted.replace(".to_", ".processor.to_")
                dotted = dotted[: -len(".0")] if dotted.endswith(".to_out.0") else dotted
            for key in (KOHYA_PREFIX[network] + name.replace(".", "_"), dotted):
                for up, down in COMFYUI_SPELLINGS:
                    if key + up in tensors:
                        found[f"{network}.{name}"] = _delta(tensors, key, up, down)
    return found


def sd_scripts_deltas(tensors, pipe):
    found = {}
    for network in NETWORKS:
        modules = layers(getattr(pipe, network))
        for parent_name, parent in getattr(pipe, network).named_modules():
            if type(parent).__name__ in SD_SCRIPTS_PARENTS[network]:
                for child in (name for name, module in modules.items() if f".{parent_name}." in f".{name}."):
                    key = KOHYA_PREFIX[network] + child.replace(".", "_")
                    if f"{key}.lora_down.weight" in tensors:
                        found[f"{network}.{child}"] = _delta(tensors, key, ".lora_up.weight", ".lora_down.weight")
    return found


def _delta(tensors, key, up, down):
    a, b = (tensors[key + side].astype(np.float64) for side in (down, up))
    scale = tensors[f"{key}.alpha"].item() / len(a) if f"{key}.alpha" in tensors else 1.0
    return scale * (b.reshape(len(b), -1) @ a.reshape(len(a), -1))
