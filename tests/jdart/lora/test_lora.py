"""Adapters and their files, against PEFT and diffusers on PyTorch."""

import io
import json
import struct
import zipfile

import jittor as jt
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from contest.errors import UserError
from jdart.cli import main
from jdart.config import TEXT_TARGETS, UNET_TARGETS, LoraConfig, TextLoraConfig
from jdart.lora.formats.file import LoraFile
from jdart.lora.formats.reading import load_lora
from jdart.lora.formats.writing import save_lora
from jdart.lora.layers import inject, remove
from jdart.lora.merge import layer_shapes, merge, merged
from jdart.lora.pairs import LoraPair, coverage


def random_pairs(shapes, rng, targets, rank=3, alpha=5.0):
    """Trained-looking pairs: neither matrix is zero, and alpha is not the rank."""
    return {
        name: LoraPair(
            rng.standard_normal((rank, shape[1])).astype(np.float32) * 0.3,
            rng.standard_normal((shape[0], rank)).astype(np.float32) * 0.3,
            alpha,
        )
        for name, shape in shapes.items()
        if any(name.endswith("." + target) for target in targets)
    }


@pytest.fixture
def pairs(base, rng):
    return {
        "unet": random_pairs(layer_shapes(base.unet), rng, UNET_TARGETS),
        "text_encoder": random_pairs(layer_shapes(base.text_encoder), rng, TEXT_TARGETS, rank=2, alpha=1.5),
    }


@pytest.fixture
def inputs(rng):
    return (
        rng.standard_normal((2, 4, 16, 16), np.float32),
        np.array([40, 900]),
        rng.standard_normal((2, 77, 32), np.float32),
    )


def ours(base, inputs):
    x, steps, text = inputs
    with jt.no_grad():
        return base.unet(jt.array(x), steps, jt.array(text)).numpy()


def text_ours(base, ids):
    with jt.no_grad():
        return base.text_encoder(jt.array(ids)).numpy()


def test_diffusers_and_peft_load_our_file(base, base_folder, pairs, inputs, tmp_path, close):
    from diffusers import StableDiffusionPipeline

    path = tmp_path / "pytorch_lora_weights.safetensors"
    save_lora(path, LoraFile(pairs))
    pipe = StableDiffusionPipeline.from_pretrained(base_folder)
    x, steps, text = (torch.tensor(part) for part in inputs)
    ids = base.tokens(["an image of a dog"])
    with torch.no_grad():
        plain = pipe.unet(x, steps, text).sample.numpy()
        pipe.load_lora_weights(tmp_path)
        expected = pipe.unet(x, steps, text).sample.numpy()
        expected_text = pipe.text_encoder(torch.tensor(ids.astype(np.int64))).last_hidden_state.numpy()
    assert np.abs(plain - expected).max() > 0.01 * np.abs(plain).max(), (
        "the LoRA must do something for this to prove anything"
    )
    plain_text = text_ours(base, ids)
    with merged(base.unet, pairs["unet"]), merged(base.text_encoder, pairs["text_encoder"]):
        assert close(ours(base, inputs), expected) < 1e-4
        assert close(text_ours(base, ids), expected_text) < 1e-4
        assert np.abs(plain_text - expected_text).max() > 0.01


def test_merged_equals_unmerged_and_goes_away(base, rng, inputs, close):
    plain = ours(base, inputs)
    adapters = inject(base.unet, LoraConfig(r=4, lora_alpha=6.0), rng)
    assert close(ours(base, inputs), plain) < 1e-6, "a fresh adapter changes nothing"
    for adapter in adapters.values():
        adapter.lora_B = jt.array(rng.standard_normal(adapter.lora_B.shape).astype(np.float32) * 0.2)
    unmerged = ours(base, inputs)
    found = {name: adapter.pair() for name, adapter in adapters.items()}
    remove(base.unet, adapters)
    assert (ours(base, inputs) == plain).all()
    with merged(base.unet, found):
        assert close(ours(base, inputs), unmerged) < 1e-4
    assert (ours(base, inputs) == plain).all(), "the very same weights are back"
    merge(base.unet, found, scale=0.5)
    merge(base.unet, found, scale=0.5)
    assert close(ours(base, inputs), unmerged) < 1e-4


