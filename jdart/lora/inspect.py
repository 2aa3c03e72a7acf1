"""What is in a LoRA file, and how it meets a base model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np

from contest.errors import UserError
from contest.screen import screen
from jdart.lora.dora import per_output
from jdart.lora.formats.file import LoraFile
from jdart.lora.formats.reading import load_lora
from jdart.lora.origin import from_another_base
from jdart.lora.pairs import LoraPair, coverage

GROUPS = {  # of layers, by the words of their names; the first that fits
    "attention": ("attn1", "attn2", "self_attn"),
    "feed-forward": ("ff", "mlp"),
    "projection": ("proj_in", "proj_out"),
    "residual and sampling": ("resnets", "downsamplers", "upsamplers"),
    "first, last and time": ("conv_in", "conv_out", "time_embedding"),
}


@dataclass(frozen=True)
class Magnitudes:
    """Of the layers of a file that are DoRA: how many there are, and the norms that their weights are given."""

    layers: int
    per: str  # "output"; "input" of LyCORIS with wd_on_out=False; "output and input" where a file has both
    least: float
    mean: float
    greatest: float


@dataclass(frozen=True)
class LoraReport:
    """Ranks and alphas found, the writer's notes, and layers (with their network's name) by how they meet the base.

    `missing` are layers of the base of the kinds that the file adapts, which it leaves alone; they do no harm. A kind
    that the file leaves out altogether, as to_out, is not among them; `covered` counts it.
    """

    file: str
    format: str
    ranks: tuple[int, ...]
    alphas: tuple[float, ...]
    alpha_known: bool  # False: not in the file, and taken as the rank
    rslora: bool
    layers: int
    convolutions: int  # of the layers
    settings: dict[str, Any]
    compared_with: str | None
    matched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()
    remark: Optional[str] = None  # that it was trained on another base
    types: tuple[str, ...] = ()  # of the numbers in the file, as safetensors names them: "BF16"
    covered: dict[str, tuple[int, int]] = field(default_factory=dict)  # "unet attention" -> matched layers, all of them
    dora: Optional[Magnitudes] = None


def inspect_lora(file: Path, base: Path | None, arch: str | None) -> LoraReport:
    """Read `file` and compare it with a base folder or a published shape, if one is given.

    No weights of the base are read, but for their hash where the file notes one. Raises UserError for an unreadable
    file or an unknown shape.
    """
    report = report_on(load_lora(file), file, shapes_of(base, arch), arch if base is None else str(base))
    return report if base is None else replace(report, remark=from_another_base(file, base))


def report_on(
    lora: LoraFile, file: Path, shapes: dict[str, dict[str, tuple[int, ...]]] | None, compared_with: str | None
) -> LoraReport:
    """The report on a LoRA that was read from `file`; `shapes` are those of `shapes_of`."""
    pairs = [pair for layers in lora.pairs.values() for pair in layers.values()]
    found: dict[str, list[str]] = {"matched": [], "missing": [], "left_over": []}
    for network, layers in lora.pairs.items() if shapes is not None else ():
        result = coverage(shapes[network], layers)  # type: ignore[index]
        for kind, names in found.items():
            names += [f"{network}.{name}" for name in getattr(result, kind)]
    return LoraReport(
        str(file),
        lora.format,
        tuple(sorted({pair.rank for pair in pairs})),
        tuple(sorted({pair.alpha for pair in pairs})),
        lora.alpha_known,
        any(pair.rslora for pair in pairs),
        len(pairs),
        sum(pair.a.ndim == 4 for pair in pairs),
        dict(lora.settings),
        compared_with,
        tuple(found["matched"]),
        tuple(found["missing"]),
        tuple(found["left_over"]),
        types=lora.types,
        covered=_covered(shapes, found["matched"]) if shapes is not None else {},
        dora=_magnitudes(pairs),
    )


def _magnitudes(pairs: Sequence[LoraPair]) -> Magnitudes | None:
    doras = [pair for pair in pairs if pair.magnitude is not None]
    if not doras:
        return None
    kinds = {"output" if pair.magnitude.shape == per_output(pair.b) else "input" for pair in doras}  # type: ignore
    every = np.concatenate([pair.magnitude.ravel() for pair in doras]).astype(np.float64)  # type: ignore
    per = " and ".join(sorted(kinds, reverse=True))
    return Magnitudes(len(doras), per, float(every.min()), float(every.mean()), float(every.max()))


def _covered(shapes: Mapping[str, Mapping[str, Any]], matched: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Network and group of layers -> how many of them are matched, and how many there are, of groups that are."""
    all_ = Counter(_group(f"{network}.{layer}") for network, layers in shapes.items() for layer in layers)
    return {group: (count, all_[group]) for group, count in Counter(map(_group, matched)).items()}


