"""What ComfyUI, sd-scripts and LyCORIS add to each layer, by their own code, against our pairs and our table."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "jdart" / "lora"))

from random_loras import random_pair

from jdart.runtime import start

pytestmark = pytest.mark.clients
PROBE = Path(__file__).with_name("probe.py")
FILES = {"kohya": "k.safetensors", "diffusers": "d.safetensors", "bin": "b.bin"}
NARROW = {
    "unet": {"block_out_channels": [32, 64, 128, 128], "cross_attention_dim": 64, "attention_head_dim": 8},
    "text_encoder": {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2, "projection_dim": 64},
}


@pytest.fixture(scope="module", params=["sd15", "sd21"])
def networks(request, tmp_path_factory):
    """A file of the published networks at a small width, and layer -> shape of each."""
    start("cpu")
    from jdart.lora.merge import layer_shapes
    from jdart.models.presets import PRESETS, build_network

    preset = PRESETS[request.param]
    configs = {network: {**preset[network], **narrow} for network, narrow in NARROW.items()}
    shapes = {network: layer_shapes(build_network(network, config)) for network, config in configs.items()}
    configs["published_widths"] = preset["unet"]["block_out_channels"]
    configs["published_context"] = preset["unet"]["cross_attention_dim"]
    path = tmp_path_factory.mktemp("networks") / "networks.json"
    path.write_text(json.dumps(configs), encoding="utf-8")
    return path, shapes


@pytest.mark.parametrize(
    ("program", "format"),
    [*(("ComfyUI", f) for f in FILES), *(("sd-scripts", f) for f in FILES), ("LyCORIS", "kohya")],
)
def test_every_layer_is_read_as_the_table_says(program, format, networks, interpreter, snapshot, tmp_path):
    from jdart.lora.formats.clients import REFUSED, STRENGTH, UNREAD, readers
    from jdart.lora.formats.file import LoraFile
    from jdart.lora.formats.writing import save_lora

    config, shapes = networks
    rng = np.random.default_rng(0)
    pairs = {n: {k: random_pair(rng, s, 2, rng.choice((1.0, 3.0))) for k, s in o.items()} for n, o in shapes.items()}
    file, out = tmp_path / FILES[format], tmp_path / "deltas.npz"
    save_lora(file, LoraFile(pairs), format)
    probe = [interpreter, PROBE, program, snapshot(program), config, file, out]
    result = subprocess.run(list(map(str, probe)), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]

    named = {f"{network}.{name}": pair for network, own in pairs.items() for name, pair in own.items()}
    losses = [loss for reader in readers(pairs, format) if reader.client == program for loss in reader.losses]
    lost = {name for loss in losses if loss.effect in (UNREAD, REFUSED) for name in loss.layers}
    weak = {name for loss in losses if loss.effect == STRENGTH for name in loss.layers}
    found = np.load(out)
    print(program, format, Counter(name.partition(".")[0] for name in found.files), "of", len(named))
    assert set(found.files) == set(named) - lost
    for name in found.files:
        wanted = named[name].delta / (named[name].scale if name in weak else 1)
        error = np.abs(found[name].reshape(wanted.shape) - wanted).max() / np.abs(wanted).max()
        assert error < 1e-6, (name, error)
