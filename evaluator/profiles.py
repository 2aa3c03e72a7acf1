"""Profiles: the library behaviour a set of figures belongs to.

Figures of two profiles are never ranked together.

Networks are imported when a metric is built, so that naming a profile does not load torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator import weights as files
from submission.errors import UserError

if TYPE_CHECKING:
    from evaluator.metrics.base import Metric
    from evaluator.weights import Weights

    # weights, device and the file names of the entry's pictures -> a metric
    MakeMetric = Callable[[Weights, str, Sequence[str]], Metric]


@dataclass(frozen=True)
class Profile:
    """A name and how to build each of the formula's six metrics."""

    name: str
    metrics: tuple[MakeMetric, ...]


def find_profile(name: str) -> Profile:
    """The profile of that name. Raises UserError that lists the known ones."""
    if name not in PROFILES:
        raise UserError(f"profile {name!r} is not known; choose one of: {', '.join(PROFILES)}")
    return PROFILES[name]


def _dino(weights: Weights, device: str, names: Sequence[str]) -> Metric:
    from evaluator.backbones.dinov2 import DinoV2
    from evaluator.metrics.dino import Dino

    return Dino(DinoV2(weights.root / files.DINO, device))


def _hist(weights: Weights, device: str, names: Sequence[str]) -> Metric:
    from evaluator.metrics.hist import Hist

    return Hist()


def _fid(weights: Weights, device: str, names: Sequence[str]) -> Metric:
    from evaluator.backbones.inception import InceptionStem
    from evaluator.metrics.fid import Fid

    return Fid(InceptionStem(weights.files[files.INCEPTION], device))


def _lpips(weights: Weights, device: str, names: Sequence[str]) -> Metric:
    from evaluator.backbones.squeezenet import SqueezeNet
    from evaluator.metrics.lpips import Lpips

    return Lpips(SqueezeNet(weights.files[files.SQUEEZENET], weights.files[files.HEADS], device))


def _clip_iqa(weights: Weights, device: str, names: Sequence[str]) -> Metric:
    from evaluator.backbones.rn50 import Rn50
    from evaluator.metrics.clip_iqa import ClipIqa

    return ClipIqa(Rn50(weights.files[files.RN50], weights.root / files.CLIP, device))


def _clip_r(weights: Weights, device: str, names: Sequence[str]) -> Metric:
    from evaluator.backbones.clip import Clip
    from evaluator.metrics.clip_r import ClipR

    return ClipR(Clip(weights.root / files.CLIP, device), names)


OFFICIAL_2024 = Profile("official-2024", (_dino, _hist, _fid, _lpips, _clip_iqa, _clip_r))
PROFILES = {profile.name: profile for profile in (OFFICIAL_2024,)}
