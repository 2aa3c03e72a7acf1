"""How another program reads one LoRA file, by that program's own code: run by its own interpreter, not by pytest.

    python probe.py PROGRAM SNAPSHOT NETWORKS.json FILE OUT.npz

writes "unet.<layer>" or "text_encoder.<layer>" -> what the program adds to the layer's weight.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch


def comfyui(snapshot, networks, file):
    """Its SD 1.5 or 2.x model and text encoder, without weights; its key maps and its arithmetic."""
    sys.path.insert(0, str(snapshot))
    sys.argv = ["comfyui", "--cpu"]
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfy.lora
    import comfy.model_detection
    import comfy.sd1_clip
    import comfy.text_encoders.sd2_clip
    import comfy.utils

    # What its detection asks of diffusers' full-size weights.
    widths, context = networks["published_widths"], networks["published_context"]
    shapes = {"conv_in.weight": torch.empty(widths[0], 4, 3, 3, device="meta")}
    for block in range(4):
        for number in range(2):
            shapes[f"down_blocks.{block}.resnets.{number}.conv1.weight"] = torch.empty(1, device="meta")
            if block < 3:
                name = f"down_blocks.{block}.attentions.{number}.transformer_blocks.0"
                shapes[f"{name}.attn2.to_k.weight"] = torch.empty(widths[block], context, device="meta")
    found = comfy.model_detection.model_config_from_diffusers_unet(shapes)
    assert found is not None, "ComfyUI does not know these shapes"
    found.unet_config["dtype"] = torch.float32
    model = found.get_model({}, device=torch.device("meta"))
    clip_kind = comfy.sd1_clip.SD1ClipModel if context == 768 else comfy.text_encoders.sd2_clip.SD2ClipModel
    clip = clip_kind(device="meta", dtype=torch.float32)

    keys = comfy.lora.model_lora_keys_clip(clip, comfy.lora.model_lora_keys_unet(model, {}))
    patches = comfy.lora.load_lora(comfy.utils.load_torch_file(str(file), safe_load=True), keys, log_missing=False)
    ours = {}
    for name, ldm in comfy.utils.unet_to_diffusers(found.unet_config).items():
        ours[f"diffusion_model.{ldm}"] = f"unet.{name[: -len('.weight')]}"
    for key in clip.state_dict():
        if ".text_model.encoder.layers." in key:
            ours[key] = "text_encoder." + key[key.index("text_model.") : -len(".weight")]
    deltas = {}
    for key, patch in patches.items():
        up, down = patch.weights[:2]
        plain = torch.zeros(len(up), *down.shape[1:])
        deltas[ours[key]] = comfy.lora.calculate_weight([(1.0, patch, 1.0, None, None)], plain, key)
    return deltas


def sd_scripts(snapshot, networks, file):
    sys.path.insert(0, str(snapshot))
    import networks as package  # the program's own folder of that name
    from networks.lora import create_network_from_weights

    assert str(snapshot) in str(list(package.__path__))
    unet, text = build(networks)
    network, weights = create_network_from_weights(1.0, str(file), None, text, unet, for_inference=True)
    network.apply_to(text, unet)
    network.load_state_dict(weights, strict=False)
    return named(unet, text, network.unet_loras + network.text_encoder_loras, lambda lora: lora.get_weight())


def lycoris(snapshot, networks, file):
    from lycoris.kohya import LycorisNetworkKohya, create_network_from_weights

    # Which layers it reads follows from the file; its default preset for the rest trips over any SD UNet.
    LycorisNetworkKohya.apply_preset({"enable_conv": False, "unet_target_module": ["CrossAttention"]})
    unet, text = build(networks)
    network, weights = create_network_from_weights(1.0, str(file), None, text, unet, for_inference=True)
    network.apply_to(text, unet, True, True)
    network.load_state_dict(weights, strict=False)
    loras = network.unet_loras + network.text_encoder_loras
    return named(unet, text, loras, lambda lora: lora.get_diff_weight(1.0)[0])


class TextEncoder(torch.nn.Module):
    """Names its layers as transformers 4 does and the files do, whichever version is installed."""

    def __init__(self, config):
        from transformers import CLIPTextConfig, CLIPTextModel

        super().__init__()
        network = CLIPTextModel(CLIPTextConfig(**config))
        self.text_model = getattr(network, "text_model", network)


def build(networks):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_config(networks["unet"]), TextEncoder(networks["text_encoder"])


def named(unet, text, loras, delta_of):
    """Deltas by the layers' own names; the programs join them by underscores."""
    ours = {}
    for network, prefix, root in (("unet", "lora_unet_", unet), ("text_encoder", "lora_te_", text)):
        for name, _ in root.named_modules():
            ours[prefix + name.replace(".", "_")] = f"{network}.{name}"
    return {ours[lora.lora_name]: delta_of(lora) for lora in loras}


PROGRAMS = {"ComfyUI": comfyui, "sd-scripts": sd_scripts, "LyCORIS": lycoris}

if __name__ == "__main__":
    program, snapshot, networks, file, out = sys.argv[1:]
    with torch.no_grad():
        deltas = PROGRAMS[program](Path(snapshot), json.loads(Path(networks).read_text(encoding="utf-8")), Path(file))
    np.savez(out, **{name: delta.detach().float().numpy() for name, delta in deltas.items()})
