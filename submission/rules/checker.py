"""The rules of an entry: a listing and a contest in, findings out. One pass finds everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from contest.definition import Contest
from contest.entry.listing import Listing
from contest.entry.notes import other_prompt
from contest.findings import Finding, errors, finding
from submission.rules.alike import copied_from
from submission.rules.layout import Claim, check_names, unwrap
from submission.rules.pictures import Picture, equal_pixels, inspect_items, post_processed, wrong_sizes
from submission.rules.references import look_at
from submission.rules.story import check_gate, check_story

_MISSING = frozenset({"S101", "S102", "S501", "S502", "S504", "S505", "S508"})  # what says that something is not there


def check_items(
    listing: Listing, contest: Contest, references: Path | None = None, report: Path | None = None
) -> list[Finding]:
    """Every finding about an entry, sorted by path and code. Of an archive with findings no picture is decoded.

    `references` is the folder of the contest's references, with which outputs are compared; `report` the entry's
    report.json, from which a story's aesthetic score is taken. Each may be None. What an archive does not let be listed
    is not called missing.
    """
    if listing.findings and not listing.items:
        return list(listing.findings)
    count = sum(item.kind == "file" for item in listing.items)
    if count > contest.limits.files:
        return [*listing.findings, finding("S409", ".", f"has {count} files; the contest takes {contest.limits.files}")]
    decode = not errors(listing.findings)
    story = contest.story
    items, findings = unwrap(listing.items, contest.styles if story is None else (story.prompts, story.sheet))
    if story is None:
        wrong, claims = check_names(items, contest)
        pictures = inspect_items([claim.item for claim in claims], contest.limits, decode)
        findings += [*wrong, *_check_pictures(claims, pictures, contest, references)]
    else:
        findings += check_story(items, contest, story, decode)
        findings += check_gate(report, story, items)
    if not listing.whole:
        findings = [one for one in findings if one.code not in _MISSING]
    return sorted([*listing.findings, *findings], key=lambda one: (one.path, one.code, one.message))


def _check_pictures(
    claims: Sequence[Claim], pictures: Mapping[str, Picture], contest: Contest, references: Path | None
) -> Iterator[Finding]:
    for picture in pictures.values():
        yield from picture.findings
    sizes = {path: picture.size for path, picture in pictures.items() if picture.size is not None}
    yield from wrong_sizes(sizes, contest.size)
    digests = {
        claim.item.path: pixels
        for claim in claims
        if claim.prompt is not None and (pixels := pictures[claim.item.path].pixels) is not None
    }  # an extra picture is to be removed anyway
    yield from equal_pixels(digests)
    hashes, unseen = ({}, []) if references is None else look_at(references, contest.styles)
    yield from unseen
    yield from post_processed(pictures)
    prompts = {prompt for one in contest.styles.values() for prompt in one}
    for claim in claims:
        path, picture = claim.item.path, pictures[claim.item.path]
        if picture.looks is not None and (name := copied_from(picture.looks, hashes.get(claim.style, {}))) is not None:
            yield finding("S212", path, f"looks like the reference {name}")
        other = None if claim.prompt is None else other_prompt(picture.texts, claim.prompt, prompts)
        if other is not None:
            yield finding("S213", path, f"says that it was drawn for {other}")
