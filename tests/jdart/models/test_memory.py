"""What saves memory gives the same results: tiles as diffusers blends them, gradients as without checkpointing."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import jittor as jt
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from jdart.config import LoraConfig
from jdart.lora.layers import inject, remove
from jdart.models.recompute import recomputed
from jdart.models.tiling import tiled

ROOT = Path(__file__).parents[3]
TARGETS = ("to_q", "to_out.0")


@pytest.mark.parametrize("shape", [(64, 64), (64, 65), (90, 150), (40, 100)])
def test_tiles_of_a_network_that_changes_nothing_give_the_picture_back(shape, rng):
    x = rng.standard_normal((2, 3, *shape), np.float32)
    assert np.abs(tiled(lambda part: part, jt.array(x), 48, Fraction(1)).numpy() - x).max() < 1e-6
    doubled = tiled(lambda part: jt.nn.interpolate(part, scale_factor=2, mode="nearest"), jt.array(x), 48, Fraction(2))
    assert np.abs(doubled.numpy() - x.repeat(2, 2).repeat(2, 3)).max() < 1e-6


def test_tiles_blend_as_in_diffusers(base, base_folder, rng):
    """In one row of tiles; where four tiles meet, its weights add up to less or more than one tile, ours do not."""
    theirs = AutoencoderKL.from_pretrained(base_folder / "vae").eval()
    factor = base.vae.config.factor
    theirs.tile_sample_min_size, theirs.tile_latent_min_size = 64, 64 // factor
    theirs.enable_tiling()
    z = rng.standard_normal((1, 4, 48 // factor, 128 // factor), np.float32)
    x = rng.uniform(-1, 1, (1, 3, 48, 128)).astype(np.float32)
    base.vae.tile = 64
    with torch.no_grad(), jt.no_grad():
        pixels = theirs.decode(torch.tensor(z)).sample.numpy()
        mean = theirs.encode(torch.tensor(x)).latent_dist.mean.numpy()
        scale = base.vae.config.scaling_factor
        assert np.abs(base.vae.decode(jt.array(z * scale)).numpy() - pixels).max() < 1e-4
        assert np.abs(base.vae.encode(jt.array(x))[0].numpy() / scale - mean).max() < 1e-4
        base.vae.tile = None
        assert np.abs(base.vae.decode(jt.array(z * scale)).numpy() - pixels).max() > 1e-3, "tiles do something"


def test_gradient_checkpointing_keeps_loss_and_gradients(base, rng):
    unet = base.unet
    adapters = inject(unet, LoraConfig(r=2, target_modules=TARGETS), rng)
    parameters = [p for adapter in adapters.values() for p in (adapter.lora_A, adapter.lora_B)]
    for adapter in adapters.values():  # away from zero, where A has no gradient
        adapter.lora_B.update(jt.array(rng.standard_normal(adapter.lora_B.shape).astype(np.float32)))
    x = rng.standard_normal((2, 4, 4, 4), np.float32)
    text = rng.standard_normal((2, 77, base.configs["unet"].cross_attention_dim), np.float32)

    def gradients():
        loss = (unet(jt.array(x), np.array([3, 900]), jt.array(text)) ** 2).mean()
        found = jt.grad(loss, parameters)
        return loss.item(), [value.numpy() for value in found]

    loss, plain = gradients()
    with recomputed(unet):
        again, saved = gradients()
    after, _ = gradients()
    remove(unet, adapters)
    assert loss == again == after
    assert max(np.abs(a).max() for a in plain) > 1e-3
    for a, b in zip(plain, saved):
        assert np.abs(a - b).max() <= 1e-5 * max(np.abs(a).max(), 1e-3)


def test_gradient_checkpointing_attends_once(base, rng, monkeypatch):
    """What attention gave is kept: both passes through a block have it from the first."""
    from jdart.models.kernels import functions
    from jdart.models.networks.layers import Attention

    unet, attend, calls = base.unet, functions.attend, []
    monkeypatch.setattr(functions, "attend", lambda *arguments: calls.append(1) or attend(*arguments))
    adapters = inject(unet, LoraConfig(r=2, target_modules=TARGETS), rng)
    ups = [adapter.lora_B for adapter in adapters.values()]
    text = rng.standard_normal((1, 77, base.configs["unet"].cross_attention_dim), np.float32)
    with recomputed(unet):
        out = unet(jt.array(rng.standard_normal((1, 4, 4, 4), np.float32)), np.array([3]), jt.array(text))
        jt.sync(jt.grad((out**2).mean(), ups))
    remove(unet, adapters)
    assert len(calls) == sum(isinstance(module, Attention) for module in unet.modules())


def test_gradient_checkpointing_lowers_the_peak_of_memory():
    """Each way in a process of its own, as the benchmark measures it: SD 2.1's UNet at a tenth of its width, 512 px."""
    peak = {}
    for recompute in (False, True):
        case = json.dumps({"what": "train", "batch": 2, "recompute": recompute})
        command = [sys.executable, ROOT / "benchmarks" / "memory.py", "--case", case]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peak[recompute] = json.loads(said.splitlines()[-1])["bytes"]
    assert 50e6 < peak[True] < 0.7 * peak[False], peak


