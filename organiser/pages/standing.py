"""The standing as a page: ranks by the event's rules, what those are, and how to check it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contest.numbers import decimal
from organiser.clock import from_text
from organiser.pages.render import render, short_time
from organiser.settings.event import PRIVATE, Event


def standing_page(event: Event, value: Mapping[str, Any], toy: bool, around: Mapping[str, Any]) -> str:
    """The page of standing.json's `value`; figures stand in the order of the board's own ranking."""
    from leaderboard.metrics import SCORES

    rows = [
        {
            **row,
            "received": short_time(from_text(row["received"]), event.zone),
            "cells": [
                decimal(row["figures"][one.key], event.decimals if one.key == "final" else one.digits) for one in SCORES
            ],
        }
        for row in value["rows"]
    ]
    kind = "Final standing" if value["final"] else "Standing"
    if event.private is not None:
        kind += f" on the {'hidden' if value['part'] == PRIVATE else 'public'} part of the pictures"
    return render(
        "standing.html",
        kind=kind,
        frozen=None if value["frozen"] is None else event.told(from_text(value["frozen"])),
        toy=toy,
        figures=SCORES,
        rows=rows,
        zone=str(event.zone),
        rules=value["rules"],
        scorer=value["scorer"],
        lines=value["log"]["lines"],
        digest=value["log"]["hash"],
        **around,
    )
