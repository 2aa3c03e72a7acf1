"""The extractors that are networks: which files, which preprocessing, which features.

The networks themselves (backbones/) are loaded when the first picture or text comes that is not in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from evaluator.arithmetic import arithmetic
from evaluator.extractors.base import Arrays, ComparingExtractor, Extractor, Setting, unit
from evaluator.extractors.processor import read_processor
from evaluator.inputs.images import to_bytes_as_float, to_processed, to_square, to_tensor_processed, to_unit
from evaluator.weights import folder as files

if TYPE_CHECKING:
    from evaluator import backbones

LPIPS_SIDE = 256
_CONVERSIONS = {"pil": to_processed, "tensor": to_tensor_processed}


class _Network(Extractor):
    def exactly(self) -> AbstractContextManager[None]:
        return arithmetic(self.device, self.precision)


class _Processed(_Network):
    """A network that takes what its folder's preprocessor_config.json makes of a picture."""

    def __init__(self, setting: Setting, **settings: str) -> None:
        super().__init__(setting, processor=setting.profile.processor, **settings)
        self._folder = setting.weights.root / self.files[0]
        self._processor = read_processor(self._folder / "preprocessor_config.json")
        self._convert = _CONVERSIONS[setting.profile.processor]

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return self._convert(pixels, self._processor)


class Dino(_Processed):
    """DINOv2's class token, N,768 float32."""

    name = "dinov2"
    sees_references = True
    files = (files.DINO,)

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, positions=setting.profile.positions)
        self._positions = setting.profile.positions

    @cached_property
    def _network(self) -> backbones.dinov2.DinoV2:
        from evaluator.backbones.dinov2 import DinoV2

        return DinoV2(self._folder, self._processor.crop, self._positions, self.device)

    def notes(self, prepared: Sequence[np.ndarray], references: Arrays | None = None) -> np.ndarray:
        return self._network.features(np.stack(prepared))

    def keep(self, notes: np.ndarray) -> Arrays:
        """The mean of the references' directions: all that a mean over pairs needs."""
        return {"direction": unit(notes).mean(axis=0)}


class Clip(_Processed):
    """CLIP ViT-L/14's features of pictures and texts, N,768 float32, not normalised."""

    name = "clip"
    at_once = 3  # as fast as four, with less beside the weights
    alone = True  # 1.2 GB, more than all the others
    files = (files.CLIP,)

    @cached_property
    def _network(self) -> backbones.clip.ClipImages:
        from evaluator.backbones.clip import ClipImages

        return ClipImages(self._folder, self._processor.crop, self.device)

    def notes(self, prepared: Sequence[np.ndarray], references: Arrays | None = None) -> np.ndarray:
        return self._network.features(np.stack(prepared))

    def text_notes(self, texts: Sequence[str]) -> np.ndarray:
        from evaluator.backbones.clip import ClipTexts

        return ClipTexts(self._folder, self.device).features(texts)  # half a gigabyte that is needed once


class Rn50(_Network):
    """CLIP RN50's features of pictures at their own size and of texts, N,1024 float32, not normalised.

    Pixels enter as 0..255, not as 0..1: the checker's quirk, and part of the metric.
    """

    name = "rn50"
    at_once = 1
    files = (files.RN50, f"{files.CLIP}/vocab.json", f"{files.CLIP}/merges.txt")

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._archive = setting.weights.files[files.RN50]
        self._tokenizer = setting.weights.root / files.CLIP

    @cached_property
    def _network(self) -> backbones.rn50.Rn50Images:
        from evaluator.backbones.rn50 import Rn50Images

        return Rn50Images(self._archive, self.device)

    def notes(self, prepared: Sequence[np.ndarray], references: Arrays | None = None) -> np.ndarray:
        return self._network.features(np.stack([self._convert(pixels) for pixels in prepared]))

    def text_notes(self, texts: Sequence[str]) -> np.ndarray:
        from evaluator.backbones.rn50 import Rn50Texts

        return Rn50Texts(self._archive, self._tokenizer, self.device).features(texts)

    def _convert(self, pixels: np.ndarray) -> np.ndarray:
        return to_bytes_as_float(pixels)


class UnitRn50(Rn50):
    """The same with pixels in 0..1, as CLIP was trained."""

    name = "rn50_unit"

    def _convert(self, pixels: np.ndarray) -> np.ndarray:
        return to_unit(pixels)


class Inception(_Network):
    """64 features of FID's Inception stem, N,64 float32."""

    name = "inception"
    sees_references = True
    files = (files.INCEPTION,)

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, resize=setting.profile.fid_resize)
        self._path, self._resize = setting.weights.files[files.INCEPTION], setting.profile.fid_resize

    @cached_property
    def _network(self) -> backbones.inception.InceptionStem:
        from evaluator.backbones.inception import InceptionStem

        return InceptionStem(self._path, self._resize, self.device)

    def notes(self, prepared: Sequence[np.ndarray], references: Arrays | None = None) -> np.ndarray:
        return self._network.features(np.stack(prepared))

    def keep(self, notes: np.ndarray) -> Arrays:
        """The features themselves, 64 numbers a picture: KID needs more than their mean and covariance."""
        return {"features": notes}


class Squeezenet(_Network, ComparingExtractor):
    """LPIPS distance to a style's references, N float64: feature maps are far too large to be kept."""

    name = "squeezenet"
    files = (files.SQUEEZENET, files.HEADS)

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._paths = (setting.weights.files[files.SQUEEZENET], setting.weights.files[files.HEADS])

    @cached_property
    def _network(self) -> backbones.squeezenet.SqueezeNet:
        from evaluator.backbones.squeezenet import SqueezeNet

        return SqueezeNet(*self._paths, self.device)

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return to_square(pixels, LPIPS_SIDE)

    def notes(self, prepared: Sequence[np.ndarray], references: Arrays | None = None) -> np.ndarray:
        if references is None:
            raise ValueError("LPIPS needs the style's references")
        maps = [references[f"map{place}"] for place in range(len(references) - 1)]
        return self._network.distances(np.stack(prepared), maps, float(references["energy"]))

    def sums(self, prepared: Sequence[np.ndarray]) -> backbones.squeezenet.Sums:
        return self._network.sums(np.stack(prepared))

    def keep_sums(self, sums: backbones.squeezenet.Sums) -> Arrays:
        """The references' mean maps (8.8 MB) and mean energy."""
        maps = {
            f"map{place}": np.ascontiguousarray(total / sums.count, np.float32) for place, total in enumerate(sums.maps)
        }
        return {**maps, "energy": np.array(sums.energy / sums.count)}
