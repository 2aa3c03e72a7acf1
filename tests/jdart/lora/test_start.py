"""Adapters that start from those of a file: the very same network, or one line that says why not."""

import logging

import jittor as jt
import numpy as np
import pytest

from contest.errors import UserError
from jdart.config import Config, LoraConfig, TextLoraConfig, TrainConfig
from jdart.data.captions import Picture
from jdart.data.pictures import read_rgb
from jdart.lora.formats.file import LoraFile
from jdart.lora.formats.reading import load_lora
from jdart.lora.formats.writing import save_lora
from jdart.lora.layers import inject, remove
from jdart.lora.merge import layer_shapes, merged
from jdart.lora.start import Start, log_fresh, start_pairs
from jdart.training.examples import encode
from jdart.training.learner import Learner
from jdart.training.loop import train

TARGETS = ("to_q", "conv1", "proj_in")


@pytest.fixture
def trained(base, make_pairs):
    return {"unet": make_pairs(layer_shapes(base.unet), TARGETS), "text_encoder": {}}


@pytest.fixture
def settings():
    return LoraConfig(r=3, lora_alpha=5.0, target_modules=TARGETS)


@pytest.mark.parametrize("format", ["diffusers", "kohya", "bin", "peft"])
def test_a_file_of_any_format_is_the_network_with_it_merged(
    format, base, trained, settings, unet_output, tmp_path, rng, close
):
    path = tmp_path / {"diffusers": "a.safetensors", "kohya": "a.safetensors", "bin": "a.bin", "peft": "a"}[format]
    save_lora(path, LoraFile(trained), format)
    if format == "bin":  # its scale is in the tensors
        settings = LoraConfig(r=3, target_modules=TARGETS)
    with merged(base.unet, trained["unet"]):
        expected = unet_output()
    pairs = start_pairs(path, "unet", load_lora(path).pairs["unet"], settings, layer_shapes(base.unet))
    adapters = inject(base.unet, settings, rng, pairs)
    found = unet_output()
    remove(base.unet, adapters)
    assert close(found, expected) < 1e-5
    assert len(adapters) == len(trained["unet"])


def test_layers_that_the_file_lacks_are_those_of_a_fresh_start_and_are_told(base, trained, settings, tmp_path, caplog):
    whole = trained["unet"]
    some = {name: pair for name, pair in whole.items() if "conv1" not in name}
    pairs = start_pairs(tmp_path / "a", "unet", some, settings, layer_shapes(base.unet))
    with caplog.at_level(logging.WARNING):
        log_fresh(tmp_path / "a", "unet", pairs, tuple(whole))
    assert f"nothing for {len(whole) - len(some)} of the {len(whole)} layers of the unet" in caplog.text
    fresh = inject(base.unet, settings, np.random.default_rng(4))
    plain = {name: adapter.pair().a for name, adapter in fresh.items()}
    remove(base.unet, fresh)
    adapters = inject(base.unet, settings, np.random.default_rng(4), pairs)
    remove(base.unet, adapters)
    for name, adapter in adapters.items():
        expected = some[name].a if name in some else plain[name]
        np.testing.assert_array_equal(adapter.pair().a.reshape(-1), expected.reshape(-1))
        assert adapter.pair().b.any() == (name in some)


@pytest.mark.parametrize(
    ("network", "given", "words"),
    [
        ("unet", {"r": 4, "lora_alpha": 5.0}, ["rank 3", "rank 4", "set lora.r: 3 and lora.lora_alpha: 5"]),
        ("unet", {"r": 3}, ["scale 1.66667", "lora.lora_alpha: 5"]),
        ("unet", {"r": 3, "lora_alpha": 5.0, "use_rslora": True}, ["scale"]),
        ("unet", {"r": 3, "lora_alpha": 5.0, "target_modules": ("to_q",)}, ["lora.target_modules leaves out", "add"]),
        ("text_encoder", {"r": 0}, ["adapts the text_encoder too", "text_encoder_lora.r: 3"]),
    ],
)
def test_another_lora_than_that_of_the_settings_is_refused(network, given, words, base, trained, make_pairs, tmp_path):
    shapes = layer_shapes(getattr(base, network))
    pairs = trained["unet"] if network == "unet" else make_pairs(shapes, ("q_proj",))
    kind = LoraConfig if network == "unet" else TextLoraConfig
    with pytest.raises(UserError) as error:
        start_pairs(tmp_path / "a.safetensors", network, pairs, kind(**{"target_modules": TARGETS, **given}), shapes)
    assert all(word in str(error.value) for word in ["lora.init_from", "a.safetensors", *words])
    assert "\n" not in str(error.value)


def test_a_file_of_another_network_is_refused(base, trained, settings, tmp_path):
    shapes = {name: (shape[0] + 1, *shape[1:]) for name, shape in layer_shapes(base.unet).items()}
    with pytest.raises(UserError, match="lora.init_from: .*does not fit this base"):
        start_pairs(tmp_path / "a", "unet", trained["unet"], settings, shapes)


def test_training_begins_where_the_file_ended(base, trained, settings, tmp_path):
    """The first loss is that of the base with the LoRA merged; at a rate of nearly nothing the LoRA stays."""
    from PIL import Image

    path = tmp_path / "cow.png"
    Image.fromarray(np.random.default_rng(3).integers(0, 255, (32, 32, 3)).astype(np.uint8)).save(path)
    assert read_rgb(path).shape == (32, 32, 3)
    config = Config(lora=settings, train=TrainConfig(steps=1, learning_rate=1e-12))
    examples = encode(base, [Picture(path, "cow", "an image of cow")], config.data, config.seed, True)
    fresh = Learner(base, config, "00", examples, None)
    with merged(base.unet, {}), jt.no_grad():
        plain = fresh.loss(0).item()
    fresh.close()
    with merged(base.unet, trained["unet"]):
        fresh = Learner(base, config, "00", examples, None)
        with jt.no_grad():
            expected = fresh.loss(0).item()
        fresh.close()
    learner = Learner(base, config, "00", examples, None, Start(trained))
    (record,) = train(learner, config.train)
    after = learner.pairs()["unet"]
    learner.close()
    assert record.loss == pytest.approx(expected, rel=1e-4)
    assert abs(expected - plain) > 1e-3 * plain
    for name, pair in trained["unet"].items():
        np.testing.assert_allclose(after[name].a.ravel(), pair.a.ravel(), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(after[name].b.ravel(), pair.b.ravel(), rtol=1e-6, atol=1e-9)
