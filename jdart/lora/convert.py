"""LoRA files into other formats, and several into one or into a base model."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from contest.errors import UserError
from jdart.lora.combine import combine, truncate
from jdart.lora.formats.clients import Reader, readers
from jdart.lora.formats.file import LoraFile
from jdart.lora.formats.names import NETWORKS
from jdart.lora.formats.reading import load_lora
from jdart.lora.formats.writing import DTYPES, save_lora, transformers_major
from jdart.lora.inspect import LoraReport, report_on, shapes_of
from jdart.lora.into_base import merge_into_base
from jdart.lora.origin import from_another_base
from jdart.lora.pairs import LoraPair
from jdart.lora.rank_by_noise import require_one_rank, warn_of_whole_rank

log = logging.getLogger(__name__)
Networks = Mapping[str, Mapping[str, LoraPair]]
SUFFIXES = {"diffusers": ".safetensors", "kohya": ".safetensors", "bin": ".bin"}  # "peft" makes a folder


@dataclass(frozen=True)
class Conversion(LoraReport):
    """The report on the file that was read, and how other programs read the one that was written."""

    readers: tuple[Reader, ...] = ()


def convert(
    source: Path,
    out: Path,
    format: str,
    dtype: str = "fp32",
    alpha: float | None = None,
    base: Path | None = None,
    arch: str | None = None,
) -> Conversion:
    """Write the LoRA of `source` to `out` in another format; report what was read, and who reads what was written.

    With a base folder or a published shape, layers are compared with it, and nothing is written when one is left over.
    `alpha` is for a file that does not say its own. Raises UserError as `load_lora` does, and when `out` is there.
    """
    _require_new(out, format)
    lora = load_lora(source, alpha)
    shapes = shapes_of(base, arch)
    report = report_on(lora, source, shapes, arch if base is None else str(base))
    if report.left_over:
        return Conversion(**vars(report))
    warn_of_whole_rank(lora.settings, out, format)
    save_lora(out, lora if shapes is None else _fitted(lora, shapes), format, dtype)
    return Conversion(**vars(report), readers=readers(lora.pairs, format, transformers_major()))


def merge_files(parts: Sequence[tuple[Path, float]], out: Path, rank: int | None, dtype: str) -> float:
    """Write the weighted sum of LoRA files as one in diffusers' format; return what truncation lost, relative.

    Without `rank` nothing is lost: the rank of a layer is the sum of those given.
    """
    _require_new(out, "diffusers")
    pairs, lost = _combined([(_fixed(path), weight) for path, weight in parts]), 0.0
    if rank is not None:
        layers, lost = truncate({f"{n}/{name}": p for n in NETWORKS for name, p in pairs[n].items()}, rank)
        pairs = {n: {name[len(n) + 1 :]: p for name, p in layers.items() if name.startswith(f"{n}/")} for n in NETWORKS}
    settings = {"merged": [{"file": path.name, "weight": weight} for path, weight in parts]}
    save_lora(out, LoraFile(pairs, settings), dtype=dtype)
    return lost


def merge_files_into_base(parts: Sequence[tuple[Path, float]], base: Path, out: Path, dtype: str) -> None:
    """Write a copy of the folder `base` with LoRA files in its weights: their weighted sum, with a DoRA one by one.

    One that was trained on another base is merged all the same, which is logged.
    """
    for path, _ in parts:
        remark = from_another_base(path, base)
        if remark is not None:
            log.warning("%s: %s", path, remark)
    loras = [(_fixed(path), weight) for path, weight in parts]
    dora = any(pair.magnitude is not None for pairs, _ in loras for own in pairs.values() for pair in own.values())
    steps = [_combined([lora]) for lora in loras] if dora else [_combined(loras)]
    merge_into_base(base, out, steps, DTYPES[dtype])


def _fixed(path: Path) -> Networks:
    """The pairs of a file. UserError where they add something else at every noise level."""
    lora = load_lora(path)
    require_one_rank(lora.settings, path)
    return lora.pairs


def _combined(loras: Sequence[tuple[Networks, float]]) -> Networks:
    return {n: combine([(pairs[n], weight) for pairs, weight in loras]) for n in NETWORKS}


def _fitted(lora: LoraFile, shapes: Mapping[str, Mapping[str, tuple[int, ...]]]) -> LoraFile:
    """Matrices for linear layers and 1x1 kernels for convolutions, whichever the file had."""
    pairs = {n: {name: p.fitted(shapes[n][name]) for name, p in own.items()} for n, own in lora.pairs.items()}
    return replace(lora, pairs=pairs)


def _require_new(out: Path, format: str) -> None:
    suffix = SUFFIXES.get(format, "")
    if suffix and out.suffix != suffix:
        raise UserError(f"{out}: {format} files end in {suffix}; name it {out.with_suffix(suffix).name}")
    if out.exists():
        raise UserError(f"{out} is there already; choose another name")