def test_initialisation_is_pefts_gaussian(base, rng):
    adapters = inject(base.unet, LoraConfig(r=8), rng)
    assert len(adapters) == len({name.rsplit(".to_", 1)[0] for name in adapters}) * 4, "to_out.0 is among them"
    every = np.concatenate([adapter.lora_A.numpy().ravel() for adapter in adapters.values()])
    assert abs(every.std() - 1 / 8) < 0.01
    assert all((adapter.lora_B.numpy() == 0).all() for adapter in adapters.values())


def test_file_round_trip_keeps_rank_alpha_and_notes(pairs, tmp_path):
    mixed = dict(pairs["unet"])
    first = next(iter(mixed))
    mixed[first] = LoraPair(mixed[first].a[:1], mixed[first].b[:, :1], 9.0)
    save_lora(tmp_path / "x.safetensors", LoraFile({"unet": mixed}, {"base": "abc", "template": "an {object}"}))
    again = load_lora(tmp_path / "x.safetensors")
    assert again.settings == {"base": "abc", "template": "an {object}"}
    assert again.pairs["text_encoder"] == {}
    for name, pair in mixed.items():
        assert (again.pairs["unet"][name].a == pair.a).all()
        assert again.pairs["unet"][name].alpha == pair.alpha


def zero_checksums(data: bytes) -> bytes:
    """The same zip with every CRC field 0, as some public LoRA files have it."""
    out = bytearray(data)
    for entry in zipfile.ZipFile(io.BytesIO(data)).infolist():
        out[entry.header_offset + 14 : entry.header_offset + 18] = bytes(4)
    at = 0
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        struct.pack_into("<I", out, at + 16, 0)
        at += 4
    return bytes(out)


SPELLINGS = {
    "diffusers": ("{layer}.lora.down.weight", "{layer}.lora.up.weight"),
    "peft": ("{layer}.lora_A.weight", "{layer}.lora_B.weight"),
    "text": ("{layer}.lora_linear_layer.down.weight", "{layer}.lora_linear_layer.up.weight"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_bin_files_of_the_baseline(spelling, pairs, tmp_path):
    down, up = SPELLINGS[spelling]
    state = {}
    for name, pair in pairs["unet"].items():
        state["unet." + down.format(layer=name)] = torch.tensor(pair.a)
        state["unet." + up.format(layer=name)] = torch.tensor(pair.b)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path = tmp_path / "pytorch_lora_weights.bin"
    path.write_bytes(zero_checksums(buffer.getvalue()))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is not None, "Python's zipfile must stumble, else this proves nothing"
    found = load_lora(path).pairs["unet"]
    assert set(found) == set(pairs["unet"])
    for name, pair in found.items():
        assert (pair.a == pairs["unet"][name].a).all()
        assert pair.alpha == pair.rank, "a file without alpha means alpha = rank"


def test_the_oldest_spelling_of_attention_processors(tmp_path):
    state = {}
    for leaf in ("to_q", "to_out"):
        for side, shape in (("down", (2, 8)), ("up", (8, 2))):
            state[f"mid_block.attn1.processor.{leaf}_lora.{side}.weight"] = torch.zeros(shape)
    torch.save(state, tmp_path / "x.bin")
    assert set(load_lora(tmp_path / "x.bin").pairs["unet"]) == {
        "mid_block.attn1.to_q",
        "mid_block.attn1.to_out.0",
    }


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (["unet.a.lora_A.weight"], "only one of A and B for unet.a"),
        (["unet.conv_in.weight"], "a model's own weights, not what a LoRA adds, as unet.conv_in.weight tells"),
        (["lora_unet_conv_in.surprise"], "not LoRA tensors: lora_unet_conv_in.surprise"),
        ([], "holds no LoRA"),
    ],
)
def test_files_that_are_no_lora(names, word, tmp_path):
    torch.save({name: torch.zeros(2, 2) for name in names}, tmp_path / "x.bin")
    with pytest.raises(UserError, match=word):
        load_lora(tmp_path / "x.bin")