def _group(name: str) -> str:
    network, *words = name.split(".")
    return f"{network} {next((group for group, signs in GROUPS.items() if set(signs) & set(words)), 'other')}"


def shapes_of(base: Path | None, arch: str | None) -> dict[str, dict[str, tuple[int, ...]]] | None:
    """Network -> layer -> shape of its weight, of a base folder or a published shape; None when neither is given."""
    if base is not None and arch is not None:
        raise UserError("give --base or --arch, not both")
    if base is None and arch is None:
        return None
    from jdart.runtime import start

    start("cpu")
    from jdart.lora.formats.names import NETWORKS
    from jdart.lora.merge import layer_shapes
    from jdart.models.presets import build_network

    return {name: layer_shapes(build_network(name, _network_config(name, base, arch))) for name in NETWORKS}


def show_lora(report: LoraReport, as_json: bool) -> None:
    """Print the report to standard output, as a table or as JSON."""
    import json

    from rich.console import Console
    from rich.table import Table

    if as_json:
        data = {key: value for key, value in asdict(report).items() if key != "dora" or value is not None}
        Console(soft_wrap=True, highlight=False).out(json.dumps(data, indent=1))
        return
    table = Table(title=report.file, show_header=False)
    table.add_row("format", report.format)
    convolutions = f", {report.convolutions} of them convolutions" if report.convolutions else ""
    table.add_row("layers", f"{report.layers}{convolutions}")
    table.add_row("type of its numbers", ", ".join(report.types))
    table.add_row("rank", ", ".join(map(str, report.ranks)))
    unsaid = "" if report.alpha_known else " (not in the file: taken as the rank)"
    table.add_row("alpha", ", ".join(f"{alpha:g}" for alpha in report.alphas) + unsaid)
    table.add_row("scale", "alpha / sqrt(rank), rsLoRA" if report.rslora else "alpha / rank")
    if report.dora is not None:
        found = report.dora
        values = f"{found.least:.4g} to {found.greatest:.4g}, mean {found.mean:.4g}"
        table.add_row("DoRA", f"{found.layers} layers; magnitudes, one an {found.per}: {values}")
    for key in sorted(set(report.settings) - {"rank", "alpha"}):
        table.add_row(key, str(report.settings[key]))
    if report.compared_with is not None:
        table.add_section()
        table.add_row("compared with", report.compared_with)
        if report.remark is not None:
            table.add_row("warning", report.remark)
        for group, (count, all_) in report.covered.items():
            table.add_row("adapts", f"{count} of {all_} {group} layers")
        for kind in ("matched", "missing", "left_over"):
            names = getattr(report, kind)
            shown = "".join(f"\n{name}" for name in names[:10]) if kind != "matched" else ""
            more = f"\n... and {len(names) - 10} more" if shown and len(names) > 10 else ""
            table.add_row(kind.replace("_", " "), f"{len(names)}{shown}{more}")
    screen().print(table)


def _network_config(network: str, base: Path | None, arch: str | None) -> Any:
    from contest.disk.files import read_json
    from jdart.models.presets import PRESETS

    if base is not None:
        return read_json(base / network / "config.json")
    if arch not in PRESETS:
        raise UserError(f"unknown shape {arch!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[arch][network]
