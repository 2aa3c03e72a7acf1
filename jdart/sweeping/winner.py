"""What a sweep leaves: the best trial as a configuration, all of them as CSV, pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import yaml

from contest.disk.files import read_json, write_bytes
from contest.numbers import decimal
from jdart.sweeping.plots import write_plots
from jdart.sweeping.rows import Row, best_of, final_of
from jdart.sweeping.runner import Progress
from jdart.sweeping.space import told
from jdart.sweeping.study import SweepStudy
from jdart.sweeping.table import trials_csv


def write_results(study: SweepStudy) -> None:
    """Write trials.csv and, where a trial is finished, best.yaml; each whole or not at all."""
    rows, folder = study.rows, study.plan.folder
    write_bytes(folder / "trials.csv", trials_csv(rows, study.styles, list(study.plan.sweep.space)))
    best = best_of(rows)
    if best is not None:
        write_bytes(folder / "best.yaml", best_yaml(study, best, rows).encode())


def keeping(study: SweepStudy, progress: Iterable[Progress]) -> Iterator[Progress]:
    """Hand the progress on; whenever a trial ends, its results are written first."""
    for step in progress:
        if step.ended:
            write_results(study)
        yield step


def tell_results(study: SweepStudy) -> Iterator[str]:
    """Write the results with their pictures; a line for each, and one for the best trial."""
    rows, folder = study.rows, study.plan.folder
    best = best_of(rows)
    why_not = [] if best is None else doubts(study, best)
    write_results(study)
    written, left_out = write_plots(study, why_not)
    yield f"Written: {', '.join(str(path) for path in (folder / 'trials.csv', *written))}"
    yield from left_out
    if best is not None:
        final = decimal(final_of(best), 4)
        yield f"Best: trial {best.number}, Final {final}; go on with it: jdart run {folder / 'best.yaml'}"
    yield from (f"Not comparable with the contest's scores: {reason}" for reason in why_not)


def best_yaml(study: SweepStudy, best: Row, rows: Sequence[Row]) -> str:
    """What `jdart run` takes: the base with the best trial's values, and the trial's run folder to go on in."""
    plan = study.plan
    values = {axis.key: axis.value(best.labels[axis.key]) for axis in plan.axes}
    mapping = plan.mapping(values, f"trial {best.number}", study.place(best.labels))
    over = sum(row.scores is not None for row in rows)
    lines = [
        f"# The best of {len(rows)} trials ({over} to their end) of {plan.source}: trial {best.number}, Final "
        f"{decimal(final_of(best), 4)}.",
        "# The best of many is partly luck: what it is worth, another seed tells. Tried: "
        + ", ".join(f"{key}={told(label)}" for key, label in best.labels.items()),
        *(f"# Not comparable with the contest's scores: {reason}" for reason in doubts(study, best)),
    ]
    text = yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    return "\n".join(lines) + "\n" + text


def doubts(study: SweepStudy, row: Row) -> list[str]:
    """Why the figures of a finished trial are not the contest's."""
    report: Path = study.plan.trials / study.place(row.labels) / "report" / "report.json"
    return list(read_json(report)["provenance"]["not_comparable_because"]) if report.exists() else []
