"""A bench without pictures: its figures are a formula of the settings."""

import math

import yaml

from evaluator.scoring.formula import metrics_to_scores
from jdart.runs.job import Event
from jdart.sweeping.study import open_study
from jdart.sweeping.sweep import load_sweep

STYLES = dict.fromkeys(("00", "01", "02", "03", "04"), ("Moon", "Sun"))
EASE = dict(zip((*STYLES, None), (0.0, 0.04, -0.03, 0.01, 0.02, 0.01)))  # styles are easy and hard
SPACE = {
    "train.learning_rate": {"low": 1.0e-4, "high": 1.0e-2, "log": True},
    "generate.guidance_scale": {"low": 1.0, "high": 8.0, "step": 0.5},
    "lora.r": {"choices": [4, 8, 16]},
}


class FakeBench:
    """Notes what it is asked for. `wrong(point, style)` may raise."""

    def __init__(self, wrong=lambda point, style: None, ease=EASE):
        self.made, self.scored, self.wrong, self.ease = [], [], wrong, ease

    def make(self, point, style):
        yield Event("train", style, 0, 1)
        self.wrong(point, style)
        self.made.append((point.number, style))
        yield Event("train", style, 1, 1)

    def score(self, point, style):
        self.scored.append((point.number, style))
        return figures(point.config, style, self.ease)


def figures(config, style, ease=EASE):
    """Hist by the learning rate alone, CLIP-R by the guidance alone, nothing by the rank; the rest is the same."""
    hist = 0.9 - 0.15 * abs(math.log10(config.train.learning_rate / 2.5e-3))
    clip_r = 0.8 - 0.05 * abs(config.generate.guidance_scale - 4)
    return metrics_to_scores(dino=0.3, hist=hist + ease[style], fid=5.0, lpips=0.5, clip_iqa=0.7, clip_r=clip_r)


def plan_of(folder, trials, space=SPACE, **more):
    """A sweep of the demo in `folder`/out."""
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({"space": space, **more}, sort_keys=False))
    return load_sweep(str(path), output=str(folder / "out"), trials=trials)


def opened(plan, styles=STYLES, files=None):
    return open_study(plan, styles, {} if files is None else files)
