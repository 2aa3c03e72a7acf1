"""DoRA in training against PEFT on PyTorch: the same numbers give the same outputs, gradients and steps."""

import jittor as jt
import numpy as np
import peft
import pytest
import torch

from contest.errors import UserError
from jdart.config import LoraConfig, from_mapping, said
from jdart.lora.layers import inject, remove
from jdart.lora.merge import merged
from jdart.lora.pairs import LoraPair
from jdart.training.optim import AdamW, flatten

KINDS = {
    "linear": (jt.nn.Linear(5, 6), (7, 5)),
    "linear without bias": (jt.nn.Linear(5, 6, bias=False), (2, 7, 5)),
    "convolution": (jt.nn.Conv(5, 6, 3, stride=2, padding=1), (2, 5, 8, 8)),
    "1x1 convolution without bias": (jt.nn.Conv(5, 6, 1, bias=False), (2, 5, 4, 4)),
}


class Both:
    """A layer with a DoRA of ours and of PEFT's, at the same numbers; the magnitude is not where it began."""

    def __init__(self, kind, rng, **settings):
        layer, self.inputs = KINDS[kind]
        layer.weight = jt.array(rng.standard_normal(layer.weight.shape).astype(np.float32))
        linear, bias = layer.weight.ndim == 2, layer.bias is not None
        if linear:
            plain = torch.nn.Linear(5, 6, bias=bias)
        else:
            plain = torch.nn.Conv2d(5, 6, layer.kernel_size, layer.stride, layer.padding, bias=bias)
        plain.weight.data = torch.tensor(layer.weight.numpy())
        if bias:
            plain.bias.data = torch.tensor(layer.bias.numpy())
        settings = {"r": 3, "lora_alpha": 4.0, "use_dora": True, **settings}
        network = jt.nn.Sequential(layer)
        (self.ours,) = inject(network, LoraConfig(target_modules=("0",), **settings), rng).values()
        self.ours.train()
        self.model = peft.get_peft_model(
            torch.nn.Sequential(plain), peft.LoraConfig(target_modules=["0"], init_lora_weights=False, **settings)
        )
        self.model.train()
        lora = self.model.base_model.model[0]
        self.theirs = (
            lora.lora_A["default"].weight,
            lora.lora_B["default"].weight,
            lora.lora_magnitude_vector["default"].weight,
        )
        self.mine = (self.ours.lora_A, self.ours.lora_B, self.ours.lora_magnitude_vector)
        with torch.no_grad():
            for number, (value, their) in enumerate(zip(self.mine, self.theirs)):
                assert tuple(value.shape) == tuple(their.shape)
                new = rng.standard_normal(their.shape).astype(np.float32)
                new = np.abs(their.numpy()) * 1.2 + 0.1 * np.abs(new) if number == 2 else 0.4 * new
                value.assign(jt.array(new))
                their.copy_(torch.tensor(new))

    def losses(self, x, weight):
        expected = (self.model(torch.tensor(x)) * torch.tensor(weight)).pow(2).mean()
        found = ((self.ours(jt.array(x)) * jt.array(weight)) ** 2).mean()
        return found, expected

    def data(self, rng):
        x = rng.standard_normal(self.inputs).astype(np.float32)
        return x, rng.standard_normal(tuple(self.model(torch.tensor(x)).shape)).astype(np.float32)


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradients_are_pefts(kind, rslora, rng):
    both = Both(kind, rng, use_rslora=rslora)
    found, expected = both.losses(*both.data(rng))
    expected.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for ours, theirs in zip(jt.grad(found, list(both.mine)), both.theirs):
        assert np.abs(theirs.grad.numpy()).max() > 1e-3
        assert np.abs(ours.numpy() - theirs.grad.numpy()).max() < 1e-5 * max(1, np.abs(theirs.grad.numpy()).max())


