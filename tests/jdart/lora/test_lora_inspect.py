"""What `jdart lora inspect` says of a file beside its ranks."""

import json

import numpy as np
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from jdart.cli import main
from jdart.lora.merge import layer_shapes
from jdart.models.presets import PRESETS, build_network


def inspect(*arguments):
    return CliRunner().invoke(main, ["lora", "inspect", *map(str, arguments)])


def test_how_many_of_a_kind_of_layers_a_file_adapts(tmp_path):
    """q, k and v of SD 2.1, as JDiffusion trains them: a quarter of the attention layers is left alone."""
    tensors = {}
    for layer, shape in layer_shapes(build_network("unet", PRESETS["sd21"]["unet"])).items():
        if layer.endswith((".to_q", ".to_k", ".to_v")):
            tensors[f"unet.{layer}.lora_A.weight"] = torch.ones(1, shape[1], dtype=torch.bfloat16)
            tensors[f"unet.{layer}.lora_B.weight"] = torch.ones(shape[0], 1, dtype=torch.bfloat16)
    save_file(tensors, tmp_path / "x.safetensors")
    found = inspect(tmp_path / "x.safetensors", "--arch", "sd21", "--json")
    report = json.loads(found.output)
    assert found.exit_code == 0
    assert report["covered"] == {"unet attention": [96, 128]}
    assert report["types"] == ["BF16"]
    table = " ".join(inspect(tmp_path / "x.safetensors", "--arch", "sd21").output.split())
    assert "96 of 128 unet attention layers" in table
    assert "BF16" in table


def test_every_layer_of_the_published_shapes_belongs_to_a_kind(tmp_path):
    for preset in ("sd15", "sd21"):
        tensors, expected = {}, 0
        for network in ("unet", "text_encoder"):
            for layer, shape in layer_shapes(build_network(network, PRESETS[preset][network])).items():
                kernel = shape[2:]
                tensors[f"{network}.{layer}.lora_A.weight"] = torch.ones(1, *shape[1:])
                tensors[f"{network}.{layer}.lora_B.weight"] = torch.ones(shape[0], 1, *(1 for _ in kernel))
                expected += 1
        save_file(tensors, tmp_path / "x.safetensors")
        report = json.loads(inspect(tmp_path / "x.safetensors", "--arch", preset, "--json").output)
        counts = np.array(list(report["covered"].values()))
        assert (counts[:, 0] == counts[:, 1]).all()
        assert counts[:, 0].sum() == expected == len(report["matched"])
        assert not [group for group in report["covered"] if group.endswith("other")]
