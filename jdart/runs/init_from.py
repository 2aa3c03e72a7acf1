"""`lora.init_from`: the file that each LoRA of a run starts from."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from contest.disk.files import read_json, sha256
from contest.errors import UserError
from jdart.config import Config
from jdart.lora.formats.reading import load_lora
from jdart.lora.rank_by_noise import require_same_rule
from jdart.lora.start import Start, log_fresh, start_pairs
from jdart.runs.folder import PACKED, TOKEN_NAME, RunFolder

if TYPE_CHECKING:
    import numpy as np

    from jdart.models.build import Base
    from jdart.training.learner import Learner

log = logging.getLogger(__name__)


def start_file(config: Config, name: str) -> Path | None:
    """The file, or folder of PEFT, that the LoRA `name` starts from; None starts it anew.

    `{style}` in the setting stands for the name; of a run folder it is the LoRA of that name.
    """
    text = config.lora.init_from
    if text is None:
        return None
    path = Path(text.replace("{style}", name))
    run = RunFolder(path, config.train.packed)
    return run.lora(name) if run.manifest.is_file() else path


def start_hashes(config: Config, styles: Sequence[str]) -> dict[str, str]:
    """Name of a LoRA -> SHA-256 of the file that it starts from, of those that are there."""
    names = [PACKED] if config.train.packed else [style for style in styles if config.learns(style)]
    paths = {name: start_file(config, name) for name in names}
    return {name: start_hash(path) for name, path in paths.items() if path is not None and path.exists()}


def start_hash(path: Path) -> str:
    """SHA-256 over a file and the style token beside it, or over the files of PEFT's folder."""
    token = path.parent / TOKEN_NAME
    if path.is_file() and not token.is_file():
        return sha256(path)
    files = [path, token] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return hashlib.sha256("\n".join(sha256(file) for file in files).encode()).hexdigest()


def load_start(base: Base, config: Config, name: str) -> Start | None:
    """What the LoRA `name` starts from; the ranks in `config` are its own. No weights of the base are read.

    Raises UserError when the file is missing, or is not of a LoRA as `config` asks for.
    """
    from jdart.lora.merge import layer_shapes
    from jdart.models.presets import build_network

    path = start_file(config, name)
    if path is None:
        return None
    lora = load_lora(path)
    require_same_rule(lora.settings, path, config.lora.rank_by_noise)
    settings = {"unet": config.lora, "text_encoder": config.text_encoder_lora}
    pairs = {}
    for network, own in settings.items():
        shapes = layer_shapes(build_network(network, read_json(base.folder / network / "config.json")))
        pairs[network] = start_pairs(path, network, lora.pairs.get(network, {}), own, shapes)
    return Start(pairs, _words(config, path.parent / TOKEN_NAME))


def log_start(config: Config, name: str, learner: Learner, start: Start) -> None:
    """Say what of a learner does not start from the file, and what of the file is not used."""
    path = start_file(config, name)
    assert path is not None
    for network, layers in learner.adapters.items():
        log_fresh(path, network, start.pairs[network], tuple(layers))
    token = path.parent / TOKEN_NAME
    if config.token is not None and start.words is None:
        log.warning("lora.init_from: %s is not there; the token starts anew", token)
    if config.token is None and token.is_file():
        log.warning("lora.init_from: %s was trained with the token beside it, and token is not set", path)


def _words(config: Config, file: Path) -> np.ndarray | None:
    """The vectors (vectors, D) of the style token in a file, where there is one to start from."""
    from jdart.lora.token import load_token

    if config.token is None or not file.is_file():
        return None
    placeholder, vectors = load_token(file)
    if (placeholder, len(vectors)) != (config.token.placeholder, config.token.vectors):
        raise UserError(
            f"lora.init_from: {file}: its token is {placeholder} with {len(vectors)} vectors; "
            "set token.placeholder and token.vectors so, or move the file away"
        )
    return vectors
