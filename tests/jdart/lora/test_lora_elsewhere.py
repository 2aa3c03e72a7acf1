"""LoRA files between jdart, diffusers and PEFT on PyTorch, and what their alpha means.

Trap 8: trained with 4 and loaded with 2.
"""

import json

import numpy as np
import pytest
import torch
from lora_files import assert_same, bare, written
from safetensors.numpy import save_file

from contest.errors import UserError
from jdart.lora.convert import convert
from jdart.lora.formats.file import LoraFile
from jdart.lora.formats.reading import load_lora
from jdart.lora.formats.writing import save_lora
from jdart.lora.merge import layer_shapes, merged


def pipeline(base_folder):
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline.from_pretrained(base_folder)


@pytest.mark.parametrize("format", ["diffusers", "kohya", "bin"])
def test_diffusers_draws_the_same_with_our_file(
    format, base, base_folder, every_kind, unet_input, unet_output, text_output, tmp_path, close
):
    pipe = pipeline(base_folder)
    x, steps, text = (torch.tensor(part) for part in unet_input)
    ids = base.tokens(["an image of a dog"])
    path = written(tmp_path, every_kind, format)
    with torch.no_grad():
        plain = pipe.unet(x, steps, text).sample.numpy()
        pipe.load_lora_weights(tmp_path, weight_name=path.name)
        expected = pipe.unet(x, steps, text).sample.numpy()
        expected_text = pipe.text_encoder(torch.tensor(ids.astype(np.int64))).last_hidden_state.numpy()
    assert close(plain, expected) > 0.05
    with merged(base.unet, every_kind["unet"]), merged(base.text_encoder, every_kind["text_encoder"]):
        assert close(unet_output(), expected) < 1e-4
        assert close(text_output(ids), expected_text) < 1e-4


@pytest.mark.parametrize("rslora", [False, True])
def test_peft_loads_our_folder_and_we_load_pefts(
    rslora, base, base_folder, make_pairs, unet_input, unet_output, tmp_path, close
):
    from peft import PeftModel

    pairs = make_pairs(layer_shapes(base.unet), ("to_q", "conv1"), rslora=rslora)
    save_lora(tmp_path / "ours", LoraFile({"unet": pairs}), "peft")
    network = pipeline(base_folder).unet
    x, steps, text = (torch.tensor(part) for part in unet_input)
    model = PeftModel.from_pretrained(network, tmp_path / "ours" / "unet")
    with torch.no_grad():
        expected = model(x, steps, text).sample.numpy()
    with merged(base.unet, pairs):
        assert close(unet_output(), expected) < 1e-4
    model.save_pretrained(tmp_path / "theirs")
    lora = load_lora(tmp_path / "theirs")
    assert lora.format == "peft"
    assert_same(lora.pairs, {"unet": pairs, "text_encoder": {}})


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT's own way to ask transformers
def test_peft_folders_of_the_text_encoder_go_both_ways(base, base_folder, make_pairs, text_output, tmp_path, close):
    from peft import LoraConfig, PeftModel, get_peft_model

    pairs = make_pairs(layer_shapes(base.text_encoder), ("q_proj", "fc1"))
    ids = base.tokens(["an image of a dog"])
    network = pipeline(base_folder).text_encoder
    save_lora(tmp_path / "ours", LoraFile({"text_encoder": pairs}), "peft")
    model = PeftModel.from_pretrained(network, tmp_path / "ours" / "text_encoder")
    with torch.no_grad():
        expected = model(torch.tensor(ids.astype(np.int64))).last_hidden_state.numpy()
    with merged(base.text_encoder, pairs):
        assert close(text_output(ids), expected) < 1e-4
    fresh = get_peft_model(pipeline(base_folder).text_encoder, LoraConfig(r=2, target_modules=["q_proj"]))
    fresh.save_pretrained(tmp_path / "theirs")
    assert set(load_lora(tmp_path / "theirs").pairs["text_encoder"]) == {n for n in pairs if n.endswith("q_proj")}


def test_alpha_can_be_told_to_a_file_that_does_not_say_it(tmp_path):
    convert(bare(tmp_path), tmp_path / "k.safetensors", "kohya", alpha=4.0)
    (pair,) = load_lora(tmp_path / "k.safetensors").pairs["unet"].values()
    assert (pair.alpha, pair.rank) == (4.0, 2)


def test_an_alpha_that_contradicts_the_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="its alpha is 1, not 4; leave --alpha out"):
        load_lora(bare(tmp_path, alpha=1.0), alpha=4.0)
    assert load_lora(bare(tmp_path, alpha=4.0), alpha=4.0).alpha_known


def test_alphas_of_pefts_patterns_are_those_of_their_layers(tmp_path):
    tensors = {}
    for layer in ("conv_in", "a.to_q", "b.to_q", "b.ato_q"):
        tensors[f"base_model.model.{layer}.lora_A.weight"] = np.ones((2, 4), np.float32)
        tensors[f"base_model.model.{layer}.lora_B.weight"] = np.ones((4, 2), np.float32)
    save_file(tensors, tmp_path / "adapter_model.safetensors")

    def read(**config):
        (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": 3, **config}))
        return {name: pair.alpha for name, pair in load_lora(tmp_path).pairs["unet"].items()}

    assert read(alpha_pattern={"to_q": 7, "^conv_in": 1}) == {"conv_in": 1, "a.to_q": 7, "b.to_q": 7, "b.ato_q": 3}
    for wrong, word in (
        ({"alpha_pattern": {".*to_[qk]": 1}}, "more than a layer's name"),
        ({"use_dora": True}, "its settings say use_dora: true, its tensors say otherwise"),
        ({"peft_type": "LOHA"}, "LOHA"),
        ({"lora_alpha": "much"}, "no number"),
    ):
        with pytest.raises(UserError, match=word):
            read(**wrong)
