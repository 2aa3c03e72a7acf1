"""What a contest is: its styles, what to draw in each, and its limits. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Optional

from contest.errors import UserError


@dataclass(frozen=True)
class Limits:
    """What an entry may be at most; the defaults leave a contest's entry room and a hostile one little.

    `files` counts names, `file_bytes` and `total_bytes` are unpacked, `archive_bytes` is the archive itself,
    `side` is pixels of a picture.
    """

    files: int = 20_000
    file_bytes: int = 64 << 20
    total_bytes: int = 4 << 30
    archive_bytes: int = 4 << 30
    side: int = 4096


@dataclass(frozen=True)
class Story:
    """An entry that tells a story: its own prompts, one picture each, and a sheet with all of them.

    `prompts` is a CSV file with the columns `file` and `prompt`; `sheet` a picture of `rows` x `columns`, in any size,
    which jdart makes with cells of `cell` pixels; `aesthetic` the mean score from which the entry counts, on the
    evaluator's aesthetic scale.
    """

    pictures: int
    prompts: str = "prompts.csv"
    sheet: str = "sheet.png"
    rows: int = 2
    columns: int = 4
    aesthetic: Optional[float] = None
    cell: int = 512

    def grid(self, pictures: int) -> tuple[int, int]:
        """Rows and columns of the sheet of so many pictures: more rows than the contest's, where there are more."""
        return max(self.rows, -(-pictures // self.columns)), self.columns


@dataclass(frozen=True)
class Contest:
    """A contest's rules.

    `styles` maps a style's id to its prompts, in the contest's order; a prompt's picture is `<Prompt>.png`.
    Where the prompts come with the references, a style has none yet and `prompts` says how many there will be.
    `references` is the number of pictures to learn from in every style, or None where styles differ. `size`, in
    pixels, is asked of every picture where it is given; otherwise all must have one size. A `story` has no styles.
    """

    name: str
    styles: Mapping[str, tuple[str, ...]]
    references: int | None = None
    version: str = "1"
    prompts: int | None = None
    size: tuple[int, int] | None = None
    limits: Limits = field(default_factory=Limits)
    story: Story | None = None

    @property
    def pictures(self) -> int:
        """How many pictures a complete entry has; at least, for a story."""
        if self.story is not None:
            return self.story.pictures
        return sum(len(prompts) for prompts in self.styles.values())

    def subset(self, styles: Iterable[str]) -> Contest:
        """The same contest with some styles only, in the contest's order. UserError names unknown ones."""
        wanted = list(styles)
        unknown = [style for style in wanted if style not in self.styles]
        if unknown:
            missing = ", ".join(map(repr, unknown))
            raise UserError(f"contest {self.name} has no style {missing}; it has {', '.join(self.styles)}")
        if not wanted:
            raise UserError(f"no style chosen; contest {self.name} has {', '.join(self.styles)}")
        return replace(self, styles={style: self.styles[style] for style in self.styles if style in wanted})

    def with_prompts(self, styles: Mapping[str, tuple[str, ...]]) -> Contest:
        """This contest with the prompts of its references. UserError where they are not what it announces."""
        problems = [f"style {style} is missing" for style in self.styles if style not in styles]
        problems += [f"style {style} is not one of the contest's" for style in styles if style not in self.styles]
        problems += [
            f"style {style} has {len(prompts)} prompts, not {self.prompts}"
            for style, prompts in styles.items()
            if style in self.styles and len(prompts) != self.prompts
        ]
        if problems:
            raise UserError(f"these are not the references of contest {self.name}: {'; '.join(problems)}")
        return replace(self, styles={style: styles[style] for style in self.styles}, prompts=None)
