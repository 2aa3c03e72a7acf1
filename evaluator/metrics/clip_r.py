"""CLIP-R: is the object a picture is named after among the five that CLIP ViT-L/14 finds likeliest?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from evaluator.backbones.clip import Clip
from evaluator.metrics.base import Batch, Figures, Metric

TOP = 5


@dataclass(frozen=True)
class Ranking:
    """Where a picture's own name came (1 is first) and the five names before all others."""

    rank: int
    top: tuple[str, ...]

    @property
    def correct(self) -> bool:
        return self.rank <= TOP


def read_vocabulary() -> tuple[str, ...]:
    """The contest's 215 distinct nouns in lower case, sorted.

    Source: `clip_r_prompts.txt`, where one is listed twice.
    """
    lines = files("evaluator").joinpath("clip_r_vocabulary.txt").read_text("utf-8").splitlines()
    return tuple(sorted({line.strip().lower() for line in lines}))


def name_of(file_name: str) -> str:
    """The object a picture is named after: its file name up to the first dot, in lower case."""
    return file_name.split(".")[0].lower()


def logits_to_ranking(logits: np.ndarray, texts: tuple[str, ...], own: str) -> Ranking:
    """T logits of `texts` (sorted), one of which is `own` -> its ranking.

    Softmax keeps the order, so it is left out. The checker's order among equals is that of a Python set,
    which is arbitrary; here it is the alphabet's.
    """
    order = np.argsort(-logits, kind="stable")
    ranked = [texts[place] for place in order]
    return Ranking(ranked.index(own) + 1, tuple(ranked[:TOP]))


class ClipR(Metric):
    """Right pictures over all pictures, styles pooled. Source: `clip_r_api.py`, `score_api.py`.

    A picture's candidates are the vocabulary and its own name; every text is encoded once, for all pictures.
    """

    key = "clip_r"

    def __init__(self, network: Clip, file_names: Iterable[str]) -> None:
        self._network = network
        self._vocabulary = set(read_vocabulary())
        self._texts = tuple(sorted(self._vocabulary | {name_of(name) for name in file_names}))
        self._text_features = _unit(network.text_features(self._texts))
        self._images: dict[str, dict[str, Ranking]] = defaultdict(dict)

    def see_outputs(self, batch: Batch) -> None:
        logits = self._network.scale * _unit(self._network.features(batch.pixels)) @ self._text_features.T
        for name, row in zip(batch.names, logits):
            own = name_of(name)
            kept = [place for place, text in enumerate(self._texts) if text in self._vocabulary or text == own]
            texts = tuple(self._texts[place] for place in kept)
            self._images[batch.style][name] = logits_to_ranking(row[kept], texts, own)

    def figures(self) -> Figures:
        everything = [ranking.correct for rankings in self._images.values() for ranking in rankings.values()]
        return Figures(
            total=sum(everything) / len(everything),
            styles={
                style: {self.key: sum(ranking.correct for ranking in rankings.values()) / len(rankings)}
                for style, rankings in self._images.items()
            },
            images={
                style: {
                    name: {
                        "clip_r_correct": ranking.correct,
                        "clip_r_rank": ranking.rank,
                        "clip_r_top5": list(ranking.top),
                    }
                    for name, ranking in rankings.items()
                }
                for style, rankings in self._images.items()
            },
        )


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.linalg.norm(features, axis=1, keepdims=True)
