"""CLIP-R: is the object a picture is named after among the five that CLIP ViT-L/14 finds likeliest?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from evaluator.extractors.base import unit
from evaluator.metrics.base import Figures, Metric, Seen, Texts

TOP = 5


@dataclass(frozen=True)
class Ranking:
    """Where a picture's own name came (1 is first) and the five names before all others."""

    rank: int
    top: tuple[str, ...]

    @property
    def correct(self) -> bool:
        return self.rank <= TOP


@lru_cache(maxsize=1)
def read_vocabulary() -> tuple[str, ...]:
    """The contest's 215 distinct nouns in lower case, sorted.

    Source: `clip_r_prompts.txt`, where one is listed twice.
    """
    lines = files("evaluator").joinpath("clip_r_vocabulary.txt").read_text("utf-8").splitlines()
    return tuple(sorted({line.strip().lower() for line in lines}))


def name_of(file_name: str) -> str:
    """The object a picture is named after: its file name up to the first dot, in lower case."""
    return file_name.split(".")[0].lower()


def cosines_to_ranking(cosines: np.ndarray, texts: Sequence[str], own: str) -> Ranking:
    """T cosines of `texts` (sorted), one of which is `own` -> its ranking.

    Neither softmax nor the logit scale changes the order, so they are left out. The checker's order among
    equals is that of a Python set, which is arbitrary; here it is the alphabet's.
    """
    order = np.argsort(-cosines, kind="stable")
    ranked = [texts[place] for place in order]
    return Ranking(ranked.index(own) + 1, tuple(ranked[:TOP]))


class ClipR(Metric):
    """Right pictures over all pictures, styles pooled. Source: `clip_r_api.py`, `score_api.py`.

    A picture's candidates are the vocabulary and its own name.
    """

    key = "clip_r"
    extractor = "clip"

    def texts(self, file_names: Iterable[str]) -> Sequence[str]:
        return sorted({*read_vocabulary(), *map(name_of, file_names)})

    def figures(self, styles: Mapping[str, Seen], texts: Texts) -> Figures:
        rankings = {
            style: {name: _rank(row, name_of(name), texts) for name, row in zip(seen.names, unit(seen.notes))}
            for style, seen in styles.items()
        }
        everything = [ranking.correct for table in rankings.values() for ranking in table.values()]
        return Figures(
            total=sum(everything) / len(everything),
            styles={
                style: {self.key: sum(ranking.correct for ranking in table.values()) / len(table)}
                for style, table in rankings.items()
            },
            images={
                style: {
                    name: {
                        "clip_r_correct": ranking.correct,
                        "clip_r_rank": ranking.rank,
                        "clip_r_top5": list(ranking.top),
                    }
                    for name, ranking in table.items()
                }
                for style, table in rankings.items()
            },
        )


def _rank(image: np.ndarray, own: str, texts: Texts) -> Ranking:
    candidates = sorted({*read_vocabulary(), own})
    return cosines_to_ranking(unit(np.stack([texts[text] for text in candidates])) @ image, candidates, own)
