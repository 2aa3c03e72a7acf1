"""Readers of numbers: LoRA files of every format, checkpoints, packs of references, what the cache keeps."""

from __future__ import annotations

import io
import json
import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from fuzz_targets import BINARY, JSON, Target, text

from contest.disk.tensor_files import read_header
from evaluator.backbones.loading import read_archive, read_checkpoint, read_folder
from evaluator.inputs.refpack import PackedReferences
from evaluator.scoring.cache import Cache
from jdart.lora.formats.file import LoraFile
from jdart.lora.formats.reading import load_lora, load_notes
from jdart.lora.formats.writing import save_lora
from jdart.lora.pairs import LoraPair
from jdart.models.single_file.checkpoint import open_checkpoint
from jdart.models.single_file.convert import parts
from jdart.models.single_file.recognise import CLIP, CONV_IN, CONV_OUT, UNET, recognise
from jdart.models.tensors import read_tensors, to_safetensors
from jdart.models.weights import weight_files
from jdart.training.checkpoint import Checkpoint, _digest, load_checkpoint, save_checkpoint, steps_of
from jdart.training.logs import StepRecord

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
HEADER = (*BINARY, *JSON, b'"F32"', b'"F16"', b'"BF16"', b'"I64"', b'"F8_E4M3"', b'"shape":[', b'"data_offsets":[0,0]')
PICKLE = (*BINARY, b"\x80\x02", b".", b"c", b"(", b"t", b"R", b"}", b"q\0", b"X\1\0\0\0a", b"s", b"K\1", b"u", b"]")
PICKLE += (b"PK\3\4", b"PK\1\2", b"PK\5\6", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n")


PACK = {"format": 1, "name": "r", "profile": "p", "prompts": {"00": ["A"]}, "pictures": {"00": {"a.png": "ab"}}}
PACK = {**PACK, "recipes": {"dino": {}}, "arrays": {"dino/00/mean": "ab"}}
NOTES = {"schema_version": 2, "belongs_to": "x", "records": [[1, 0.5, 0.1, 1.0, None]]}


def lora(path: Path) -> None:
    load_notes(path)
    load_lora(path)


def tensors(path: Path) -> None:
    read_header(path)
    for _ in read_tensors([path]):
        pass


def one_file(path: Path) -> None:
    """A base as one file."""
    found = open_checkpoint(path)
    for part in parts(found, recognise(found)):
        for name in part.names:
            found.raw(name)


def network(path: Path) -> None:
    """The evaluator's reading of the same format."""
    read_folder(path.parent)


def checkpoint(path: Path) -> None:
    steps_of(path)
    load_checkpoint(path, "x")


def pack(path: Path) -> None:
    references = PackedReferences(path)
    references.prompts(references.styles)
    references.digests(references.styles)
    references._read(list(references._header.arrays))


def cache(path: Path) -> None:
    kept = Cache(path.parent)
    kept.get_arrays(["a"])
    kept.put_arrays("k", {"a": {"x": np.ones(2)}})


def made(name: str, write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        found = path if path.is_file() else next(path.rglob(name), next(path.rglob("*.safetensors"), path))
        return found.read_bytes()


def a_lora(format: str, suffix: str = ".safetensors") -> bytes:
    rng = np.random.default_rng(1)
    pair = LoraPair(*(rng.standard_normal(shape).astype(np.float32) for shape in ((2, 4), (3, 2))), 2.0)
    file = LoraFile({"unet": {LAYER: pair}, "text_encoder": {}})
    return made(f"x{suffix}", lambda path: save_lora(path, file, format))


def torch_file(value: object, **options: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def unchecked(data: bytes) -> bytes:
    """An archive without checksums, so that whatever was changed in it is looked at."""
    return re.sub(rb"(?s)(PK\x01\x02.{12}).{4}", lambda found: found[1] + bytes(4), data)


def script() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = io.BytesIO()
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), stream)
    return stream.getvalue()


def a_pack(header: bytes) -> bytes:
    stream = io.BytesIO()
    arrays = {"header.json": np.frombuffer(header, np.uint8), "dino/00/mean": np.ones(3, np.float32)}
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def a_cache() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        Cache(Path(folder)).put_arrays("k", {"a": {"x": np.ones(2)}})
        return (Path(folder) / "features.sqlite3").read_bytes()


def _with_length(data: bytes) -> bytes:
    """A safetensors file of a header and what follows it, the header's length before it."""
    end = data.rfind(b"}}") + 2
    end += len(data[end:]) - len(data[end:].lstrip(b" "))  # which fill it up
    return (end if end > 1 else len(data)).to_bytes(8, "little") + data


def _with_metadata(file: bytes, key: str, notes: bytes) -> bytes:
    length = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + length])
    header["__metadata__"] = {key: notes.decode("latin-1")}
    return len(text(header)).to_bytes(8, "little") + text(header) + file[8 + length :]


