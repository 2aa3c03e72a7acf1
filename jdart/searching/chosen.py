"""choices.json: of each picture what was tried, what was chosen and why; and the chosen ones put among the entry's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contest.disk.files import copy_file, read_json, sha256, write_json
from contest.errors import UserError
from jdart.config.vary import changes_of
from jdart.runs.job import Job
from jdart.runs.trained import set_pictures_aside
from jdart.searching.folder import SearchFolder
from jdart.searching.rounds import Round
from jdart.stages.drawing import write_sheets

if TYPE_CHECKING:
    from jdart.searching.candidates import Candidates
    from jdart.searching.choice import Choice

SCHEMA_VERSION = 1
FIGURES = ("dino", "hist", "lpips", "clip_r", "clip_iqa")

Numbers = dict[str, dict[str, int]]  # style -> prompt -> number of the candidate that is chosen


def numbers_of(candidates: Candidates, rows: np.ndarray) -> Numbers:
    """The rows of a choice (N ints), by style and prompt."""
    chosen: Numbers = {}
    for (style, name), row in zip(candidates.keys, rows.tolist()):
        chosen.setdefault(style, {})[_prompt(name)] = int(candidates.way[row])
    return chosen


def write_choices(
    job: Job, rounds: Mapping[str, Sequence[Round]], candidates: Candidates, choice: Choice, finals: np.ndarray
) -> None:
    """Note the choice. `finals` (M) is Final with each candidate in its cell's place and all others as chosen."""
    assert job.config.search is not None
    tried = sorted({number for own in rounds.values() for one in own for number in one.numbers})
    stopped = _stopped(rounds)
    styles: dict[str, dict[str, Any]] = {}
    for cell, (style, name) in enumerate(candidates.keys):
        prompt, rows = _prompt(name), np.flatnonzero(candidates.cell == cell).tolist()
        drawn = {int(candidates.way[row]): _row(candidates, finals, row) for row in rows}
        taken = int(candidates.way[choice.rows[cell]])
        others = {number: row["final"] for number, row in drawn.items() if number != taken}
        styles.setdefault(style, {})[prompt] = {
            "chosen": taken,
            "why": _why(drawn[taken]["final"], others),
            "tried": {f"{n:02}": told for n, told in sorted({**drawn, **stopped[style].get(prompt, {})}.items())},
        }
    value = {
        "schema_version": SCHEMA_VERSION,
        "contest": job.contest.name,
        "base": job.base.identity,
        "seed": job.config.seed,
        "candidates": {f"{number:02}": changes_of(job.config, number) for number in tried},
        "final": choice.scores.final,
        "final_without_search": first_scores(candidates).final,
        "styles": styles,
    }
    if not job.folder.choices.exists() or read_json(job.folder.choices) != value:
        write_json(job.folder.choices, value)


def read_choices(path: Path) -> tuple[Numbers, dict[int, dict[str, Any]], int]:
    """Of choices.json the choice, what each candidate changes, and the seed. Raises UserError for what is none."""
    told = read_json(path)
    try:
        if told["schema_version"] != SCHEMA_VERSION:
            raise UserError(f"{path}: schema_version is {told['schema_version']!r}; this jdart reads {SCHEMA_VERSION}")
        chosen = {
            style: {prompt: int(one["chosen"]) for prompt, one in prompts.items()}
            for style, prompts in told["styles"].items()
        }
        changes = {int(number): dict(own) for number, own in told["candidates"].items()}
        lacking = {n for own in chosen.values() for n in own.values()} - {*changes}
        if lacking or not isinstance(told["seed"], int):
            raise KeyError("candidates")
        return chosen, changes, told["seed"]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f"{path}: not the choices of a search; name the choices.json of a run folder") from None


def place(job: Job, chosen: Numbers) -> None:
    """Put the chosen pictures among the entry's, with a contact sheet of each style.

    A picture that is none of the candidates goes to earlier/ before another takes its place.
    """
    folder = SearchFolder(job.folder)
    for style, prompts in chosen.items():
        strangers, wanted = [], {}
        for prompt, number in prompts.items():
            source, target = folder.candidate(style, prompt, number), job.folder.image(style, prompt)
            digest = sha256(target) if target.exists() else None
            if digest == sha256(source):
                continue
            wanted[target] = source
            if digest is not None and not _is_candidate(folder, style, prompt, digest):
                strangers.append(target)
        if strangers:
            set_pictures_aside(job.folder, style, strangers, "before-search")
        for target, source in wanted.items():
            copy_file(target, source)
        if wanted or not job.folder.sheet(style).exists():
            write_sheets(job, style)


def first_scores(candidates: Candidates) -> Any:
    """The scores of candidate 0 for every prompt: the entry without a search."""
    from evaluator.analysis.cells import cells_to_scores

    return cells_to_scores(candidates.chosen(candidates.best_rows(candidates.way == 0)))


def _prompt(name: str) -> str:
    return name[: -len(".png")]


def _is_candidate(folder: SearchFolder, style: str, prompt: str, digest: str) -> bool:
    every = folder.candidates(0).parent.glob("*")
    return any(sha256(path) == digest for own in every if (path := own / style / f"{prompt}.png").exists())


def _row(candidates: Candidates, finals: np.ndarray, row: int) -> dict[str, Any]:
    figures = {key: float(candidates.values[key][row]) for key in FIGURES}
    return {"final": float(finals[row]), **figures}


def _stopped(rounds: Mapping[str, Sequence[Round]]) -> dict[str, dict[str, dict[int, Any]]]:
    """Style -> prompt -> number -> what the sketches of those that stopped early were worth."""
    stopped: dict[str, dict[str, dict[int, Any]]] = {}
    for style, own in rounds.items():
        of_style = stopped.setdefault(style, {})
        for one in own:
            for prompt, looks in one.looks.items():
                given_up = {n: {"stopped": True, **look} for n, look in looks.items() if n not in one.kept[prompt]}
                of_style.setdefault(prompt, {}).update(given_up)
    return stopped


def _why(final: float, others: Mapping[int, float]) -> str:
    if not others:
        return f"Final {final:.6f}; no other was drawn to the end"
    second = max(others, key=lambda number: others[number])
    return f"Final {final:.6f}; with {second:02}, the next best, {others[second]:.6f}"
