"""Extractors by name. Importing them loads no network and no torch."""

from __future__ import annotations

from collections.abc import Iterable

from evaluator.extractors.base import Extractor, Setting
from evaluator.extractors.histograms import Histograms, TrueHistograms
from evaluator.extractors.networks import Clip, Dino, Inception, Rn50, Squeezenet, UnitRn50

EXTRACTORS: dict[str, type[Extractor]] = {
    kind.name: kind for kind in (Dino, Histograms, TrueHistograms, Inception, Squeezenet, Rn50, UnitRn50, Clip)
}


def build_extractors(names: Iterable[str], setting: Setting) -> dict[str, Extractor]:
    """The extractors of these names. Raises UserError for settings in the weights folder that do not fit."""
    return {name: EXTRACTORS[name](setting) for name in dict.fromkeys(names)}
