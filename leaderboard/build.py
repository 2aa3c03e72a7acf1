"""The whole way: reports in, a site on disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from leaderboard.entries import Section, rank_reports
from leaderboard.reports import read_report
from leaderboard.site import publish
from submission.errors import UserError


def build_site(
    reports: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    title: str = "Leaderboard",
    force: bool = False,
) -> list[Section]:
    """Rank the reports and write the site to `out`; equal reports give equal bytes. Returns the sections.

    A report is a report.json, its folder, or a run folder. UserError: one that is not, none at all, or `out`
    holding something that is not a site of ours (`force` keeps that and writes beside it).
    """
    read = [read_report(path) for path in reports]
    if not read:
        raise UserError("no reports; give report.json files, report folders or run folders")
    sections = rank_reports(read)
    from leaderboard.render import render

    publish(Path(out), render(sections, title), force)
    return sections
