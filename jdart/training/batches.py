"""Which examples make up a micro-batch: a pure function of its number, so that a run can begin anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jdart.config import Config
from jdart.data.seeds import rng_for
from jdart.training.captions import vary
from jdart.training.examples import Examples


@dataclass(frozen=True)
class Batch:
    """Rows of a micro-batch: the style's pictures first (`instances` of them), then those of the prior."""

    means: np.ndarray  # B,4,h,w float32: of the latents
    deviations: np.ndarray  # B,4,h,w float32
    captions: tuple[str, ...]
    instances: int


def make_batch(config: Config, style: str, instance: Examples, prior: Examples | None, number: int) -> Batch:
    """Micro-batch `number` of the run.

    With a prior weight it holds as many prior as instance pictures; with a mixture it holds `batch_size` in all, of
    which the prior has its share exactly, counted over the run. Captions of the prior are never varied: they are the
    prompts its pictures were drawn from.
    """
    size, share = config.train.batch_size, config.prior.mixture
    count = number * size + np.arange(size)  # of pictures since the run began
    shuffled = config.train.packed
    if prior is None:
        rows = _order(count, len(instance), shuffled, "queue", config.seed, style)
        return _gather(config, style, number, (instance, rows))
    mixed = shuffled or config.prior.pool == "shared"  # else the first style's pictures would come first
    key = (config.seed, style)
    if share == 0:
        parts = (count, count)
    else:
        before = np.floor(count * share + 1e-9).astype(np.int64)  # prior pictures until then
        taken = np.floor((count + 1) * share + 1e-9).astype(np.int64) > before
        parts = ((count - before)[~taken], before[taken])
    return _gather(
        config,
        style,
        number,
        (instance, _order(parts[0], len(instance), shuffled, "queue", *key)),
        (prior, _order(parts[1], len(prior), mixed, "prior queue", *key)),
    )


def _order(count: np.ndarray, length: int, shuffled: bool, *key: str | int) -> np.ndarray:
    """The row that each turn takes: round and round, in a new order each round if `shuffled`."""
    if not shuffled:
        return count % length
    orders = {turn: rng_for(*key, int(turn)).permutation(length) for turn in np.unique(count // length)}
    return np.array([orders[turn][row] for turn, row in zip(*np.divmod(count, length))], np.int64)


def _gather(config: Config, style: str, number: int, *parts: tuple[Examples, np.ndarray]) -> Batch:
    instance, rows = parts[0]
    rng = rng_for("caption", config.seed, style, number)
    captions = [vary(str(caption), config.data, rng) for caption in instance.captions[rows]]
    for examples, others in parts[1:]:
        captions += [str(caption) for caption in examples.captions[others]]
    return Batch(
        np.concatenate([examples.means[rows] for examples, rows in parts]),
        np.concatenate([examples.deviations[rows] for examples, rows in parts]),
        tuple(captions),
        len(rows),
    )
