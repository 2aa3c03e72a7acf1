"""What a search gained, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from contest.disk.files import read_json
from contest.numbers import decimal
from contest.screen import screen
from jdart.runs.job import Job
from jdart.searching.folder import SearchFolder
from jdart.searching.rounds import Round, rounds_of

METRICS = {"dino": "DINO", "hist": "Hist", "lpips": "LPIPS", "clip_r": "CLIP-R", "clip_iqa": "CLIP-IQA"}


def print_gains(job: Job, console: Console | None = None) -> None:
    """Each style's means without a search and as chosen, what was tried for it, and what that cost."""
    assert job.config.search is not None
    console = screen() if console is None else console
    told = read_json(job.folder.choices)
    table = Table(title="without a search → chosen")
    for column in ("style", *METRICS.values(), "tried", "drawn whole", "price in pictures"):
        table.add_column(column, justify="left" if column == "style" else "right", no_wrap=True)
    for style in job.contest.styles:
        own = rounds_of(SearchFolder(job.folder), style)
        means = [_means(told["styles"][style], metric) for metric in METRICS]
        tried = sum(len(one.numbers) for one in own)
        whole = sum(map(len, (kept for one in own for kept in one.kept.values()))) / len(job.contest.styles[style])
        prune = job.config.search.prune
        cost = price(own, 0.0 if prune is None else prune.at)
        table.add_row(
            style,
            *(f"{decimal(first, 3)} → {decimal(chosen, 3)}" for first, chosen in means),
            str(tried),
            decimal(whole, 1),
            decimal(cost, 1),
        )
    console.print(table)
    gain = told["final"] - told["final_without_search"]
    console.print(
        f"Final {decimal(told['final_without_search'], 4)} without a search, {decimal(told['final'], 4)} as chosen "
        f"({decimal(gain, 4, True)}); chosen by the score itself, which flatters: see what --holdout says",
        highlight=False,
    )


def price(rounds: list[Round], at: float) -> float:
    """What the candidates of a prompt cost, in pictures drawn whole; those that stopped early did so at share `at`.

    Drafts cost what they took, measured by the seconds of the pictures beside them.
    """
    if not rounds:
        return 0.0
    kept = sum(len(numbers) for one in rounds for numbers in one.kept.values())
    stopped = sum(
        len(one.looks.get(prompt, {}).keys() - set(own)) for one in rounds for prompt, own in one.kept.items()
    )
    timed = [(one, one.seconds, one.drafting) for one in rounds if one.seconds is not None and one.drafting is not None]
    drafting = sum(own for _, _, own in timed)
    drawing = sum(seconds for _, seconds, _ in timed) - drafting
    drawn = sum(len(numbers) for one, _, _ in timed for numbers in one.kept.values())
    drafts = drawn * drafting / drawing if drawing > 0 else 0.0
    return (kept + at * stopped + drafts) / len(rounds[0].kept)


def _means(prompts: Mapping[str, Any], metric: str) -> tuple[float, float]:
    """Of a style's prompts: with candidate 0, and as chosen."""
    first = [one["tried"]["00"][metric] for one in prompts.values()]
    chosen = [one["tried"][f"{one['chosen']:02}"][metric] for one in prompts.values()]
    return sum(first) / len(first), sum(chosen) / len(chosen)
