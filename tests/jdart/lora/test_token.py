"""The style token against diffusers' textual inversion and transformers' text encoder."""

import jittor as jt
import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from contest.errors import UserError
from jdart.config import TokenConfig
from jdart.lora.token import StyleToken, initial_vectors, load_token, save_token, token_applied

PROMPT = "an image of a dog in <style>, <style> and more"


@pytest.mark.parametrize("count", [1, 3])
def test_diffusers_loads_the_file_and_sees_the_same_text_and_gradient(count, base, base_folder, rng, tmp_path, close):
    vectors = rng.standard_normal((count, 32)).astype(np.float32)
    path = tmp_path / "learned_embeds.safetensors"
    save_token(path, "<style>", vectors)

    pipe = StableDiffusionPipeline.from_pretrained(base_folder)
    words = len(pipe.tokenizer)
    pipe.load_textual_inversion(tmp_path)
    prompt = pipe.maybe_convert_prompt(PROMPT, pipe.tokenizer)
    ids = pipe.tokenizer(prompt, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    expected = pipe.text_encoder(ids).last_hidden_state
    weight = rng.standard_normal(expected.shape).astype(np.float32)
    (expected * torch.tensor(weight)).sum().backward()
    gradient = pipe.text_encoder.get_input_embeddings().weight.grad[words:].numpy()

    plain = base.tokens([PROMPT])
    token = StyleToken(base, *load_token(path))
    found = base.text_encoder(jt.array(base.tokens([PROMPT])))
    ours = jt.grad((found * jt.array(weight)).sum(), token.vectors)
    assert (base.tokens([PROMPT]) == ids.numpy()).all()
    assert close(found.numpy(), expected.detach().numpy()) < 1e-4
    assert close(ours.numpy(), gradient) < 1e-3
    token.close()
    assert (base.tokens([PROMPT]) == plain).all()


def test_the_base_is_the_same_after_the_block(base, rng, tmp_path):
    def text():
        with jt.no_grad():
            return base.text_encoder(jt.array(base.tokens([PROMPT]))).numpy()

    save_token(tmp_path / "x.safetensors", "<style>", rng.standard_normal((2, 32)))
    plain, configs = text(), base.configs
    with token_applied(base, tmp_path / "x.safetensors"):
        assert not (text() == plain).all()
    assert (text() == plain).all()
    assert base.configs is configs
    with token_applied(base, None):
        assert (text() == plain).all()


def test_the_vectors_start_from_the_initializer(base):
    word = base.tokenizer("cat", add_special_tokens=False)["input_ids"][0]
    row = base.text_encoder.text_model.embeddings.token_embedding.weight.numpy()[word]
    found = initial_vectors(base, TokenConfig(initializer="cat", vectors=2))
    assert (found == np.stack([row, row])).all()


def test_misuse_is_refused(base, rng, tmp_path):
    with pytest.raises(UserError, match="'two words' is 2 words"):
        initial_vectors(base, TokenConfig(initializer="two words"))
    with pytest.raises(UserError, match=r"knows dog</w> already"):
        StyleToken(base, "dog</w>", np.zeros((1, 32), np.float32))
    with pytest.raises(UserError, match="this base's words have 32 numbers"):
        StyleToken(base, "<style>", np.zeros((1, 16), np.float32))
    with pytest.raises(UserError, match="no such file"):
        load_token(tmp_path / "x.safetensors")
    from safetensors.numpy import save_file

    save_file({"a": np.zeros((1, 2)), "b": np.zeros((1, 2))}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="holds 2 tensors"):
        load_token(tmp_path / "x.safetensors")
