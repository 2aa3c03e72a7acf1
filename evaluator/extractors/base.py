"""What an extractor is: it notes a few numbers of a picture, from which metrics make figures.

Notes depend on the picture, the weights, the preprocessing and this code, and on nothing else: that is what
makes them worth keeping (cache.py). Nothing here loads a network before a picture has to be looked at.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import metadata
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from evaluator.profiles import Profile
    from evaluator.weights.folder import Weights

Arrays = dict[str, np.ndarray]

_LIBRARIES = ("torch", "numpy", "pillow", "tokenizers")


@dataclass(frozen=True)
class Setting:
    """What all extractors of one scoring share: the weights with their hashes, the profile, where and how exactly."""

    weights: Weights
    hashes: Mapping[str, str]
    profile: Profile
    device: str = "cpu"
    precision: str = "float32"


class Extractor(ABC):
    """One network's, or no network's, view of pictures.

    `files` are the weights it reads (or the folders they lie in). `recipe` says what the notes mean: those files by
    hash, preprocessing, precision. `identity` is a hash over the recipe, the device, this code and the libraries: notes
    of equal identity may stand in for each other.
    """

    name: str
    files: tuple[str, ...] = ()
    sees_references = False
    at_once = 4  # pictures per forward pass on a CPU, where more would fall out of its caches
    alone = False  # its network is so large that it should not share the memory with the others

    def __init__(self, setting: Setting, **settings: Any) -> None:
        own = {name: digest for name, digest in setting.hashes.items() if self._reads(name)}
        self.recipe = {"extractor": self.name, "files": own, "precision": setting.precision, **settings}
        self.device, self.precision = setting.device, setting.precision

    @cached_property
    def identity(self) -> str:
        """Hexadecimal SHA-256."""
        parts = [self.recipe, self.device, _code_version()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _reads(self, file: str) -> bool:
        return any(file == own or file.startswith(f"{own}/") for own in self.files)

    def exactly(self) -> AbstractContextManager[None]:
        """The arithmetic in which notes are to be taken."""
        return nullcontext()

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """H,W,3 uint8 RGB -> what the network takes of one picture. Called in threads."""
        return pixels

    def release(self) -> None:
        """Forget the network; the next picture loads it again."""
        self.__dict__.pop("_network", None)

    @abstractmethod
    def notes(self, prepared: Sequence[np.ndarray], references: Arrays | None = None) -> np.ndarray:
        """N prepared pictures of one size -> N,...

        `references` is what was kept of the style's; given only to a ComparingExtractor.
        """

    def keep(self, notes: np.ndarray) -> Arrays:
        """What is kept of a style's references, from the notes of all of them. Only where `sees_references`."""
        raise NotImplementedError(f"{self.name} does not look at references")

    def text_notes(self, texts: Sequence[str]) -> np.ndarray:
        """N texts -> N,D features. Only extractors with a text tower have it."""
        raise NotImplementedError(f"{self.name} reads no text")


class ComparingExtractor(Extractor):
    """One whose notes of a picture are large, so that what is noted of outputs is how they compare with references.

    Of references only sums are taken, batch by batch.
    """

    sees_references = True

    @abstractmethod
    def sums(self, prepared: Sequence[np.ndarray]) -> Any:
        """N prepared references -> what can be added up with `+`."""

    @abstractmethod
    def keep_sums(self, sums: Any) -> Arrays:
        """What is kept of a style's references, from the sum over all of them."""


def unit(features: np.ndarray) -> np.ndarray:
    """N,D -> N,D float64 of unit length; torch's cosine_similarity keeps lengths away from zero by as much."""
    wide = features.astype(np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-8)


@lru_cache(maxsize=1)
def _code_version() -> dict[str, str]:
    """Hash of the source that notes come from, and the versions of the libraries below it."""
    package = files("evaluator")
    sources = [package / "inputs" / "images.py"]
    for folder in ("backbones", "extractors"):
        sources += sorted(
            (item for item in (package / folder).iterdir() if item.name.endswith(".py")), key=lambda item: item.name
        )
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    return {"code": digest, **{name: metadata.version(name) for name in _LIBRARIES}}
