"""LoRAs of every layer kind, and what the networks give for a fixed input."""

from dataclasses import replace

import jittor as jt
import numpy as np
import pytest

from jdart.lora.merge import layer_shapes
from jdart.lora.pairs import LoraPair
from jdart.models.paths import at

UNET_KINDS = ("to_q", "to_out.0", "proj_in", "ff.net.0.proj", "conv1", "conv", "time_emb_proj", "conv_shortcut")
TEXT_KINDS = ("q_proj", "out_proj", "fc1")


@pytest.fixture
def make_pairs(rng):
    """Trained-looking pairs for every layer of `shapes` that ends in one of `kinds`."""

    def make(shapes, kinds, rank=3, alpha=5.0, rslora=False):
        found = {}
        for name, (out, *inner) in shapes.items():
            if any(name.endswith("." + kind) for kind in kinds):
                a = rng.standard_normal((rank, *inner)).astype(np.float32) * 0.1
                b = rng.standard_normal((out, rank) + (1,) * (len(inner) - 1)).astype(np.float32) * 0.1
                found[name] = LoraPair(a, b, alpha, rslora)
        return found

    return make


@pytest.fixture
def make_dora(make_pairs, rng):
    """DoRAs whose magnitudes are not the weights' norms, on the layers of a network of ours."""

    def make(network, kinds, **options):
        shapes = layer_shapes(network)
        found = {}
        for name, pair in make_pairs(shapes, kinds, **options).items():
            norm = np.sqrt((at(network, name).weight.numpy() ** 2).reshape(len(pair.b), -1).sum(1))
            m = norm * rng.uniform(0.8, 1.4, norm.shape)
            found[name] = replace(pair, magnitude=m.astype(np.float32).reshape(-1, *[1] * (pair.a.ndim - 1)))
        return found

    return make


@pytest.fixture
def every_kind(base, make_pairs):
    """Linear layers and convolutions of both networks; alpha is not the rank."""
    return {
        "unet": make_pairs(layer_shapes(base.unet), UNET_KINDS),
        "text_encoder": make_pairs(layer_shapes(base.text_encoder), TEXT_KINDS, rank=2, alpha=1.5),
    }


@pytest.fixture
def unet_input(rng):
    return (
        rng.standard_normal((2, 4, 16, 16), np.float32),
        np.array([40, 900]),
        rng.standard_normal((2, 77, 32), np.float32),
    )


@pytest.fixture
def unet_output(base, unet_input):
    def compute():
        x, steps, text = unet_input
        with jt.no_grad():
            return base.unet(jt.array(x), steps, jt.array(text)).numpy()

    return compute


@pytest.fixture
def text_output(base):
    def compute(ids):
        with jt.no_grad():
            return base.text_encoder(jt.array(ids)).numpy()

    return compute
