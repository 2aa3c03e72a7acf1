"""A single-file checkpoint -> a folder in diffusers' layout in the user's cache, made once. No number is changed.

The weight files are what the safetensors library would write of the same tensors: a folder with the same numbers under
the same names is the same base, to the hash.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contest.disk.drafts import whole_folder
from contest.disk.files import atomic_write, read_json, sha256, write_json
from contest.disk.places import NO_CACHE, user_cache
from contest.errors import UserError, needs
from jdart.models.presets import INDEX, SD_SCHEDULER, WEIGHTS
from jdart.models.single_file import text_names, unet_names, vae_names
from jdart.models.single_file.checkpoint import Checkpoint, open_checkpoint
from jdart.models.single_file.recognise import CLIP, OPEN_CLIP, UNET, VAE, Kind, recognise, require_vae
from jdart.models.single_file.shapes import clip_config, open_clip_config, unet_config, vae_config

LAYOUT = 1  # raised where the folders that are made change
AUTOENCODER = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
ATTENTION = ("encoder.mid_block.attentions.", "decoder.mid_block.attentions.")  # the autoencoder's, in diffusers
NOTES = "single_file.json"  # in the folder that is made: the file's name, and the `Kind` that it is


@dataclass(frozen=True)
class Part:
    """A network of a checkpoint: its folder's name, its configuration, and what each tensor becomes.

    One tensor becomes one, several of equal height, or none.
    """

    name: str
    config: Mapping[str, Any]
    names: Mapping[str, tuple[str, ...]]


def base_from_file(path: Path) -> Path:
    """The folder that stands for a checkpoint, named by its SHA-256. UserError for what is no base model."""
    return _kept(path, "base", _write_base)


def vae_from_file(path: Path) -> Path:
    """The folder that stands for the autoencoder in a file, alone or in a checkpoint. UserError where there is none."""
    return _kept(path, "vae", _write_vae)


def is_assumed(folder: Path) -> bool:
    """Whether the folder of a base was made of a file that does not say what it predicts."""
    notes = folder / NOTES
    return notes.is_file() and bool(read_json(notes).get("assumed"))


def parts(checkpoint: Checkpoint, kind: Kind) -> Iterator[Part]:
    """The networks of a checkpoint. UserError for shapes that are of no Stable Diffusion 1 or 2."""
    yield _unet(checkpoint)
    if kind.has_vae:
        yield _vae(checkpoint, VAE)
    yield _clip(checkpoint) if kind.version == 1 else _open_clip(checkpoint)


def _unet(checkpoint: Checkpoint) -> Part:
    shapes = _below(checkpoint, UNET)
    config = _guessed(unet_config, shapes, checkpoint, UNET)
    layers = config["layers_per_block"]
    return Part("unet", config, {UNET + name: (unet_names.tensor_from_ldm(name, layers),) for name in shapes})


def _vae(checkpoint: Checkpoint, prefix: str) -> Part:
    shapes = _below(checkpoint, prefix)
    config = _guessed(vae_config, shapes, checkpoint, prefix)
    levels = len(config["block_out_channels"])
    own = (name for name in shapes if name.startswith(AUTOENCODER))  # not its loss, or what else was saved with it
    return Part("vae", config, {prefix + name: (vae_names.tensor_from_ldm(name, levels),) for name in own})


def _clip(checkpoint: Checkpoint) -> Part:
    shapes = _below(checkpoint, CLIP)
    names = {name: new for name in shapes if (new := text_names.from_clip(name)) is not None}
    config = _guessed(clip_config, {new: shapes[name] for name, new in names.items()}, checkpoint, CLIP)
    return Part("text_encoder", config, {CLIP + name: (new,) for name, new in names.items()})


def _open_clip(checkpoint: Checkpoint) -> Part:
    shapes = _below(checkpoint, OPEN_CLIP)
    config = _guessed(open_clip_config, shapes, checkpoint, OPEN_CLIP)
    layers = config["num_hidden_layers"]
    return Part("text_encoder", config, {OPEN_CLIP + name: text_names.from_open_clip(name, layers) for name in shapes})


def _below(checkpoint: Checkpoint, prefix: str) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's tensors, without their prefix."""
    return {name[len(prefix) :]: shape for name, shape in checkpoint.shapes.items() if name.startswith(prefix)}


