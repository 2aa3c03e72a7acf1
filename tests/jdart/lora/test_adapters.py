"""Adapters against PEFT on diffusers' UNet: the same A and B give the same output and the same gradients."""

import dataclasses
import json

import jittor as jt
import numpy as np
import peft
import pytest
import torch
from diffusers import UNet2DConditionModel

from contest.errors import UserError
from jdart.config import UNET_TARGETS, LoraConfig, from_mapping
from jdart.lora.layers import inject

CASES = {
    "alpha": {"lora_alpha": 7.0},
    "rslora": {"lora_alpha": 7.0, "use_rslora": True},
    "patterns": {
        "lora_alpha": 7.0,
        "rank_pattern": {"attn1.to_q": 5, r"up_blocks.*to_out\.0": 1},
        "alpha_pattern": {"attn2.*": 2.0},
        "use_rslora": True,
    },
    "one_block_without_a_layer": {
        "target_modules": ("up_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", "to_v"),
        "exclude_modules": ("attn2.to_v",),
    },
    "one_block_by_regular_expressions": {
        "target_modules": r"up_blocks\.0.*attn[12]\.to_[qkv]",
        "exclude_modules": r".*attn1\.to_k",
    },
    "convolutions": {
        "lora_alpha": 2.0,
        "target_modules": ("conv1", "conv_shortcut", "downsamplers.0.conv", "proj_in", "time_emb_proj"),
        "rank_pattern": {"conv_shortcut": 4},
    },
}


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients_equal_pefts(case, base, base_folder, rng, close):
    settings = LoraConfig(r=3, **CASES[case])
    adapters = inject(base.unet, settings, rng)
    theirs = UNet2DConditionModel.from_pretrained(base_folder / "unet")
    theirs.add_adapter(peft.LoraConfig(**_pefts(settings)))
    modules = {n: m for n, m in theirs.named_modules() if isinstance(m, peft.tuners.lora.LoraLayer)}
    assert set(modules) == set(adapters)
    for name, adapter in adapters.items():
        a = rng.standard_normal(adapter.lora_A.shape).astype(np.float32) * 0.15
        b = rng.standard_normal(adapter.lora_B.shape).astype(np.float32) * 0.15
        adapter.lora_A, adapter.lora_B = jt.array(a), jt.array(b)
        modules[name].lora_A["default"].weight.data = torch.tensor(a)  # a shape of its own would fail below
        modules[name].lora_B["default"].weight.data = torch.tensor(b)
        assert modules[name].r["default"] == adapter.rank
        assert modules[name].scaling["default"] == pytest.approx(adapter.scale)
    x, text = rng.standard_normal((2, 4, 8, 8), np.float32), rng.standard_normal((2, 77, 32), np.float32)
    steps, weight = np.array([40, 900]), rng.standard_normal((2, 4, 8, 8), np.float32)
    expected = theirs(torch.tensor(x), torch.tensor(steps), torch.tensor(text)).sample
    (expected * torch.tensor(weight)).sum().backward()
    found = base.unet(jt.array(x), steps, jt.array(text))
    assert close(found.numpy(), expected.detach().numpy()) < 1e-4
    plain = UNet2DConditionModel.from_pretrained(base_folder / "unet")
    assert close(plain(torch.tensor(x), torch.tensor(steps), torch.tensor(text)).sample.detach(), found.numpy()) > 0.01
    variables = [v for adapter in adapters.values() for v in (adapter.lora_A, adapter.lora_B)]
    gradients = jt.grad((found * jt.array(weight)).sum(), variables)
    pairs = zip(gradients, [m for name in adapters for m in (modules[name].lora_A, modules[name].lora_B)])
    scale = max(np.abs(gradient.numpy()).max() for gradient in gradients)
    for ours, module in pairs:
        assert np.abs(ours.numpy() - module["default"].weight.grad.numpy()).max() < 1e-3 * scale


def _pefts(settings):
    values = dataclasses.asdict(settings)
    for name in ("init_from", "rank_by_noise"):  # jdart's own
        values.pop(name, None)
    if values["lora_alpha"] is None:
        values["lora_alpha"] = settings.r
    for name in ("target_modules", "exclude_modules"):
        values[name] = values[name] if isinstance(values[name], str) else list(values[name])
    return values


@pytest.mark.parametrize("kind", [(), (3, 3)], ids=["linear", "convolution"])
@pytest.mark.parametrize("rslora", [False, True])
def test_the_delta_of_a_pair_is_pefts(kind, rslora, rng):
    """Merged by PEFT into a layer of zeros, the pair is its delta."""
    layer = torch.nn.Conv2d(5, 6, 3, padding=1, bias=False) if kind else torch.nn.Linear(5, 6, bias=False)
    torch.nn.init.zeros_(layer.weight)
    config = peft.LoraConfig(r=4, lora_alpha=3, target_modules=["0"], use_rslora=rslora)
    model = peft.get_peft_model(torch.nn.Sequential(layer), config)
    a = rng.standard_normal((4, 5, *kind)).astype(np.float32)
    b = rng.standard_normal((6, 4, *[1 for _ in kind])).astype(np.float32)
    lora = model.base_model.model[0]
    lora.lora_A["default"].weight.data, lora.lora_B["default"].weight.data = torch.tensor(a), torch.tensor(b)
    expected = model.merge_and_unload()[0].weight.detach().numpy()
    from jdart.lora.pairs import LoraPair

    assert np.abs(LoraPair(a, b, 3.0, rslora).delta - expected).max() < 1e-5


def test_an_exclusion_or_a_pattern_that_fits_nothing_is_refused(base, rng):
    for wrong, word in (
        ({"exclude_modules": ("to_nowhere",)}, "exclude_modules .*to_nowhere"),
        ({"target_modules": "to_q"}, "target_modules .*to_q .*regular expression for whole names"),
        ({"rank_pattern": {"to_x": 2}}, "decides for no adapted layer: .*to_x"),
        ({"exclude_modules": UNET_TARGETS}, "leaves no layer"),
    ):
        with pytest.raises(UserError, match=word):
            inject(base.unet, LoraConfig(**wrong), rng)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"rank_pattern": {"to_q": 0}}, "lora.rank_pattern.to_q: 0 is below 1"),
        ({"alpha_pattern": {"to_q": 0.0}}, "lora.alpha_pattern.to_q: 0.0 is not above 0"),
        ({"rank_pattern": {"to_(": 2}}, "no regular expression"),
    ],
)
def test_patterns_are_checked_when_they_are_read(wrong, word):
    with pytest.raises(UserError, match=word):
        from_mapping({"lora": wrong})


def test_the_adapters_of_many_styles_keep_the_ratio_of_alpha_to_rank():
    plain = LoraConfig(r=4, lora_alpha=2.0, rank_pattern={"to_q": 3}, alpha_pattern={"to_v": 5.0})
    many = plain.times(28)
    for layer in ("x.to_q", "x.to_k", "x.to_v"):
        assert many.rank_of(layer) == 28 * plain.rank_of(layer)
        assert many.alpha_of(layer) / many.rank_of(layer) == plain.alpha_of(layer) / plain.rank_of(layer)
    assert json.dumps(many.rank_pattern) == '{"to_q": 84}'
