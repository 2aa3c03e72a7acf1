"""What a name means that was given for a base model and is none: what it probably is, and how to write it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from contest.disk.files import is_lfs_pointer
from contest.errors import UserError
from jdart.models.single_file.checkpoint import ENDINGS

_HUB_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co|hf-mirror\.com)/(?:models/)?([\w.-]+/[\w.-]+)"
    r"(?:/(?:tree|blob|resolve|commit)/([^/?#]+))?.*|hf://(?:models/)?([\w.-]+/[\w.-]+).*"
)


def require_base_name(model: str, setting: str = "base.model") -> None:
    """Raise UserError for a web address, a file of no checkpoint and the like, given as `setting`.

    Other names may be a folder, a single file or a repository.
    """
    said = model if setting == "base.model" else f"{setting}: {model}"
    page = _HUB_PAGE.fullmatch(model)
    if page is not None:
        name = page[1] if page[3] is None else page[3]
        revision = "" if page[2] in (None, "main") else f" and base.revision: {page[2]}"
        raise UserError(f"{said}: an address; write {setting}: {name}{revision}")
    if "://" in model:
        raise UserError(f"{said}: an address; download it, and name the folder or file")
    path = Path(model).expanduser() if model.startswith("~/") else Path(model)
    if not os.path.isfile(path):
        if path.suffix.lower() in ENDINGS:
            raise UserError(f"{said}: no such file; mend the name, or name a folder in diffusers' layout")
    elif path.suffix.lower() not in ENDINGS:
        if _is_base(path.parent):
            raise UserError(f"{said}: a file of a base model; name its folder: {path.parent}")
        raise UserError(f"{said}: neither a folder nor a checkpoint ({', '.join(ENDINGS)}); name one of these")


def why_no_base(folder: Path, absent: list[str]) -> str:
    """What is the matter with a folder in which `absent` were not found, and what to do."""
    if absent == ["vae/config.json"]:
        return "holds no VAE; name one as base.vae"
    if _is_base(folder.parent):
        return f"one part of a base model; name the folder around it: {folder.parent}"
    inside = sorted(path.parent.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/unet/config.json"))
    if inside:
        return f"holds a base model, and is none; name it: {inside[0]}"
    return f"not a diffusers folder, {', '.join(absent)} not found; fetch it again, or name another"


def pointers(folder: Path) -> list[Path]:
    """The files of a base model that are Git LFS pointers: a line or two of text in place of what they stand for."""
    return [path for path in sorted(folder.glob("*/*")) if is_lfs_pointer(path)]


def _is_base(folder: Path) -> bool:
    return (folder / "unet" / "config.json").is_file() and (folder / "text_encoder" / "config.json").is_file()