@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_several_steps_are_pefts(kind, rng):
    both = Both(kind, rng)
    ours = AdamW(list(both.mine), [0.02] * 3)
    theirs = torch.optim.AdamW(both.theirs, 0.02)
    for _ in range(6):
        found, expected = both.losses(*both.data(rng))
        assert found.item() == pytest.approx(expected.item(), rel=1e-4)
        theirs.zero_grad()
        expected.backward()
        theirs.step()
        ours.step(flatten(jt.grad(found, list(both.mine))))
    for value, their in zip(both.mine, both.theirs):
        assert np.abs(value.numpy() - their.detach().numpy()).max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_meets_the_base_too_as_in_peft(kind, rng, monkeypatch):
    """PEFT gives the DoRA's part of the base's output what is left of the input: here the same half in both."""
    both = Both(kind, rng, lora_dropout=0.5)
    x, weight = both.data(rng)
    keep = (rng.random(x.shape) < 0.5).astype(np.float32) * 2
    monkeypatch.setattr(jt.nn, "dropout", lambda value, **_: value * jt.array(keep))
    both.model.base_model.model[0].lora_dropout["default"].forward = lambda value: value * torch.tensor(keep)
    found, expected = both.losses(x, weight)
    expected.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for ours, theirs in zip(jt.grad(found, list(both.mine)), both.theirs):
        assert np.abs(ours.numpy() - theirs.grad.numpy()).max() < 1e-5 * max(1, np.abs(theirs.grad.numpy()).max())


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_in_the_weight_is_what_peft_merges(kind, rng):
    from jdart.lora.dora import gain

    both = Both(kind, rng)
    weight = both.ours.layer.weight.numpy()
    pair = both.ours.pair().fitted(weight.shape)
    found = (weight + pair.delta) * gain("0", pair.magnitude, weight + pair.delta)
    expected = both.model.merge_and_unload()[0].weight.detach().numpy()
    assert np.abs(expected - weight).max() > 0.1
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("dora", [True, False], ids=["from a DoRA", "from a plain LoRA"])
def test_a_start_leaves_the_network_as_the_file_made_it(dora, base, make_dora, unet_output, rng, close):
    """The magnitude begins as the norm of the weight with the pair in it, so that a plain LoRA goes on unchanged."""
    pairs = make_dora(base.unet, ("to_q", "conv1", "proj_in"))
    if not dora:
        pairs = {name: LoraPair(pair.a, pair.b, pair.alpha) for name, pair in pairs.items()}
    settings = LoraConfig(r=3, lora_alpha=5.0, target_modules=("to_q", "conv1", "proj_in"), use_dora=True)
    plain = unet_output()
    with merged(base.unet, pairs):
        expected = unet_output()
    adapters = inject(base.unet, settings, rng, pairs)
    found = unet_output()
    remove(base.unet, adapters)
    assert close(found, expected) < 1e-5
    assert close(plain, expected) > 0.01
    adapters = inject(base.unet, settings, rng)
    assert close(unet_output(), plain) < 1e-5, "a fresh one changes nothing"


def test_rows_of_zeros_stay_zeros_and_have_finite_gradients(rng):
    """PEFT divides zero by zero there."""
    layer = jt.nn.Linear(4, 3)
    layer.weight = jt.array(np.diag([1.0, 2.0, 0.0]).astype(np.float32) @ rng.standard_normal((3, 4), np.float32))
    (adapter,) = inject(jt.nn.Sequential(layer), LoraConfig(target_modules=("0",), use_dora=True), rng).values()
    out = adapter(jt.array(rng.standard_normal((5, 4), np.float32)))
    assert np.isfinite(out.numpy()).all()
    gradients = jt.grad(out.sum(), [adapter.lora_A, adapter.lora_B, adapter.lora_magnitude_vector])
    assert all(np.isfinite(gradient.numpy()).all() for gradient in gradients)


def test_off_is_not_said():
    assert "use_dora" not in str(said(from_mapping({})))
    both = said(from_mapping({"lora": {"use_dora": True}, "text_encoder_lora": {"r": 2, "use_dora": True}}))
    assert both["lora"]["use_dora"] is both["text_encoder_lora"]["use_dora"] is True


def test_a_bin_beside_a_dora_is_refused_before_it_is_trained():
    for section in ({"lora": {"use_dora": True}}, {"text_encoder_lora": {"r": 2, "use_dora": True}}):
        with pytest.raises(UserError, match="train.also: bin has no place for a DoRA; take kohya or peft"):
            from_mapping({**section, "train": {"also": ["kohya", "bin"]}})
    from_mapping({"text_encoder_lora": {"use_dora": True}, "train": {"also": ["bin"]}})
