"""Image prompts of a run's pictures: the adapter, its encoder and the pictures looked up, or found again for redraw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contest.disk.files import sha256
from contest.errors import UserError
from jdart.config import Config, IPAdapterConfig
from jdart.data.captions import Picture
from jdart.data.pictures import read_rgb
from jdart.generation.notes import pixels_hash
from jdart.runs.folder import IP_ADAPTER_NAME
from jdart.runs.job import Job

if TYPE_CHECKING:
    from jdart.image_prompts.encoder import ImageEncoder
    from jdart.image_prompts.prompt import ImagePrompt
    from jdart.models.build import Base


def image_prompt(
    settings: IPAdapterConfig | None, config: Config, base: Base, references: Sequence[Path], learnt: Path
) -> ImagePrompt | None:
    """What a style's pictures are prompted with; None where nothing asks for it. UserError for what does not fit.

    `learnt` is the style's own adapter.
    """
    from jdart.image_prompts.encoder import encoder_folder
    from jdart.image_prompts.requirements import paths_of

    if settings is None:
        return None
    folder = encoder_folder(settings, config.score.weights)
    weights = learnt if settings.weights is None else Path(settings.weights)
    return _prompt(settings, base, weights, folder, paths_of(settings, references))


def image_features(job: Job, pictures: Sequence[Picture]) -> np.ndarray | None:
    """What DINOv2 sees in a style's pictures, (N, C) float32, for train.ip_adapter; None without."""
    encoder = learnt_encoder(job)
    return None if encoder is None else np.stack([encoder.features(read_rgb(each.path), False) for each in pictures])


def learnt_encoder(job: Job) -> ImageEncoder | None:
    """The encoder of the adapter that is trained: what the run draws with, else score.weights'; None where none is."""
    from jdart.image_prompts.encoder import encoder_folder, open_encoder

    if job.config.train.ip_adapter is None:
        return None
    drawn = job.config.generate.ip_adapter
    own = drawn if drawn is not None and drawn.learnt else IPAdapterConfig(encoder="dino")
    return open_encoder(encoder_folder(own, job.config.score.weights), own.encoder)


def noted_again(
    notes: Mapping[str, Any],
    settings: IPAdapterConfig | None,
    base: Base,
    weights: Iterable[Path],
    encoders: Iterable[Path],
    pictures: Iterable[Path],
) -> ImagePrompt | None:
    """The image prompt that a picture's notes tell of, out of files and folders that may be what it was drawn with.

    UserError names what is not among them.
    """
    from jdart.image_prompts.encoder import open_encoder

    if settings is None:
        return None
    noted = notes["image_prompt"]
    adapter = next((path for path in weights if sha256(path) == noted["weights"]), None)
    if adapter is None:
        name = IP_ADAPTER_NAME if settings.weights is None else settings.weights
        raise UserError(f"its IP-Adapter {name} (SHA-256 {noted['weights'][:12]}...) is not there; name it with --lora")
    folders = [folder for folder in encoders if (folder / "config.json").is_file()]
    folder = next((each for each in folders if _identity(open_encoder, each, settings) == noted["encoder"]), None)
    if folder is None:
        raise UserError("the image encoder of the IP-Adapter is not there; name its folder with --image-encoder")
    known: dict[str | None, Path] = {}
    for path in pictures:
        known.setdefault(pixels_hash(read_rgb(path)), path)
    missing = [digest for digest in noted["images"] if digest not in known]
    if missing:
        raise UserError(
            f"{len(missing)} pictures of its image prompt are not there; name them with --image, the style's with "
            "--references"
        )
    return _prompt(settings, base, adapter, folder, [known[digest] for digest in noted["images"]])


def _identity(opened: Any, folder: Path, settings: IPAdapterConfig) -> str | None:
    try:
        return str(opened(folder, settings.encoder).identity)
    except UserError:  # a folder of another encoder
        return None


def _prompt(settings: IPAdapterConfig, base: Base, weights: Path, folder: Path, paths: Sequence[Path]) -> ImagePrompt:
    from jdart.image_prompts.adapter import read_adapter
    from jdart.image_prompts.encoder import open_encoder
    from jdart.image_prompts.prompt import read_prompt

    adapter, encoder = read_adapter(weights, base.configs["unet"]), open_encoder(folder, settings.encoder)
    pictures = [read_rgb(path) for path in paths]
    noted = {
        "weights": sha256(weights),
        "encoder": encoder.identity,
        "images": [pixels_hash(picture) for picture in pictures],
    }
    return read_prompt(base, adapter, encoder, pictures, settings, noted)
