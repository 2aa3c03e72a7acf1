"""Can this entry be scored? Findings are data with stable codes, and all of them are gathered."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contest.entry.notes import is_post_processed
from contest.entry.png import read_chunks, read_texts
from contest.errors import UserError
from contest.names import loose_picture, match, misspelling
from evaluator.inputs.entry import Source
from evaluator.inputs.images import BadPicture, inspect_png

INCOMPLETE = (
    "missing-style",
    "missing-picture",
    "extra-picture",
)  # what --as-is lets pass, as the checker does


@dataclass(frozen=True)
class Finding:
    """One problem of an entry.

    `where` is a style or "<style>/<name>", `message` completes the sentence "<where> ...".
    """

    code: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where} {self.message}"


class EntryRefused(UserError):
    """The entry cannot be scored; `findings` says why, all of it."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        others = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__(f"the entry cannot be scored: {findings[0]}{others}")
        self.findings = tuple(findings)


@dataclass(frozen=True)
class Picture:
    """A picture that passed: 8-bit RGB PNG of `size` (height, width) with an intact structure.

    `post_processed`: it says of itself that its finished pixels were changed.
    """

    style: str
    name: str
    read: Source
    size: tuple[int, int]
    sha256: str
    post_processed: bool = False

    @property
    def where(self) -> str:
        return f"{self.style}/{self.name}"


def check_entry(
    files: Mapping[str, Mapping[str, Source | None]], prompts: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[Picture]], list[Finding]]:
    """The usable pictures of each style of `prompts` (sorted by name), and every finding."""
    pictures: dict[str, list[Picture]] = {}
    findings: list[Finding] = []
    for style, objects in prompts.items():
        there = files.get(style, {})
        wanted = {f"{prompt}.png" for prompt in objects}
        meant = match(sorted(there), sorted(wanted), loose_picture)
        if not there:
            findings.append(Finding("missing-style", style, f"has no pictures; {len(wanted)} are due"))
        else:
            lacking = sorted(wanted - set(there))
            findings += [Finding("missing-picture", f"{style}/{name}", _missing(name, meant)) for name in lacking]
        pictures[style] = []
        for name, read in sorted(there.items()):
            where = f"{style}/{name}"
            if read is None or not name.endswith(".png"):
                said = _misnamed(name, meant, "is not one PNG file; the checker would stop at it")
                findings.append(Finding("stray-file", where, said))
                continue
            if name not in wanted:
                said = _misnamed(name, meant, "is not among the style's prompts")
                findings.append(Finding("extra-picture", where, said))
            try:
                pictures[style].append(_inspect(style, name, read))
            except BadPicture as problem:
                findings.append(Finding(problem.code, where, str(problem)))
    findings += _mixed_sizes(pictures)
    return pictures, findings


def check_as_is(
    files: Mapping[str, Mapping[str, Source | None]], pictures: Mapping[str, Sequence[Picture]]
) -> list[Finding]:
    """What stops the checker although nothing need be complete: a style without pictures."""
    return [
        Finding("empty-style", style, "has no pictures; the checker cannot score an empty style")
        for style in pictures
        if not files.get(style)
    ]


def check_enough(pictures: Mapping[str, Sequence[Picture]]) -> list[Finding]:
    """A single picture has no covariance, which FID compares."""
    if sum(map(len, pictures.values())) == 1:
        style = next(style for style, found in pictures.items() if found)
        return [Finding("too-few", style, "has the only picture; FID needs at least two")]
    return []


def check_references(references: Mapping[str, Mapping[str, Source]]) -> dict[str, list[Picture]]:
    """The reference pictures of each style. Raises UserError that names everything that is wrong with them."""
    pictures: dict[str, list[Picture]] = {}
    refused: dict[str, list[str]] = {}  # what is wrong -> with which pictures
    for style, images in references.items():
        pictures[style] = []
        for name, read in images.items():
            try:
                pictures[style].append(_inspect(style, name, read))
            except BadPicture as problem:
                refused.setdefault(str(problem), []).append(f"{style}/images/{name}")
    problems = [
        f"{places[0]} {problem}" + (f" (and {len(places) - 1} more like it)" if len(places) > 1 else "")
        for problem, places in refused.items()
    ]
    problems += [str(finding) for finding in _mixed_sizes(pictures)]
    if not problems and sum(map(len, pictures.values())) < 2:
        problems.append("FID needs at least two pictures")
    if problems:
        raise UserError("the references cannot be used: " + "; ".join(problems))
    return pictures


def _missing(name: str, meant: Mapping[str, str]) -> str:
    return "is missing; a file there has nearly its name" if name in meant.values() else "is missing"


def _misnamed(name: str, meant: Mapping[str, str], otherwise: str) -> str:
    """What to say of a file whose name is none of the prompts'."""
    if meant.get(name, name) == name:
        return otherwise
    return f"should be named {meant[name]}{misspelling(name, meant[name])[1]}"


def _inspect(style: str, name: str, read: Source) -> Picture:
    data = read()
    size = inspect_png(data)
    said = is_post_processed(dict(read_texts(read_chunks(data)[0])))
    return Picture(style, name, read, size, hashlib.sha256(data).hexdigest(), said)


def _mixed_sizes(pictures: Mapping[str, Sequence[Picture]]) -> list[Finding]:
    """FID stacks all pictures of an entry into one array, so that one odd size stops the checker."""
    everything = [picture for found in pictures.values() for picture in found]
    if not everything:
        return []
    # the commonest size is taken as meant; the larger one where two are equally common
    counts = Counter(picture.size for picture in everything)
    usual = max(counts, key=lambda size: (counts[size], size))
    return [
        Finding("mixed-sizes", picture.where, f"is {_size(picture)}, the others are {usual[1]}x{usual[0]}")
        for picture in everything
        if picture.size != usual
    ]


def _size(picture: Picture) -> str:
    return f"{picture.size[1]}x{picture.size[0]}"
