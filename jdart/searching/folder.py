"""Where a search keeps what it tried, inside the run folder. A folder of candidates is an entry, if in part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jdart.runs.folder import RunFolder


@dataclass(frozen=True)
class SearchFolder:
    """Paths of a search. Nothing in it is ever removed, or made twice."""

    run: RunFolder

    @property
    def root(self) -> Path:
        return self.run.root / "search"

    @property
    def state(self) -> Path:
        """With what everything here was made."""
        return self.root / "search.json"

    def candidates(self, number: int) -> Path:
        """The pictures of candidate `number` of all prompts that were drawn to the end."""
        return self.root / "candidates" / f"{number:02}"

    def candidate(self, style: str, prompt: str, number: int) -> Path:
        return self.candidates(number) / style / f"{prompt}.png"

    def sketch(self, style: str, prompt: str, number: int) -> Path:
        """What a candidate looked like when it was decided whether it goes on."""
        return self.root / "sketches" / f"{number:02}" / style / f"{prompt}.png"

    def draft(self, style: str, prompt: str, number: int) -> Path:
        """A candidate drawn cheaply, to see whether it is drawn in earnest."""
        return self.root / "drafts" / f"{number:02}" / style / f"{prompt}.png"

    @property
    def holdout(self) -> Path:
        return self.root / "holdout.json"

    def fresh(self, style: str, prompt: str, number: int) -> Path:
        """A candidate drawn again with another seed, to see what of a gain was luck."""
        return self.root / "fresh" / f"{number:02}" / style / f"{prompt}.png"

    def round(self, style: str, first: int) -> Path:
        """What came of the candidates of a style from number `first` on that were tried together."""
        return self.root / "rounds" / style / f"{first:02}.json"


def number_and_prompt(picture: Path) -> tuple[int, str]:
    """Of a candidate's path, as `SearchFolder.candidate` makes it."""
    return int(picture.parents[1].name), picture.stem
