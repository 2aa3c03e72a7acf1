"""With what a search was made, so that it goes on only with the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contest.disk.files import read_json, sha256, write_json
from contest.errors import UserError
from jdart.config import said
from jdart.runs.job import Job
from jdart.searching.folder import SearchFolder

SCHEMA_VERSION = 1
_FREE = ("candidates",)  # of the section: how far a search goes, not what it is


def open_state(job: Job, weights: Mapping[str, str]) -> None:
    """Note what the search is made with. UserError, with what changed, where it was begun with something else.

    `weights` are the hashes of the evaluator's networks.
    """
    file = SearchFolder(job.folder).state
    now = _state(job, weights)
    if not file.exists():
        write_json(file, now)
        return
    before = read_json(file)
    if not isinstance(before, dict) or before.get("schema_version") != SCHEMA_VERSION:
        raise UserError(f"{file}: not a search of this version; choose another folder with --output")
    changed = [what for what in now if what != "styles" and before.get(what) != now[what]]
    said_of = {style: own for style, own in now["styles"].items() if before["styles"].get(style, own) != own}
    changed += [
        f"the {what} of style {style}"
        for style, own in said_of.items()
        for what in own
        if own[what] != before["styles"][style].get(what)
    ]
    if changed:
        names = {"weights": "the evaluator's weights", "base": "the base model", "search": "the search section"}
        told = ", ".join(names.get(what, what) for what in changed)
        raise UserError(
            f"{file.parent} was made with another state of {told}; nothing was touched: choose another folder with "
            "--output, or go back to what it was"
        )
    if {*now["styles"]} - {*before["styles"]}:
        write_json(file, {**before, "styles": {**before["styles"], **now["styles"]}})


def _state(job: Job, weights: Mapping[str, str]) -> dict[str, Any]:
    search = {key: value for key, value in said(job.config.search).items() if key not in _FREE}
    return {
        "schema_version": SCHEMA_VERSION,
        "base": job.base.identity,
        "profile": job.config.score.profile,
        "weights": dict(weights),
        "search": search,
        "styles": {style: _style(job, style) for style in job.contest.styles},
    }


def _style(job: Job, style: str) -> dict[str, Any]:
    references = {picture.path.name: sha256(picture.path) for picture in job.references[style]}
    folder = job.folder
    places = {"LoRA": folder.lora(style), "token": folder.token(style), "IP-Adapter": folder.ip_adapter(style)}
    learnt = places if job.config.learns(style) else {}
    return {"references": references, **{what: sha256(path) for what, path in learnt.items() if path.exists()}}
