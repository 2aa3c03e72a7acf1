"""The figures of an ablation: means over the seeds with 95 % intervals, out of the reports of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

from contest.disk.files import read_json
from contest.numbers import decimal
from evaluator.frames import read_reports
from jdart.config import said
from jdart.runs.folder import RunFolder, contest_of, earlier_run
from jdart.trying.ablation import PLAIN, what_counts
from jdart.trying.pace import seconds_a_picture
from jdart.trying.trials import Trial

METRICS = {  # of a report: as a heading, digits
    "final": ("Final", 4),
    "hist": ("Hist", 4),
    "lpips": ("LPIPS", 4),
    "dino": ("DINO", 4),
    "clip_r": ("CLIP-R", 4),
    "clip_iqa": ("CLIP-IQA", 4),
    "fid": ("FID", 3),
}
# The 0.975 quantile of Student's t with 1, 2, ... degrees of freedom.
T = (
    *(12.7062047, 4.3026527, 3.1824463, 2.7764451, 2.5705818, 2.4469119),
    *(2.3646243, 2.3060041, 2.2621572, 2.2281389, 2.2009852, 2.1788128),
    *(2.1603687, 2.1447867, 2.1314495, 2.1199053, 2.1098156, 2.1009220),
    *(2.0930241, 2.0859634, 2.0796138, 2.0738731, 2.0686576, 2.0638986),
    *(2.0595386, 2.0555294, 2.0518305, 2.0484071, 2.0452296, 2.0422725),
)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and half the length of its 95 % interval; None where there is one seed only."""

    mean: float
    half: float | None

    def text(self, digits: int, plus: bool = False) -> str:
        """Such as 0.4841 ± 0.0100."""
        middle = decimal(self.mean, digits, plus)
        return middle if self.half is None else f"{middle} ± {decimal(self.half, digits)}"


@dataclass(frozen=True)
class Row:
    """A method at one strength. `gain` is Final's beside the plain run of the same seed; the plain row has none."""

    method: str
    variant: str
    figures: Mapping[str, Estimate]
    gain: Estimate | None
    seconds: float | None


def estimate(values: Sequence[float]) -> Estimate:
    """Values, one a seed -> their mean and half of Student's interval (n - 1 degrees of freedom)."""
    count = len(values)
    if count < 2:
        return Estimate(values[0], None)
    return Estimate(mean(values), T[count - 2] * stdev(values) / sqrt(count))


def rows_of(trials: Sequence[Trial]) -> tuple[Row, ...]:
    """A row for every variant of `trials` whose seeds are all scored, in their order, the plain one first."""
    runs: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        runs.setdefault((trial.method, trial.variant), []).append(trial)
    complete = {key: group for key, group in runs.items() if all(is_scored(trial) for trial in group)}
    if (PLAIN, PLAIN) not in complete:
        return ()
    folders = [str(trial.folder) for group in complete.values() for trial in group]
    scores = read_reports(folders).entries.set_index("report")[list(METRICS)]
    plain = scores.loc[[str(trial.folder) for trial in complete[PLAIN, PLAIN]], "final"].tolist()
    rows = []
    for (method, variant), group in complete.items():
        own = scores.loc[[str(trial.folder) for trial in group]]
        gains = [final - beside for final, beside in zip(own["final"].tolist(), plain)]
        rows.append(
            Row(
                method,
                variant,
                {metric: estimate(own[metric].tolist()) for metric in METRICS},
                None if method == PLAIN else estimate(gains),
                seconds_a_picture([trial.folder for trial in group]),
            )
        )
    return tuple(rows)


def best_of(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The plain row and the best of each method, by Final's gain, the largest first."""
    best: dict[str, Row] = {}
    for row in rows:
        if row.method not in best or _gain(row) > _gain(best[row.method]):
            best[row.method] = row
    return tuple(sorted(best.values(), key=_gain, reverse=True))


def _gain(row: Row) -> float:
    return 0.0 if row.gain is None else row.gain.mean


def is_scored(trial: Trial) -> bool:
    """Whether its report is there, of all styles that are asked for, and its run has the trial's settings."""
    folder = RunFolder.of(trial.config)
    run, report = earlier_run(folder), folder.report / "report.json"
    if run is None or not report.exists():
        return False
    styles = read_json(report)["provenance"]["styles"]
    same = what_counts(run["config"]) == what_counts(said(trial.config))
    return same and styles == sorted(contest_of(trial.config).styles)
