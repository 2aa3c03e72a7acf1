"""A seeded campaign against every command that works for long: killed at random moments, and other faults of a machine.

    python -m benchmarks.reliability.chaos --kills 100

On a miniature base, weights and contest: what is tried is the bookkeeping, which is the same at any size. The tables of
docs/reliability.md are written anew. build/chaos keeps what was done, and the same command goes on; `--minutes` ends it
early. Exit code 1: something was not as it should be.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.reliability.command import ROOT
from benchmarks.reliability.faults import FAULTS, Told, try_fault
from benchmarks.reliability.kills import Trial, try_kills
from benchmarks.reliability.page import machine, put_table
from benchmarks.reliability.small_contest import make_contest
from benchmarks.reliability.stages import stages
from submission.packing.provenance import find_commit

WORK = ROOT / "build" / "chaos"
PAGE = ROOT / "docs" / "reliability.md"


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill every stage at random moments, and try other faults.")
    parser.add_argument("--kills", type=int, default=100, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=None, help="begin no other trial after so many")
    parser.add_argument("--only", action="append", help="a stage, or faults; may be given again")
    asked = parser.parse_args()
    end = None if asked.minutes is None else time.monotonic() + 60 * asked.minutes
    WORK.mkdir(parents=True, exist_ok=True)
    commit = find_commit(WORK)
    every = stages(make_contest(WORK / "small"), WORK)
    trials = _read(WORK / f"kills-{asked.seed}.jsonl", Trial)
    chosen = [stage for stage in every.values() if asked.only is None or stage.name in asked.only]
    begun = {}
    for stage in chosen:
        begun[stage.name] = stage.undisturbed(WORK / "undisturbed")
        print(
            f"{stage.name}: {begun[stage.name].seconds:.1f} s, {len(begun[stage.name].alike)} files are alike",
            flush=True,
        )
    while chosen and _kills(trials) < asked.kills and (end is None or time.monotonic() < end):
        fewest = min(chosen, key=lambda stage: _kills(trial for trial in trials if trial.stage == stage.name))
        left = asked.kills - _kills(trials)
        trial = try_kills(fewest, begun[fewest.name], asked.seed, len(trials), left)
        if find_commit(WORK) != commit:  # which is in what runs write
            print("the commit has changed meanwhile, so that the last trial does not count; begin again")
            return 1
        trials.append(trial)
        _note(WORK / f"kills-{asked.seed}.jsonl", trials[-1])
        print(trials[-1], flush=True)
    told = _faults(end) if asked.only is None or "faults" in asked.only else _read(WORK / "faults.jsonl", Told)
    put_table(PAGE, "Kills", _table_of_kills(trials, asked.seed))
    put_table(PAGE, "Other faults", _table_of_faults(told))
    return 1 if any(trial.wrong for trial in trials) or any(one.wrong for one in told) else 0


def _kills(trials: Iterable[Trial]) -> int:
    return sum(len(trial.moments) for trial in trials)


def _faults(end: float | None) -> list[Told]:
    """Those that were not tried yet."""
    told = _read(WORK / "faults.jsonl", Told)
    small = make_contest(WORK / "small")
    for name in FAULTS:
        if all(one.fault != name for one in told) and (end is None or time.monotonic() < end):
            told.append(try_fault(name, small, WORK))
            _note(WORK / "faults.jsonl", told[-1])
            print(told[-1], flush=True)
    return told


def _read(log: Path, kind: type) -> list:
    return [kind(**json.loads(line)) for line in log.read_text("utf-8").splitlines()] if log.exists() else []


def _note(log: Path, what: object) -> None:
    with open(log, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(vars(what)) + "\n")


def _table_of_kills(trials: Sequence[Trial], seed: int) -> str:
    lines = ["| command | trials | kills | results that differ, or something left |", "|---|---|---|---|"]
    for name in [*dict.fromkeys(trial.stage for trial in trials), "all"]:
        own = [trial for trial in trials if name in (trial.stage, "all")]
        counts = (len(own), _kills(own), sum(bool(trial.wrong) for trial in own))
        lines.append(f"| {name} | {' | '.join(map(str, counts))} |")
    return "\n".join([*lines, "", f"Seed {seed}, {machine()}."])


def _table_of_faults(told: Sequence[Told]) -> str:
    lines = ["| fault | what was said, or done | a later run |", "|---|---|---|"]
    lines += [f"| {one.fault} | {one.said} | {'; '.join(one.wrong) if one.wrong else one.then} |" for one in told]
    untried = [name for name in FAULTS if all(one.fault != name for one in told)]
    return "\n".join([*lines, *(f"| {name} | not tried yet | - |" for name in untried)])


if __name__ == "__main__":
    sys.exit(main())
