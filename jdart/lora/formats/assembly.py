"""The tensors of a LoRA file put together to pairs, whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np

from contest.disk.tensor_files import read_header, require_readable
from contest.errors import UserError
from jdart.lora.dora import per_output
from jdart.lora.formats.adapter import noted
from jdart.lora.formats.file import LoraFile
from jdart.lora.formats.foreign import find_kind
from jdart.lora.formats.names import NETWORKS, TRAINING_ONLY, Part, parse
from jdart.lora.pairs import LoraPair
from jdart.models.tensors import read_typed

AGAIN = "fetch the file again, or train it again"


@dataclass
class Halves:
    """What a file gives for one layer: its tensors by side, and their names in the file."""

    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def assemble(path: Path, adapters: Mapping[str, Mapping[str, Any]], alpha: Optional[float]) -> LoraFile:
    """The pairs of a tensor file; `adapters` is PEFT's settings of each network, empty where there are none.

    Raises UserError as `load_lora` does.
    """
    layers: dict[tuple[str, str], Halves] = {}
    formats: set[str] = set()
    types: set[str] = set()
    for format, part, name, type, array in _parts(path):
        formats.add(format)
        if part.side != "alpha":
            types.add(type)
        own = layers.setdefault((part.network, part.layer), Halves())
        if part.side in own.names:
            raise UserError(
                f"{path}: {part.network}.{part.layer} is there twice: {own.names[part.side]} and {name}; "
                "save one LoRA alone, under one name"
            )
        own.tensors[part.side], own.names[part.side] = array, name
    single = [".".join(key) for key, own in layers.items() if not {"A", "B"} <= set(own.tensors)]
    if single:
        raise UserError(f"{path}: only one of A and B for {_some(single)}; {AGAIN}")
    if not layers:
        raise UserError(f"{path}: holds no LoRA; name a LoRA file")
    pairs: dict[str, dict[str, LoraPair]] = {network: {} for network in NETWORKS}
    known = True
    for (network, layer), own in layers.items():
        try:
            noted_alpha = own.tensors.get("alpha", noted(adapters[network], layer, "alpha_pattern", "lora_alpha"))
            pairs[network][layer] = _pair(own.tensors, layer, noted_alpha, alpha, adapters[network])
        except UserError as error:
            raise UserError(f"{path}: {network}.{layer}: {error}") from None
        known = known and noted_alpha is not None
    return LoraFile(pairs, format=min(formats), alpha_known=known, types=tuple(sorted(types)))


def _parts(path: Path) -> list[tuple[str, Part, str, str, np.ndarray]]:
    """Format, part, name in the file, number type and array of every tensor. UserError for a file of another kind."""
    if path.suffix == ".safetensors":  # a base model is told before its gigabytes are read
        types = read_header(path).types
        require_readable(path, types)
        _require_lora(path, types)
    tensors = [entry for entry in read_typed(path) if not entry[0].endswith(TRAINING_ONLY)]
    _require_lora(path, [name for name, _, _ in tensors])
    parsed = [(parse(name), name, type, array) for name, type, array in tensors]
    unknown = [name for found, name, _, _ in parsed if found is None]
    if unknown:
        raise UserError(f"{path}: not LoRA tensors: {_some(unknown)}; save it under diffusers' names")
    return [(*found, name, type, array) for found, name, type, array in parsed if found is not None]


def _require_lora(path: Path, names: Iterable[str]) -> None:
    found = find_kind(names)
    if found is not None:
        kind, name = found
        raise UserError(f"{path}: {kind.what}, as {name} tells; {kind.cure}")


def _pair(
    own: Mapping[str, np.ndarray], layer: str, noted_alpha: Any, told_alpha: Optional[float], adapter: Mapping[str, Any]
) -> LoraPair:
    """The pair of a layer, once its shapes belong together and its numbers are finite."""
    whole = [side for side, array in own.items() if side != "alpha" and array.dtype.kind != "f"]
    if whole:
        raise UserError(f"{whole[0]} is {own[whole[0]].dtype}, as in quantised files; take the file in fp16 or fp32")
    a, b = _folded(own)
    if not (a.ndim == b.ndim and a.ndim in (2, 4) and a.shape[0] == b.shape[1] > 0 and b.shape[2:] in ((), (1, 1))):
        raise UserError(f"A {a.shape} and B {b.shape} are no pair of a linear layer or a convolution; {AGAIN}")
    rank = noted(adapter, layer, "rank_pattern", "r")
    if rank is not None and rank != len(a):
        raise UserError(f"its rank is {len(a)}, its settings say {rank}; {AGAIN}")
    m = _magnitude(own, a, b, adapter)
    pair = LoraPair(a, b, _alpha(noted_alpha, told_alpha, len(a)), bool(adapter.get("use_rslora", False)), m)
    if not all(np.isfinite(array).all() for array in (a, b, np.array(pair.alpha), *([] if m is None else [m]))):
        raise UserError(
            "holds numbers that are not finite: its training diverged; train again with a lower learning rate"
        )
    return pair


def _folded(own: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """A and B of a pair that is written in another way: with a Tucker core, or one of them flat.

    LyCORIS' LoCon can put a core (rank, rank, kh, kw) between A and B of a convolution: the kernel is B of it of A, so
    that A takes it in and the rank stays (Tucker decomposition). Its DyLoRA leaves B of a convolution a matrix.
    """
    a, b, core = own["A"], own["B"], own.get("mid")
    if core is not None:
        flat = a.reshape(*a.shape[:2]) if a.ndim == 4 and a.shape[2:] == (1, 1) else a
        if flat.ndim != 2 or core.ndim != 4 or core.shape[:2] != (len(flat), len(flat)):
            raise UserError(f"A {a.shape}, core {core.shape} and B {b.shape} do not belong together; {AGAIN}")
        a = np.einsum("irhw,rc->ichw", core.astype(np.float64), flat).astype(np.float32)
    if a.ndim == 4 and b.ndim == 2:
        b = b[:, :, None, None]
    if a.ndim == 2 and b.ndim == 4 and b.shape[2:] == (1, 1):
        b = b[:, :, 0, 0]
    return a, b


def _magnitude(
    own: Mapping[str, np.ndarray], a: np.ndarray, b: np.ndarray, adapter: Mapping[str, Any]
) -> Optional[np.ndarray]:
    """The magnitude of a DoRA in the dimensions of its weight, None of a LoRA.

    PEFT's has one number an output, of a linear layer (out,), of a convolution (1, out, 1, 1). That of LyCORIS and
    OneTrainer has 1 where the norm runs: (out, 1), or (1, in) where there is one number an input.
    """
    vector, scale = own.get("magnitude_vector"), own.get("dora_scale")
    if vector is not None and scale is not None:
        raise UserError(f"has two magnitudes, lora_magnitude_vector and dora_scale; {AGAIN}")
    told = bool(adapter.get("use_dora", vector is not None)) if adapter else vector is not None
    if told != (vector is not None):
        raise UserError(f"its settings say use_dora: {str(told).lower()}, its tensors say otherwise; {AGAIN}")
    found = vector if scale is None else scale
    if found is None:
        return None
    outputs, inputs = per_output(b), (1, a.shape[1], *[1] * (b.ndim - 2))
    if found.size == len(b) and (vector is not None or found.ndim == 1 or found.shape[0] == len(b)):
        return found.reshape(outputs)
    if scale is not None and found.size == a.shape[1] and found.shape[0] == 1:
        return found.reshape(inputs)
    raise UserError(f"its magnitude {found.shape} is not that of a layer {(len(b), *a.shape[1:])}; {AGAIN}")


def _alpha(noted_alpha: Any, told: Optional[float], rank: int) -> float:
    """The file's own alpha, otherwise the one that was told, otherwise the rank."""
    if noted_alpha is None:
        return float(rank) if told is None else told
    try:
        found = float(np.asarray(noted_alpha).item())
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"its alpha is no number; {AGAIN}") from error
    if told is not None and found != told:
        raise UserError(f"its alpha is {found:g}, not {told:g}; leave --alpha out")
    return found


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
