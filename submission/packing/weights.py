"""What an archive may hold beside its pictures, so that they can be drawn again.

    lora/<style>/pytorch_lora_weights.safetensors or .bin                the style's LoRA
    lora/<style>/learned_embeds.safetensors                              its token, where the run learnt one
    lora/<style>/ip_adapter.safetensors                                  its IP-Adapter, where the run learnt one
    composition/lora/<style>/pytorch_lora_weights.safetensors or .bin    its composition, where the run learnt one

To the rules these are unknown folders, so what the manifest lists of them is taken out before.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from contest.definition import Contest
from contest.entry.listing import Item, Listing
from contest.errors import UserError
from submission.packing.manifest import IP_ADAPTER_NAME, TOKEN_NAME, usable_manifest, weights_of
from submission.packing.source import Source

_NAMES = ("pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin")  # the first where a run has both


def without_weights(listing: Listing) -> Listing:
    """The listing without the weights that its manifest answers for, and without their folders."""
    manifest = usable_manifest(listing.items)
    weights = set() if manifest is None else weights_of(manifest)
    folders = {str(folder) for path in weights for folder in PurePosixPath(path).parents}
    gone = {"file": weights, "folder": folders}
    return replace(
        listing, items=tuple(item for item in listing.items if item.path not in gone.get(item.kind, frozenset()))
    )


def find_weights(source: Source, listing: Listing, contest: Contest) -> dict[str, Item]:
    """What each style learnt, by its place in the archive, from a run folder or an archive.

    UserError: a style has no LoRA, or they make the entry larger than the contest takes.
    """
    there = _in_archive(source, listing) if source.folder is None else _in_run(source.folder, contest)
    found = {}
    missing = []
    for style in contest.styles:
        parts = [next((place for place in places if place in there), None) for places in _places(style)]
        if parts[0] is None:
            missing.append(style)
        found.update({place: there[place] for place in parts if place is not None})
    if missing:
        raise UserError(
            f"{source.pictures}: no LoRA file of style {', '.join(missing)}; put lora/<style>/{_NAMES[0]} "
            "into the run folder, or build without --include-weights"
        )
    limits = contest.limits
    together = sum(item.size for item in [*found.values(), *without_weights(listing).items])
    largest = max((item.size for item in found.values()), default=0)
    if together > min(limits.total_bytes, limits.archive_bytes) or largest > limits.file_bytes:
        raise UserError(
            f"with its LoRA files the entry is larger than contest {contest.name} takes; "
            "build without --include-weights"
        )
    return found


def _in_run(folder: Path, contest: Contest) -> dict[str, Item]:
    paths = {place: folder / place for style in contest.styles for places in _places(style) for place in places}
    return {
        place: Item(place, "file", path.stat().st_size, path.read_bytes)
        for place, path in paths.items()
        if path.is_file()
    }


def _in_archive(source: Source, listing: Listing) -> dict[str, Item]:
    weights = set() if source.manifest is None else weights_of(source.manifest)
    return {item.path: item for item in listing.items if item.path in weights}


def _places(style: str) -> tuple[list[str], ...]:
    """Where the style's LoRA may lie, and what was learnt beside it; the first of each counts that is there."""
    lora = [f"lora/{style}/{name}" for name in _NAMES]
    beside = ([f"lora/{style}/{name}"] for name in (TOKEN_NAME, IP_ADAPTER_NAME))
    return (lora, *beside, [f"composition/{place}" for place in lora])
