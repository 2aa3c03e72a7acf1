"""What an organiser decides, as one value: docs/organiser.md shows the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Optional

BEST, LAST, CHOSEN = "best", "last", "chosen"
SCORE, DROP = "score", "drop"
EARLIER = "earlier"
LOWER_IS_BETTER = ("fid", "lpips")  # of the figures that a tie may be broken by
TIES = ("dino", "hist", "fid", "lpips", "clip_iqa", "clip_r", "style", "text", "quality", EARLIER)

PUBLIC, PRIVATE = "public", "private"


@dataclass(frozen=True)
class Team:
    """What one team is allowed beyond the rules: entries a day, and a deadline of its own."""

    per_day: Optional[int] = None
    deadline: Optional[datetime] = None


@dataclass(frozen=True)
class Hidden:
    """What only the final standing is made of: whole styles, and prompts of other styles."""

    styles: tuple[str, ...] = ()
    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Suspicion:
    """What the organiser is shown to look at; nobody is judged by it.

    Two teams' entries of which the share `share` of the pictures have difference hashes at most `bits` of 64 apart; a
    Final that is more than `jump` above the team's best before.
    """

    bits: int = 8
    share: float = 0.5
    jump: float = 0.1


@dataclass(frozen=True)
class Reproduction:
    """How an entry is drawn again: `pictures` a style by the base model `base`, each in at most `minutes`.

    A picture is reproduced when the mean absolute difference of its channels (0 to 255) is at most `difference`, an
    entry when the share `share` of the pictures is.
    """

    base: str
    pictures: int = 2
    difference: float = 2.0
    share: float = 1.0
    minutes: float = 30.0


@dataclass(frozen=True)
class Event:
    """The rules of one event. Times have a zone; None: there is no such limit, or time."""

    contest: str
    references: str
    weights: str
    title: str = "Leaderboard"
    profile: str = "official-2024"
    zone: timezone = timezone.utc
    teams: Optional[tuple[str, ...]] = None
    baselines: tuple[str, ...] = ()
    per_day: Optional[int] = None
    deadline: Optional[datetime] = None
    pending: str = SCORE
    freeze: Optional[datetime] = None
    counts: str = BEST
    chosen: int = 2
    exceptions: Mapping[str, Team] = field(default_factory=lambda: MappingProxyType({}))
    private: Optional[Hidden] = None
    decimals: int = 6
    ties: tuple[str, ...] = (EARLIER,)
    suspicion: Suspicion = field(default_factory=Suspicion)
    reproduction: Optional[Reproduction] = None

    def deadline_of(self, team: str) -> datetime | None:
        """The team's own deadline where it has one."""
        own = self.exceptions.get(team, Team()).deadline
        return self.deadline if own is None else own

    def limit_of(self, team: str) -> int | None:
        """How many scored entries a day the team has."""
        own = self.exceptions.get(team, Team()).per_day
        return self.per_day if own is None else own

    def day_of(self, moment: datetime) -> str:
        """The day in the event's zone, as in 2026-08-10."""
        return moment.astimezone(self.zone).date().isoformat()

    def told(self, moment: datetime) -> str:
        """A time in the event's zone, for people."""
        return moment.astimezone(self.zone).isoformat(" ", "seconds")
