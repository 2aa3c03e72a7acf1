"""The search: rounds of candidates while the budget lasts, then the choice by Final."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contest.errors import UserError
from jdart.runs.job import Event, Job
from jdart.searching.chosen import first_scores, numbers_of, place, write_choices
from jdart.searching.folder import SearchFolder
from jdart.searching.judging import scorer_of
from jdart.searching.rounds import Round, draw_round, rounds_of, tried
from jdart.searching.spending import Budget, Outlook, next_candidates
from jdart.searching.state import open_state

if TYPE_CHECKING:
    from evaluator.analysis.cells import Cells
    from evaluator.scoring.scorer import Scorer
    from jdart.searching.candidates import Candidates

# (style, number of candidates tried before, then) of some styles -> what is told while they are drawn
Draw = Callable[[Sequence[tuple[str, int, int]]], Iterator[Event]]


def search(
    job: Job, device: str, budget: Budget | None = None, workers: int = 1, draw: Draw | None = None
) -> Iterator[Event]:
    """Try candidates until the budget is used up, choose, and put the chosen pictures among the entry's.

    Without a budget it is `search.candidates`. `draw` lets `workers` processes do it. What was tried before counts as
    spent. UserError when the budget ends before every prompt has a candidate, and where the search was begun with
    something else.
    """
    assert job.config.search is not None
    budget = Budget(candidates=job.config.search.candidates) if budget is None else budget
    scorer = scorer_of(job, device)
    open_state(job, scorer.hashes)
    table = Tried(job, scorer)
    yield from _unfinished(job, scorer, table)
    drawn = (lambda wave: _here(job, scorer, wave)) if draw is None else draw
    while True:
        wave = _wave(job, table, budget, workers)
        if not wave:
            break
        yield from drawn(wave)
        for style, *_ in wave:
            table.take(style)
    lacking = [style for style in job.contest.styles if table.tried(style) == 0]
    if lacking:
        raise UserError(
            f"the budget is used up before style {lacking[0]} had a candidate ({len(lacking)} of "
            f"{len(job.contest.styles)} styles have none); run the same command with a larger --budget: it goes on"
        )
    yield from _choose(job, table)


def draw_candidates(job: Job, device: str) -> Iterator[Event]:
    """The stage of a worker: the candidates of its styles up to `search.candidates` that were not tried yet."""
    assert job.config.search is not None
    scorer = scorer_of(job, device)
    for style in job.contest.styles:
        numbers = range(tried(rounds_of(SearchFolder(job.folder), style)), job.config.search.candidates)
        if numbers:
            yield from draw_round(job, style, numbers, scorer)


class Tried:
    """Every candidate that is drawn to the end, with what the evaluator says of it; each is looked at once."""

    def __init__(self, job: Job, scorer: Scorer):
        from evaluator.scoring.parts import real_moments

        self.job, self.scorer, self.folder = job, scorer, SearchFolder(job.folder)
        self._real = real_moments(scorer, sorted(job.contest.styles))
        self._cells: dict[tuple[str, int], Cells] = {}
        self.rounds: dict[str, list[Round]] = {}
        for style in job.contest.styles:
            self.take(style)

    def take(self, style: str) -> None:
        """Take in what is there of a style."""
        self.rounds[style] = rounds_of(self.folder, style)
        for one in self.rounds[style]:
            if one.done(self.folder, style):
                for number in one.numbers:
                    self._measure(style, number, one)

    def tried(self, style: str) -> int:
        """How many candidates of each prompt."""
        return tried(self.rounds[style])

    def paths(self, style: str, number: int, one: Round) -> dict[str, Path]:
        """Name -> picture, of candidate `number` where it was drawn to the end."""
        kept = [prompt for prompt, own in one.kept.items() if number in own]
        return {f"{prompt}.png": self.folder.candidate(style, prompt, number) for prompt in kept}

    def candidates(self) -> Candidates:
        """All of them."""
        from jdart.searching.candidates import pool

        keys = sorted(self._cells)
        return pool([self._cells[key] for key in keys], [number for _, number in keys])

    def outlooks(self) -> dict[str, Outlook]:
        """What each style is like so far."""
        deviations = self._deviations()
        usual = float(np.mean([*deviations.values()])) if deviations else 0.0
        found = {}
        for style, prompts in self.job.contest.styles.items():
            own = [one for one in self.rounds[style] if one.seconds is not None]
            count = sum(len(one.numbers) for one in own)
            seconds = sum(one.seconds for one in own if one.seconds is not None) / count if count else None
            found[style] = Outlook(len(prompts), self.tried(style), deviations.get(style, usual), seconds)
        return found

    def spent(self) -> float:
        """Seconds that the rounds took, one after another."""
        return sum(one.seconds for own in self.rounds.values() for one in own if one.seconds is not None)

    def _measure(self, style: str, number: int, one: Round) -> None:
        from evaluator.scoring.parts import open_pictures, pictures_to_cells

        paths = self.paths(style, number, one)
        if paths and (style, number) not in self._cells:
            pictures = open_pictures(style, paths)
            self._cells[style, number] = pictures_to_cells(self.scorer, {style: pictures}, self._real)

    def _deviations(self) -> dict[str, float]:
        """How much the candidates of a prompt differ in what they are worth, in Final of the whole entry, by style."""
        from jdart.searching.choice import choose
        from jdart.searching.standing import Standing, Table

        if len({style for style, _ in self._cells}) < len(self.job.contest.styles):
            return {}
        candidates = self.candidates()
        table = Table(candidates)
        worths = table.parts @ Standing(table, choose(candidates).rows).slopes()
        variances: dict[str, list[float]] = {}
        for cell, (style, _) in enumerate(candidates.keys):
            own = worths[candidates.cell == cell]
            if len(own) > 1:
                variances.setdefault(style, []).append(float(own.var(ddof=1)))
        return {style: float(np.sqrt(np.mean(own))) for style, own in variances.items()}


def _unfinished(job: Job, scorer: Scorer, table: Tried) -> Iterator[Event]:
    """Draw what is lacking of rounds that were broken off."""
    for style, own in table.rounds.items():
        for one in own:
            if not one.done(table.folder, style):
                yield from draw_round(job, style, one.numbers, scorer)
        table.take(style)


def _wave(job: Job, table: Tried, budget: Budget, workers: int) -> list[tuple[str, int, int]]:
    """What the workers do next, a style each."""
    assert job.config.search is not None
    outlooks, wave = table.outlooks(), list[tuple[str, int, int]]()
    while len(wave) < workers:
        busy = [style for style, *_ in wave]
        spent = table.spent() / workers
        following = next_candidates(outlooks, budget, spent, job.config.search.round, busy)
        if following is None:
            break
        style, count = following
        wave.append((style, outlooks[style].tried, outlooks[style].tried + count))
        outlooks[style] = replace(outlooks[style], tried=outlooks[style].tried + count)
    return wave


def _here(job: Job, scorer: Scorer, wave: Sequence[tuple[str, int, int]]) -> Iterator[Event]:
    """Draw in this process; the events count from the style's first candidate on."""
    for style, before, then in wave:
        yield from counted(draw_round(job, style, range(before, then), scorer), before * len(job.contest.styles[style]))


def counted(events: Iterator[Event], before: int) -> Iterator[Event]:
    """Events of a round, with what earlier rounds did added."""
    for event in events:
        yield replace(event, done=event.done + before, total=event.total + before)


def _choose(job: Job, table: Tried) -> Iterator[Event]:
    from jdart.searching.choice import choose, swap_finals

    before = job.folder.choices.read_bytes() if job.folder.choices.exists() else None
    candidates = table.candidates()
    choice = choose(candidates)
    place(job, numbers_of(candidates, choice.rows))
    write_choices(job, table.rounds, candidates, choice, swap_finals(candidates, choice.rows))
    text = f"Final {choice.scores.final:.6f}; without a search {first_scores(candidates).final:.6f}"
    yield Event("search", None, 1, 1, text, skipped=job.folder.choices.read_bytes() == before)
