"""A trial as it is told: in tables, plots, and the CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import mean
from typing import TYPE_CHECKING

from evaluator.scoring.formula import Scores
from jdart.sweeping.space import Label

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

FINISHED, STOPPED, REFUSED, FAILED, RUNNING = "finished", "stopped", "refused", "failed", "running"
STATES = {"COMPLETE": FINISHED, "PRUNED": STOPPED, "FAIL": REFUSED}
FAILURES, SECONDS, SCORES = "failed", "seconds", "styles"  # attributes of a trial: style -> reason, seconds, figures
METRICS = tuple(field.name for field in fields(Scores))


@dataclass(frozen=True)
class Row:
    """`labels` are the trial's values, `styles` each style's figures alone, `scores` those of the whole entry.

    `failed` names the styles that could not be done, with the reason; for a refused trial, its values.
    """

    number: int
    state: str
    labels: Mapping[str, Label]
    styles: Mapping[str, Scores]
    scores: Scores | None
    failed: Mapping[str, str]
    seconds: float

    @property
    def mean(self) -> float | None:
        """Of the styles' own Finals, so far."""
        return mean(scores.final for scores in self.styles.values()) if self.styles else None


def row_of(frozen: FrozenTrial, styles: Sequence[str]) -> Row:
    """What Optuna keeps of a trial, whose steps are the styles in their order."""
    own = frozen.user_attrs
    failed, figures = own.get(FAILURES, {}), own.get(SCORES, {})
    state = STATES.get(frozen.state.name, FAILED if failed else RUNNING)
    if state == REFUSED:
        failed = {"values": own.get("refused", "told to Optuna by something else")}
    known = state == FINISHED and all(name in own for name in METRICS)  # one that another tool told has none
    return Row(
        number=frozen.number,
        state=state,
        labels=dict(frozen.params),
        styles={
            styles[step]: Scores(**figures[styles[step]])
            for step in sorted(frozen.intermediate_values)
            if step < len(styles) and styles[step] in figures
        },
        scores=Scores(**{name: own[name] for name in METRICS}) if known else None,
        failed=failed if state in (FAILED, REFUSED) else {},
        seconds=sum(own.get(SECONDS, {}).values()),
    )


def best_of(rows: Sequence[Row]) -> Row | None:
    """The finished trial with the highest Final, of equal ones the first."""
    finished = [row for row in rows if row.scores is not None]
    return max(finished, key=final_of, default=None)


def final_of(row: Row) -> float:
    """A finished trial's."""
    assert row.scores is not None
    return row.scores.final
