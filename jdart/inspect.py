"""What is in a LoRA file, and how it meets a base model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from submission.errors import UserError


@dataclass(frozen=True)
class LoraReport:
    """Ranks and alphas found, the writer's notes, and layers (with their network's name) by how they meet the base.

    `missing` are layers of the base of the kinds that the file adapts, which it leaves alone; they do no harm.
    """

    file: str
    ranks: tuple[int, ...]
    alphas: tuple[float, ...]
    layers: int
    settings: dict[str, Any]
    compared_with: str | None
    matched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()


def inspect_lora(file: Path, base: Path | None, arch: str | None) -> LoraReport:
    """Read `file` and compare it with a base folder or a published shape, if one is given.

    No weights of the base are read. Raises UserError for an unreadable file or an unknown shape.
    """
    from jdart.lora_file import load_lora
    from jdart.runtime import start

    if base is not None and arch is not None:
        raise UserError("give --base or --arch, not both")
    start("cpu")
    from jdart.lora import coverage, linear_shapes
    from jdart.models.presets import build_network

    lora = load_lora(file)
    pairs = [pair for layers in lora.pairs.values() for pair in layers.values()]
    found: dict[str, list[str]] = {"matched": [], "missing": [], "left_over": []}
    if base is not None or arch is not None:
        for network, layers in lora.pairs.items():
            shapes = linear_shapes(build_network(network, _network_config(network, base, arch))) if layers else {}
            result = coverage(shapes, layers)
            for kind, names in found.items():
                names += [f"{network}.{name}" for name in getattr(result, kind)]
    return LoraReport(
        str(file),
        tuple(sorted({pair.rank for pair in pairs})),
        tuple(sorted({pair.alpha for pair in pairs})),
        len(pairs),
        dict(lora.settings),
        arch if base is None else str(base),
        **{kind: tuple(names) for kind, names in found.items()},
    )


def show_lora(report: LoraReport, as_json: bool) -> None:
    """Print the report to standard output, as a table or as JSON."""
    import json

    from rich.console import Console
    from rich.table import Table

    if as_json:
        Console(soft_wrap=True, highlight=False).out(json.dumps(asdict(report), indent=1))
        return
    table = Table(title=report.file, show_header=False)
    table.add_row("layers", str(report.layers))
    table.add_row("rank", ", ".join(map(str, report.ranks)))
    table.add_row("alpha", ", ".join(f"{alpha:g}" for alpha in report.alphas))
    for key in sorted(set(report.settings) - {"rank", "alpha"}):
        table.add_row(key, str(report.settings[key]))
    if report.compared_with is not None:
        table.add_section()
        table.add_row("compared with", report.compared_with)
        for kind in ("matched", "missing", "left_over"):
            names = getattr(report, kind)
            shown = "".join(f"\n{name}" for name in names[:10]) if kind != "matched" else ""
            more = f"\n... and {len(names) - 10} more" if shown and len(names) > 10 else ""
            table.add_row(kind.replace("_", " "), f"{len(names)}{shown}{more}")
    Console().print(table)


def _network_config(network: str, base: Path | None, arch: str | None) -> Any:
    from jdart.models.presets import PRESETS
    from submission.files import read_json

    if base is not None:
        return read_json(base / network / "config.json")
    if arch not in PRESETS:
        raise UserError(f"unknown shape {arch!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[arch][network]
