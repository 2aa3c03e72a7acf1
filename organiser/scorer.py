"""The scorer of an event, and its version: a name for all that its figures depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from contest.disk.files import fingerprint, sha256
from contest.errors import UserError, needs
from organiser.settings.event import PUBLIC

if TYPE_CHECKING:
    from evaluator.reporting.output import Attachments
    from evaluator.reporting.report import Report
    from organiser.desk import Desk

Scored = dict[str, tuple["Report", "Attachments"]]  # split -> what it was given
_CODE = ("contest", "evaluator")  # what figures are computed by


class Refused(Exception):
    """The archive cannot be scored, and that is its own fault."""


class EntryScorer(Protocol):
    """What the queue needs; tests have one of their own."""

    @property
    def parts(self) -> Mapping[str, str]:
        """What its version is made of."""

    def score(self, archive: Path) -> Scored:
        """Raises Refused; whatever else it raises is no fault of the entry."""


def version_of(parts: Mapping[str, str]) -> str:
    """Twelve digits of a hash of all parts."""
    return hashlib.sha256(json.dumps(dict(parts), sort_keys=True).encode()).hexdigest()[:12]


class EventScorer:
    """One set of networks for all entries and splits. UserError: weights or references that cannot be used."""

    def __init__(self, desk: Desk) -> None:
        with needs("eval"):
            from evaluator.inputs.refpack import open_references
            from evaluator.scoring.scorer import Options, Scorer

            references = open_references(desk.references)
            options = Options(desk.event.profile, cache=desk.folder / "features")
            self._scorer = Scorer(references, desk.weights, options)
        self._splits = desk.splits
        self._whole = references
        digest = fingerprint(references.digests(references.styles))  # unusable references are said here, of no entry
        self.parts = {
            "profile": desk.event.profile,
            "weights": _hash(self._scorer.hashes),
            "references": digest,
            "pictures": _hash({part: {s: list(p) for s, p in own.items()} for part, own in desk.splits.items()}),
            "code": _code(),
            "libraries": _hash(_libraries()),
        }

    def score(self, archive: Path) -> Scored:
        """Every split of an archive. Raises Refused where it cannot be scored."""
        from dataclasses import replace

        from evaluator.inputs.check import EntryRefused
        from evaluator.inputs.entry import open_entry
        from organiser.settings.split import PartReferences, part_of

        scored: Scored = {}
        try:
            with open_entry(archive) as entry:
                for split, prompts in self._splits.items():
                    scorer = self._scorer.against(PartReferences(self._whole, prompts))
                    part = part_of(entry, prompts)
                    report, attachments = scorer.score(part, scorer.admit(part, tuple(prompts)))
                    if len(self._splits) > 1:
                        reason = f"scored on the {split} part of the pictures"
                        reasons = [*report.provenance.not_comparable_because, reason]
                        known = replace(report.provenance, comparable=False, not_comparable_because=reasons)
                        report = replace(report, provenance=known)
                    scored[split] = (report, attachments)
        except EntryRefused as refused:
            more = f", and {len(refused.findings) - 1} more" if len(refused.findings) > 1 else ""
            raise Refused(f"{refused.findings[0]}{more}") from refused
        except UserError as error:  # references and weights were found good before, so it is the archive
            raise Refused(str(error).replace(str(archive), "the archive")) from error
        return scored


def public_figures(split: str, figures: Mapping[str, float]) -> dict[str, float]:
    """What the log may say of a score: of the hidden part nothing but the hash of its report, which binds it."""
    return {"final": figures["final"]} if split == PUBLIC else {}


def _libraries() -> dict[str, str]:
    from importlib import metadata

    return {name: metadata.version(name) for name in ("torch", "numpy", "pillow", "tokenizers", "lpips")}


def _code() -> str:
    """A hash of the programs that make figures: a comment that changes counts, and costs a rescore from the cache."""
    root = Path(__file__).parents[1]
    files = [path for package in _CODE for path in sorted((root / package).rglob("*.py"))]
    return _hash({str(path.relative_to(root)): sha256(path) for path in files})


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
