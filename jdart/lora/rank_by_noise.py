"""LoRAs whose rank falls as the noise rises: the rule, and what their files say of it. No Jittor here.

Source: Soboleva et al., T-LoRA, 2507.05964: at timestep t of T the first r_min + floor((r - r_min) (1 - t/T)^alpha)
ranks count, so that few ranks decide what is drawn and all of them how it looks.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from contest.errors import UserError
from jdart.config.sections.lora import RankByNoise

log = logging.getLogger(__name__)
NOTE = "rank_by_noise"  # under which a LoRA file says it


def rank_at(rule: RankByNoise, rank: int, timesteps: Any, count: int) -> np.ndarray:
    """How many of `rank` ranks count at `timesteps` (B,) of a schedule of `count`, int64 (B,)."""
    left = ((count - np.asarray(timesteps, np.float64)) / count) ** rule.alpha
    return (left * (rank - rule.min)).astype(np.int64) + rule.min


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
