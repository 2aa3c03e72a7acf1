"""Number types of weight files: each that safetensors names is read as PyTorch reads it, or refused in one line."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from contest.disk.tensor_files import TORCH_NAMES, read_header
from contest.errors import UserError
from jdart.lora.formats.reading import load_lora
from jdart.lora.token import load_token
from jdart.models.tensors import read_tensors

VALUES = torch.tensor([[0.0, 1.0, 3.0, 0.5], [2.0, 100.0, 7.0, 0.25]])
FLOATS = [name for name in TORCH_NAMES if "float" in name and hasattr(torch, name)]
WHOLE = [name for name in TORCH_NAMES if "float" not in name and hasattr(torch, name)]
NAMED_ONLY = {"F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "C64": 64, "F2_OF_NEXT_YEAR": None}
KOHYA = "lora_unet_mid_block_attentions_0_proj_in"


def write_raw(path, tensors):
    """A safetensors file of types that PyTorch may not have: name -> (type, shape, bytes)."""
    header, data = {}, b""
    for name, (type, shape, content) in tensors.items():
        header[name] = {"dtype": type, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("name", [*FLOATS, *WHOLE])
def test_a_type_is_read_as_pytorch_reads_it_beside_float32(name, suffix, tmp_path):
    state = {"a": VALUES, "b": VALUES.clone().to(getattr(torch, name)), "c": VALUES.clone()}
    path = tmp_path / f"x{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    found = list(read_tensors([path]))
    assert sorted(name for name, _ in found) == ["a", "b", "c"]  # none is handed out twice
    expected = state["b"].float() if name in FLOATS else state["b"]
    array = dict(found)["b"]
    assert array.dtype == (np.float32 if name in FLOATS else expected.numpy().dtype)
    assert (array == expected.numpy()).all()


@pytest.mark.parametrize("type", NAMED_ONLY)
def test_other_types_are_refused_by_the_header(type, tmp_path):
    bits = NAMED_ONLY[type]
    content = bytes(8 if bits is None else bits)
    path = write_raw(tmp_path / "x.safetensors", {"a": ("F32", [1], bytes(4)), "b": (type, [8], content)})
    tensors = read_tensors([path])
    with pytest.raises(UserError, match=rf"x\.safetensors: b is of type {type}, which is not read; take"):
        next(tensors)


@pytest.mark.filterwarnings("ignore")  # PyTorch's, on sparse and nested tensors
@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: VALUES.to(torch.complex64), "complex64"),
        (lambda: torch.quantize_per_tensor(VALUES, 0.1, 0, torch.qint8), r"qint8 \(quantised\)"),
        (lambda: VALUES.to_sparse(), r"sparse_coo"),
        (lambda: VALUES.to_sparse_csr(), r"sparse_csr"),
        (lambda: VALUES.to("meta"), "without numbers"),
    ],
)
def test_tensors_of_pytorch_that_are_no_arrays_are_refused(make, word, tmp_path):
    torch.save({"a": VALUES, "b": make()}, tmp_path / "x.bin")
    with pytest.raises(UserError, match=rf"x\.bin: b is of type .*{word}"):
        list(read_tensors([tmp_path / "x.bin"]))


def test_parameters_and_numbers_without_a_shape_are_read(tmp_path):
    torch.save({"a": torch.nn.Parameter(VALUES), "b": torch.tensor(4.0), "c": VALUES.clone().T}, tmp_path / "x.bin")
    found = dict(read_tensors([tmp_path / "x.bin"]))
    assert (found["a"] == VALUES.numpy()).all()
    assert found["b"] == 4.0
    assert (found["c"] == VALUES.numpy().T).all()


@pytest.mark.parametrize("name", ["scaled_fp8", "a.scale_weight", "a.weight_scale", "a.weight.absmax", "a.qweight"])
def test_quantised_files_are_told(name, tmp_path):
    save_file({"a.weight": VALUES.to(torch.float8_e4m3fn), name: torch.ones(1)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=f"quantised .*{name}.*full or half precision"):
        list(read_tensors([tmp_path / "x.safetensors"]))


@pytest.mark.parametrize("name", [*FLOATS, *WHOLE])
def test_a_lora_of_any_type_beside_an_alpha_of_another(name, tmp_path):
    """Kohya's alpha comes first by name, as int64 (diffusers' writer) or float32 (sd-scripts')."""
    down, up = (torch.ones(shape).to(getattr(torch, name)) for shape in ((2, 8), (8, 2)))
    for alpha in (torch.tensor(1), torch.tensor(1.0), torch.tensor([1.0])):
        tensors = {f"{KOHYA}.alpha": alpha, f"{KOHYA}.lora_down.weight": down, f"{KOHYA}.lora_up.weight": up}
        save_file(tensors, tmp_path / "x.safetensors")
        if name in WHOLE:
            with pytest.raises(UserError, match=f"A is {name}, as in quantised files"):
                load_lora(tmp_path / "x.safetensors")
            continue
        lora = load_lora(tmp_path / "x.safetensors")
        (pair,) = lora.pairs["unet"].values()
        assert (pair.rank, pair.alpha, lora.types) == (2, 1.0, (TORCH_NAMES[name],))
        assert (pair.delta == 1.0).all()


def test_a_style_token_of_other_types(tmp_path):
    for name in FLOATS:
        save_file({"<style>": VALUES.to(getattr(torch, name))}, tmp_path / "x.safetensors")
        word, vectors = load_token(tmp_path / "x.safetensors")
        assert (word, vectors.dtype) == ("<style>", np.float32)
    for content, word in (
        ({"<style>": VALUES.to(torch.int8)}, "whole"),
        ({"<style>": VALUES / 0}, "not finite"),
        ({"emb_params": VALUES}, "does not say its word"),
        ({f"{KOHYA}.lora_down.weight": VALUES}, "a LoRA, not a style token"),
    ):
        save_file(content, tmp_path / "x.safetensors")
        with pytest.raises(UserError, match=word):
            load_token(tmp_path / "x.safetensors")


def test_a_base_in_whole_numbers_is_refused(base, base_folder, tmp_path):
    from safetensors.torch import load_file

    from jdart.models.weights import load

    state = load_file(base_folder / "unet" / "diffusion_pytorch_model.safetensors")
    state["conv_in.weight"] = state["conv_in.weight"].to(torch.int8)
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="1 in whole numbers: conv_in.weight is int8"):
        load(base.unet, [tmp_path / "x.safetensors"])