def test_a_rank_of_zero_and_an_idle_target_are_refused(base, rng):
    with pytest.raises(UserError, match="rank is 0"):
        inject(base.unet, TextLoraConfig(), rng)
    with pytest.raises(UserError, match="to_nowhere"):
        inject(base.unet, LoraConfig(target_modules=("to_q", "to_nowhere")), rng)


def test_coverage_tells_matched_missing_and_left_over(base, pairs):
    shapes = layer_shapes(base.unet)
    given = dict(pairs["unet"])
    dropped = next(name for name in given if name.endswith("to_out.0"))
    del given[dropped]
    name = next(iter(given))
    given[name] = LoraPair(given[name].a[:, :-1], given[name].b, 1.0)
    given["nowhere.to_q"] = next(iter(pairs["unet"].values()))
    report = coverage(shapes, given)
    assert dropped in report.missing
    assert len(report.left_over) == 2
    assert len(report.matched) == len(pairs["unet"]) - 2
    with pytest.raises(UserError, match="does not fit"):
        merge(base.unet, given)


class TestInspect:
    def run(self, *arguments):
        return CliRunner().invoke(main, ["lora", "inspect", *map(str, arguments)])

    def test_a_fitting_file(self, base_folder, pairs, tmp_path):
        path = tmp_path / "x.safetensors"
        save_lora(path, LoraFile(pairs, {"base": "abc"}))
        result = self.run(path, "--base", base_folder, "--json")
        assert result.exit_code == 0, result.output
        report = json.loads(result.output)
        assert report["ranks"] == [2, 3]
        assert report["alphas"] == [1.5, 5.0]
        assert report["left_over"] == []
        assert report["missing"] == []
        assert len(report["matched"]) == report["layers"]
        assert "abc" in self.run(path).output

    def test_a_file_for_another_model(self, pairs, tmp_path):
        path = tmp_path / "x.safetensors"
        save_lora(path, LoraFile({"unet": pairs["unet"]}))
        result = self.run(path, "--arch", "sd21")
        assert result.exit_code == 1
        assert "left over" in result.output

    def test_misuse(self, base_folder, pairs, tmp_path):
        path = tmp_path / "x.safetensors"
        save_lora(path, LoraFile({"unet": pairs["unet"]}))
        for arguments in (
            [tmp_path / "no.bin"],
            [path, "--arch", "sd99"],
            [path, "--arch", "sd21", "--base", base_folder],
            [path, "--base", tmp_path],
        ):
            result = self.run(*arguments)
            assert result.exit_code == 2, arguments
            assert result.output.startswith("error: ")
            assert "Traceback" not in result.output

    def test_the_base_may_be_one_of_a_hub(self, pairs, tmp_path, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        save_lora(tmp_path / "x.safetensors", LoraFile({"unet": pairs["unet"]}))
        result = self.run(tmp_path / "x.safetensors", "--base", "some-owner/some-base")
        assert (result.exit_code, "some-owner/some-base" in result.output) == (2, True)
        assert "hub" in result.output and result.output.count("\n") == 1


def test_published_shapes_match_a_lora_of_the_standard_targets(rng, tmp_path):
    """A LoRA with the shapes of SD 2.1's attention fits `--arch sd21` with nothing missing or left over."""
    from jdart.models.presets import PRESETS, build_network

    shapes = layer_shapes(build_network("unet", PRESETS["sd21"]["unet"]))
    save_lora(tmp_path / "x.safetensors", LoraFile({"unet": random_pairs(shapes, rng, UNET_TARGETS, rank=1)}))
    result = TestInspect().run(tmp_path / "x.safetensors", "--arch", "sd21", "--json")
    report = json.loads(result.output)
    assert (result.exit_code, report["layers"], report["missing"], report["left_over"]) == (0, 128, [], [])