def _guessed(
    guess: Callable[[Mapping[str, tuple[int, ...]]], dict[str, Any]],
    shapes: Mapping[str, tuple[int, ...]],
    checkpoint: Checkpoint,
    prefix: str,
) -> dict[str, Any]:
    try:
        return guess(shapes)
    except UserError as error:
        raise UserError(f"{checkpoint.path}: {prefix}{error}") from None


def _kept(path: Path, what: str, write: Callable[[Checkpoint, Path], None]) -> Path:
    """The folder of a file in the cache, written when it is first asked for."""
    cache = user_cache()
    if cache is None:
        raise UserError(f"{path}: {NO_CACHE}, with room for the file once more")
    folder = cache / "single-files" / f"{path.stem[:60]}-{what}-{sha256(path)[:16]}-{LAYOUT}"
    if folder.is_dir():
        return folder
    checkpoint = open_checkpoint(path)
    try:
        with whole_folder(folder) as draft:
            write(checkpoint, draft)
    except OSError as error:
        if not folder.is_dir():  # else another process was faster; its folder is as good
            cure = "set JDART_CACHE to a folder with room for the file once more"
            raise UserError(f"{folder}: cannot be written ({error.strerror}); {cure}") from error
    return folder


def _write_base(checkpoint: Checkpoint, folder: Path) -> None:
    kind = recognise(checkpoint)
    for part in parts(checkpoint, kind):
        _write_part(checkpoint, part, folder / part.name)
    rescale = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"} if kind.zero_snr else {}
    scheduler = {**SD_SCHEDULER, "prediction_type": kind.prediction_type, **rescale}
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler)
    with needs("train"):
        from evaluator.weights.tokenizer import write_tokenizer

        write_tokenizer(folder / "tokenizer", **({} if kind.version == 1 else {"pad": "!"}))
    write_json(folder / "model_index.json", INDEX)
    write_json(folder / NOTES, {"file": checkpoint.path.name, **asdict(kind)})


def _write_vae(checkpoint: Checkpoint, folder: Path) -> None:
    require_vae(checkpoint)
    alone = not any(name.startswith(VAE) for name in checkpoint.shapes)
    _write_part(checkpoint, _vae(checkpoint, "" if alone else VAE), folder)


def _write_part(checkpoint: Checkpoint, part: Part, folder: Path) -> None:
    """A network's config.json, and its weights in the number types that they have."""
    pieces: dict[str, tuple[str, int, int]] = {}  # tensor -> where it is from, which of how many
    for source, targets in part.names.items():
        for number, target in enumerate(targets):
            pieces[target] = source, number, len(targets)
    shapes = {target: _shape(checkpoint, target, *piece) for target, piece in pieces.items()}
    sizes = {target: checkpoint.sizes[source] // of for target, (source, _, of) in pieces.items()}
    wide = {target: sizes[target] // max(1, math.prod(shape)) for target, shape in shapes.items()}
    order = sorted(pieces, key=lambda target: (-wide[target], target))
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for target in order:
        place, end = end, end + sizes[target]
        type = checkpoint.types[pieces[target][0]]
        entries[target] = {"dtype": type, "shape": list(shapes[target]), "data_offsets": [place, end]}
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)  # the format aligns the numbers that follow
    with atomic_write(folder / f"{WEIGHTS[part.name]}.safetensors") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        for target in order:
            source, number, _ = pieces[target]
            size = sizes[target]
            stream.write(checkpoint.raw(source)[number * size : (number + 1) * size].data)
    write_json(folder / "config.json", part.config)


def _shape(checkpoint: Checkpoint, target: str, source: str, number: int, of: int) -> tuple[int, ...]:
    """The shape of what a tensor becomes: 1x1 convolutions of the VAE's attention are linear layers in diffusers."""
    shape = checkpoint.shapes[source]
    if of > 1 and (not shape or shape[0] % of):
        raise UserError(f"{checkpoint.path}: {source} has no such shape as in Stable Diffusion; fetch the file again")
    if target.startswith(ATTENTION) and shape[2:] == (1, 1):
        return shape[:2]
    return (shape[0] // of, *shape[1:]) if of > 1 else shape
