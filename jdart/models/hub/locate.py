"""A base model by name: a folder, a file, `toy` for what comes along, a hub id as a pinned snapshot in its cache."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from contest.disk.shipped import means_toy, toy_archive, unpack
from contest.errors import UserError
from jdart.config import BaseConfig, MemoryConfig
from jdart.models.build import TEXT_STEMS, UNET_STEMS, VAE_STEMS, Base
from jdart.models.hub.architecture import require_repository
from jdart.models.hub.cached import cached_snapshot
from jdart.models.hub.spelling import require_base_name
from jdart.models.single_file.checkpoint import open_checkpoint
from jdart.models.single_file.convert import base_from_file, vae_from_file
from jdart.models.single_file.recognise import recognise, require_vae
from jdart.models.weights import choose_weights

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
PARTS = {"unet": UNET_STEMS, "vae": VAE_STEMS, "text_encoder": TEXT_STEMS}
SETTINGS = re.compile(r"model_index\.json|(scheduler|tokenizer)/[^/]+|[^/]+/config\.json")


def open_base(config: BaseConfig, memory: MemoryConfig | None = None) -> tuple[Base, str | None]:
    """A base model as the settings name it, and its commit. UserError for what cannot be had, or is no base."""
    folder, revision = locate(config.model, config.revision)
    vae = None if config.vae is None else locate_vae(config.vae)
    return Base(folder, MemoryConfig() if memory is None else memory, config, vae), revision


def locate(model: str, revision: str | None) -> tuple[Path, str | None]:
    """Folder and commit of a base model; a local folder has no commit.

    `toy` is the model that comes with jdart, unpacked into the user's cache; of a single file a folder is made there.
    Of a hub id what is needed is downloaded: each part's weights as `choose_weights` chooses them from the list of the
    repository's files (HF_ENDPOINT, HF_HUB_OFFLINE and HF_HOME are respected). Without a revision the newest commit is
    taken, and returned so that it can be noted and used from then on; a repository's folder in the hub's cache stands
    for its id. Raises UserError when neither folder nor snapshot can be had.
    """
    if means_toy(model):
        return _unpack_toy(), None
    path = _local(model)
    if os.path.isfile(path):
        return base_from_file(path), None
    if os.path.isdir(path):
        return cached_snapshot(path, revision)
    if not _is_hub_id(model):
        return path, None
    from jdart.models.hub.client import download, list_files

    require_repository(model)
    names, snapshot = list_files(model, revision)
    require_repository(model, names)
    wanted = _files(model, names)  # before anything large is downloaded
    if snapshot is None:
        snapshot = download(model, revision, wanted)
    return snapshot, snapshot.name


def locate_vae(name: str) -> Path:
    """The folder of base.vae: a VAE's with its config.json or a base's around it, a single file, a hub id of these.

    Raises UserError where there is none.
    """
    path = _unpack_toy() if means_toy(name) else _local(name, "base.vae")
    if os.path.isfile(path) and not _has_settings(path):
        return vae_from_file(path)
    if not os.path.exists(path) and _is_hub_id(name):
        path = _download_vae(name)
    folder = path.parent if os.path.isfile(path) else cached_snapshot(path, None)[0]
    for place in (folder, folder / "vae"):
        if (place / "config.json").is_file():
            return place
    raise UserError(f"base.vae: {name}: no VAE; name a folder with its config.json, a file, or a hub id")


def require_base(config: BaseConfig) -> None:
    """UserError for a local name that is no base model, or no VAE, in no time: nothing is fetched or written."""
    if config.vae is not None and not means_toy(config.vae):
        path = _local(config.vae, "base.vae")
        if os.path.isfile(path) and not _has_settings(path):
            require_vae(open_checkpoint(path))
        elif os.path.exists(path) or not _is_hub_id(config.vae):
            locate_vae(config.vae)
    path = Path() if means_toy(config.model) else _local(config.model)
    if os.path.isfile(path):
        kind = recognise(open_checkpoint(path))
        if config.vae is None and not kind.has_vae:
            raise UserError(f"{path}: holds no VAE; name one as base.vae")
    elif os.path.exists(path) or not _is_hub_id(config.model):
        Base(locate(config.model, config.revision)[0], config=config)
    else:
        require_repository(config.model)


def _local(name: str, setting: str = "base.model") -> Path:
    """A name as a place on the disk, which need not be there. UserError for what can be neither that nor a hub id."""
    path = Path(name).expanduser() if name.startswith("~") else Path(name)
    if not os.path.isdir(path):
        require_base_name(name, setting)
    return path


def _has_settings(path: Path) -> bool:
    """Whether a file is a VAE as diffusers keeps one, with its config.json beside it."""
    return path.name.startswith(VAE_STEMS) and (path.parent / "config.json").is_file()


def _is_hub_id(model: str) -> bool:
    return HUB_ID.fullmatch(model) is not None and not model.startswith(".")


def _files(model: str, names: Collection[str]) -> list[str]:
    """The files of a repository that a base model is read from. UserError names the part that is missing."""
    wanted = [name for name in names if SETTINGS.fullmatch(name)]
    for part, stems in PARTS.items():
        chosen = choose_weights({name.partition("/")[2] for name in names if name.startswith(f"{part}/")}, stems)
        if chosen is None:
            raise UserError(
                f"{model}: holds no weights of the {part} in diffusers' layout, as {part}/{stems[0]}.safetensors; "
                "take another repository, or download a single file and name that"
            )
        if chosen.endswith(".json"):
            stem, kind = chosen.split(".")[:2]  # the names of shards are in the index, which is not here yet
            shard = re.compile(rf"{part}/{stem}\b.*-of-.*\.{kind}")
            wanted += [name for name in names if shard.fullmatch(name)]
        wanted.append(f"{part}/{chosen}")
    return wanted


def _download_vae(name: str) -> Path:
    """The snapshot with a repository's VAE alone. UserError where it has none."""
    from jdart.models.hub.client import download, list_files

    names, snapshot = list_files(name, None)
    for prefix in ("", "vae/"):
        own = {other[len(prefix) :] for other in names if other.startswith(prefix)}
        chosen = choose_weights(own, VAE_STEMS)
        if "config.json" in own and chosen is not None and not chosen.endswith(".json"):
            return snapshot if snapshot is not None else download(name, None, [f"{prefix}config.json", prefix + chosen])
    raise UserError(f"base.vae: {name}: holds no VAE in diffusers' layout; name another, or a file")


def _unpack_toy() -> Path:
    from jdart.models.presets import write_tokenizer

    return unpack(toy_archive("jdart"), lambda folder: write_tokenizer(folder / "tokenizer"))
