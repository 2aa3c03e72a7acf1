"""Names of tensors: kohya's, those of the original code, and what is no LoRA."""

import pytest
import torch

from jdart.lora.merge import layer_shapes
from jdart.lora.names import kohya_name, parse
from jdart.lora.reading import load_lora
from submission.errors import UserError


@pytest.mark.parametrize("preset", ["sd15", "sd21", "tiny"])
def test_every_layers_kohya_name_is_read_back(preset):
    from jdart.models.presets import PRESETS, build_network

    for network in ("unet", "text_encoder"):
        for layer in layer_shapes(build_network(network, PRESETS[preset][network])):
            found = parse(kohya_name(network, layer) + ".lora_up.weight")
            assert found == ("kohya", (network, layer, "B"))


def ldm_name(layer):
    """A diffusers name of an SD UNet's layer in the original LDM code, from that code's construction order."""
    table = {"conv_in": "input_blocks.0.0", "conv_out": "out.2"}
    table |= {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
    place = 1
    for level in range(4):
        for i in range(2):
            table[f"down_blocks.{level}.resnets.{i}"] = f"input_blocks.{place}.0"
            table[f"down_blocks.{level}.attentions.{i}"] = f"input_blocks.{place}.1"
            place += 1
        table[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{place}.0.op"
        place += 1
    table |= {f"mid_block.{k}": f"middle_block.{i}" for i, k in enumerate(("resnets.0", "attentions.0", "resnets.1"))}
    place = 0
    for level in range(4):
        for i in range(3):
            table[f"up_blocks.{level}.resnets.{i}"] = f"output_blocks.{place}.0"
            table[f"up_blocks.{level}.attentions.{i}"] = f"output_blocks.{place}.1"
            place += 1
        inner = 1 if level == 0 else 2  # the first level has no attention
        table[f"up_blocks.{level}.upsamplers.0.conv"] = f"output_blocks.{place - 1}.{inner}.conv"
    leaves = {"conv1": "in_layers.2", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1"}
    leaves["conv_shortcut"] = "skip_connection"
    head = max((key for key in table if layer == key or layer.startswith(key + ".")), key=len)
    rest = layer[len(head) + 1 :]
    return table[head] + (f".{leaves.get(rest, rest)}" if rest else "")


@pytest.mark.parametrize("preset", ["sd15", "sd21"])
def test_the_original_codes_names_are_read(preset):
    from jdart.models.presets import PRESETS, build_network

    layers = list(layer_shapes(build_network("unet", PRESETS[preset]["unet"])))
    assert len({ldm_name(layer) for layer in layers}) == len(layers)
    for layer in layers:
        name = "lora_unet_" + ldm_name(layer).replace(".", "_")
        assert parse(name + ".lora_down.weight") == ("kohya", ("unet", layer, "A")), name


@pytest.mark.parametrize(
    "name",
    [
        "lora_unet_down_blocks_0_nonsense.lora_down.weight",
        "lora_unet_down_blocks_0_.lora_down.weight",
        "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight",
        "lora_unet_mid_block_attentions_0_proj_in.hada_w1_a",
        "lora_unet_mid_block_attentions_0_proj_in.dora_scale",
        "unet.mid_block.attentions.0.proj_in.lora_magnitude_vector",
        "base_model.model.conv_in.base_layer.weight",
    ],
)
def test_what_is_no_lora_is_named_not_guessed(name, tmp_path):
    torch.save({name: torch.zeros(2, 2)}, tmp_path / "x.bin")
    with pytest.raises(UserError, match="not LoRA tensors"):
        load_lora(tmp_path / "x.bin")
