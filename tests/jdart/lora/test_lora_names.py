"""Names of tensors: kohya's, those of the original code, and what is no LoRA."""

import pytest
import torch

from contest.errors import UserError
from jdart.lora.formats.names import kohya_name, parse
from jdart.lora.formats.reading import load_lora
from jdart.lora.merge import layer_shapes


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


UNET, TEXT = "mid_block.attentions.0.transformer_blocks.0.attn1", "text_model.encoder.layers.0.self_attn"
JOINED = "mid_block_attentions_0_transformer_blocks_0_attn1"


@pytest.mark.parametrize(
    ("stem", "network", "layer"),
    [
        ("lora_te_encoder_layers_0_self_attn_q_proj", "text_encoder", f"{TEXT}.q_proj"),  # beside transformers 5
        ("lora_te1_encoder_layers_0_self_attn_q_proj", "text_encoder", f"{TEXT}.q_proj"),
        ("lora_te1_text_model_encoder_layers_0_self_attn_q_proj", "text_encoder", f"{TEXT}.q_proj"),
        (f"lycoris_{JOINED}_to_q", "unet", f"{UNET}.to_q"),
        ("lycoris_encoder_layers_0_self_attn_q_proj", "text_encoder", f"{TEXT}.q_proj"),
        ("lycoris_text_model_encoder_layers_0_self_attn_q_proj", "text_encoder", f"{TEXT}.q_proj"),
        ("diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q", "unet", f"{UNET}.to_q"),
        ("diffusion_model.input_blocks.4.1.proj_in", "unet", "down_blocks.1.attentions.0.proj_in"),
        ("diffusion_model.input_blocks.0.0", "unet", "conv_in"),
        ("diffusion_model.out.2", "unet", "conv_out"),
        ("diffusion_model.time_embed.2", "unet", "time_embedding.linear_2"),
        (f"diffusion_model.{UNET}.to_q", "unet", f"{UNET}.to_q"),
        ("model.diffusion_model.output_blocks.5.2.conv", "unet", "up_blocks.1.upsamplers.0.conv"),
        ("unet.middle_block.1.proj_in", "unet", "mid_block.attentions.0.proj_in"),  # OneTrainer
        ("clip_l.text_model.encoder.layers.0.self_attn.q_proj", "text_encoder", f"{TEXT}.q_proj"),
        (f"lora_unet.{UNET}.to_q", "unet", f"{UNET}.to_q"),
        (f"lora_te.{TEXT}.q_proj", "text_encoder", f"{TEXT}.q_proj"),
        (f"text_encoders.clip_l.transformer.{TEXT}.q_proj", "text_encoder", f"{TEXT}.q_proj"),
        (f"text_encoders.clip_h.transformer.{TEXT}.q_proj", "text_encoder", f"{TEXT}.q_proj"),
        (f"unet.base_model.model.{UNET}.to_q", "unet", f"{UNET}.to_q"),
        ("text_encoder.base_model.model.encoder.layers.0.self_attn.q_proj", "text_encoder", f"{TEXT}.q_proj"),
        (f"unet._orig_mod.{UNET}.to_q", "unet", f"{UNET}.to_q"),
        (f"module.{UNET}.to_q", "unet", f"{UNET}.to_q"),
        (f"{TEXT}.q_proj", "text_encoder", f"{TEXT}.q_proj"),
        (f"{UNET}.to_q", "unet", f"{UNET}.to_q"),
        (f"unet.{UNET}.processor.to_q", "unet", f"{UNET}.to_q"),
        (f"unet.{UNET}.processor.to_out", "unet", f"{UNET}.to_out.0"),
        (f"text_encoder.{TEXT}.to_q", "text_encoder", f"{TEXT}.q_proj"),
        (f"text_encoder.{TEXT}.to_out", "text_encoder", f"{TEXT}.out_proj"),
    ],
)
@pytest.mark.parametrize(
    ("down", "up"),
    [
        ("lora_down.weight", "lora_up.weight"),
        ("lora_A.weight", "lora_B.weight"),
        ("lora_A.default_0.weight", "lora_B.default_0.weight"),
        ("lora.down.weight", "lora.up.weight"),
        ("lora_linear_layer.down.weight", "lora_linear_layer.up.weight"),
    ],
)
def test_every_prefix_is_read_with_every_leaf(stem, network, layer, down, up):
    for leaf, side in ((down, "A"), (up, "B"), ("alpha", "alpha")):
        found = parse(f"{stem}.{leaf}")
        assert found is not None
        assert found[1] == (network, layer, side)


def test_the_oldest_names_of_the_text_encoder_are_diffusers_own():
    """Against diffusers' own translation of them."""
    from diffusers.utils.state_dict_utils import convert_state_dict_to_peft

    names = [f"{TEXT}.{leaf}_lora.down.weight" for leaf in ("to_q", "to_k", "to_v", "to_out")]
    theirs = convert_state_dict_to_peft({name: torch.ones(1) for name in names})
    assert [parse(f"text_encoder.{name}")[1].layer + ".lora_A.weight" for name in names] == list(theirs)


def test_names_of_peft_by_the_adapters_name(tmp_path):
    def save(*adapters):
        torch.save(
            {f"{UNET}.to_q.lora_{side}.{name}.weight": torch.ones(4, 4) for name in adapters for side in "AB"},
            tmp_path / "x.bin",
        )

    save("default_0")
    assert list(load_lora(tmp_path / "x.bin").pairs["unet"]) == [f"{UNET}.to_q"]
    save("first", "second")
    with pytest.raises(UserError, match=r"to_q is there twice: .*lora_A\.first\.weight and .*lora_A\.second\.weight"):
        load_lora(tmp_path / "x.bin")


def test_two_names_of_one_layer_are_twice(tmp_path):
    names = ("lora_te_encoder_layers_0_mlp_fc1", "lora_te_text_model_encoder_layers_0_mlp_fc1")
    torch.save({f"{name}.lora_down.weight": torch.ones(4, 4) for name in names}, tmp_path / "x.bin")
    with pytest.raises(UserError, match=f"mlp.fc1 is there twice: {names[0]}.* and {names[1]}.*; save one"):
        load_lora(tmp_path / "x.bin")


@pytest.mark.parametrize(
    "name",
    [
        "lora_unet_down_blocks_0_nonsense.lora_down.weight",
        "lora_unet_down_blocks_0_.lora_down.weight",
        "lora_unet_conv_in.surprise",
    ],
)
def test_what_is_no_lora_is_named_not_guessed(name, tmp_path):
    torch.save({name: torch.zeros(2, 2)}, tmp_path / "x.bin")
    with pytest.raises(UserError, match="not LoRA tensors"):
        load_lora(tmp_path / "x.bin")
