"""Captions on their way into a batch: varied where the settings ask for it, and encoded as seldom as possible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import jittor as jt
import numpy as np

from jdart.config import DataConfig
from jdart.models.build import Base
from jdart.models.encode import encode_text
from jdart.training.examples import Examples


def vary(caption: str, settings: DataConfig, rng: np.random.Generator) -> str:
    """Empty with probability `caption_dropout`, else its parts between commas shuffled if asked for."""
    if rng.random() < settings.caption_dropout:
        return ""
    if not settings.caption_shuffle:
        return caption
    parts = [part.strip() for part in caption.split(",")]
    kept, rest = parts[: settings.caption_keep], parts[settings.caption_keep :]
    return ", ".join([*kept, *(rest[i] for i in rng.permutation(len(rest)))])


class Texts:
    """Captions -> the context of the UNet (B, 77, D).

    While the text encoder is frozen each caption is encoded once, by itself or with the examples: what a caption
    becomes does not depend on the batch it first came in. Otherwise only its tokens are kept.
    """

    def __init__(self, base: Base, frozen: bool, known: Iterable[Examples]):
        self.base, self.frozen = base, frozen
        self._kept: dict[str, np.ndarray] = {}  # caption -> 77,D context, or 77 tokens
        for examples in known:
            if frozen and examples.contexts is not None:
                for caption, context in zip(examples.captions, examples.contexts):
                    self._kept.setdefault(str(caption), context)

    def __call__(self, captions: Sequence[str]) -> jt.Var:
        for caption in captions:
            if caption not in self._kept:
                tokens = self.base.tokens([caption])
                self._kept[caption] = (encode_text(self.base, tokens) if self.frozen else tokens)[0]
        rows = jt.array(np.stack([self._kept[caption] for caption in captions]))
        return rows if self.frozen else self.base.text_encoder(rows)
