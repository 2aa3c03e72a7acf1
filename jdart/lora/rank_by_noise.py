"""LoRAs whose rank falls as the noise rises, so that few ranks decide what is drawn and all of them how it looks.

Source: Soboleva et al., T-LoRA, 2507.05964: at timestep t of T the first r_min + floor((r - r_min) (1 - t/T)^alpha)
ranks count. No fixed weights do that: the UNet tells its timesteps, and what is adapted follows them, in training by a
mask on the ranks of each picture, in drawing by weights that are set anew where a rank changes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jittor as jt
import numpy as np

from contest.errors import UserError
from jdart.config.sections.lora import RankByNoise
from jdart.lora.merge import layer_shapes
from jdart.lora.pairs import LoraPair, addition, coverage, require_fit
from jdart.models.paths import at

log = logging.getLogger(__name__)
NOTE = "rank_by_noise"  # under which a LoRA file says it


def rank_at(rule: RankByNoise, rank: int, timesteps: Any, count: int) -> np.ndarray:
    """How many of `rank` ranks count at `timesteps` (B,) of a schedule of `count`, int64 (B,)."""
    left = ((count - np.asarray(timesteps, np.float64)) / count) ** rule.alpha
    return (left * (rank - rule.min)).astype(np.int64) + rule.min


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
    plain = {name: at(unet, name).weight for name in parts}
    try:
        with _told(unet, _Weights(unet, parts, plain, count)):
            yield
    finally:
        for name, weight in plain.items():
            at(unet, name).weight = weight


class _Weights:
    """The weights of a UNet's layers at a noise level. They are computed anew where a rank is another."""

    def __init__(self, unet: Any, parts: Mapping[str, Any], plain: Mapping[str, jt.Var], count: int):
        self.unet, self.parts, self.plain, self.count = unet, parts, plain, count
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
        weight = self.plain[name]
        for (_, a, b), rank in zip(own, ranks):
            weight = weight + jt.matmul(b[:, :rank], a[:rank]).reshape(weight.shape)
        at(self.unet, name).weight = weight.stop_grad()


@contextmanager
def _told(unet: Any, listener: Any) -> Iterator[None]:
    """Within it the UNet tells `listener` the timesteps of every call before it."""
    unet.listeners.append(listener)
    try:
        yield
    finally:
        unet.listeners.remove(listener)


def note_of(rule: RankByNoise | None) -> dict[str, Any]:
    """What a LoRA file says of its rule."""
    return {} if rule is None else {NOTE: asdict(rule)}


def rule_of(notes: Mapping[str, Any], path: Path) -> RankByNoise | None:
    """The rule that the notes of a LoRA file name. UserError for a damaged one."""
    if NOTE not in notes:
        return None
    try:
        return RankByNoise(int(notes[NOTE]["min"]), float(notes[NOTE]["alpha"]))
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{path}: its note {NOTE} is damaged; fetch the file again, or train it again") from error


def require_one_rank(notes: Mapping[str, Any], path: Path) -> None:
    """UserError for a LoRA whose rank falls with noise, where its ranks are to be put into something fixed."""
    if NOTE in notes:
        raise UserError(
            f"{path}: its rank falls with the noise (lora.rank_by_noise), which nothing merged does; "
            "draw with it in jdart: generate.loras, or jdart run --loras"
        )


def warn_of_whole_rank(notes: Mapping[str, Any], out: Path, format: str) -> None:
    """Say what becomes of a LoRA whose rank falls with noise, once it is written for other programs."""
    if NOTE in notes:
        here = "jdart too, as a .bin says nothing of it" if format == "bin" else "jdart alone heeds what it says"
        log.warning("%s: its rank falls with the noise, and other programs add all of it always; %s", out, here)


def require_same_rule(notes: Mapping[str, Any], path: Path, rule: RankByNoise | None) -> None:
    """UserError for a LoRA that training is to start from, and whose ranks fall otherwise than those to be trained."""
    found = rule_of(notes, path)
    if found != rule:
        words = "null" if found is None else f"{{min: {found.min}, alpha: {found.alpha:g}}}"
        raise UserError(f"lora.init_from: {path}: was trained otherwise; set lora.rank_by_noise: {words}")
