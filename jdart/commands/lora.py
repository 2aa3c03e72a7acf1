"""`jdart lora`: LoRA files."""

from __future__ import annotations

import math
from pathlib import Path

import click

from contest.console import FINDINGS
from contest.errors import UserError


def _found(context: click.Context, option: click.Parameter, base: str | None) -> Path | None:
    """The folder that is meant, as everywhere: a folder, a single file, `toy`, or a hub id, which is fetched."""
    if base is None:
        return None
    from jdart.models.hub.locate import locate

    return locate(base, None)[0]


_DTYPE = click.option("--dtype", type=click.Choice(["fp32", "fp16"]), default="fp32", show_default=True)
_BASE = click.option(
    "--base",
    metavar="DIR|FILE|HUB-ID",
    callback=_found,
    help="Compare with this base model, toy included.",
)
_ARCH = click.option("--arch", metavar="NAME", help="Compare with a published shape: sd15, sd21, sd21-base.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("lora")
def lora_group() -> None:
    """LoRA files: diffusers, PEFT, kohya (ComfyUI) and .bin are read, and told apart by their tensors' names."""


@lora_group.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@_BASE
@_ARCH
@_JSON
def lora_inspect_command(file: Path, base: Path | None, arch: str | None, as_json: bool) -> None:
    """Show what is in FILE, and what of it matches a base, is missing or left over (exit code 1)."""
    from jdart.lora.inspect import inspect_lora, show_lora

    report = inspect_lora(file, base, arch)
    show_lora(report, as_json)
    if report.left_over:
        raise SystemExit(FINDINGS)


@lora_group.command("convert")
@click.argument("file", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--to", "format", required=True, type=click.Choice(["diffusers", "peft", "kohya", "bin"]))
@click.option("--alpha", type=float, help="Alpha of a file that does not say its own, instead of its rank.")
@_DTYPE
@_BASE
@_ARCH
@_JSON
def lora_convert_command(
    file: Path,
    out: Path,
    format: str,
    alpha: float | None,
    dtype: str,
    base: Path | None,
    arch: str | None,
    as_json: bool,
) -> None:
    """Write the LoRA of IN to OUT in another format (peft: a folder); show what was read, and who reads OUT.

    kohya is for ComfyUI and sd-scripts, bin for JDiffusion. With a layer that does not fit the base that it is compared
    with, nothing is written (exit code 1).
    """
    from jdart.lora.convert import convert
    from jdart.lora.formats.clients import show_readers
    from jdart.lora.inspect import show_lora

    report = convert(file, out, format, dtype, alpha, base, arch)
    show_lora(report, as_json)
    if report.readers and not as_json:
        show_readers(report.readers, f"who reads {out.name}")
    if report.left_over:
        raise SystemExit(FINDINGS)


@lora_group.command("merge")
@click.argument("files", metavar="FILE[:WEIGHT]... OUT", nargs=-1, required=True)
@click.option("--rank", type=click.IntRange(min=1), help="Truncate to this rank; without it the ranks add up.")
@click.option(
    "--into",
    "base",
    metavar="BASE",
    callback=_found,
    help="Merge into this base model.",
)
@_DTYPE
def lora_merge_command(files: tuple[str, ...], rank: int | None, base: Path | None, dtype: str) -> None:
    """Write the weighted sum of LoRA files as one file OUT; with --into, a copy of BASE with it in its weights.

    As in: jdart lora merge a.safetensors:0.7 b.safetensors:0.3 both.safetensors
    """
    from jdart.lora.convert import merge_files, merge_files_into_base

    if len(files) < 2:
        raise UserError("name at least one LoRA file and where to write; see: jdart lora merge --help")
    parts, out = [_weighted(text) for text in files[:-1]], Path(files[-1])
    if base is None:
        lost = merge_files(parts, out, rank, dtype)
        click.echo(f"{out}: {len(parts)} merged" + ("" if rank is None else f", {lost:.2%} lost at rank {rank}"))
    else:
        if rank is not None:
            raise UserError("--rank is for a LoRA file; leave it out with --into")
        merge_files_into_base(parts, base, out, dtype)
        click.echo(f"{out}: {base} with {len(parts)} merged into it")


def _weighted(text: str) -> tuple[Path, float]:
    """FILE or FILE:WEIGHT."""
    name, colon, number = text.rpartition(":")
    if not colon or Path(text).exists():
        return Path(text), 1.0
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise UserError(f"{text}: {number!r} is no weight; write FILE:0.7")
    return Path(name), weight
