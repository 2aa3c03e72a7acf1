"""A small contest, a clock that stands still, and a scorer that computes nothing."""

import json
import zipfile
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from io import BytesIO

import numpy as np
import yaml
from PIL import Image

from evaluator.analysis.cells import BOUNDED
from evaluator.reporting.output import Attachments
from evaluator.reporting.report import Pictures, Provenance, Report
from evaluator.scoring.formula import Scores
from organiser.desk import at_work, found_desk, open_desk
from organiser.intake import Inbox, take
from organiser.scorer import Refused
from organiser.service import work

STYLES = {"00": ["Rose", "Tulip"], "01": ["Oak", "Elm"]}
START = datetime(2026, 8, 10, 9, tzinfo=timezone.utc)


class StillClock:
    """Stands still until it is told otherwise; `meanwhile` is called in every sleep."""

    def __init__(self):
        self.time, self.meanwhile = START, lambda: None

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.time += timedelta(seconds=seconds)
        self.meanwhile()

    def arrived(self, found):
        return self.time

    def go(self, **by):
        self.time += timedelta(**by)


class ToldScorer:
    """Gives an archive the figures that a test told it, else those of its first byte after the name."""

    def __init__(self, parts=None, splits=("public",), **figures):
        self.parts = {"profile": "told"} if parts is None else parts
        self.splits, self.figures, self.fails, self.calls = splits, figures, None, 0

    def score(self, archive):
        self.calls += 1
        if self.fails is not None:
            raise self.fails
        team = zipfile.ZipFile(archive).comment.decode()
        figures = self.figures.get(team, 0.5)
        if figures is Refused:
            raise Refused("cannot be scored")
        if not isinstance(figures, dict) or "final" in figures:
            figures = dict.fromkeys(self.splits, figures)
        return {split: made(figures[split], f"{team} {split}") for split in self.splits}


def made(figures, name):
    """A report and what lies beside it; `figures` is Final, or some of the scores."""
    given = figures if isinstance(figures, dict) else {"final": figures}
    scores = Scores(**{**dict.fromkeys(Scores.__dataclass_fields__, 0.5), **given})
    why = ["toy weights: not comparable with the contest"]
    whole = Pictures("refs", "ef" * 32)
    provenance = Provenance("t", whole, [], False, True, [], False, why, {}, {}, "cpu", "float32", {})
    report = Report("told", "small", Pictures(name, "ab" * 32), scores, {}, {}, {}, {}, None, provenance)
    beside = Attachments({}, {}, np.zeros((2, 64)), np.zeros(64), np.zeros((64, 64)), {})
    assert BOUNDED  # one column each, of no style
    return report, beside


class SmallEvent:
    """The folders of one event."""

    def __init__(self, folder):
        self.folder, self.home, self.inbox = folder, folder / "event", folder / "inbox"
        self.inbox.mkdir()
        self.clock = StillClock()
        self.rules = {"contest": "small.yaml", "references": "references", "weights": "toy"}
        (folder / "small.yaml").write_text(yaml.safe_dump({"name": "small", "styles": STYLES}))
        for style, prompts in STYLES.items():
            images = folder / "references" / style / "images"
            images.mkdir(parents=True)
            for seed in range(2):
                (images / f"one {seed}.png").write_bytes(picture(900 + seed + 10 * int(style)))
            (images.parent / "prompt.json").write_text(json.dumps(dict(enumerate(prompts))))

    def write_rules(self, **rules):
        self.rules = {**self.rules, **rules}
        (self.folder / "event.yaml").write_text(yaml.safe_dump(self.rules))
        return self.folder / "event.yaml"

    def found(self, **rules):
        return found_desk(self.write_rules(**rules), self.home, self.clock)

    def open(self):
        return open_desk(self.home, self.clock)

    def send(self, desk, team, seed=0, name="entry.zip", **archive):
        """What `receive FILE --team` does before it checks."""
        path = self.folder / "sent" / team / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(entry_bytes(team, seed, **archive))
        return take(desk, path, team)

    def work(self, desk, scorer, inbox=False):
        """What a call of receive does."""
        with at_work(desk):
            return list(work(desk, Inbox(self.inbox) if inbox else None, lambda _: scorer))

    def states(self, desk):
        return [entry.state for entry in desk.ledger.entries()]


@lru_cache(1 << 10)
def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    stream = BytesIO()
    Image.fromarray(pixels).resize((32, 32)).save(stream, "png")
    return stream.getvalue()


def entry_bytes(team, seed=0, leave_out=(), change=None):
    """A good archive, other for every team and seed."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, (style, name) in enumerate((style, name) for style, names in STYLES.items() for name in names):
            if name not in leave_out:
                data = picture(hash_of(team) + 1000 * seed + number) if change is None else change(style, name)
                archive.writestr(zipfile.ZipInfo(f"{style}/{name}.png"), data)
        archive.comment = team.encode()
    return stream.getvalue()


def hash_of(team):
    return sum(map(ord, team)) * 100_000
