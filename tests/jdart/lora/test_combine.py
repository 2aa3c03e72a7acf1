"""Several LoRAs into one, and into a base model's folder."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from contest.errors import UserError
from jdart.cli import main
from jdart.lora.combine import combine, truncate
from jdart.lora.formats.file import LoraFile
from jdart.lora.formats.reading import load_lora
from jdart.lora.formats.writing import save_lora
from jdart.lora.merge import layer_shapes, merged
from jdart.lora.pairs import LoraPair


def run(*arguments):
    result = CliRunner().invoke(main, ["lora", "merge", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def two_files(base, every_kind, make_pairs, tmp_path):
    """Two LoRAs of different ranks and layers; (path, pairs) each."""
    other = {"unet": make_pairs(layer_shapes(base.unet), ("to_q", "to_v", "conv2"), rank=2, alpha=3.0, rslora=True)}
    files = []
    for name, pairs in (("a", every_kind), ("b", other)):
        save_lora(tmp_path / f"{name}.safetensors", LoraFile(pairs))
        files.append((tmp_path / f"{name}.safetensors", pairs))
    return files


def test_the_merged_file_adds_the_weighted_sum(two_files, tmp_path):
    (a, of_a), (b, of_b) = two_files
    result = run(f"{a}:0.7", f"{b}:-0.3", tmp_path / "c.safetensors")
    assert result.exit_code == 0, result.output
    found = load_lora(tmp_path / "c.safetensors")
    assert found.settings["merged"] == [
        {"file": "a.safetensors", "weight": 0.7},
        {"file": "b.safetensors", "weight": -0.3},
    ]
    assert set(found.pairs["unet"]) == set(of_a["unet"]) | set(of_b["unet"])
    assert set(found.pairs["text_encoder"]) == set(of_a["text_encoder"])
    for name, pair in found.pairs["unet"].items():
        expected = 0.7 * of_a["unet"][name].delta if name in of_a["unet"] else 0
        expected = expected - (0.3 * of_b["unet"][name].delta if name in of_b["unet"] else 0)
        np.testing.assert_allclose(pair.delta, expected, rtol=1e-5, atol=1e-5)


def test_drawing_with_the_combination_is_drawing_with_both(base, two_files, unet_output, close):
    (_, of_a), (_, of_b) = two_files
    with merged(base.unet, of_a["unet"], 0.7), merged(base.unet, of_b["unet"], 0.3):
        both = unet_output()
    with merged(base.unet, combine([(of_a["unet"], 0.7), (of_b["unet"], 0.3)])):
        assert close(unet_output(), both) < 1e-5


@pytest.mark.parametrize("shape", [(12, 9), (8, 5, 3, 3)])
def test_truncation_is_the_best_approximation_and_says_what_is_lost(shape, rng):
    pair = LoraPair(
        rng.standard_normal((6, *shape[1:])).astype(np.float32),
        rng.standard_normal((shape[0], 6) + (1,) * (len(shape) - 2)).astype(np.float32),
        3.0,
    )
    kept, lost = truncate({"x": pair}, 4)
    singular = torch.linalg.svdvals(torch.tensor(pair.delta).reshape(shape[0], -1).double()).numpy()
    assert kept["x"].rank == 4
    assert lost == pytest.approx(np.sqrt((singular[4:] ** 2).sum() / (singular**2).sum()), rel=1e-4)
    error = np.linalg.norm(kept["x"].delta - pair.delta) / np.linalg.norm(pair.delta)
    assert error == pytest.approx(lost, rel=1e-4)


def test_a_rank_that_is_enough_loses_nothing(rng):
    pair = LoraPair(np.ones((2, 4), np.float32), np.ones((5, 2), np.float32), 2.0)
    kept, lost = truncate({"x": pair}, 2)
    assert kept["x"] is pair
    assert lost == 0
    zero = LoraPair(np.zeros((2, 4), np.float32), np.zeros((5, 2), np.float32), 2.0)
    assert truncate({"x": zero}, 1)[1] == 0


def test_truncated_files_tell_their_loss(two_files, tmp_path):
    (a, _), (b, _) = two_files
    result = run(a, b, tmp_path / "c.safetensors", "--rank", 2)
    assert result.exit_code == 0, result.output
    assert "% lost at rank 2" in result.output
    assert max(pair.rank for pair in load_lora(tmp_path / "c.safetensors").pairs["unet"].values()) == 2


def test_loras_of_different_bases_are_refused():
    one, other = (LoraPair(np.zeros((2, n), np.float32), np.zeros((8, 2), np.float32), 1.0) for n in (4, 6))
    with pytest.raises(UserError, match="different bases"):
        combine([({"x": one}, 1.0), ({"x": other}, 1.0)])


@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_a_merged_base_loads_in_diffusers_and_draws_the_same(
    dtype, base, base_folder, two_files, unet_input, unet_output, text_output, tmp_path, close
):
    from diffusers import StableDiffusionPipeline

    (a, of_a), (b, of_b) = two_files
    result = run(f"{a}:0.7", f"{b}:0.3", tmp_path / "new", "--into", base_folder, "--dtype", dtype)
    assert result.exit_code == 0, result.output
    pipe = StableDiffusionPipeline.from_pretrained(tmp_path / "new").to(dtype=torch.float32)
    ids = base.tokens(["an image of a dog"])
    x, steps, text = (torch.tensor(part) for part in unet_input)
    with torch.no_grad():
        expected = pipe.unet(x, steps, text).sample.numpy()
        expected_text = pipe.text_encoder(torch.tensor(ids.astype(np.int64))).last_hidden_state.numpy()
    tolerance = {"fp32": 1e-4, "fp16": 2e-2}[dtype]
    with (
        merged(base.unet, combine([(of_a["unet"], 0.7), (of_b["unet"], 0.3)])),
        merged(base.text_encoder, of_a["text_encoder"], 0.7),
    ):
        assert close(unet_output(), expected) < tolerance
        assert close(text_output(ids), expected_text) < tolerance
    assert (tmp_path / "new/vae/diffusion_pytorch_model.safetensors").read_bytes() == (
        base_folder / "vae/diffusion_pytorch_model.safetensors"
    ).read_bytes()


def test_weights_in_other_formats_do_not_go_stale_beside_the_merged(base_folder, two_files, tmp_path):
    import shutil

    old = tmp_path / "old"
    shutil.copytree(base_folder, old)
    for name in ("diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.bin"):
        (old / "unet" / name).write_bytes(b"stale")
        (old / "vae" / name).write_bytes(b"kept")
    assert run(two_files[1][0], tmp_path / "new", "--into", old).exit_code == 0
    assert {p.name for p in (tmp_path / "new/unet").iterdir()} == {
        "config.json",
        "diffusion_pytorch_model.safetensors",
    }
    assert (tmp_path / "new/vae/diffusion_pytorch_model.bin").read_bytes() == b"kept"
    assert not list(tmp_path.glob(".new*")), "no draft is left"


def test_merge_misuse_is_one_line_and_leaves_nothing(base_folder, two_files, tmp_path):
    (a, _), _ = two_files
    wrong = tmp_path / "wrong.safetensors"
    pair = LoraPair(np.zeros((1, 3), np.float32), np.zeros((3, 1), np.float32), 1.0)
    save_lora(wrong, LoraFile({"unet": {"mid_block.attentions.0.proj_in": pair}}))
    out = tmp_path / "new"
    for arguments, word in (
        ([a], "at least one LoRA file"),
        ([f"{a}:heavy", tmp_path / "x.safetensors"], "no weight"),
        ([f"{a}:nan", tmp_path / "x.safetensors"], "no weight"),
        ([a, a], "there already"),
        ([a, tmp_path / "x.bin"], "end in .safetensors"),
        ([tmp_path / "no.bin", tmp_path / "x.safetensors"], "no such file"),
        ([a, out, "--into", tmp_path], "not a diffusers folder"),
        ([wrong, out, "--into", base_folder], "does not fit this base"),
        ([a, base_folder, "--into", base_folder], "there already"),
        ([a, out, "--into", base_folder, "--rank", 2], "leave it out with --into"),
        ([f"{a}:1e39", out, "--into", base_folder], "too large"),
    ):
        result = run(*arguments)
        assert (result.exit_code, result.output.count("\n")) == (2, 1), (arguments, result.output)
        assert word in result.output, result.output
        assert not out.exists()
