"""What a LoRA file holds, and the formats: `reading` takes any of them, `writing` makes four.

| format | file | where alpha is |
|---|---|---|
| diffusers | .safetensors, `unet.<layer>.lora_A.weight` | metadata `lora_adapter_metadata` |
| peft | a folder for each network: adapter_model.safetensors, adapter_config.json | adapter_config.json |
| kohya | .safetensors, `lora_unet_<layer>.lora_down.weight`; also ComfyUI's | a tensor for each layer |
| comfyui (read alone) | .safetensors, `diffusion_model.<LDM name>.lora_down.weight` | nowhere, or as in kohya |
| bin | torch's .bin, `unet.<layer>.lora.down.weight`; JDiffusion's, of UNets | nowhere: it equals the rank |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jdart.lora.pairs import LoraPair

FILE_NAME = "pytorch_lora_weights.safetensors"
METADATA_KEY = "lora_adapter_metadata"
FORMATS = ("diffusers", "peft", "kohya", "bin")
PEFT_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
PEFT_CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class LoraFile:
    """Pairs by network ("unet", "text_encoder") and layer name; `settings` is what the writer noted beside them."""

    pairs: Mapping[str, Mapping[str, LoraPair]]
    settings: Mapping[str, Any] = field(default_factory=dict)  # jdart's own: base, template, style, ...
    format: str = "diffusers"
    alpha_known: bool = True  # False: the file says nothing, and alpha is taken as the rank
    types: tuple[str, ...] = ()  # number types of A and B in the file, as safetensors names them
