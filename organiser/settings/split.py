"""Which pictures the board is made of, and which only the final standing: an entry and its references, divided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from contest.errors import UserError
from organiser.settings.event import PRIVATE, PUBLIC, Hidden

if TYPE_CHECKING:
    from contest.definition import Contest
    from evaluator.inputs.entry import Entry
    from evaluator.inputs.references import Digests, References
    from evaluator.scoring.viewer import Kept, Progress, Viewer

Prompts = Mapping[str, tuple[str, ...]]


def splits_of(contest: Contest, hidden: Hidden | None) -> dict[str, Prompts]:
    """Split -> style -> prompts; without anything hidden there is only "public", and it has all.

    UserError: what is hidden is not in the contest, or one side has too few pictures for FID.
    """
    if hidden is None:
        return {PUBLIC: dict(contest.styles)}
    problems = [f"private.styles: no style {style}" for style in hidden.styles if style not in contest.styles]
    for style, names in hidden.prompts.items():
        known = contest.styles.get(style, ())
        problems += [f"private.prompts: style {style} has no prompt {name}" for name in names if name not in known]
        problems += [] if style in contest.styles else [f"private.prompts: no style {style}"]
    private: dict[str, tuple[str, ...]] = {}
    public: dict[str, tuple[str, ...]] = {}
    for style, prompts in contest.styles.items():
        away = prompts if style in hidden.styles else hidden.prompts.get(style, ())
        private[style] = tuple(name for name in prompts if name in away)
        public[style] = tuple(name for name in prompts if name not in away)
    for name, side in ((PRIVATE, private), (PUBLIC, public)):
        if sum(map(len, side.values())) < 2:
            problems.append(f"private: leaves fewer than two pictures in the {name} part, and FID needs two")
    if problems:
        raise UserError("; ".join(problems))
    return {
        name: {style: prompts for style, prompts in side.items() if prompts}
        for name, side in ((PUBLIC, public), (PRIVATE, private))
    }


def part_of(entry: Entry, prompts: Prompts) -> Entry:
    """The entry with the pictures of some prompts alone."""
    files = {
        style: {name: read for name, read in entry.files.get(style, {}).items() if name in {f"{p}.png" for p in wanted}}
        for style, wanted in prompts.items()
    }
    return replace(entry, files=files)


class PartReferences:
    """The references of a contest of which some prompts are asked."""

    def __init__(self, whole: References, prompts: Prompts) -> None:
        self.name = whole.name
        self.styles = tuple(sorted(prompts))
        self._whole = whole
        self._prompts = prompts

    def prompts(self, styles: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return {style: self._prompts[style] for style in styles}

    def digests(self, styles: Sequence[str]) -> Digests:
        return self._whole.digests(styles)

    def keep(self, styles: Sequence[str], viewer: Viewer, progress: Progress) -> Kept:
        return self._whole.keep(styles, viewer, progress)

    def thumbnails(self, styles: Sequence[str]) -> dict[str, bytes]:
        return self._whole.thumbnails(styles)
