"""A batch over a Ray cluster: entries x styles, each worker with its networks and references loaded once.

A unit is one style of one entry. A worker looks at its pictures and leaves its notes in the cache, which all workers
share: a folder under the same path everywhere, as entries, references, weights and reports are. When an entry's styles
are done its report is made from the notes as one process makes it: FID and CLIP-R's words belong to all styles
together. A note that is not in the cache is taken again, so that the cache decides how fast it goes, never the figures.

A worker has one unit at a time and no other waits in Ray, so memory does not grow with the batch; and when a worker
dies it is known over which unit. That is tried again by a new worker, `RETRIES` times; then its entry is refused alone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from contest.cores import cores
from contest.disk.files import write_bytes
from contest.disk.writable import require_file
from contest.errors import UserError, first_line, needs
from contest.machines.cluster import connect
from evaluator.inputs.entry import open_entry
from evaluator.inputs.refpack import open_references
from evaluator.reporting.frame import to_frame
from evaluator.scoring.batch import SUMMARY, SUMMARY_COLUMNS, Outcome, begin_one, folder_names, score_one, summary_of
from evaluator.scoring.plan import BEGIN, LOOK, Plan, Unit
from evaluator.scoring.scorer import Options, Scorer

RETRIES = 2  # of a unit whose worker died

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judge:
    """What every worker scores with: paths that mean the same on all machines. `threads` are those of one worker."""

    references: Path
    weights: Path
    options: Options
    as_is: bool = False
    skip_bad: bool = False
    threads: Optional[int] = None

    def scorer(self) -> Scorer:
        """UserError for what cannot be used."""
        return Scorer(open_references(self.references), self.weights, self.options)


class Worker:
    """In a process of Ray's: the networks and references, loaded when the first unit comes."""

    def __init__(self, judge: Judge, place: str) -> None:
        os.chdir(place)
        if judge.threads is not None:
            import torch

            torch.set_num_threads(judge.threads)
        self.judge = judge
        self.scorer: Optional[Scorer] = None

    def work(self, unit: Unit, path: Path, name: str, folder: Path) -> Outcome | tuple[str, ...] | None:
        """The entry's outcome, or the styles that it has, or None when notes were taken."""
        if self.scorer is None:
            self.scorer = self.judge.scorer()
        given = (path, name, self.scorer, folder, self.judge.as_is, self.judge.skip_bad)
        if unit.kind == BEGIN:
            return begin_one(*given)
        if unit.kind == LOOK:
            assert unit.style is not None
            self.look(path, unit.style)
            return None
        return score_one(*given)

    def look(self, path: Path, style: str) -> None:
        """Leave the notes of a style's pictures in the cache. What is wrong with them, the report's unit says."""
        assert self.scorer is not None
        with suppress(UserError, OSError), open_entry(path) as entry:
            self.scorer.look(self.scorer.admit(entry, [style], self.judge.as_is, True))


def score_on_ray(
    paths: Sequence[Path],
    judge: Judge,
    out: Path,
    workers: int | None = None,
    address: str | None = None,
    begun: Callable[[str, int, int], None] = lambda entry, done, total: None,
) -> Iterator[Outcome]:
    """As `score_batch`, by many workers; outcomes come as they are ready, summary.csv is in the order of `paths`.

    `address` is a cluster's ("auto": the one of this machine); None starts one here. `workers` defaults to what the
    cluster has, a GPU or a core each. UserError as `score_batch`, and where there is no cluster.
    """
    require_file(out / SUMMARY)
    to_frame(SUMMARY_COLUMNS, ())
    with needs("ray"):
        import ray
    judge.scorer()  # what cannot be used is said before a cluster is started
    kind, named = ("cuda", "GPU") if judge.options.device != "cpu" else ("cpu", "CPU")
    ours = not ray.is_initialized()
    if ours:
        connect(ray, address, kind, _here(kind) if workers is None else workers)
    try:
        there = int(ray.cluster_resources().get(named, 0))
        count = there if workers is None else min(workers, there)
        if count < 1:
            raise UserError(f"the Ray cluster has no {named}; add a node that has, or choose another --device")
        if workers is not None and count < workers:
            log.warning("the cluster has %d %ss; so many workers are started, not %d", there, named, workers)
        make = ray.remote(max_restarts=0, **{f"num_{named.lower()}s": 1})(Worker)
        names = folder_names(paths)
        jobs = [(path, name, out / name) for path, name in zip(paths, names)]
        if judge.threads is None and address is None and kind == "cpu":
            judge = replace(judge, threads=max(1, cores() // count))
        outcomes: dict[int, Outcome] = {}
        keeps_notes = judge.options.cache is not False
        for entry, outcome in _work(ray, lambda: make.remote(judge, os.getcwd()), jobs, count, keeps_notes):
            outcomes[entry] = outcome
            write_bytes(out / SUMMARY, summary_of([outcomes[key] for key in sorted(outcomes)], out))
            begun(outcome.entry, len(outcomes), len(paths))
            yield outcome
    finally:
        if ours:
            ray.shutdown()


def _here(kind: str) -> int:
    """How many workers this machine takes."""
    if kind == "cpu":
        return cores()
    with needs("eval"):
        import torch
    return max(1, torch.cuda.device_count())


_Job = tuple[Path, str, Path]  # where an entry is, what it is called, where its report goes


def _work(
    ray: Any, make: Callable[[], Any], jobs: Sequence[_Job], workers: int, keeps_notes: bool
) -> Iterator[tuple[int, Outcome]]:
    """Every entry's outcome. One unit a worker is under way, and no more."""
    plan, died = Plan(len(jobs)), dict[Unit, int]()
    idle = [make() for _ in range(workers)]
    running: dict[Any, tuple[Unit, Any]] = {}
    while True:
        while idle and (unit := plan.next()) is not None:
            actor = idle.pop()
            running[actor.work.remote(unit, *jobs[unit.entry])] = unit, actor
        if not running:
            return
        (call,), _ = ray.wait(list(running), num_returns=1)
        unit, actor = running.pop(call)
        try:
            result = ray.get(call)
        except ray.exceptions.RayTaskError as error:  # a fault of ours in this entry
            idle.append(actor)
            result = _refused(jobs[unit.entry], f"could not be scored: {first_line(error.cause)}")
        except ray.exceptions.RayError as error:
            with suppress(Exception):
                ray.kill(actor)  # one that only cannot be reached would keep its core
            idle.append(make())
            died[unit] = died.get(unit, 0) + 1
            if died[unit] <= RETRIES:
                log.warning("%s: its worker died (%s); once more", jobs[unit.entry][0], first_line(error))
                plan.again(unit)
                continue
            result = _refused(jobs[unit.entry], f"its worker died {died[unit]} times, the last: {first_line(error)}")
        else:
            idle.append(actor)
        if isinstance(result, Outcome):
            if plan.close(unit.entry):
                yield unit.entry, result
        elif unit.kind == BEGIN:
            plan.look(unit.entry, result if keeps_notes else ())
        else:
            plan.looked(unit)


def _refused(job: _Job, why: str) -> Outcome:
    path, name, folder = job
    return Outcome(name, path, "refused", folder, None, (why,))
