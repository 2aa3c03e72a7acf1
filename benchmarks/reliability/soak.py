"""Does a process that goes on for long grow, or drift? Hundreds of scorings, and of boards, in one process each.

    python -m benchmarks.reliability.soak --scorings 300 --boards 500

Memory (resident) and open files are noted after every one. Flat means: the mean of the last fifth is at most 5 % above
that of the second fifth (the first warms up). Every scoring of an entry must give the figures of its first one, and
every board of the same reports the same bytes. On the miniature weights and a contest of noise.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

from benchmarks.reliability.page import machine, put_table
from benchmarks.reliability.small_contest import draw_entry, make_contest

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "soak"
PAGE = ROOT / "docs" / "reliability.md"
ALLOWED = 0.05
ENTRIES = 6  # scored in turn


def scorings(count: int) -> list[tuple[int, int]]:
    """(resident KiB, open files) after each scoring. AssertionError: a figure has moved."""
    from evaluator.inputs.entry import open_entry
    from evaluator.inputs.refpack import open_references
    from evaluator.scoring.scorer import Options, Scorer

    small = make_contest(WORK)
    entries = [draw_entry(WORK / "entries" / str(seed), seed) for seed in range(ENTRIES)]
    scorer = Scorer(open_references(small.references), small.weights, Options(cache=False))
    first: dict[Path, object] = {}
    found = []
    for number in range(count):
        path = entries[number % len(entries)]
        with open_entry(path) as entry:
            report, _ = scorer.score(entry, scorer.admit(entry))
        figures = (report.scores, report.images, report.intervals)
        assert first.setdefault(path, figures) == figures, f"scoring {number}: the figures of {path.name} have moved"
        found.append(usage())
    return found


def boards(count: int) -> list[tuple[int, int]]:
    """(resident KiB, open files) after each board. AssertionError: a byte has moved."""
    from evaluator import score_submission
    from leaderboard import build_site

    small = make_contest(WORK)
    reports = []
    for seed in range(ENTRIES):
        place, entry = WORK / "reports" / str(seed), draw_entry(WORK / "entries" / str(seed), seed)
        if not (place / "report.json").exists():
            score_submission(entry, references=small.references, weights=small.weights, cache=False, out=place)
        reports.append(place / "report.json")
    first, found = "", []
    for number in range(count):
        site = WORK / "site"
        shutil.rmtree(site, ignore_errors=True)
        build_site(reports, site, "Soak")
        made = tree_digest(site)
        first = made if number == 0 else first
        assert made == first, f"board {number} has other bytes than the first"
        found.append(usage())
    return found


def usage() -> tuple[int, int]:
    """Resident memory in KiB, and open files, of this process."""
    status = Path("/proc/self/status").read_text("utf-8")
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(resident.split()[1]), len(os.listdir("/proc/self/fd"))


def tree_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def growth(values: Sequence[float]) -> float:
    """How much the mean of the last fifth lies above that of the second fifth, as a share of it."""
    fifth = max(1, len(values) // 5)
    before = mean(values[fifth : 2 * fifth])
    return mean(values[-fifth:]) / before - 1


KINDS: dict[str, Callable[[int], list[tuple[int, int]]]] = {"scorings": scorings, "boards": boards}


def main() -> int:
    parser = argparse.ArgumentParser(description="Score and build boards for long.")
    parser.add_argument("--scorings", type=int, default=300)
    parser.add_argument("--boards", type=int, default=500)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one is not None:
        WORK.mkdir(parents=True, exist_ok=True)
        print(json.dumps(KINDS[asked.one](getattr(asked, asked.one))))
        return 0
    lines = ["| what | how many | memory at the start of the second fifth | at the end | growth | open files |"]
    lines.append("|---|---|---|---|---|---|")
    good = True
    for kind in KINDS:
        count = getattr(asked, kind)
        arguments = ["--one", kind, f"--{kind}", str(count)]
        command = [sys.executable, "-m", "benchmarks.reliability.soak", *arguments]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        memory, handles = [one[0] / 1024 for one in found], [one[1] for one in found]
        grown, opened = growth(memory), growth(handles)
        good = good and grown <= ALLOWED and opened <= ALLOWED
        start = memory[len(memory) // 5]
        row = (
            kind,
            count,
            f"{start:.0f} MiB",
            f"{memory[-1]:.0f} MiB",
            f"{grown:+.1%}",
            f"{handles[0]} to {handles[-1]}",
        )
        lines.append(f"| {' | '.join(map(str, row))} |")
        print(lines[-1], flush=True)
    note = f"On {machine()}; no figure and no byte moved. {ENTRIES} entries of noise in turn, miniature weights."
    put_table(PAGE, "Scorings and boards", "\n".join([*lines, "", note]))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
