"""`manifest.json`: what an archive holds, file by file, and how its pictures were made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from submission.checks import Finding, finding
from submission.contents import MANIFEST, Item
from submission.contest import Contest
from submission.errors import UserError

SCHEMA_VERSION = 1


def make_manifest(contest: Contest, files: Mapping[str, Mapping[str, Any]], run: Any) -> bytes:
    """The manifest as UTF-8 JSON (docs/adr/0001). The same input gives the same bytes.

    `files` maps paths to what `describe` said of them.
    `run` is run.json or None; its `local` part is left out, because it is true on one machine only.
    """
    value = {
        "schema_version": SCHEMA_VERSION,
        "tool": f"jdart {_tool_version()}",
        "contest": {
            "name": contest.name,
            "styles": {style: len(prompts) for style, prompts in sorted(contest.styles.items())},
        },
        "files": {path: files[path] for path in sorted(files)},
        "run": None if run is None else {key: value for key, value in run.items() if key != "local"},
    }
    try:
        return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except ValueError as error:
        raise UserError(f"run.json cannot go into the manifest ({error}); correct it") from error


def describe(data: bytes) -> dict[str, Any]:
    """What the manifest says of one file."""
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def find_manifest(items: Sequence[Item]) -> Any:
    """The entry's manifest as parsed JSON, None when it has none. ValueError: not a JSON object."""
    item = next((item for item in items if item.path == MANIFEST and item.kind == "file"), None)
    if item is None:
        return None
    try:
        value = json.loads(item.read().decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def check_manifest(items: Sequence[Item], contest: Contest) -> Iterator[Finding]:
    """Findings about an entry whose manifest does not describe exactly its files, byte for byte."""
    try:
        manifest = find_manifest(items)
    except ValueError as error:
        yield finding("S302", MANIFEST, f"is not valid JSON ({error})")
        return
    if manifest is None:
        yield finding("S301", MANIFEST, "is not there")
        return
    if manifest.get("schema_version") != SCHEMA_VERSION or not isinstance(manifest.get("files"), dict):
        yield finding("S302", MANIFEST, f"is not a manifest of schema_version {SCHEMA_VERSION}")
        return
    counts = {style: len(prompts) for style, prompts in contest.styles.items()}
    if manifest.get("contest") != {"name": contest.name, "styles": counts}:
        yield finding("S306", MANIFEST, f"does not say contest {contest.name} with {len(counts)} styles")
    listed = manifest["files"]
    present = {item.path: item for item in items if item.kind == "file" and item.path != MANIFEST}
    for path, item in present.items():
        if path not in listed:
            yield finding("S304", path, "is not in the manifest")
        elif describe(item.read()) != listed[path]:
            yield finding("S303", path, "differs from its sha256 or size in the manifest")
    for path in listed:
        if path not in present:
            yield finding("S305", path, "is in the manifest only")


def _tool_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("jdart")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"
