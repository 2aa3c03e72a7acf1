"""A base model by name: a folder, `toy` for the one that comes along, a hub id as a pinned snapshot in its cache."""

from __future__ import annotations

import re
from pathlib import Path

from jdart.models.build import TEXT_STEMS, UNET_STEMS, VAE_STEMS
from submission.errors import UserError, needs
from submission.shipped import means_toy, toy_archive, unpack

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SETTINGS = ["model_index.json", "scheduler/*", "tokenizer/*", "*/config.json"]


def locate(model: str, revision: str | None) -> tuple[Path, str | None]:
    """Folder and commit of a base model; a local folder has no commit.

    `toy` is the model that comes with jdart, unpacked into the user's cache. A hub id is downloaded (HF_ENDPOINT,
    HF_HUB_OFFLINE and HF_HOME are respected); without a revision the newest commit is taken, and returned so that it
    can be noted and used from then on. Raises UserError when neither folder nor snapshot can be had.
    """
    folder = Path(model)
    if means_toy(folder):
        return _unpack_toy(), None
    if folder.is_dir() or HUB_ID.fullmatch(model) is None or model.startswith("."):
        return folder, None
    with needs("train"):
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
    try:
        for suffix in (".safetensors", ".bin"):
            snapshot = Path(snapshot_download(model, revision=revision, allow_patterns=SETTINGS + _weights(suffix)))
            if all(_present(snapshot / part, suffix) for part in ("unet", "vae", "text_encoder")):
                return snapshot, snapshot.name
    except RepositoryNotFoundError as error:
        raise UserError(f"{model}: neither a folder here nor a repository on the hub") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        first = str(error).strip().split("\n")[0]
        raise UserError(
            f"{model}: not in the hub's cache and not to be had now ({first}); "
            "check the connection or HF_ENDPOINT, or name a folder"
        ) from error
    raise UserError(f"{model}: the repository holds no weights in diffusers' layout")


def _unpack_toy() -> Path:
    from jdart.models.presets import write_tokenizer

    return unpack(toy_archive("jdart"), lambda folder: write_tokenizer(folder / "tokenizer"))


def _weights(suffix: str) -> list[str]:
    parts = (("unet", UNET_STEMS), ("vae", VAE_STEMS), ("text_encoder", TEXT_STEMS))
    ends = (suffix, f"{suffix}.index.json", f"-*-of-*{suffix}")
    return [f"{part}/{stem}{end}" for part, stems in parts for stem in stems for end in ends]


def _present(folder: Path, suffix: str) -> bool:
    return any(folder.glob(f"*{suffix}"))