def _checkpoint_with(notes: bytes) -> bytes:
    """A checkpoint whose notes are these, and whose checksum says so."""
    words, arrays = notes.decode("latin-1"), {"a": np.ones((2, 2), np.float32)}
    return to_safetensors(arrays, {"jdart": words, "sha256": _digest(words, arrays)})


def weight_targets() -> dict[str, Target]:
    steps = (StepRecord(1, 0.5, 1e-4, 1.0),)
    saved = Checkpoint("x", steps, {"a": np.ones((2, 2), np.float32)})
    table = {f"unet.{LAYER}.lora.down.weight": torch.ones(2, 4), f"unet.{LAYER}.lora.up.weight": torch.ones(3, 2)}
    bins = (torch_file(table), torch_file(table, _use_new_zipfile_serialization=False))
    plain = to_safetensors({"a": np.ones((2, 2), np.float32), "b": np.ones(3, np.float16)}, {"format": "pt"})
    adapter = text({"peft_type": "LORA", "r": 2, "lora_alpha": 2, "rank_pattern": {}, "alpha_pattern": {LAYER: 1}})
    peft, diffusers = a_lora("peft"), a_lora("diffusers")
    index = text({"metadata": {}, "weight_map": {"a": "x-00001.safetensors"}})
    shard = (("x-00001.safetensors", plain),)
    words = ("embeddings.token_embedding", "embeddings.position_embedding", "encoder.layers.0.mlp.fc1")
    names = [CONV_IN, CONV_OUT, f"{UNET}input_blocks.1.0.out_layers.3.weight"]
    names += [f"{CLIP}text_model.{word}.weight" for word in words]
    base = {name: np.ones((4, 4, 1, 1), np.float32) for name in names}
    tables = {name: torch.ones(4, 4, 1, 1) for name in names}
    state = {"state_dict": tables, "global_step": 1}
    ckpts = (torch_file(state), torch_file(state, _use_new_zipfile_serialization=False))
    return {
        "lora": Target("x.safetensors", lora, (diffusers, a_lora("kohya")), HEADER),
        "lora-bin": Target("x.bin", lora, bins, PICKLE, wrap=unchecked),
        "lora-config": Target(
            "adapter_config.json",
            lambda path: load_lora(path.parent),
            (adapter,),
            JSON,
            (("adapter_model.safetensors", peft),),
        ),
        "lora-notes": Target(
            "x.safetensors",
            lora,
            (text({"unet.r": 2, "unet.lora_alpha": 2}),),
            JSON,
            wrap=lambda notes: _with_metadata(diffusers, "lora_adapter_metadata", notes),
        ),
        "header": Target("x.safetensors", tensors, (plain[8:],), HEADER, wrap=_with_length),
        "tensors": Target("x.safetensors", tensors, (plain,), HEADER),
        "network": Target("model.safetensors", network, (plain,), HEADER),
        "network-bin": Target("x.pth", read_checkpoint, bins, PICKLE, wrap=unchecked),
        "network-script": Target("x.pt", read_archive, (script(),), PICKLE, wrap=unchecked),
        "one-file": Target("x.safetensors", one_file, (to_safetensors(base, {}),), HEADER),
        "one-file-ckpt": Target("x.ckpt", one_file, ckpts, PICKLE, wrap=unchecked),
        "shards": Target(
            "x.safetensors.index.json", lambda path: weight_files(path.parent, ("x",)), (index,), JSON, shard
        ),
        "checkpoint": Target(
            "checkpoint.safetensors", checkpoint, (made("c", lambda path: save_checkpoint(path, saved)),), HEADER
        ),
        "checkpoint-notes": Target("checkpoint.safetensors", checkpoint, (text(NOTES),), JSON, wrap=_checkpoint_with),
        "pack-header": Target("r.npz", pack, (text(PACK),), JSON, wrap=a_pack),
        "pack": Target(
            "r.npz", pack, (a_pack(text(PACK)),), (*BINARY, *JSON, b"PK\1\2", b"\x93NUMPY", b"'descr': '<f4'")
        ),
        "cache": Target("features.sqlite3", cache, (a_cache(),), BINARY),
    }
