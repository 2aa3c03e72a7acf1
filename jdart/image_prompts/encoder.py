"""What an image encoder sees in pictures: CLIP's vision model with its projection, or DINOv2, on PyTorch's CPU.

Pictures go through the encoder's own preprocessing: the shorter side to its size, bicubic, the centre cut out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from contest.disk.files import read_json, sha256
from contest.errors import UserError, first_line, needs
from jdart.config import IPAdapterConfig
from jdart.generation.notes import pixels_hash
from jdart.models.weights import weight_files

STEMS = ("model", "pytorch_model")
KINDS = {"clip": ("clip_vision_model", "clip"), "dino": ("dinov2",)}  # model_type of a config.json
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
PREPROCESSING = "preprocessor_config.json"
LARGEST = 1 << 14  # of an encoder's sizes


class ImageEncoder:
    """A folder in transformers' layout. Its network is read when it is first needed; each picture is looked at once."""

    def __init__(self, folder: Path, kind: str):
        """UserError where the folder is none of an encoder of this kind, "clip" or "dino"."""
        self.folder, self.kind = folder, kind
        if not (folder / "config.json").is_file():
            raise UserError(
                f"generate.ip_adapter.image_encoder: {folder}: no folder of an image encoder (no config.json); name one"
            )
        self.config = read_json(folder / "config.json")
        found = self.config.get("model_type") if isinstance(self.config, dict) else None
        if found not in KINDS[kind]:
            raise UserError(f"{folder}: its config.json is of {found!r}, not {KINDS[kind][0]!r}; name another folder")
        self.files = weight_files(folder, STEMS)
        self._seen: dict[tuple[str | None, bool], np.ndarray] = {}

    @cached_property
    def identity(self) -> str:
        """SHA-256 over the hashes of the weight files."""
        return hashlib.sha256("\n".join(map(sha256, self.files)).encode()).hexdigest()

    def features(self, picture: np.ndarray | None, hidden: bool) -> np.ndarray:
        """A picture (H, W, 3) uint8 -> (N, C) float32 of all places where `hidden`, else one vector (C,).

        CLIP's places are those of the last layer but one, its vector is projected; DINOv2's are those of its last norm,
        its vector is the first of them. None is the unconditional picture: zeros to the network, or a zero vector.
        """
        key = None if picture is None else pixels_hash(picture), hidden
        if key not in self._seen:
            if picture is None and not hidden:
                self._seen[key] = np.zeros(self.width(hidden), np.float32)
            else:
                self._seen[key] = self._run(self._pixels(picture), hidden)
        return self._seen[key]

    def width(self, hidden: bool) -> int:
        """Numbers of a feature."""
        if self.kind == "dino" or hidden:
            return self._size("hidden_size")
        return self._size("projection_dim", self.config, 512)

    def _size(self, key: str, first: Mapping[str, Any] = MappingProxyType({}), otherwise: int | None = None) -> int:
        """A size out of config.json: of `first`, or of its vision model. UserError for none."""
        vision = self.config.get("vision_config", self.config)
        value = {**(vision if isinstance(vision, dict) else {}), **first}.get(key, otherwise)
        if type(value) is not int or not 0 < value <= LARGEST:
            raise UserError(f"{self.folder}: its config.json says {key}: {value!r}; fetch it again")
        return value

    def _run(self, pixels: np.ndarray, hidden: bool) -> np.ndarray:
        import torch

        with torch.inference_mode():
            seen = self._network(torch.from_numpy(pixels[None]), output_hidden_states=hidden and self.kind == "clip")
            if self.kind == "clip":
                found = seen.hidden_states[-2] if hidden else seen.image_embeds
            else:
                found = seen.last_hidden_state if hidden else seen.last_hidden_state[:, 0]
            return found[0].float().numpy()

    def _pixels(self, picture: np.ndarray | None) -> np.ndarray:  # 3,side,side
        with needs("eval"):
            from evaluator.inputs.images import to_tensor_processed
        if picture is None:
            return np.zeros((3, *self._processor.crop), np.float32)
        return to_tensor_processed(picture, self._processor).astype(np.float32)

    @property
    def _processor(self) -> Any:
        """As the folder says; where it says nothing, as public IP-Adapters have it, CLIP's."""
        with needs("eval"):
            from evaluator.extractors.processor import read_processor
            from evaluator.inputs.images import Processor
        path = self.folder / PREPROCESSING
        if path.is_file() or self.kind == "dino":
            return read_processor(path)
        side = self._size("image_size")
        return Processor(side, (side, side), np.array(CLIP_MEAN, np.float32), np.array(CLIP_STD, np.float32))

    @cached_property
    def _network(self) -> Any:
        """UserError when its weights are not all there."""
        with needs("train"):
            import transformers
            from transformers import CLIPVisionModelWithProjection, Dinov2Model
        model = {"clip": CLIPVisionModelWithProjection, "dino": Dinov2Model}[self.kind]
        try:
            with _silent(transformers.logging):
                network, told = model.from_pretrained(self.folder, output_loading_info=True, local_files_only=True)
        except Exception as error:  # transformers raises whatever a damaged file provokes
            why = first_line(error)
            raise UserError(f"{self.folder}: not a readable image encoder ({why}); fetch it again") from error
        lacking = sorted(map(str, [*told["missing_keys"], *told["mismatched_keys"]]))
        if lacking:
            some = ", ".join(lacking[:5])
            raise UserError(f"{self.folder}: its weights lack {len(lacking)} tensors ({some}); fetch it again")
        return network.eval().float()


@contextmanager
def _silent(logging: Any) -> Iterator[None]:
    """Without transformers' bar and its report of tensors: what matters of it is told in one line."""
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


@lru_cache(maxsize=1)
def open_encoder(folder: Path, kind: str) -> ImageEncoder:
    """The encoder of a folder, kept until another one is asked for."""
    return ImageEncoder(folder, kind)


def encoder_folder(settings: IPAdapterConfig, weights: str | None) -> Path:
    """Where the image encoder is; `weights` are the evaluator's (score.weights), among which is a DINOv2."""
    if settings.image_encoder is not None:
        return Path(settings.image_encoder)
    if settings.encoder == "clip":
        return Path(str(settings.weights)).parent / "image_encoder"
    if weights is None:
        raise UserError("generate.ip_adapter.image_encoder: name the folder of a DINOv2, or set score.weights")
    with needs("eval"):
        from evaluator.weights.folder import DINO, find_weights
    return find_weights(Path(weights)) / DINO