@pytest.mark.parametrize(
    ("name", "content", "cure"),
    [
        ("x.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer.*git lfs pull"),
        ("x.safetensors", b"<!DOCTYPE html><html>", "web page"),
        ("x.bin", b"<!DOCTYPE html><html>", "web page"),
        ("x.safetensors", b"PK\x03\x04" + bytes(60), "name it .bin"),
        ("x.bin", (10).to_bytes(8, "little") + b"{}" + b" " * 8, "name it .safetensors"),
        ("x.safetensors", b"", "fetch it again"),
    ],
)
def test_what_an_unreadable_file_is(name, content, cure, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=cure):
        list(read_tensors([tmp_path / name]))


def test_headers_that_do_not_hold_together_are_refused_as_the_library_refuses_them(tmp_path):
    from safetensors import SafetensorError, safe_open

    path = tmp_path / "x.safetensors"
    write_raw(path, {"a": ("F32", [2], bytes(8))})
    assert read_header(path).tensors["a"].shape == (2,)
    whole = path.read_bytes()
    for old, new in (
        (b"[0, 8]", b"[0, 9]"),
        (b"[0, 8]", b"[8, 0]"),
        (b'"shape": [2]', b'"shape": [3]'),
        (b"F32", b"F16"),
    ):
        path.write_bytes(whole.replace(old, new))
        with pytest.raises(UserError, match="not a readable safetensors file"):
            read_header(path)
        with pytest.raises(SafetensorError), safe_open(path, "pt"):
            pass
