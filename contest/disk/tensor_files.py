"""What a weight file says of its tensors before one is read: names, number types, shapes. Standard library only.

Source: the format's description, huggingface/safetensors README.md; its number types, safetensors 0.8.
"""

from __future__ import annotations

import codecs
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from contest.disk.files import LFS_START
from contest.errors import UserError, first_line

FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")
WHOLE = ("I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")
BITS = {
    "C64": 64,
    "F8_E8M0": 8,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "F4": 4,
    "BOOL": 8,
}  # of one number
MAX_HEADER = 100_000_000  # bytes; the library's own limit

# Endings of the names under which quantised files keep what their numbers must be multiplied by.
QUANTISED = {
    "scaled_fp8": "scaled fp8",
    ".scale_weight": "scaled fp8",
    ".weight_scale": "scaled fp8 or int8",
    ".weight_scale_2": "scaled fp4",
    ".weight_scale_inv": "scaled fp8",
    ".comfy_quant": "ComfyUI's quantisation",
    ".SCB": "bitsandbytes' int8",
    ".weight_format": "bitsandbytes' int8",
    ".absmax": "bitsandbytes' 4 bits",
    ".quant_map": "bitsandbytes' 4 bits",
    ".qweight": "GPTQ's or AWQ's whole numbers",
    ".qzeros": "GPTQ's or AWQ's whole numbers",
}
TORCH_NAMES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    **{f"int{bits}": f"I{bits}" for bits in (64, 32, 16, 8)},
    **{f"uint{bits}": f"U{bits}" for bits in (64, 32, 16, 8)},
    "bool": "BOOL",
}
_ZIP = b"PK\x03\x04"
_STARTS = (
    (LFS_START.encode(), "it is a Git LFS pointer, not the file itself; run: git lfs pull"),
    (b"<", "it is a web page; download the file itself, signed in where its page asks for that"),
    (b"{", "it is JSON; download the weights themselves"),
    (_ZIP, "it is a zip archive, as torch.save writes them; name it .bin"),
    (b"\x89PNG", "it is a picture; name the weights themselves, or fetch it again"),
    (b"\xff\xd8\xff", "it is a picture; name the weights themselves, or fetch it again"),
    (b"GGUF", "it is a GGUF file, which is not read; fetch it in safetensors"),
)


@dataclass(frozen=True)
class Stored:
    """A tensor of a safetensors file: its number type as the format names it, its shape, its place in the file."""

    type: str
    shape: tuple[int, ...]
    begin: int  # bytes from the file's start
    end: int


@dataclass(frozen=True)
class Header:
    """What stands at the start of a safetensors file."""

    tensors: Mapping[str, Stored]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def types(self) -> dict[str, str]:
        """Name -> number type."""
        return {name: stored.type for name, stored in self.tensors.items()}


def read_header(path: Path) -> Header:
    """The header of a safetensors file. UserError: unreadable, a name twice, a tensor not wholly in the file."""
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(MAX_HEADER, size - 8):
                raise ValueError("it has no header")
            entries = json.loads(stream.read(length), object_pairs_hook=_once)
        metadata = entries.pop("__metadata__", {})
        start = 8 + length
        return Header({name: _stored(name, entry, start, size) for name, entry in entries.items()}, metadata)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({_said(error)}); {instead(path)}") from error


def instead(path: Path) -> str:
    """What an unreadable weight file is by its first bytes, and what helps; general advice where they do not tell."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(64)
    except OSError:
        return "fetch it again"
    if not start:
        return "it is empty; fetch it again"
    if start[8:9] == b"{" and path.suffix != ".safetensors":
        return "it is a safetensors file; name it .safetensors"
    if start.startswith(_ZIP) and path.suffix != ".safetensors":
        return "fetch it again"
    found = (cure for sign, cure in _STARTS if start.lstrip().startswith(sign))
    text = "it is a text file; name the weights themselves, or fetch it again"
    return next(found, text if _is_text(start) else "fetch it again")


def _is_text(start: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(start)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)


def require_readable(path: Path, types: Mapping[str, str]) -> None:
    """UserError in one line when a tensor's number type (name -> type) is none that is read, or the file is quantised.

    FLOATS and WHOLE are read; a network's weights in whole numbers are for the caller to refuse.
    """
    for name in types:
        kind = next((kind for ending, kind in QUANTISED.items() if name.endswith(ending)), None)
        if kind is not None:
            raise UserError(
                f"{path}: quantised ({kind}: {name}), which is not read; take the file in full or half precision"
            )
    for name, type in types.items():
        if type not in FLOATS and type not in WHOLE:
            raise UserError(f"{path}: {name} is of type {type}, which is not read; take the file in fp16 or fp32")


def _stored(name: str, entry: Mapping[str, Any], start: int, size: int) -> Stored:
    type, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if not all(isinstance(number, int) and number >= 0 for number in (*shape, begin, end)):
        raise ValueError(f"{name} has no proper shape or place")
    bits = _bits(type)
    if not begin <= end <= size - start or (bits is not None and (end - begin) * 8 != bits * math.prod(shape)):
        raise ValueError(f"{name} lies outside the file, or its shape does not belong to its place")
    return Stored(type, shape, start + begin, start + end)


def _bits(type: str) -> Optional[int]:
    """Of one number; None for a type that is not known here, which `require_readable` refuses by name."""
    known = type in FLOATS or type in WHOLE
    return BITS.get(type, int(type.split("_")[0].lstrip("BFIU")) if known and type != "BOOL" else None)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _said(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror is not None else first_line(error)
