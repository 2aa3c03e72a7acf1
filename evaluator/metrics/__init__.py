"""The formula's six metrics, and what may stand beside them: one file and one line each."""

from __future__ import annotations

from evaluator.metrics.aesthetic import Aesthetic
from evaluator.metrics.base import Metric
from evaluator.metrics.clip_iqa import ClipIqa, UnitClipIqa
from evaluator.metrics.clip_r import ClipR
from evaluator.metrics.dino import Dino
from evaluator.metrics.fid import Fid, StyleFid
from evaluator.metrics.hist import Hist, TrueHist
from evaluator.metrics.kid import Kid
from evaluator.metrics.lpips import Lpips

OFFICIAL: tuple[type[Metric], ...] = (Dino, Hist, Fid, Lpips, ClipIqa, ClipR)
COMPANIONS: tuple[type[Metric], ...] = (Kid, StyleFid)  # cost nothing beside FID: in every report
EXTRAS: dict[str, tuple[type[Metric], ...]] = {  # `--extra NAME`
    "corrected": (TrueHist, UnitClipIqa),
    "aesthetic": (Aesthetic,),
}
