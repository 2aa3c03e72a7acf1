"""`manifest.json`: what an archive holds, file by file, and how its pictures were made. Typed here, read strictly."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Optional

from contest.definition import Contest
from contest.disk.files import fingerprint, parse_json
from contest.entry.contents import MANIFEST
from contest.entry.listing import BadItem, Item
from contest.errors import UserError
from contest.findings import Finding, finding
from contest.typed import from_json, to_schema

SCHEMA_VERSION = 1
_MAX_BYTES = 8 << 20  # 20,000 files take 3 MiB; parsed, it is some twenty times as much in memory
TOKEN_NAME, IP_ADAPTER_NAME = "learned_embeds.safetensors", "ip_adapter.safetensors"
_WEIGHTS = re.compile(
    r"(?:composition/)?lora/[^/]+/pytorch_lora_weights\.(?:safetensors|bin)|"
    rf"lora/[^/]+/(?:{re.escape(TOKEN_NAME)}|{re.escape(IP_ADAPTER_NAME)})"
)


@dataclass(frozen=True)
class File:
    """One file of the archive: the hash of its bytes, and how many there are."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Rules:
    """The contest that the entry was built for. `styles` maps a style to its number of pictures."""

    name: str
    styles: dict[str, int]
    version: Optional[str] = None


@dataclass(frozen=True)
class Base:
    """The base model: where it came from, and the hash of its weights."""

    sha256: str
    source: Optional[str] = None
    revision: Optional[str] = None


@dataclass(frozen=True)
class Lora:
    """One style's LoRA: its place in the run folder, and its hash."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Run:
    """How the pictures were made: what run.json says that is true on every machine, so not its `local` part.

    `config` is every setting, `versions` maps a library to its version, `commit` is the git commit of the working tree
    when the run began. `composition` has the LoRAs of the text encoder that StyleBlend draws with.
    """

    schema_version: int
    name: Optional[str] = None
    tool: Optional[str] = None
    contest: Optional[str] = None
    styles: Optional[list[str]] = None
    images: str = "images"
    seed: Optional[int] = None
    config: Optional[dict[str, Any]] = None
    base: Optional[Base] = None
    commit: Optional[str] = None
    lora: dict[str, Lora] = field(default_factory=dict)
    versions: dict[str, Optional[str]] = field(default_factory=dict)
    composition: dict[str, Lora] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """What jdart-eval gave these pictures, under which profile and with which weights (file -> SHA-256).

    `pictures` is the report's SHA-256 over their names and contents. `comparable` says whether Final may stand
    beside the contest's own.
    """

    final: float
    profile: str
    comparable: bool
    pictures: str
    weights: dict[str, str]


@dataclass(frozen=True)
class Manifest:
    """Everything an archive says of itself. `commit` is the git commit of the working tree that the run lay in."""

    tool: str
    contest: Rules
    files: dict[str, File]
    run: Optional[Run] = None
    commit: Optional[str] = None
    score: Optional[Score] = None

    def to_bytes(self) -> bytes:
        """The manifest as UTF-8 JSON; the same manifest gives the same bytes. UserError: JSON cannot say it."""
        try:
            value = {"schema_version": SCHEMA_VERSION, **asdict(self)}
            if self.run is not None and not self.run.composition:  # as before there was such a thing, to the byte
                del value["run"]["composition"]
            return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
        except (ValueError, RecursionError) as error:
            raise UserError(f"run.json cannot go into the manifest ({error}); correct it") from error


def make_manifest(
    contest: Contest, files: Mapping[str, File], run: Run | None, commit: str | None, score: Score | None
) -> Manifest:
    """The manifest of an archive; the order in which styles and files come does not matter."""
    return Manifest(
        tool=f"jdart {_tool_version()}",
        contest=Rules(contest.name, dict(sorted(_counts(contest).items())), contest.version),
        files={path: files[path] for path in sorted(files)},
        run=run,
        commit=commit,
        score=score,
    )


def describe(data: bytes) -> File:
    """What the manifest says of one file."""
    return File(hashlib.sha256(data).hexdigest(), len(data))


def find_manifest(items: Iterable[Item]) -> Manifest | None:
    """The entry's manifest, None when it has none. ValueError names what is wrong with it; BadItem: not readable."""
    item = next((item for item in items if item.path == MANIFEST and item.kind == "file"), None)
    if item is None:
        return None
    if item.size > _MAX_BYTES:
        raise ValueError(f"has {item.size} bytes, more than {_MAX_BYTES}")
    return _parse(item.read())


