"""A base model by name: a folder, `toy` for the one that comes along, a hub id as a pinned snapshot in its cache."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from contest.disk.shipped import means_toy, toy_archive, unpack
from contest.errors import UserError
from jdart.models.build import TEXT_STEMS, UNET_STEMS, VAE_STEMS, Base
from jdart.models.hub.architecture import require_repository
from jdart.models.hub.spelling import require_base_name
from jdart.models.weights import choose_weights

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
PARTS = {"unet": UNET_STEMS, "vae": VAE_STEMS, "text_encoder": TEXT_STEMS}
SETTINGS = re.compile(r"model_index\.json|(scheduler|tokenizer)/[^/]+|[^/]+/config\.json")


def locate(model: str, revision: str | None) -> tuple[Path, str | None]:
    """Folder and commit of a base model; a local folder has no commit.

    `toy` is the model that comes with jdart, unpacked into the user's cache. Of a hub id what is needed is downloaded:
    each part's weights as `choose_weights` chooses them from the list of the repository's files (HF_ENDPOINT,
    HF_HUB_OFFLINE and HF_HOME are respected). Without a revision the newest commit is taken, and returned so that it
    can be noted and used from then on. Raises UserError when neither folder nor snapshot can be had.
    """
    folder = Path(model)
    if means_toy(folder):
        return _unpack_toy(), None
    if model.startswith("~"):
        folder = Path(model).expanduser()
    if not os.path.isdir(folder):
        require_base_name(model)
    if os.path.isdir(folder) or not _is_hub_id(model):
        return folder, None
    from jdart.models.hub.client import download, list_files

    require_repository(model)
    names, snapshot = list_files(model, revision)
    require_repository(model, names)
    wanted = _files(model, names)  # before anything large is downloaded
    if snapshot is None:
        snapshot = download(model, revision, wanted)
    return snapshot, snapshot.name


def require_base(model: str) -> None:
    """UserError for a local name that is no base model, in no time: nothing is fetched, nothing needs Jittor."""
    if os.path.isdir(model) or not _is_hub_id(model):
        Base(locate(model, None)[0])
    else:
        require_repository(model)


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
                "take another repository, or turn it into that layout first"
            )
        if chosen.endswith(".json"):
            stem, kind = chosen.split(".")[:2]  # the names of shards are in the index, which is not here yet
            shard = re.compile(rf"{part}/{stem}\b.*-of-.*\.{kind}")
            wanted += [name for name in names if shard.fullmatch(name)]
        wanted.append(f"{part}/{chosen}")
    return wanted


def _unpack_toy() -> Path:
    from jdart.models.presets import write_tokenizer

    return unpack(toy_archive("jdart"), lambda folder: write_tokenizer(folder / "tokenizer"))
