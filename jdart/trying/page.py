"""The page of an ablation: a table a method, the best of all in one, the contact sheets. Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contest.disk.files import atomic_write, read_json, write_bytes
from contest.numbers import decimal
from jdart.config import said
from jdart.data.captions import Picture
from jdart.trying.ablation import PLAIN, Ablation, Method, Trials, full_name
from jdart.trying.figures import METRICS, Row, best_of, rows_of
from jdart.trying.pace import processors
from jdart.trying.sheet import method_sheet
from jdart.trying.trials import Trial

HEADS = ["Final", "gain", *(head for metric, (head, _) in METRICS.items() if metric != "final"), "s a picture"]


def write_page(
    path: Path, command: str, trials: Trials, every: Sequence[Trial], references: Mapping[str, Sequence[Picture]]
) -> None:
    """Write the page at `path`, and a sheet for each method in a folder of the page's name beside it.

    `command` is the one that makes it, `every` the runs it is of, finished or not.
    """
    rows = rows_of(every)
    done = {(row.method, row.variant) for row in rows}
    parts = [_head(command, trials, every, rows)]
    if rows:
        parts.append("## All methods, each at its best\n\n" + _table(best_of(rows), lambda row: _name(row)))
    for name, method in trials.ablation.methods.items():
        own = [row for row in rows if row.method in (PLAIN, name)]
        if len(own) < 2:
            continue
        sheet = Path(path.stem) / f"{name}.jpg"
        firsts = {
            trial.name: trial
            for trial in every
            if trial.seed == trials.plain.seed
            and trial.method in (PLAIN, name)
            and (trial.method, trial.variant) in done
        }
        with atomic_write(path.parent / sheet) as out:
            method_sheet(firsts, references).save(out, format="JPEG", quality=90)
        parts.append(_section(name, method, own, sheet))
    left = [
        full_name(name, variant)
        for name, method in trials.ablation.methods.items()
        for variant in method.tried
        if (name, variant) not in done
    ]
    if left:
        parts.append("## Not run yet\n\n" + ", ".join(left) + ".")
    write_bytes(path, ("\n\n".join(parts) + "\n").encode())


def _head(command: str, trials: Trials, every: Sequence[Trial], rows: Sequence[Row]) -> str:
    seeds = list(dict.fromkeys(trial.seed for trial in every))
    done = {(row.method, row.variant) for row in rows}
    folders = [trial.folder for trial in every if (trial.method, trial.variant) in done]
    about = trials.ablation.about.strip()
    lines = [
        f"# {trials.ablation.title}",
        f"Written by `{command}`; change the file it reads, not this page.",
        *([about] if about else []),
        f"{_compared(trials.ablation)} What is trained is trained once for each training setting, with seed "
        f"{trials.plain.seed}; pictures are drawn with the seed{'s' if len(seeds) > 1 else ''} "
        f"{', '.join(map(str, seeds))}. {_intervals(len(seeds))} LPIPS and FID are better when low. Seconds a picture "
        f"are measured while drawing, the median over styles and seeds{_on(processors(folders))}.",
    ]
    reasons = _reasons(folders)
    if reasons:
        lines.insert(1, f"**{'; '.join(reasons)}.**")
    return "\n\n".join(lines)


def _compared(ablation: Ablation) -> str:
    """What differs between the runs, and what does not."""
    plain, same = f"configuration `{ablation.base}`", _told(ablation.set)
    if any(method.config is not None for method in ablation.methods.values()):
        every = f" All runs have {same}." if same else ""
        return f"The plain run is the {plain}.{every} What a recipe has beside that is in its section."
    changed = f" with {same}" if same else ""
    return f"Every method is added to the same plain run ({plain}{changed}) and to nothing else."


def _intervals(seeds: int) -> str:
    if seeds < 2:
        return "With one seed there are no intervals."
    return (
        "After ± stands half the length of the 95 % interval of the mean over the seeds, by Student's t with "
        f"{seeds - 1} degree{'s' if seeds > 2 else ''} of freedom; the gain is that of Final beside the plain run of "
        "the same seed."
    )


def _on(used: Sequence[str]) -> str:
    return f", on {' and '.join(used)}" if used else ""


def _reasons(folders: Sequence[Path]) -> tuple[str, ...]:
    """Why the figures may not stand beside the contest's own."""
    reports = [folder / "report" / "report.json" for folder in folders]
    every = [read_json(path)["provenance"]["not_comparable_because"] for path in reports]
    return tuple(dict.fromkeys(reason for reasons in every for reason in reasons))


def _section(name: str, method: Method, rows: Sequence[Row], sheet: Path) -> str:
    source = "" if method.source is None else f" Source: {_link(method.source)}."
    told = {PLAIN: PLAIN}
    for variant, own in method.tried.items():
        told[variant] = ": ".join(part for part in (variant or name, _told(own)) if part)
    table = _table(rows, lambda row: told[row.variant])
    return f"## {name}\n\n{method.what.rstrip('.')}.{source}\n\n{table}\n\n![{name}]({sheet.as_posix()})"


def _link(source: str) -> str:
    if source.startswith("https://"):
        return f"[{source[len('https://') :]}]({source})"
    number = re.fullmatch(r"(\d{4}\.\d{4,5})(v\d+)?", source)
    return source if number is None else f"[{source}](https://arxiv.org/abs/{source})"


def _told(settings: Mapping[str, Any]) -> str:
    """Settings as one would give them to --set."""
    return ", ".join(f"`{key}={json.dumps(said(value), ensure_ascii=False)}`" for key, value in settings.items())


def _name(row: Row) -> str:
    return f"**{PLAIN}**" if row.method == PLAIN else f"[{row.method}](#{row.method.lower()}) {row.variant}".rstrip()


def _table(rows: Sequence[Row], name: Any) -> str:
    lines = [["", *HEADS], ["---"] * (len(HEADS) + 1)]
    for row in rows:
        figures = [row.figures[metric].text(digits) for metric, (_, digits) in METRICS.items()]
        gain = "" if row.gain is None else row.gain.text(METRICS["final"][1], plus=True)
        seconds = "" if row.seconds is None else decimal(row.seconds, 3)
        lines.append([name(row), figures[0], gain, *figures[1:], seconds])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