def test_gradient_checkpointing_drops_the_same_values_both_times(base, rng):
    """The gradient along its own direction against a difference of two losses, both with the same dropout."""
    unet = base.unet
    adapters = inject(unet, LoraConfig(r=2, target_modules=TARGETS, lora_dropout=0.5), rng)
    for adapter in adapters.values():
        adapter.train()
    ups = [adapter.lora_B for adapter in adapters.values()]
    start = [0.1 * rng.standard_normal(up.shape).astype(np.float32) for up in ups]
    x = rng.standard_normal((2, 4, 4, 4), np.float32)
    text = rng.standard_normal((2, 77, base.configs["unet"].cross_attention_dim), np.float32)

    def loss_at(values):
        for up, value in zip(ups, values):
            up.update(jt.array(value))
        jt.set_global_seed(5)
        return (unet(jt.array(x), np.array([3, 900]), jt.array(text)) ** 2).mean()

    with recomputed(unet):
        gradient = [g.numpy() for g in jt.grad(loss_at(start), ups)]
        size = np.sqrt(sum((g**2).sum() for g in gradient))
        step = 0.02 / size
        there, back = (loss_at([v + sign * step * g for v, g in zip(start, gradient)]).item() for sign in (1, -1))
    remove(unet, adapters)
    assert (there - back) / (2 * step) == pytest.approx(size**2, rel=0.03)


def test_attention_in_slices_is_the_same_attention(base_folder, rng, monkeypatch):
    """Where no kernel serves, as on a GPU: fewer queries at a time, the same output and gradients."""
    from jdart.config import MemoryConfig
    from jdart.models.build import Base
    from jdart.models.networks import layers

    monkeypatch.setattr(layers, "serves", lambda *inputs: False)
    calls = []
    whole = layers._attention
    monkeypatch.setattr(layers, "_attention", lambda q, *rest: calls.append(q.shape[1]) or whole(q, *rest))
    sliced = Base(base_folder, MemoryConfig(attention_slice=5)).unet
    attention = next(m for m in sliced.modules() if isinstance(m, layers.Attention))
    assert attention.queries_at_once == 5
    x = jt.array(rng.standard_normal((2, 16, attention.to_q.weight.shape[1]), np.float32))
    found = []
    for queries in (5, None):
        attention.queries_at_once = queries
        out = attention(x)
        found.append((out.numpy(), jt.grad((out * out).sum(), x).numpy()))
    assert calls == [5, 5, 5, 1, 16]
    for a, b in zip(*found):
        assert np.abs(a - b).max() < 1e-5 * np.abs(a).max()
