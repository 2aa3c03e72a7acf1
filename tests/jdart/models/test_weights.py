"""Checkpoint files: every format that the hub holds loads, and nothing that does not fit is let in."""

import json
import pickle
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_models import vae_pair

from contest.errors import UserError
from evaluator.backbones.loading import read_checkpoint
from jdart.lora.formats.reading import load_lora
from jdart.models.build import Base
from jdart.models.tensors import read_tensors
from jdart.models.weights import load, slots_of, vae_name, weight_files

STEM = ("diffusion_pytorch_model",)


def values(network):
    return {name: getattr(module, leaf).numpy() for name, (module, leaf, _) in slots_of(network)}


@pytest.fixture
def pair(tmp_path):
    ours, theirs = vae_pair(tmp_path / "plain")
    return ours, theirs


def save_as(kind, theirs, folder):
    folder.mkdir()
    state = theirs.state_dict()
    if kind == "bin":
        torch.save(state, folder / f"{STEM[0]}.bin")
    elif kind == "sharded":
        theirs.save_pretrained(folder, max_shard_size="20KB")
        assert len(list(folder.glob("*.safetensors"))) > 1
    elif kind == "sharded bin":
        theirs.save_pretrained(folder, max_shard_size="20KB", safe_serialization=False)
    elif kind == "fp16":
        save_file({k: v.half() for k, v in state.items()}, folder / f"{STEM[0]}.fp16.safetensors")
    elif kind == "bf16":
        save_file({k: v.bfloat16() for k, v in state.items()}, folder / f"{STEM[0]}.safetensors")
    else:  # names and shapes from before diffusers 0.18
        old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
        renamed = {}
        for name, value in state.items():
            for new, before in old.items():
                if f"attentions.0.{new}." in name:
                    name = name.replace(new, before)
                    value = value[:, :, None, None] if value.ndim == 2 else value
            renamed[name] = value.contiguous()
        save_file(renamed, folder / f"{STEM[0]}.safetensors")
    return folder


@pytest.mark.parametrize("kind", ["bin", "sharded", "sharded bin", "fp16", "bf16", "old names"])
def test_formats(kind, pair, tmp_path):
    ours, theirs = pair
    folder = save_as(kind, theirs, tmp_path / "other")
    load(ours, weight_files(folder, STEM), vae_name)
    tolerance = {"fp16": 1e-3, "bf16": 1e-2}.get(kind, 0)
    expected = {name: value.numpy() for name, value in theirs.state_dict().items()}
    loaded = values(ours)
    assert set(loaded) == set(expected)
    for name, value in loaded.items():
        assert np.abs(value - expected[name]).max() <= tolerance * max(1, np.abs(expected[name]).max()), name


def test_all_misfits_are_named_in_one_error_and_nothing_is_assigned(pair, tmp_path):
    ours, theirs = pair
    state = dict(theirs.state_dict())
    del state["quant_conv.bias"]
    state["decoder.conv_in.bias"] = torch.zeros(3)
    state["surplus.weight"] = torch.zeros(1)
    save_file(state, tmp_path / f"{STEM[0]}.safetensors")
    before = values(ours)
    with pytest.raises(UserError) as error:
        load(ours, weight_files(tmp_path, STEM))
    for part in (
        "1 missing: quant_conv.bias",
        "1 unexpected: surplus.weight",
        "1 mis-shaped: decoder.conv_in.bias is (3,)",
    ):
        assert part in str(error.value)
    after = values(ours)
    assert all((before[name] == after[name]).all() for name in before)


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.bin", pickle.dumps({"a": Bomb()}, protocol=2)),
        ("x.bin", b"PK\x03\x04 not a zip"),
        ("x.bin", b""),
        ("x.safetensors", b""),
        ("x.safetensors", b"\xff" * 64),
    ],
)
def test_an_unreadable_or_evil_file_is_one_error(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=name):
        list(read_tensors([path]))


