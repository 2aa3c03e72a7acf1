"""Pictures -> notes: each is decoded once and each network sees it once, or not at all where the cache knows better.

While the networks look at some pictures, threads decode and prepare the next ones.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from contest.cores import cores
from contest.errors import UserError
from evaluator.extractors.base import Arrays, ComparingExtractor, Extractor
from evaluator.inputs.check import Finding, Picture
from evaluator.inputs.images import BadPicture, decode, to_thumbnail
from evaluator.memory import give_back
from evaluator.scoring.cache import Cache, key_of
from evaluator.scoring.stopwatch import Stopwatch

Progress = Callable[[str, int, int], None]  # stage ("references" or "outputs"), done, of how many
Kept = dict[str, dict[str, Arrays]]  # extractor -> style -> what is kept of the style's references

_BATCH_PIXELS = 8 * 512 * 512  # pictures are looked at together up to this many pixels, which bounds memory
_THUMBNAIL = "160 px, WebP 80"  # what `to_thumbnail` makes; part of its key


@dataclass
class Look:
    """What was found out about pictures: notes by extractor, thumbnails, and what cannot be decoded."""

    notes: dict[str, dict[Picture, np.ndarray]] = field(default_factory=lambda: defaultdict(dict))
    thumbnails: dict[Picture, bytes] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # SHA-256 of a file -> digest of its pixels
    findings: list[Finding] = field(default_factory=list)


@dataclass
class _Seen:
    """One picture on its way: what the cache knew, and what is prepared for the extractors that must look."""

    picture: Picture
    digest: str
    keys: dict[str, str | None] = field(default_factory=dict)  # by extractor; None: not to be kept
    known: dict[str, np.ndarray] = field(default_factory=dict)
    prepared: dict[str, np.ndarray] = field(default_factory=dict)
    thumbnail: bytes | None = None
    fresh: bool = False
    new: set[str] = field(default_factory=set)  # of "picture" (its digest) and "thumbnail" what the cache has not
    finding: Finding | None = None


# picture and its pixels' digest -> the keys of its notes
_Plan = Callable[[Picture, str], dict[str, "str | None"]]
# extractor, pictures prepared for it -> None
_Take = Callable[[str, Sequence[_Seen]], None]


class Viewer:
    """Shows pictures and texts to extractors. `batch_size` bounds the pictures per forward pass, not the figures.

    A `lean` one lets go of the networks once they have seen the outputs, and looks at these twice, so that the largest
    network has the memory to itself.
    """

    def __init__(
        self,
        extractors: Mapping[str, Extractor],
        cache: Cache,
        batch_size: int | None,
        watch: Stopwatch,
        lean: bool = False,
    ) -> None:
        self.extractors = extractors
        self._cache = cache
        self._batch_size = batch_size
        self._watch = watch
        self._lean = lean
        self._texts: dict[str, dict[str, np.ndarray]] = defaultdict(dict)

    def only(self, names: Iterable[str]) -> Viewer:
        """One with the extractors of these names alone: the same networks, the same cache."""
        chosen = {name: self.extractors[name] for name in dict.fromkeys(names)}
        return Viewer(chosen, self._cache, self._batch_size, self._watch, self._lean)

    def texts(self, name: str, texts: Iterable[str]) -> dict[str, np.ndarray]:
        """Features by text, from the extractor of that name."""
        reader, wanted, found = self.extractors[name], list(dict.fromkeys(texts)), self._texts[name]
        keys = {text: key_of("text", reader.identity, text) for text in wanted if text not in found}
        known = self._cache.get_arrays(keys.values())
        found |= {text: known[key]["note"] for text, key in keys.items() if key in known}
        missing = [text for text in wanted if text not in found]
        if missing:
            with self._watch.of(name), reader.exactly():
                rows = _finite(name, reader.text_notes(missing))
            self._cache.put_arrays(f"{name} text", {keys[text]: {"note": row} for text, row in zip(missing, rows)})
            found |= dict(zip(missing, rows))
        return {text: found[text] for text in wanted}

    def look(self, pictures: Sequence[Picture], kept: Kept, strict: bool, progress: Progress) -> Look:
        """Notes of outputs by every extractor, with what was kept of their styles' references.

        Once there can be no score (a finding while `strict`), the rest is only decoded, to find every problem.
        """
        look = Look()
        against = {
            (name, style): digest_of(arrays)
            for name, reader in self.extractors.items()
            if isinstance(reader, ComparingExtractor)
            for style, arrays in kept[name].items()
        }

        def plan(picture: Picture, digest: str) -> dict[str, str | None]:
            return {
                name: key_of("note", self.extractors[name].identity, digest, against.get((name, picture.style), ""))
                for name in turn
            }

        def take(name: str, group: Sequence[_Seen]) -> None:
            if isinstance(self.extractors[name], ComparingExtractor):
                for style, part in groupby(group, lambda seen: seen.picture.style):
                    self._note(look, name, list(part), kept[name][style])
            else:
                self._note(look, name, group)

        turns = self._turns()
        for number, turn in enumerate(turns):
            bad = {finding.where for finding in look.findings}
            left = [picture for picture in pictures if picture.where not in bad]
            if not left or (bad and strict):
                break
            passed = number * len(pictures) + len(pictures) - len(left)
            self._show(
                "outputs", look, left, plan, take, strict, _in_turns(progress, passed, len(pictures), len(turns))
            )
            if self._lean:
                self._release(turn)
        return look

    def _turns(self) -> list[list[str]]:
        """Which extractors look at the pictures together."""
        names = list(self.extractors)
        if not self._lean:
            return [names]
        alone = [name for name in names if self.extractors[name].alone]
        return [turn for turn in ([name for name in names if name not in alone], *([name] for name in alone)) if turn]

    def _release(self, names: Iterable[str]) -> None:
        for name in names:
            self.extractors[name].release()
        give_back()

    def keep(self, pictures: Mapping[str, Sequence[Picture]], progress: Progress) -> tuple[Kept, Look]:
        """What every extractor that sees references keeps of each style's.

        Raises UserError that names all pictures which cannot be decoded.
        """
        readers = {name: reader for name, reader in self.extractors.items() if reader.sees_references}
        flat = [picture for found in pictures.values() for picture in found]
        comparing = {name: reader for name, reader in readers.items() if isinstance(reader, ComparingExtractor)}
        look, sums = Look(), dict[tuple[str, str], Any]()
        kept: Kept = {name: {} for name in readers}
        digests = self._digests(flat)
        for name, comparer in comparing.items():
            keys = {style: _key_of_references(comparer, found, digests) for style, found in pictures.items()}
            there = self._cache.get_arrays(key for key in keys.values() if key is not None)
            kept[name] = {style: there[key] for style, key in keys.items() if key in there}

        def plan(picture: Picture, digest: str) -> dict[str, str | None]:
            return {
                name: None if name in comparing else key_of("note", reader.identity, digest, "")
                for name, reader in readers.items()
                if picture.style not in kept[name]
            }

        def take(name: str, group: Sequence[_Seen]) -> None:
            if name not in comparing:
                self._note(look, name, group)
                return
            for style, part in groupby(group, lambda seen: seen.picture.style):
                for few in self._few(name, list(part)):
                    with self._watch.of(name), comparing[name].exactly():
                        more = comparing[name].sums([seen.prepared[name] for seen in few])
                    sums[name, style] = sums[name, style] + more if (name, style) in sums else more

        self._show("references", look, flat, plan, take, True, progress)
        if look.findings:
            raise UserError("the references cannot be used: " + "; ".join(map(str, look.findings)))
        for name, reader in readers.items():
            for style, found in pictures.items():
                if (name, style) in sums:
                    kept[name][style] = comparing[name].keep_sums(sums[name, style])
                    key = _key_of_references(reader, found, look.digests)
                    self._cache.put_arrays(f"{name} references", {str(key): kept[name][style]})
                elif style not in kept[name]:
                    kept[name][style] = reader.keep(np.stack([look.notes[name][picture] for picture in found]))
        return kept, look

    def _note(self, look: Look, name: str, group: Sequence[_Seen], references: Arrays | None = None) -> None:
        """Take and keep the notes of some pictures."""
        for few in self._few(name, group):
            with self._watch.of(name), self.extractors[name].exactly():
                rows = self.extractors[name].notes([seen.prepared[name] for seen in few], references)
            look.notes[name].update({seen.picture: row for seen, row in zip(few, _finite(name, rows))})
        rows_of = look.notes[name]
        self._cache.put_arrays(name, {str(seen.keys[name]): {"note": rows_of[seen.picture]} for seen in group})

    def _few(self, name: str, group: Sequence[_Seen]) -> Iterator[Sequence[_Seen]]:
        """As many pictures at a time as one forward pass should see."""
        reader = self.extractors[name]
        step = len(group) if reader.device == "cuda" else reader.at_once
        for start in range(0, len(group), step):
            yield group[start : start + step]

    def _show(
        self,
        stage: str,
        look: Look,
        pictures: Sequence[Picture],
        plan: _Plan,
        take: _Take,
        strict: bool,
        progress: Progress,
    ) -> None:
        """Pass all pictures by: what the cache does not know goes to `take` in batches."""
        height, width = pictures[0].size  # all are of one size: check.py saw to it
        size = max(1, _BATCH_PIXELS // (height * width)) if self._batch_size is None else self._batch_size
        waiting: list[_Seen] = []
        progress(stage, 0, len(pictures))
        for done, seen in enumerate(self._prepare(look, pictures, plan, 2 * size), 1):
            if seen.finding is not None:
                look.findings.append(seen.finding)
                continue
            look.digests[seen.picture.sha256] = seen.digest
            if seen.thumbnail is not None:
                look.thumbnails[seen.picture] = seen.thumbnail
            for name, row in seen.known.items():
                look.notes[name][seen.picture] = row
            if seen.fresh:
                waiting.append(seen)
            if len(waiting) >= size:
                if not (look.findings and strict):
                    self._take_all(waiting, take)
                waiting = []
            progress(stage, done, len(pictures))
        if not (look.findings and strict):
            self._take_all(waiting, take)

    def _take_all(self, group: Sequence[_Seen], take: _Take) -> None:
        for name in self.extractors:
            part = [seen for seen in group if name in seen.prepared]
            if part:
                take(name, part)
        for seen in group:
            seen.prepared.clear()  # megabytes each
        digests = {key_of("picture", s.picture.sha256): s.digest.encode() for s in group if "picture" in s.new}
        drawn = {key_of("thumbnail", _THUMBNAIL, s.digest): s.thumbnail for s in group if "thumbnail" in s.new}
        thumbnails = {key: thumbnail for key, thumbnail in drawn.items() if thumbnail is not None}
        self._cache.put("picture", digests)
        self._cache.put("thumbnail", thumbnails)

    def _prepare(self, look: Look, pictures: Sequence[Picture], plan: _Plan, ahead: int) -> Iterator[_Seen]:
        """Decode and prepare in threads what `look` lacks, at most `ahead` pictures before they are asked for."""
        digests = {**self._digests(pictures), **look.digests}
        started = [_Seen(picture, digests.get(picture.sha256, "")) for picture in pictures]
        for seen in started:
            if seen.digest:
                seen.keys = plan(seen.picture, seen.digest)
        known = self._cache.get_arrays(key for seen in started for key in seen.keys.values() if key is not None)
        thumbnails = self._cache.get(key_of("thumbnail", _THUMBNAIL, digest) for digest in digests.values())

        def work(seen: _Seen) -> _Seen:
            with self._watch.of("pictures"):
                try:
                    pixels = None if seen.digest else _decode(seen)
                    if pixels is not None:
                        seen.digest = digest_of({"pixels": pixels})
                        seen.new.add("picture")
                        seen.keys = plan(seen.picture, seen.digest)
                    there = known if pixels is None else self._cache.get_arrays(k for k in seen.keys.values() if k)
                    seen.known = {name: there[key]["note"] for name, key in seen.keys.items() if key in there}
                    seen.thumbnail = look.thumbnails.get(
                        seen.picture, thumbnails.get(key_of("thumbnail", _THUMBNAIL, seen.digest))
                    )
                    missing = [name for name in seen.keys if name not in seen.known]
                    if missing or seen.thumbnail is None or pixels is not None:
                        pixels = _decode(seen) if pixels is None else pixels
                        seen.prepared = {name: self.extractors[name].prepare(pixels) for name in missing}
                        if seen.thumbnail is None:
                            seen.thumbnail = to_thumbnail(pixels)
                            seen.new.add("thumbnail")
                        seen.fresh = True
                except BadPicture as problem:
                    seen.finding = Finding(problem.code, seen.picture.where, str(problem))
            return seen

        with ThreadPoolExecutor(cores()) as pool:
            queue: deque[Future[_Seen]] = deque()
            try:
                for seen in started:
                    queue.append(pool.submit(work, seen))
                    if len(queue) > ahead:
                        yield queue.popleft().result()
                while queue:
                    yield queue.popleft().result()
            finally:
                for future in queue:
                    future.cancel()

    def _digests(self, pictures: Sequence[Picture]) -> dict[str, str]:
        """SHA-256 of the file -> digest of its pixels, where the cache knows."""
        keys = {picture.sha256: key_of("picture", picture.sha256) for picture in pictures}
        known = self._cache.get(keys.values())
        return {file: known[key].decode() for file, key in keys.items() if key in known}


def _in_turns(progress: Progress, passed: int, total: int, turns: int) -> Progress:
    """Progress in pictures of which each passes by `turns` times; `passed` of these passings were before."""
    return lambda stage, done, _: progress(stage, (passed + done) // turns, total)


def _decode(seen: _Seen) -> np.ndarray:
    data = seen.picture.read()
    # its notes are kept under the hash of the file that was checked
    if hashlib.sha256(data).hexdigest() != seen.picture.sha256:
        raise BadPicture("unreadable", "changed while it was being scored")
    return decode(data)


def _key_of_references(reader: Extractor, pictures: Sequence[Picture], digests: Mapping[str, str]) -> str | None:
    """One key for a set of pictures, or None while not all of them are known."""
    own = [digests.get(picture.sha256) for picture in pictures]
    return None if None in own else key_of("references", reader.identity, *sorted(map(str, own)))


def digest_of(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _finite(name: str, rows: np.ndarray) -> np.ndarray:
    if not np.isfinite(rows).all():
        raise UserError(f"{name}: features that are not finite numbers; the weights are damaged, fetch them again")
    return rows
