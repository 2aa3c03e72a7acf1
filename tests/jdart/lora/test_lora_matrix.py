"""Our files draw the same in diffusers and PEFT, and say the same by the rules of sd-scripts and ComfyUI.

Formats x ranks, alphas and scalings x layers x networks x SD 1's and SD 2's shapes, over random LoRAs. The other side
is diffusers' networks in double precision with the deltas added to their weights.
"""

import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from client_rules import comfyui_deltas, read_file, sd_scripts_deltas
from hypothesis import given, settings
from hypothesis import strategies as st
from lora_files import written
from random_loras import loras, random_pair
from torch_networks import NETWORKS, added, delta, layers, make_pipeline, outputs

from jdart.lora.formats.clients import OLDER, STRENGTH, UNREAD, readers
from jdart.lora.formats.file import FORMATS

FOLD = 1e-6  # of the LoRA's effect: where alpha goes into B, B is rounded to float32 once more
HALF = 2e-2  # A and B rounded to float16

# PEFT says so where a file leaves out layers of a kind that it adapts; the adapters there are empty.
pytestmark = pytest.mark.filterwarnings("ignore:\\n?While injecting the PEFT adapters")


@pytest.fixture(scope="module", params=[False, True], ids=["sd2", "sd1"])
def pipe(request, base_folder):
    return make_pipeline(base_folder, request.param)


@pytest.fixture(scope="module")
def plain(pipe):
    return outputs(pipe)


@pytest.fixture(scope="module")
def shapes(pipe):
    return {n: {name: tuple(m.weight.shape) for name, m in layers(getattr(pipe, n)).items()} for n in NETWORKS}


def assert_same_effect(plain, expected, found, tolerance):
    for network in NETWORKS:
        effect = np.abs(expected[network] - plain[network]).max()
        error = np.abs(found[network] - expected[network]).max()
        assert error <= tolerance * effect + 1e-12, (network, error / effect if effect else error)


def older_diffusers_differs(pairs, format):
    """The table says what versions before 0.40 do otherwise; Python 3.9 ends with 0.36."""
    older = [loss for reader in readers(pairs, format) for loss in reader.losses if loss.effect == OLDER]
    return bool(older) and tuple(map(int, version("diffusers").split(".")[:2])) < (0, 40)


def assert_diffusers_draws(pairs, format, dtype, pipe, plain):
    if older_diffusers_differs(pairs, format):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), pairs, format, dtype=dtype)
        pipe.load_lora_weights(folder, weight_name=path.name)
    found = outputs(pipe)
    pipe.unload_lora_weights()
    with added(pipe, pairs):
        expected = outputs(pipe)
    assert_same_effect(plain, expected, found, FOLD if dtype == "fp32" else HALF)


UNET, TEXT = ("to_q", "to_k", "attn2.to_v"), ("q_proj", "k_proj", "v_proj", "out_proj", "fc1")
NAMED = {
    # network, kinds of layers, their ranks, their alphas
    "alpha pattern": ("unet", UNET, (4, 4, 4), (4, 4, 1)),
    "rank pattern, alpha the rank": ("unet", UNET, (4, 4, 8), (4, 4, 8)),
    "rank pattern, one alpha": ("unet", UNET, (4, 4, 8), (4, 4, 4)),
    "alpha 0 is no scale": ("unet", UNET, (4, 4, 4), (0, 0, 3)),
    "convolutions": ("unet", ("conv_in", "conv1", "linear_1"), (4, 4, 4), (4, 4, 1)),
    "text, alpha by layer": ("text_encoder", TEXT, (4, 4, 4, 4, 4), (4, 4, 2, 4, 1)),
    "text, no out_proj": ("text_encoder", ("q_proj", "v_proj"), (4, 4), (4, 4)),
    "text, no out_proj, fc1": ("text_encoder", ("q_proj", "v_proj", "fc1"), (4, 2, 4), (6, 6, 4)),
    "text, k_proj": ("text_encoder", ("k_proj",), (4,), (1,)),
    "text, mlp": ("text_encoder", ("fc1", "fc2"), (4, 4), (4, 1)),
    "text, fc2": ("text_encoder", ("fc2",), (4,), (6,)),
}


@pytest.mark.parametrize("pipe", [False], indirect=True, ids=["sd2"])
@pytest.mark.parametrize("format", ["diffusers", "kohya"])
@pytest.mark.parametrize("case", NAMED)
def test_diffusers_draws_the_same_in_cases_that_went_wrong(case, format, pipe, plain, shapes):
    network, kinds, ranks, alphas = NAMED[case]
    rng = np.random.default_rng(1)
    pairs = {}
    for kind, rank, alpha in zip(kinds, ranks, alphas):
        for name in (name for name in shapes[network] if name.endswith(kind)):
            pairs[name] = random_pair(rng, shapes[network][name], rank, float(alpha))
    assert_diffusers_draws({network: pairs}, format, "fp32", pipe, plain)


@given(data=st.data(), format=st.sampled_from(("diffusers", "kohya", "bin")), dtype=st.sampled_from(("fp32", "fp16")))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_diffusers_draws_the_same(data, format, dtype, pipe, plain, shapes):
    assert_diffusers_draws(data.draw(loras(shapes)), format, dtype, pipe, plain)


@pytest.mark.filterwarnings("ignore:Found missing adapter keys")  # those of the empty adapters
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT's own way to ask transformers
@given(data=st.data())
@settings(max_examples=3, deadline=None, derandomize=True)
def test_peft_reloads_the_same(data, pipe, plain, shapes):
    from peft import PeftModel

    pairs = data.draw(loras(shapes))
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), pairs, "peft")
        models = [PeftModel.from_pretrained(getattr(pipe, network), path / network) for network in pairs]
    found = outputs(pipe)
    for model in models:
        model.unload()
    with added(pipe, pairs):
        expected = outputs(pipe)
    assert_same_effect(plain, expected, found, FOLD)


@given(data=st.data(), format=st.sampled_from(FORMATS))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_sd_scripts_and_comfyui_read_by_their_rules_what_the_table_says(data, format, pipe, shapes):
    pairs = data.draw(loras(shapes))
    with tempfile.TemporaryDirectory() as folder:
        tensors = read_file(written(Path(folder), pairs, format))
    named = {f"{network}.{name}": pair for network, own in pairs.items() for name, pair in own.items()}
    said = {reader.client: reader for reader in readers(pairs, format)}
    for client, rule in (("ComfyUI", comfyui_deltas), ("sd-scripts", sd_scripts_deltas)):
        found = {name: array for name, array in rule(tensors, pipe).items() if name in named}
        unread = {name for loss in said[client].losses if loss.effect == UNREAD for name in loss.layers}
        weak = {name for loss in said[client].losses if loss.effect == STRENGTH for name in loss.layers}
        assert set(found) == set(named) - unread
        assert said[client].reads == len(found)
        for name, array in found.items():
            wanted = delta(named[name]).reshape(array.shape)
            if name in weak:
                wanted = wanted / named[name].scale
            np.testing.assert_allclose(array, wanted, rtol=1e-5, atol=1e-6 * np.abs(wanted).max())