@pytest.mark.parametrize("name", ["x.bin", "x.txt", "x.safetensors"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"just a text\n", "it is a text file; name the weights themselves, or fetch it again"),
        ("\ufeff说明：权重在别处\n".encode(), "it is a text file; name the weights themselves, or fetch it again"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "it is a picture; name the weights themselves, or fetch it again"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "it is a picture; name the weights themselves, or fetch it again"),
        (b"", "it is empty; fetch it again"),
        (bytes(range(256)), "fetch it again"),
    ],
)
def test_what_a_file_is_instead_of_weights(name, content, said, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    checkpoint = [] if name.endswith(".safetensors") else [read_checkpoint]
    for read in (lambda path: list(read_tensors([path])), load_lora, *checkpoint):
        with pytest.raises(UserError) as caught:
            read(path)
        assert str(caught.value).endswith(said)
        assert not re.search(r"\(\d*\)", str(caught.value))


def test_a_pickled_object_in_a_torch_archive_is_not_executed(tmp_path):
    torch.save({"a": Bomb()}, tmp_path / "x.bin")
    with pytest.raises(UserError, match="asks to call .*exec., which is no part of a model; nothing was run"):
        list(read_tensors([tmp_path / "x.bin"]))


def test_an_index_that_names_an_absent_shard(pair, tmp_path):
    folder = save_as("sharded", pair[1], tmp_path / "other")
    next(folder.glob("*-00001-of-*.safetensors")).unlink()
    with pytest.raises(UserError, match="not there: .*00001"):
        weight_files(folder, STEM)


def test_a_base_folder_that_lacks_something(base_folder, tmp_path):
    with pytest.raises(UserError, match="no such folder.*jdart base new"):
        Base(tmp_path / "nowhere")
    (tmp_path / "unet").mkdir()
    with pytest.raises(UserError, match=r"unet/config.json, vae/config.json.*not found"):
        Base(tmp_path)


def test_the_base_is_a_diffusers_pipeline(base_folder):
    """diffusers itself loads what `jdart base new` writes, tokenizer included."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(base_folder)
    ids = pipe.tokenizer(["an image of ice cream"], padding="max_length")["input_ids"]
    assert len(ids[0]) == 77
    assert ids[0][-1] == 0, "SD 2.x pads with '!'"


def test_the_tokenizer_is_clips(base):
    from open_clip import tokenize

    prompts = ["an image of ice cream in style_00", "Wheat field, naïve?", ""]
    ours, theirs = base.tokens(prompts), tokenize(prompts).numpy()
    ends = (theirs == 49407).argmax(1)
    for row, expected, end in zip(ours, theirs, ends):
        assert (row[: end + 1] == expected[: end + 1]).all()
    assert ours.dtype == np.int32
    assert len(base.tokens(["word " * 200])[0]) == 77


def test_base_new_is_the_same_every_time_and_overwrites_nothing(base_folder, tmp_path):
    from jdart.models.presets import write_base

    write_base(tmp_path / "again", "tiny", seed=3)
    assert Base(tmp_path / "again").identity == Base(base_folder).identity
    write_base(tmp_path / "other", "tiny", seed=4)
    assert Base(tmp_path / "other").identity != Base(base_folder).identity
    with pytest.raises(UserError, match="not empty"):
        write_base(tmp_path / "again", "tiny", seed=3)
    with pytest.raises(UserError, match="tiny"):
        write_base(tmp_path / "b", "huge", seed=3)
    assert json.loads((tmp_path / "again" / "model_index.json").read_text())["_class_name"] == "StableDiffusionPipeline"


def test_a_tokenizer_of_one_file_gives_the_same_ids(base, base_folder, tmp_path):
    """transformers 5 saves tokenizer.json alone; both versions are to read it as what it was made from."""
    import shutil

    from transformers import CLIPTokenizerFast

    new = tmp_path / "base"
    shutil.copytree(base_folder, new, ignore=shutil.ignore_patterns("tokenizer"))
    CLIPTokenizerFast.from_pretrained(base_folder / "tokenizer").save_pretrained(new / "tokenizer")
    for name in ("vocab.json", "merges.txt"):
        (new / "tokenizer" / name).unlink(missing_ok=True)
    prompts = ["a photo of a cat", "Ünïcode 猫 — it's <tricky> 12345!!", "", "word " * 100]
    assert np.array_equal(Base(new).tokens(prompts), base.tokens(prompts))
