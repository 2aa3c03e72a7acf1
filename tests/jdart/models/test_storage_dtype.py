"""A base kept in float16: half the memory, and where its files are in float16 already, the very same numbers."""

import shutil

import jittor as jt
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from contest.errors import UserError
from jdart.config import LoraConfig, MemoryConfig, load_config
from jdart.lora.layers import inject, remove
from jdart.lora.merge import merged
from jdart.models.build import Base
from jdart.models.kernels.native import widened
from jdart.models.recompute import recomputed

NARROW = MemoryConfig(storage_dtype="float16")
PARTS = ("unet", "vae", "text_encoder")


@pytest.fixture(scope="module")
def halved(base_folder, tmp_path_factory):
    """A base whose files are in float16."""
    folder = tmp_path_factory.mktemp("halved") / "base"
    shutil.copytree(base_folder, folder)
    for path in folder.rglob("*.safetensors"):
        save_file({name: array.astype(np.float16) for name, array in load_file(path).items()}, path)
    return folder


@pytest.fixture
def pair(halved):
    """The same base, kept in float32 and in float16."""
    return Base(halved), Base(halved, NARROW)


@pytest.fixture
def given(pair, rng):
    """Latents, timesteps and text for the UNet."""
    width = pair[0].configs["unet"].cross_attention_dim
    latents, text = rng.standard_normal((2, 4, 8, 8), np.float32), rng.standard_normal((2, 77, width), np.float32)
    return jt.array(latents), np.array([3, 900]), jt.array(text)


def test_every_number_is_widened_as_numpy_does(rng):
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    for array in (every, every[5:]):  # the second ends within a vector
        wide = widened(jt.array(array), jt.array(np.ones(1, np.float32))).numpy()
        assert wide.dtype == np.float32
        assert np.array_equal(wide, array.astype(np.float32), equal_nan=True)


def test_all_networks_give_the_same_bytes_in_half_the_memory(pair, given, rng):
    pixels, latents = rng.uniform(-1, 1, (1, 3, 16, 16)).astype(np.float32), rng.standard_normal((1, 4, 8, 8))
    found, held = [], []
    for base in pair:
        with jt.no_grad():
            found.append(
                [
                    base.unet(*given).numpy(),
                    base.text_encoder(jt.array(base.tokens(["a cat"]))).numpy(),
                    base.vae.decode(jt.array(latents.astype(np.float32))).numpy(),
                    base.vae.encode(jt.array(pixels))[0].numpy(),
                ]
            )
        products = [
            (name, value) for part in PARTS for name, value in getattr(base, part).named_parameters() if value.ndim > 1
        ]
        held.append(sum(value.nbytes for name, value in products if "embedding" not in name))
    assert held[1] == held[0] / 2
    assert all((one == other).all() for one, other in zip(*found))


@pytest.mark.parametrize("recompute", [False, True])
def test_a_lora_learns_and_is_merged_as_on_a_wide_base(pair, given, recompute):
    found = []
    for base in pair:
        unet = base.unet
        adapters = inject(
            unet, LoraConfig(r=2, target_modules=("to_q", "conv1", "conv_shortcut")), np.random.default_rng(1)
        )
        trained = [value for adapter in adapters.values() for value in (adapter.lora_A, adapter.lora_B)]
        for adapter in adapters.values():  # away from zero, where A has no gradient
            adapter.lora_B.update(adapter.lora_B + 0.1)
        if recompute:
            with recomputed(unet):
                gradients = jt.grad((unet(*given) ** 2).mean(), trained)
        else:
            gradients = jt.grad((unet(*given) ** 2).mean(), trained)
        learnt = {name: adapter.pair() for name, adapter in adapters.items()}
        remove(unet, adapters)
        before = {name: value.dtype for name, value in unet.named_parameters()}
        with jt.no_grad():
            plain = unet(*given).numpy()
            with merged(unet, learnt, 0.5):
                drawn = unet(*given).numpy()
        assert {name: value.dtype for name, value in unet.named_parameters()} == before
        assert np.abs(drawn - plain).max() > 1e-3
        found.append([drawn, *(gradient.numpy() for gradient in gradients)])
    assert max(np.abs(gradient).max() for gradient in found[0][1:]) > 1e-3
    assert all((one == other).all() for one, other in zip(*found))


def test_where_no_kernel_serves_jittor_widens(pair, given, monkeypatch):
    monkeypatch.setattr("jdart.models.networks.layers.serves", lambda *inputs: False)
    with jt.no_grad():
        wide, narrow = (base.unet(*given).numpy() for base in pair)
    assert np.abs(wide - narrow).max() <= 1e-5 * np.abs(wide).max()


def test_a_base_in_float32_is_rounded(base_folder, halved, given):
    with jt.no_grad():
        wide, narrow = Base(base_folder).unet(*given).numpy(), Base(base_folder, NARROW).unet(*given).numpy()
    assert 0 < np.abs(wide - narrow).max() < 5e-3 * np.abs(wide).max()


def test_numbers_beyond_float16_are_refused_by_name(base_folder, tmp_path):
    shutil.copytree(base_folder, tmp_path / "base")
    path = next((tmp_path / "base" / "unet").glob("*.safetensors"))
    tensors = load_file(path)
    tensors["conv_in.weight"] = np.full_like(tensors["conv_in.weight"], 1e5)
    save_file(tensors, path)
    assert Base(tmp_path / "base").unet is not None
    with pytest.raises(UserError, match="conv_in.weight holds numbers beyond float16; leave memory.storage_dtype at"):
        Base(tmp_path / "base", NARROW).unet  # noqa: B018


def test_another_number_type_is_refused():
    with pytest.raises(UserError, match="memory.storage_dtype: 'bfloat16' is unknown; use float32 or float16"):
        load_config("demo", ["memory.storage_dtype=bfloat16"])
