"""Files that are damaged, hostile or no LoRA."""

import numpy as np
import pytest
import torch
from lora_files import bare, written
from safetensors.numpy import save_file

from contest.errors import UserError
from jdart.lora.formats.reading import load_lora
from jdart.lora.merge import merged


def pair_file(folder, a, b, **more):
    layer = "unet.mid_block.attentions.0.proj_in"
    save_file({f"{layer}.lora_A.weight": a, f"{layer}.lora_B.weight": b, **more}, folder / "x.safetensors")
    return folder / "x.safetensors"


@pytest.mark.parametrize(
    ("a", "b", "word"),
    [
        (np.full((2, 8), np.nan), np.zeros((8, 2)), "not finite"),
        (np.zeros((2, 8)), np.full((8, 2), np.inf), "not finite"),
        (np.zeros((3, 8)), np.zeros((8, 2)), "no pair"),
        (np.zeros((0, 8)), np.zeros((8, 0)), "no pair"),
        (np.zeros(8), np.zeros((8, 2)), "no pair"),
        (np.zeros((2, 8, 3, 3)), np.zeros((8, 2, 3, 3)), "no pair"),
        (np.float32(1), np.float32(1), "no pair"),
    ],
)
def test_tensors_that_make_no_pair_are_refused(a, b, word, tmp_path):
    with pytest.raises(UserError, match=word):
        load_lora(pair_file(tmp_path, np.asarray(a, np.float32), np.asarray(b, np.float32)))


def test_an_alpha_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(UserError, match="not finite"):
        load_lora(bare(tmp_path, alpha=float("nan")))


def test_a_huge_alpha_is_refused_when_it_is_merged(base, tmp_path):
    pairs = load_lora(bare(tmp_path, alpha=3e38)).pairs["unet"]
    before = base.unet.mid_block.attentions[0].proj_in.weight.numpy()
    with pytest.raises(UserError, match=r"alpha 3e\+38 at rank 2.* too large"), merged(base.unet, pairs, 10.0):
        pass
    assert (base.unet.mid_block.attentions[0].proj_in.weight.numpy() == before).all()


def test_the_same_half_twice_is_refused(tmp_path):
    twice = {"unet.mid_block.attentions.0.proj_in.lora.down.weight": np.zeros((2, 8), np.float32)}
    with pytest.raises(UserError, match="twice"):
        load_lora(pair_file(tmp_path, np.zeros((2, 8), np.float32), np.zeros((8, 2), np.float32), **twice))


class Bomb:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('BOMB').write_text('executed')",))


@pytest.mark.filterwarnings("ignore")
def test_nothing_in_a_bin_file_is_executed(tmp_path, monkeypatch):
    import pickle

    monkeypatch.chdir(tmp_path)
    torch.save({"unet.a.lora_A.weight": Bomb()}, tmp_path / "zip.bin")
    (tmp_path / "old.bin").write_bytes(pickle.dumps({"a": Bomb()}))
    for name in ("zip.bin", "old.bin"):
        with pytest.raises(UserError):
            load_lora(tmp_path / name)
    assert not (tmp_path / "BOMB").exists()


@pytest.mark.parametrize("format", ["diffusers", "kohya", "bin"])
def test_a_file_cut_short_is_refused(format, every_kind, tmp_path):
    path = written(tmp_path, every_kind, format)
    whole = path.read_bytes()
    for length in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError):
            load_lora(path)


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({}, "no adapter_config.json"),
        ({"adapter_config.json": "{}"}, "no adapter_model.safetensors"),
        ({"adapter_config.json": "[]", "adapter_model.safetensors": ""}, "no JSON object"),
        ({"adapter_config.json": "{", "adapter_model.safetensors": ""}, "not valid JSON"),
        ({"adapter_config.json": "{}", "adapter_model.safetensors": ""}, "not a readable safetensors"),
    ],
)
def test_folders_that_peft_did_not_write(files, word, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=word):
        load_lora(tmp_path)
