"""What no picture of a style can pass, where the references decide it: kept in the cache, for LPIPS' needs torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from evaluator.analysis.cells import BOUNDED
from evaluator.extractors.base import Extractor
from evaluator.metrics.base import Metric
from evaluator.scoring.cache import Cache, key_of
from evaluator.scoring.viewer import Kept, digest_of

_MEANING = "DINO at most |mean|, LPIPS at least mean w|b|^2 - w|mean|^2"  # part of its key


def find_bounds(
    metrics: Iterable[Metric], extractors: Mapping[str, Extractor], kept: Kept, styles: Sequence[str], cache: Cache
) -> dict[str, dict[str, float]]:
    """Style -> each of `BOUNDED` -> the best figure there is, from what is kept of the style's references."""
    bounded = [metric for metric in metrics if metric.key in BOUNDED]
    keys = {}
    for style in styles:
        own = ((extractors[metric.extractor].identity, kept[metric.extractor][style]) for metric in bounded)
        keys[style] = key_of("bounds", _MEANING, *(part for name, arrays in own for part in (name, digest_of(arrays))))
    known = cache.get_arrays(keys.values())
    fresh = {
        keys[style]: {metric.key: np.array(metric.bound(kept[metric.extractor][style])) for metric in bounded}
        for style in styles
        if keys[style] not in known
    }
    cache.put_arrays("bounds", fresh)
    found = {**known, **fresh}
    return {style: {key: float(value) for key, value in found[keys[style]].items()} for style in styles}
