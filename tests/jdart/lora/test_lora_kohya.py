"""What a kohya file holds so that every program reads the same from it."""

import numpy as np
from lora_files import written
from random_loras import random_pair
from safetensors.numpy import load_file

from jdart.lora.formats.kohya import for_kohya, one_alpha
from jdart.lora.formats.reading import load_lora
from jdart.lora.pairs import LoraPair

LAYER = "text_model.encoder.layers.{}.self_attn.{}"


def test_pairs_of_one_alpha_are_written_as_they_are(rng):
    pairs = {name: random_pair(rng, (6, 5), rank, 4.0) for name, rank in (("a.to_q", 2), ("b.to_q", 4))}
    assert all(found is pairs[name] for name, found in one_alpha(pairs).items())


def test_the_commonest_alpha_is_kept_and_powers_of_two_are_exact(rng):
    pairs = {str(i): random_pair(rng, (6, 5), 4, alpha) for i, alpha in enumerate((4.0, 1.0, 4.0, 8.0, 0.0))}
    found = one_alpha(pairs)
    assert {pair.alpha for pair in found.values()} == {4.0}
    for name, factor in (("0", 1), ("1", 0.25), ("2", 1), ("3", 2), ("4", 0)):
        assert (found[name].b == np.float32(factor) * pairs[name].b).all()
        assert found[name].a is pairs[name].a


def test_rank_stabilised_scales_of_several_ranks_become_one_alpha(rng):
    pairs = {str(rank): random_pair(rng, (6, 5), rank, 3.0, rslora=True) for rank in (2, 8)}
    found = one_alpha(pairs)
    assert len({pair.alpha for pair in found.values()}) == 1
    for name, pair in pairs.items():
        wanted = 3 / np.sqrt(pair.rank) * pair.b.astype(float) @ pair.a
        np.testing.assert_allclose(found[name].delta, wanted, rtol=1e-5, atol=1e-7)


def test_alpha_0_is_not_written_since_sd_scripts_takes_it_as_the_rank(rng):
    (found,) = one_alpha({"a": random_pair(rng, (6, 5), 2, 0.0)}).values()
    assert found.alpha != 0
    assert not found.b.any()


def test_attention_without_out_proj_gets_one_pair_of_zeros(rng, tmp_path):
    pairs = {LAYER.format(1, end): random_pair(rng, (6, 6), 2, 3.0) for end in ("q_proj", "v_proj")}
    path = written(tmp_path, {"text_encoder": pairs}, "kohya")
    added = {name: array for name, array in load_file(path).items() if "out_proj" in name}
    assert set(added) == {
        f"lora_te_text_model_encoder_layers_1_self_attn_out_proj.{end}"
        for end in ("lora_down.weight", "lora_up.weight", "alpha")
    }
    assert added.pop("lora_te_text_model_encoder_layers_1_self_attn_out_proj.alpha") == 3
    assert not any(array.any() for array in added.values())
    found = load_lora(path).pairs["text_encoder"]
    assert all((found[name].delta == pair.delta).all() for name, pair in pairs.items())


def test_nothing_is_added_where_out_proj_is_there_or_no_attention_is(rng):
    for ends in (("q_proj", "out_proj"), ("out_proj",)):
        pairs = {LAYER.format(0, end): random_pair(rng, (6, 6), 2, 2.0) for end in ends}
        assert set(for_kohya({"text_encoder": pairs})["text_encoder"]) == set(pairs)
    mlp = {"text_model.encoder.layers.0.mlp.fc1": random_pair(rng, (12, 6), 2, 2.0)}
    unet = {"mid_block.attentions.0.transformer_blocks.0.attn1.to_q": random_pair(rng, (6, 6), 2, 2.0)}
    assert for_kohya({"text_encoder": mlp, "unet": unet}) == {"text_encoder": mlp, "unet": unet}


def test_a_scale_that_does_not_fit_into_b_is_one_line(rng, tmp_path):
    import pytest

    from contest.errors import UserError

    pairs = {"a.to_q": LoraPair(np.ones((1, 2), np.float32), np.ones((2, 1), np.float32), 1e-30)}
    pairs["b.to_q"] = LoraPair(np.ones((1, 2), np.float32), np.full((2, 1), 1e20, np.float32), 1.0)
    with pytest.raises(UserError, match="not finite in fp32; take the diffusers format"):
        written(tmp_path, {"unet": pairs}, "kohya")
