"""How much of a search's gain is real: chosen without some references, scored with them, and drawn with fresh seeds.

A choice by the score flatters itself twice: it fits the few references that the score looks at, and it takes what luck
gave (the winner's curse). The first shows with references that the choice has not seen, the second with other seeds.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contest.disk.files import read_json, write_json
from contest.disk.shipped import references_folder
from contest.errors import UserError
from contest.numbers import decimal
from jdart.data.seeds import rng_for
from jdart.runs.job import Event, Job
from jdart.searching.chosen import read_choices
from jdart.searching.folder import SearchFolder
from jdart.searching.judging import score_pictures, scorer_of
from jdart.searching.replay import draw_chosen
from jdart.searching.search import Tried

if TYPE_CHECKING:
    from evaluator.scoring.scorer import Scorer
    from jdart.searching.candidates import Candidates


@dataclass(frozen=True)
class Gain:
    """Final of candidate 0 throughout, and of a choice, as the same references see them."""

    first: float
    chosen: float

    @property
    def gain(self) -> float:
        return self.chosen - self.first


@dataclass(frozen=True)
class Holdout:
    """What is left of a gain. `left_out` are the references that the choice did not see, by style.

    `seen` and `held_out` are of one choice, made without those and scored by the others and by them; `fresh` is the
    choice with all references, and candidate 0, drawn again with another seed, scored by all references.
    """

    left_out: Mapping[str, Sequence[str]]
    seen: Gain
    held_out: Gain
    fresh: Gain


def hold_out(job: Job, device: str, count: int) -> Iterator[Event]:
    """Measure it, with `count` references of each style left out, and write search/holdout.json. Raises UserError."""
    from evaluator.inputs.references import FolderReferences

    names = {style: sorted(picture.path.name for picture in job.references[style]) for style in job.contest.styles}
    few = [style for style, own in names.items() if len(own) <= count]
    if few:
        raise UserError(f"--holdout {count}: style {few[0]} has {len(names[few[0]])} references; leave out fewer")
    left_out = {style: _drawn_by_lot(own, style, count) for style, own in names.items()}
    used = {style: [name for name in own if name not in left_out[style]] for style, own in names.items()}
    folder = references_folder(job.config.references)
    yield Event("hold out", None, 0, 3, "choosing without some references")
    seen = Tried(job, scorer_of(job, device, FolderReferences(folder, used))).candidates()
    from jdart.searching.choice import choose

    rows = choose(seen).rows
    yield Event("hold out", None, 1, 3, "scoring with those")
    unseen = Tried(job, scorer_of(job, device, FolderReferences(folder, left_out))).candidates()
    yield Event("hold out", None, 2, 3, "drawing with a fresh seed")
    fresh = yield from _fresh(job, scorer_of(job, device))
    found = Holdout(left_out, _gain(seen, rows), _gain(unseen, rows), fresh)
    write_json(SearchFolder(job.folder).holdout, asdict(found))
    yield Event("hold out", None, 3, 3, _told(found))


def read_holdout(file: Path) -> Holdout:
    """Of search/holdout.json."""
    told = read_json(file)
    gains = {name: Gain(**told[name]) for name in ("seen", "held_out", "fresh")}
    return Holdout(told["left_out"], **gains)


def _gain(candidates: Candidates, rows: np.ndarray) -> Gain:
    from evaluator.analysis.cells import cells_to_scores

    first = candidates.best_rows(candidates.way == 0)
    finals = [cells_to_scores(candidates.chosen(each)).final for each in (first, rows)]
    return Gain(*finals)


def _fresh(job: Job, scorer: Scorer) -> Generator[Event, None, Gain]:
    """Draw candidate 0 and the choice again with another seed, in a folder of its own; ends with what they score."""
    chosen, changes, seed = read_choices(job.folder.choices)
    again, folder = replace(job, config=replace(job.config, seed=seed + 1)), SearchFolder(job.folder)
    finals = []
    for numbers in ({style: dict.fromkeys(prompts, 0) for style, prompts in chosen.items()}, chosen):
        yield from draw_chosen(again, numbers, changes, folder.fresh)
        finals.append(
            score_pictures(
                scorer,
                {
                    style: {f"{prompt}.png": folder.fresh(style, prompt, number) for prompt, number in prompts.items()}
                    for style, prompts in numbers.items()
                },
            ).final
        )
    return Gain(*finals)


def _drawn_by_lot(names: Sequence[str], style: str, count: int) -> list[str]:
    order = rng_for("holdout", style, *names).permutation(len(names))
    return sorted(names[place] for place in order[:count])


def _told(found: Holdout) -> str:
    gains = (found.seen.gain, found.held_out.gain, found.fresh.gain)
    chosen, held_out, fresh = (decimal(gain, 4, True) for gain in gains)
    return f"gain in Final: {chosen} as chosen, {held_out} by what was held out, {fresh} with a fresh seed"
