from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from evaluator import weights as files
from evaluator.miniature import write_miniature
from evaluator.weights import open_weights
from submission.errors import UserError

# with these numbers the organisers' checker gave the figures in official-2024.json
DIGESTS = {
    files.DINO: "c789009757e0f506",
    files.CLIP: "8896b23c98073dd9",
    files.RN50: "7fff286cf98e33aa",
    files.SQUEEZENET: "7fbd8f1c7b074468",
    files.INCEPTION: "bdb200a8803d37b5",
}


def digest(state: dict[str, torch.Tensor]) -> str:
    """Of names, types, shapes and bytes; the file formats' own headers vary with library versions."""
    total = hashlib.sha256()
    for name in sorted(state):
        array = state[name].numpy()
        total.update(f"{name} {array.dtype} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()[:16]


def states(pack: Path) -> dict[str, dict[str, torch.Tensor]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive = dict(torch.jit.load(str(pack / files.RN50)).state_dict())
    return {
        files.DINO: load_file(pack / files.DINO / "model.safetensors"),
        files.CLIP: load_file(pack / files.CLIP / "model.safetensors"),
        files.RN50: archive,
        files.SQUEEZENET: torch.load(pack / files.SQUEEZENET),
        files.INCEPTION: torch.load(pack / files.INCEPTION),
    }


def test_seed_11_is_the_pack_of_the_official_figures(pack):
    assert {name: digest(state) for name, state in states(pack).items()} == DIGESTS


def test_tokenizer_is_the_real_one(pack):
    vocabulary = json.loads((pack / files.CLIP / "vocab.json").read_text("utf-8"))
    assert len(vocabulary) == 49408
    assert (vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]) == (49406, 49407)
    assert vocabulary["dolphin</w>"] == 16464


def test_transformers_loads_the_folders_strictly(pack):
    from transformers import AutoImageProcessor, CLIPModel, Dinov2Model

    for kind, folder in ((Dinov2Model, files.DINO), (CLIPModel, files.CLIP)):
        _, info = kind.from_pretrained(pack / folder, output_loading_info=True)
        assert not info["missing_keys"]
        assert not info["mismatched_keys"]
        assert not info["unexpected_keys"]
    assert AutoImageProcessor.from_pretrained(pack / files.DINO).size["shortest_edge"] == 256


def test_another_seed_gives_other_numbers(tmp_path, pack):
    write_miniature(tmp_path / "other", seed=12)
    open_weights(tmp_path / "other")
    other = states(tmp_path / "other")
    assert all(digest(other[name]) != expected for name, expected in DIGESTS.items())


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        write_miniature(tmp_path / "full", seed=1)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        write_miniature(tmp_path / "file", seed=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]
