"""What a budget is spent on next: the style whose next candidates are expected to gain most a second."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Optional

from contest.errors import UserError

_UNITS = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h)?")


@dataclass(frozen=True)
class Budget:
    """So many candidates a prompt on average, or so many seconds of drawing; one of the two is None."""

    candidates: Optional[int] = None
    seconds: Optional[float] = None


def read_budget(text: str) -> Budget:
    """ "8" is candidates a prompt; "2h", "90min", "90m" and "300s" are time. Raises UserError."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise UserError(
            f"--budget {text}: write how many candidates a prompt, such as 8, or a time, such as 2h or 30min"
        )
    number, unit = found.groups()
    if unit is not None:
        if float(number) == 0:
            raise UserError(f"--budget {text}: too small for one candidate of each prompt; take more")
        return Budget(seconds=float(number) * _UNITS[unit])
    if not number.isdigit() or int(number) < 1:
        raise UserError(f"--budget {text}: too small for one candidate of each prompt; take 2 or more")
    return Budget(candidates=int(number))


@dataclass(frozen=True)
class Outlook:
    """A style so far: prompts, candidates tried of each, the seconds that one candidate of all prompts takes.

    `deviation` is that of a candidate's worth among those of its prompt, in Final of the whole entry; the mean over the
    prompts. `seconds` is None where it was not measured.
    """

    prompts: int
    tried: int
    deviation: float
    seconds: Optional[float]

    def gain(self, more: int) -> float:
        """By how much Final is expected to grow with so many more candidates, were their worths normal."""
        return self.prompts * self.deviation * (expected_best(self.tried + more) - expected_best(self.tried))


def expected_best(count: int) -> float:
    """The expected largest of `count` standard normals, by Blom's approximation (1958); 0 of one."""
    return NormalDist().inv_cdf((count - 0.375) / (count + 0.25)) if count > 1 else 0.0


def next_candidates(
    outlooks: Mapping[str, Outlook], budget: Budget, spent: float, at_once: int, busy: Sequence[str] = ()
) -> tuple[str, int] | None:
    """The style to go on with and how many candidates of each of its prompts; None when the budget is used up.

    `spent` is seconds so far, where the budget is time. Every style comes first once; styles that are `busy` wait.
    """
    free = {style: outlook for style, outlook in outlooks.items() if style not in busy}
    sizes = {style: _affordable(outlooks, style, budget, spent, at_once) for style in free}
    fresh = [style for style in free if free[style].tried == 0 and sizes[style] > 0]
    if fresh:
        return fresh[0], sizes[fresh[0]]
    if any(outlook.tried == 0 for outlook in outlooks.values()):
        return None  # those that are busy come first
    known = [outlook.seconds for outlook in outlooks.values() if outlook.seconds is not None]
    usual = sum(known) / len(known) if known else 1.0

    def gain_a_second(style: str) -> float:
        pace = free[style].seconds
        return free[style].gain(sizes[style]) / (sizes[style] * (usual if pace is None else pace))

    able = [style for style in free if sizes[style] > 0]
    return max(((style, sizes[style]) for style in able), key=lambda each: gain_a_second(each[0]), default=None)


def _affordable(outlooks: Mapping[str, Outlook], style: str, budget: Budget, spent: float, at_once: int) -> int:
    """How many more candidates of each prompt of a style the budget has room for, `at_once` at most."""
    own = outlooks[style]
    if budget.candidates is not None:
        pictures = sum(outlook.prompts * (budget.candidates - outlook.tried) for outlook in outlooks.values())
        unseen = sum(outlook.prompts for name, outlook in outlooks.items() if outlook.tried == 0 and name != style)
        return max(0, min(at_once, (pictures - unseen) // own.prompts))
    assert budget.seconds is not None
    left = budget.seconds - spent
    if own.seconds is None:
        return at_once if left > 0 else 0
    return min(at_once, int(left / own.seconds)) if left > 0 else 0
