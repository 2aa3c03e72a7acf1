from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from contest.errors import UserError
from evaluator.weights import folder as files
from evaluator.weights import pack as pack_files
from evaluator.weights.folder import open_weights
from evaluator.weights.miniature import write_miniature

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


def test_safetensors_bytes_are_the_librarys(pack, tmp_path):
    for folder in (files.DINO, files.CLIP):
        ours = pack / folder / "model.safetensors"
        save_file(load_file(ours), tmp_path / "theirs", metadata={"format": "pt"})
        assert ours.read_bytes() == (tmp_path / "theirs").read_bytes()


def test_aesthetic_head_scores_random_features_around_5(pack):
    head = torch.load(pack / files.AESTHETIC)
    assert {name: tuple(tensor.shape) for name, tensor in head.items()} == {"weight": (1, 32), "bias": (1,)}
    features = torch.randn(100, 32, generator=torch.Generator().manual_seed(0))
    scores = torch.nn.functional.linear(torch.nn.functional.normalize(features), head["weight"], head["bias"])
    assert 3 < scores.min() < scores.max() < 7
    assert 4.5 < scores.mean() < 5.5


def test_full_preset_has_the_shapes_of_the_contests_networks(monkeypatch, tmp_path):
    """Of the settings and shapes only: the numbers are left out, which makes 2.3 GB a few bytes."""
    from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model

    seen: dict[str, dict[str, tuple[int, ...]]] = {}

    def note(path, make, network, sizes, numbers):
        seen[path.parent.name] = {name: tuple(tensor.shape) for name, tensor in pack_files.shapes_of(make).items()}

    def nothing(make, network, numbers):
        seen[network] = {name: tuple(tensor.shape) for name, tensor in pack_files.shapes_of(make).items()}
        return {}

    monkeypatch.setattr(pack_files, "_write_safetensors", note)
    monkeypatch.setattr(pack_files, "_fill", nothing)
    write_miniature(tmp_path / "full", seed=11, preset="full")
    with torch.device("meta"):
        theirs = {
            files.DINO: Dinov2Model(Dinov2Config.from_pretrained(tmp_path / "full" / files.DINO)),
            files.CLIP: CLIPModel(CLIPConfig.from_pretrained(tmp_path / "full" / files.CLIP)),
        }
    for folder, network in theirs.items():  # names inside transformers change with its version, shapes do not
        shapes = Counter(tuple(tensor.shape) for tensor in network.state_dict().values())
        assert Counter(seen[folder].values()) == shapes
    parameters = {name: sum(math.prod(shape) for shape in shapes.values()) for name, shapes in seen.items()}
    assert parameters[files.DINO] == 86_580_480  # published: 86 M
    assert parameters[files.CLIP] == 427_616_513  # 428 M
    assert 102_000_000 < parameters["rn50"] < 102_100_000  # 102 M
    assert torch.load(tmp_path / "full" / files.AESTHETIC)["weight"].shape == (1, 768)
    assert not files.is_miniature(tmp_path / "full")


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
