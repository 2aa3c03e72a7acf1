"""Networks whose LoRAs' ranks fall with the noise (`jdart.lora.rank_by_noise`).

No fixed weights do that: the UNet tells its timesteps, and what is adapted follows them, in training by a mask on the
ranks of each picture, in drawing by weights that are set anew where a rank changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jittor as jt
import numpy as np

from contest.errors import UserError
from jdart.config.sections.lora import RankByNoise
from jdart.lora.merge import layer_shapes
from jdart.lora.pairs import LoraPair, addition, coverage, require_fit
from jdart.lora.rank_by_noise import rank_at
from jdart.models.paths import at


class NoiseRanks:
    """The masks of adapters in training: each picture of a batch has a noise level, and so a rank, of its own."""

    def __init__(self, rule: RankByNoise, count: int):
        self.rule, self.count = rule, count
        self.heed(np.zeros(0))

    def heed(self, timesteps: np.ndarray) -> None:
        """Take the timesteps (B,) of the call that is to come."""
        self.timesteps = timesteps
        self.masks: dict[int, jt.Var] = {}

    def mask(self, rank: int) -> jt.Var:
        """(B, rank) float32: 1 for the ranks that count, 0 for the others."""
        if rank not in self.masks:
            kept = rank_at(self.rule, rank, self.timesteps, self.count)
            self.masks[rank] = jt.array((np.arange(rank) < kept[:, None]).astype(np.float32)).stop_grad()
        return self.masks[rank]


@contextmanager
def masked(unet: Any, adapters: Mapping[str, Any], rule: RankByNoise | None, count: int) -> Iterator[None]:
    """Within it the ranks of the UNet's `adapters` fall with the noise; nothing changes without a rule."""
    if rule is None:
        yield
        return
    ranks = NoiseRanks(rule, count)
    try:
        for adapter in adapters.values():
            adapter.ranks = ranks
        with _told(unet, ranks):
            yield
    finally:
        for adapter in adapters.values():
            adapter.ranks = None


@dataclass(frozen=True)
class Falling:
    """Pairs of a LoRA file by the UNet's layers, how much of them is added, and the rule of their ranks."""

    path: Path
    pairs: Mapping[str, LoraPair]
    weight: float
    rule: RankByNoise


@contextmanager
def merged_by_noise(unet: Any, loras: Sequence[Falling], count: int) -> Iterator[None]:
    """Add LoRAs to the UNet's weights, to each call's as its timestep says; the very same weights are back afterwards.

    A call is at one timestep. UserError names the file that does not fit, before anything is changed.
    """
    if not loras:
        yield
        return
    shapes = layer_shapes(unet)
    parts: dict[str, list[tuple[Falling, jt.Var, jt.Var]]] = {}
    for lora in loras:
        try:
            require_fit(coverage(shapes, lora.pairs))
            for name, pair in lora.pairs.items():
                addition(name, pair, lora.weight)  # all ranks at once: none of the sums is too large
        except UserError as error:
            raise UserError(f"{lora.path}: {error}") from error
        for name, pair in lora.pairs.items():
            a, b = pair.a.reshape(pair.rank, -1), lora.weight * pair.scale * pair.b.reshape(-1, pair.rank)
            parts.setdefault(name, []).append((lora, jt.array(a), jt.array(np.asarray(b, np.float32))))
    layers = {name: at(unet, name) for name in parts}  # as they are now: something may be put around them later
    plain = {name: layer.weight for name, layer in layers.items()}
    try:
        with _told(unet, _Weights(layers, parts, plain, count)):
            yield
    finally:
        for name, weight in plain.items():
            layers[name].weight = weight


class _Weights:
    """The weights of a UNet's layers at a noise level. They are computed anew where a rank is another."""

    def __init__(self, layers: Mapping[str, Any], parts: Mapping[str, Any], plain: Mapping[str, jt.Var], count: int):
        self.layers, self.parts, self.plain, self.count = layers, parts, plain, count
        self.ranks: dict[str, list[int]] = {}

    def heed(self, timesteps: np.ndarray) -> None:
        levels = set(np.asarray(timesteps).tolist())
        if len(levels) != 1:
            raise ValueError(f"timesteps {sorted(levels)} in one call; weights that follow the noise take one")
        level = levels.pop()
        for name, own in self.parts.items():
            ranks = [int(rank_at(lora.rule, len(a), level, self.count)) for lora, a, _ in own]
            if ranks != self.ranks.get(name):
                self.ranks[name] = ranks
                self._set(name, own, ranks)

    def _set(self, name: str, own: Sequence[tuple[Falling, jt.Var, jt.Var]], ranks: Sequence[int]) -> None:
        weight = self.plain[name].float32()
        for (_, a, b), rank in zip(own, ranks):
            weight = weight + jt.matmul(b[:, :rank], a[:rank]).reshape(weight.shape)
        self.layers[name].weight = weight.stop_grad()


@contextmanager
def _told(unet: Any, listener: Any) -> Iterator[None]:
    """Within it the UNet tells `listener` the timesteps of every call before it."""
    unet.listeners.append(listener)
    try:
        yield
    finally:
        unet.listeners.remove(listener)