@lru_cache(maxsize=1)  # what is checked is opened more than once: to see which contest it is for, then by its limits
def _parse(data: bytes) -> Manifest:
    try:
        value = parse_json(data.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_unique)
    except ValueError as error:
        raise ValueError(f"is not valid JSON ({error})") from error
    if not isinstance(value, dict) or type(value.get("schema_version")) is not int:
        raise ValueError("is not a manifest")
    if value["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"has schema_version {value['schema_version']}; this jdart reads {SCHEMA_VERSION}")
    try:
        return from_json(Manifest, value, "manifest")
    except ValueError as error:
        raise ValueError(f"is not as it should be: {error}") from error


def usable_manifest(items: Iterable[Item]) -> Manifest | None:
    """The entry's manifest, None when it has none or not a good one, which `check_manifest` finds."""
    try:
        return find_manifest(items)
    except (ValueError, BadItem):
        return None


def weights_of(manifest: Manifest) -> set[str]:
    """Paths of what the archive holds of its styles beside their pictures: LoRA files, tokens, compositions."""
    paths = filter(_WEIGHTS.fullmatch, manifest.files)
    return {path for path in paths if PurePosixPath(path).parent.name in manifest.contest.styles}


def fingerprint_of(files: Mapping[str, File], styles: Iterable[str]) -> str:
    """What reports of jdart-eval know the styles' pictures by."""
    known = set(styles)
    digests = {}
    for path, file in files.items():
        style, slash, name = path.partition("/")
        if style in known and slash and "/" not in name:
            digests[style, name] = file.sha256
    return fingerprint(digests)


def check_manifest(items: Iterable[Item], contest: Contest) -> Iterator[Finding]:
    """Findings about an entry whose manifest does not describe exactly its files, byte for byte."""
    items = list(items)
    try:
        manifest = find_manifest(items)
    except BadItem as bad:
        yield finding(bad.code, MANIFEST, str(bad))
        return
    except ValueError as error:
        yield finding("S302", MANIFEST, str(error))
        return
    if manifest is None:
        yield finding("S301", MANIFEST, "is not there")
        return
    yield from _check_contest(manifest.contest, contest)
    yield from check_claims(manifest)
    present = {item.path: item for item in items if item.kind == "file" and item.path != MANIFEST}
    for path, item in present.items():
        if path not in manifest.files:
            yield finding("S304", path, "is not in the manifest")
            continue
        try:
            if describe(item.read()) != manifest.files[path]:
                yield finding("S303", path, "differs from its sha256 or size in the manifest")
        except BadItem as bad:
            yield finding(bad.code, path, str(bad))
    for path in manifest.files:
        if path not in present:
            yield finding("S305", path, "is in the manifest only")


def check_claims(manifest: Manifest) -> Iterator[Finding]:
    """Findings where the manifest contradicts itself: a score of other pictures, a LoRA that did not draw them."""
    score = manifest.score
    if score is not None and score.pictures != fingerprint_of(manifest.files, manifest.contest.styles):
        yield finding("S308", MANIFEST, f"has Final {score.final:.6g}, which other pictures got")
    run = manifest.run
    said = {} if run is None else {"lora": run.lora, "composition": run.composition}
    for path in sorted(weights_of(manifest)):
        place = PurePosixPath(path)
        beside = place.name in (TOKEN_NAME, IP_ADAPTER_NAME)
        lora = None if beside else said.get(place.parts[0], {}).get(place.parent.name)
        if lora is not None and lora.sha256 != manifest.files[path].sha256:
            yield finding("S309", path, "is not the file that run.json says was drawn with")


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of manifest.json, published as `submission/packing/manifest.schema.json`."""
    return to_schema(Manifest, "Manifest of an archive of jdart-submit", schema_version=SCHEMA_VERSION)


def _check_contest(built_for: Rules, contest: Contest) -> Iterator[Finding]:
    counts = _counts(contest)
    if built_for.name != contest.name or built_for.styles != counts:
        yield finding("S306", MANIFEST, f"does not say contest {contest.name} with {len(counts)} styles")
    elif built_for.version not in (None, contest.version):  # archives of the first jdart do not say it
        yield finding("S306", MANIFEST, f"says version {built_for.version} of the contest, not {contest.version}")


def _counts(contest: Contest) -> dict[str, int]:
    return {style: len(prompts) for style, prompts in contest.styles.items()}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a name given twice, two readers may see two values."""
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name is given twice in one object")
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")


def _tool_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("jdart")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"
