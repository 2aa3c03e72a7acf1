"""Files of other kinds: each is told by name, with what helps. Names as their writers have them."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from contest.errors import UserError
from jdart.lora.formats.foreign import KINDS, find_kind
from jdart.lora.formats.names import kohya_name
from jdart.lora.formats.reading import load_lora
from jdart.lora.merge import layer_shapes

KOHYA = "lora_unet_mid_block_attentions_0_proj_in"
DIFFUSERS = "unet.mid_block.attentions.0.proj_in"
CASES = [  # by LyCORIS 4.1.3, PEFT 0.21, sd-scripts, ComfyUI, OneTrainer, cloneofsimo/lora
    (f"{KOHYA}.hada_w1_a", "a LoHa"),
    (f"{KOHYA}.lokr_w1", "a LoKr"),
    (f"{KOHYA}.lokr_w2_b", "a LoKr"),
    (f"{KOHYA}.oft_blocks", "an OFT or BOFT"),
    (f"base_model.model.{DIFFUSERS}.oft_R.weight", "an OFT or BOFT"),
    (f"base_model.model.{DIFFUSERS}.boft_R", "an OFT or BOFT"),
    (f"{KOHYA}.a1.weight", "a GLoRA"),
    (f"{KOHYA}.on_input", r"an \(IA\)3"),
    (f"base_model.model.{DIFFUSERS}.ia3_l", r"an \(IA\)3"),
    (f"base_model.model.{DIFFUSERS}.lora_E", "an AdaLoRA"),
    (f"base_model.model.{DIFFUSERS}.vera_lambda_b", "another method"),
    (f"{KOHYA}.w_norm", "trained norms"),
    (f"{KOHYA}.diff", "full differences"),
    ("diffusion_model.out.0.diff_b", "full differences"),
    (f"base_model.model.{DIFFUSERS}.lora_B.bias", "biases beside B"),
    ("base_model.model.embed.lora_embedding_A", "words' embeddings"),
    ("lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", "a LoRA for SDXL"),
    ("text_encoder_2.text_model.encoder.layers.0.mlp.fc1.lora_A.weight", "a LoRA for SDXL"),
    ("text_encoders.clip_g.transformer.text_model.encoder.layers.0.mlp.fc1.lora_up.weight", "a LoRA for SDXL"),
    ("lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_q.lora_down.weight", "a LoRA for SDXL"),
    ("unet.mid_block.attentions.0.transformer_blocks.9.attn1.to_q.lora_A.weight", "a LoRA for SDXL"),
    ("transformer.transformer_blocks.1.attn.to_q.lora_A.weight", "a LoRA for Flux, SD 3"),
    ("base_model.model.transformer_blocks.1.attn.to_q.lora_A.weight", "a LoRA for Flux, SD 3"),
    ("transformer.single_transformer_blocks.0.proj_mlp.lora_A.weight", "a LoRA for Flux"),
    ("lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", "a LoRA for Flux"),
    ("lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight", "a LoRA for Stable Diffusion 3"),
    ("lora_transformer_blocks_0_attn1_to_q.lora_down.weight", "another model that is no UNet"),
    ("diffusion_model.blocks.0.self_attn.q.lora_A.weight", "another model that is no UNet"),
    ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", "a language model"),
    ("down_blocks.0.motion_modules.0.proj_in.lora_A.weight", "AnimateDiff"),
    ("bundle_emb.mystyle.clip_l", "an embedding that was trained along"),
    ("lllite_unet_input_blocks_4_1_attn1_to_q.down.0.weight", "ControlNet-LLLite"),
    (f"base_model.model.{DIFFUSERS}.lora_diag", "a KaSA"),
    ("base_model.model.token_embedding.token_adapter.trainable_tokens_delta", "words that were trained along"),
    ("unet:0:up", "numbered, not named"),
    ("<mystyle>", "textual inversion"),
    ("emb_params", "textual inversion"),
    ("clip_g", "textual inversion"),
    ("base_model.model.conv_in.base_layer.weight", "a model's own weights"),
    ("base_model.model.conv_out.weight", "a model's own weights"),
    ("model.diffusion_model.input_blocks.0.0.weight", "a model's own weights"),
    ("text_model.embeddings.token_embedding.weight", "a model's own weights"),
    ("down_blocks.0.resnets.0.norm1.bias", "a model's own weights"),
]


@pytest.mark.parametrize(("name", "what"), CASES)
def test_what_is_no_lora_of_these_networks_is_told_with_a_cure(name, what, tmp_path):
    layer = f"{KOHYA}.lora_"
    pair = {f"{layer}down.weight": torch.ones(2, 4), f"{layer}up.weight": torch.ones(4, 2)}
    save_file({**pair, name: torch.ones(2, 4)}, tmp_path / "x.safetensors")
    torch.save({**pair, name: torch.ones(2, 4)}, tmp_path / "x.bin")
    for file in ("x.safetensors", "x.bin"):
        with pytest.raises(UserError, match=what) as error:
            load_lora(tmp_path / file)
        assert f"as {name} tells; " in str(error.value)
        assert "\n" not in str(error.value)


def test_every_kind_is_among_the_cases():
    assert {find_kind([name])[0].what for name, _ in CASES} == {kind.what for kind in KINDS}


@pytest.mark.parametrize("preset", ["sd15", "sd21"])
def test_no_name_of_a_plain_lora_is_taken_for_another_kind(preset):
    from jdart.models.presets import PRESETS, build_network

    for network in ("unet", "text_encoder"):
        layers = layer_shapes(build_network(network, PRESETS[preset][network]))
        for name in ("{network}.{layer}.lora_A.weight", "base_model.model.{layer}.lora_B.x.weight", "{kohya}.alpha"):
            names = [name.format(network=network, layer=n, kohya=kohya_name(network, n)) for n in layers]
            assert find_kind(names) is None


def test_a_base_given_as_a_lora_is_told_before_its_numbers_are_read(base_folder, monkeypatch):
    monkeypatch.setattr("jdart.lora.formats.assembly.read_typed", lambda path: pytest.fail("read"))
    with pytest.raises(UserError, match="a model's own weights"):
        load_lora(base_folder / "unet" / "diffusion_pytorch_model.safetensors")


def test_a_core_between_a_and_b_is_folded_as_lycoris_rebuilds_it(rng, tmp_path):
    """delta[o,i,h,w] = sum over p,r of up[o,p] core[p,r,h,w] down[r,i] (LyCORIS' LoCon with Tucker decomposition)."""
    down, up = rng.standard_normal((3, 5, 1, 1), np.float32), rng.standard_normal((6, 3, 1, 1), np.float32)
    core = rng.standard_normal((3, 3, 2, 2), np.float32)
    layer = "lora_unet_down_blocks_0_resnets_0_conv1"
    tensors = {"lora_down.weight": down, "lora_mid.weight": core, "lora_up.weight": up, "alpha": np.float32(6)}
    save_file({f"{layer}.{leaf}": torch.tensor(value) for leaf, value in tensors.items()}, tmp_path / "x.safetensors")
    (pair,) = load_lora(tmp_path / "x.safetensors").pairs["unet"].values()
    inner = torch.nn.functional.conv2d(torch.tensor(down).permute(1, 0, 2, 3), torch.tensor(core), padding=1)  # 5,3,2,2
    expected = 2 * torch.einsum("op,iphw->oihw", torch.tensor(up[:, :, 0, 0]), inner.flip(2, 3))
    assert (pair.rank, pair.alpha, pair.shape) == (3, 6.0, (6, 5, 2, 2))
    assert np.abs(pair.delta - expected.numpy()).max() < 1e-5


@pytest.mark.parametrize(
    ("down", "core", "up"),
    [
        ((3, 5, 1, 1), (3, 2, 2, 2), (6, 3, 1, 1)),
        ((3, 5, 2, 2), (3, 3, 2, 2), (6, 3, 1, 1)),
        ((3,), (3, 3, 2, 2), (6, 3)),
    ],
)
def test_a_core_that_does_not_belong_is_refused(down, core, up, tmp_path):
    leaves = {"lora_down": down, "lora_mid": core, "lora_up": up}
    tensors = {f"{KOHYA}.{leaf}.weight": torch.ones(shape) for leaf, shape in leaves.items()}
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="do not belong together|no pair"):
        load_lora(tmp_path / "x.safetensors")


def test_a_convolution_of_dylora_has_a_flat_b(rng, tmp_path):
    down, up = (torch.tensor(rng.standard_normal(shape, np.float32)) for shape in ((3, 5, 3, 3), (6, 3)))
    tensors = {f"{KOHYA}.lora_down.weight": down, f"{KOHYA}.lora_up.weight": up}
    save_file(tensors, tmp_path / "x.safetensors")
    (pair,) = load_lora(tmp_path / "x.safetensors").pairs["unet"].values()
    expected = torch.einsum("or,rihw->oihw", up, down).numpy()
    assert np.abs(pair.delta - expected).max() < 1e-5
