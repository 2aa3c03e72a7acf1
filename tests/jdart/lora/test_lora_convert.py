"""jdart lora convert and inspect."""

import json

import numpy as np
from click.testing import CliRunner
from lora_files import bare, written
from safetensors.numpy import load_file, save_file

from jdart.cli import main
from jdart.lora.merge import layer_shapes


def run(*arguments):
    result = CliRunner().invoke(main, ["lora", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result


def test_convert_goes_round_all_formats_exactly(base_folder, every_kind, tmp_path):
    first = written(tmp_path, every_kind, "diffusers")
    steps = [("kohya", "1.safetensors"), ("peft", "2"), ("diffusers", "3.safetensors")]
    before = first
    for format, name in steps:
        result = run("convert", before, tmp_path / name, "--to", format, "--base", base_folder, "--json")
        assert result.exit_code == 0, result.output
        report = json.loads(result.output)
        assert len(report["matched"]) == report["layers"]
        assert report["left_over"] == []
        before = tmp_path / name
    assert before.read_bytes() == first.read_bytes()


def test_convert_writes_nothing_when_a_layer_is_left_over(every_kind, tmp_path):
    path = written(tmp_path, every_kind, "diffusers")
    result = run("convert", path, tmp_path / "out.safetensors", "--to", "kohya", "--arch", "sd21")
    assert result.exit_code == 1
    assert "left over" in result.output
    assert not (tmp_path / "out.safetensors").exists()


def test_convert_makes_1x1_kernels_matrices_where_the_base_has_linear_layers(base_folder, tmp_path):
    layer = "lora_unet_mid_block_attentions_0_proj_in"
    tensors = {
        f"{layer}.lora_down.weight": np.ones((2, 64, 1, 1), np.float32),
        f"{layer}.lora_up.weight": np.ones((64, 2, 1, 1), np.float32),
        f"{layer}.alpha": np.array(1, np.float32),
    }
    save_file(tensors, tmp_path / "old.safetensors")
    result = run(
        "convert", tmp_path / "old.safetensors", tmp_path / "n.safetensors", "--to", "kohya", "--base", base_folder
    )
    assert result.exit_code == 0, result.output
    assert load_file(tmp_path / "n.safetensors")[f"{layer}.lora_up.weight"].shape == (64, 2)


def test_convert_misuse_is_one_line(every_kind, tmp_path):
    path = written(tmp_path, every_kind, "diffusers")
    for arguments, word in (
        ([path, path, "--to", "kohya"], "there already"),
        ([path, tmp_path / "x.bin", "--to", "kohya"], "end in .safetensors"),
        ([path, tmp_path / "x.safetensors", "--to", "bin"], "end in .bin"),
        ([tmp_path / "no.bin", tmp_path / "x.bin", "--to", "bin"], "no such file"),
        ([path, tmp_path / "x.bin", "--to", "bin", "--arch", "sd99"], "unknown shape"),
    ):
        result = run("convert", *arguments)
        assert (result.exit_code, result.output.count("\n")) == (2, 1)
        assert word in result.output


def test_inspect_tells_format_convolutions_and_scaling(base, make_pairs, tmp_path):
    pairs = make_pairs(layer_shapes(base.unet), ("to_q", "conv1"), rslora=True)
    path = written(tmp_path, {"unet": pairs}, "diffusers")
    output = run("inspect", path).output
    assert "diffusers" in output
    assert "of them convolutions" in output
    assert "rsLoRA" in output
    assert "not in the file" in run("inspect", bare(tmp_path)).output
